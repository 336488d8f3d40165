"""One module per on-disk layout.

A reader offers `scan(folder) -> Scan`, slow and stored, `arrange(scan, options) -> Table`, the split rule,
and `decode(path) -> pixels_HW`, one image ready to be resized.
"""
