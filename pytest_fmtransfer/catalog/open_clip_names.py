"""The names of open_clip's models, read from the files of its package without importing it."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pytest_fmtransfer.errors import InvalidInput, nearest


def check_open_clip_architecture(architecture: str) -> None:
    """Raises InvalidInput, with near names, for an architecture that open_clip has not.

    What it looks up elsewhere (`hf-hub:owner/name`) passes, and so does everything where it is not installed.
    """
    if ":" not in architecture and open_clip_models() and architecture not in open_clip_models():
        raise InvalidInput(f"open_clip has no model {architecture!r}; {nearest(architecture, open_clip_models())}")


@cache
def open_clip_models() -> frozenset[str]:
    """Every model of the installed open_clip; none where it is not installed."""
    found = find_spec("open_clip")
    folders = found.submodule_search_locations if found else None
    files = (Path(folders[0]) / "model_configs").glob("*.json") if folders else ()
    return frozenset(file.stem for file in files)
