"""A path as a sentence shows it."""

from pathlib import Path


def shown(path: Path, root: Path) -> Path:
    """Relative to a root that it lies below, else as it is."""
    return path.relative_to(root) if path.is_relative_to(root) else path
