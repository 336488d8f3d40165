"""Rows, as tests told them, become tables."""
