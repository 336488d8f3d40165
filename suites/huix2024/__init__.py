"""Palés Huix et al., "Are Natural Domain Foundation Models Useful for Medical Image Classification?", WACV 2024.

Each module is a sentence of the paper, or a group of them. A test quotes what it tests; where the authors compare
without a sentence that could be quoted, it says what is compared and that the direction is the suite's own.
"""
