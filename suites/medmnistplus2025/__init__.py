"""Doerrich et al., "Rethinking model prototyping through the MedMNIST+ dataset collection", Scientific Reports 2025,
arXiv:2404.15786.

A test quotes what it tests; where the authors compare without a sentence that could be quoted, it says what is compared
and that the direction is the table's or the suite's own.
"""
