"""The options that name folders, for the verbs that read them."""

import argparse
from dataclasses import replace
from pathlib import Path

from pytest_fmtransfer.places import Places

_HELP = {
    "store": "store of images, features and results (default: FMTRANSFER_STORE, else the user's cache)",
    "weights": "folder with weights as their authors publish them (default: FMTRANSFER_WEIGHTS)",
    "data_root": "folder with one sub-folder per dataset (default: FMTRANSFER_DATA)",
}


def add_places(parser: argparse.ArgumentParser, *names: str) -> None:
    """Options for the folders that a verb reads, among `store`, `weights` and `data_root`."""
    for name in names:
        parser.add_argument(f"--{name.replace('_', '-')}", type=_folder, metavar="DIR", help=_HELP[name])


def places_of(arguments: argparse.Namespace) -> Places:
    """What the options say, and the environment where they say nothing."""
    given = {name: folder for name in _HELP if (folder := getattr(arguments, name, None)) is not None}
    return replace(Places.from_environment(), **given)


def _folder(text: str) -> Path:
    return Path(text).expanduser().absolute()
