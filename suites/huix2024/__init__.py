"""Palés Huix et al., "Are Natural Domain Foundation Models Useful for Medical Image Classification?", WACV 2024."""
