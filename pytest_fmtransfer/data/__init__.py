"""A DatasetSpec and a folder become images, labels, patients and a split."""
