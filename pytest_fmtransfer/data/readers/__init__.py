"""One module per on-disk layout.

A reader offers `read(folder, spec) -> Table`, which opens no image, and says in its first lines how the split is made,
under which licence the data are, how to get them, how many to expect, and where patients come from. One whose images
are not one file each, or not to be seen as they are, offers `pictures(folder, table, spec) -> Pictures` too; one that
knows its images by their content offers `verify(table, contents)`, which raises DatasetError.
"""
