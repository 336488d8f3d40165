"""Matsoukas et al., "Is it Time to Replace CNNs with Transformers for Medical Images?", ICCV 2021 workshops,
arXiv:2108.09038.

A test quotes what it tests; where the authors compare without a sentence that could be quoted, it says what is compared
and that the direction is the table's or the suite's own.
"""
