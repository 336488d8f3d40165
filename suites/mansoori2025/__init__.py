"""Mansoori et al., "Advancements in Medical Image Classification through Fine-Tuning Natural Domain Foundation Models",
arXiv:2505.19779.

A test quotes what it tests; where the authors compare without a sentence that could be quoted, it says what is compared
and that the direction is the suite's own.
"""
