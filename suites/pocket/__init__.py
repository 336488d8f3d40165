"""Runs anywhere: ImageNet weights that packages carry, and brain MRI that a package carries."""
