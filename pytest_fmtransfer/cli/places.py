"""The options that name folders, for the verbs that read them."""

import argparse
from dataclasses import replace
from pathlib import Path

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.places import Places, no_such_folder

_HELP = {
    "store": "store of images, features and results (default: FMTRANSFER_STORE, else the user's cache)",
    "weights": "folder with weights as their authors publish them (default: FMTRANSFER_WEIGHTS)",
    "data_root": "folder with one sub-folder per dataset (default: FMTRANSFER_DATA)",
}

# The folders that are only read, and so must exist, with the variables that name them where no option does.
READ = {"weights": "FMTRANSFER_WEIGHTS", "data_root": "FMTRANSFER_DATA"}


def add_places(parser: argparse.ArgumentParser, *names: str) -> None:
    """Options for the folders that a verb reads, among `store`, `weights` and `data_root`."""
    for name in names:
        parser.add_argument(f"--{name.replace('_', '-')}", type=_folder, metavar="DIR", help=_HELP[name])


def places_of(arguments: argparse.Namespace, *, tells_environment: bool = False) -> Places:
    """What the options say, and the environment where they say nothing.

    Raises InvalidInput for a folder to read from that does not exist, with who named it; with `tells_environment` the
    verb itself says so of one that a variable names. An option that a verb does not take is not looked at.
    """
    given = {name: folder for name in _HELP if (folder := getattr(arguments, name, None)) is not None}
    places = replace(Places.from_environment(), **given)
    for name, variable in READ.items():
        folder: Path | None = getattr(places, name)
        if folder is None or not hasattr(arguments, name) or (tells_environment and name not in given):
            continue
        named = f"--{name.replace('_', '-')}" if name in given else variable
        if (wrong := no_such_folder(named, folder)) is not None:
            raise InvalidInput(wrong)
    return places


def _folder(text: str) -> Path:
    return Path(text).expanduser().absolute()
