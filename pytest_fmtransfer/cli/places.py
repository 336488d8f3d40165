"""The options that say where things are and how they are taken, for the verbs that read them.

Each is that of the plugin, with its `--fm-` or without: a message of either can be typed at the other.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

from pytest_fmtransfer.devices import device_and_card
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.places import Places, no_such_folder

_HELP = {
    "store": "store of images, features and results (default: FMTRANSFER_STORE, else the user's cache)",
    "weights": "folder with weights as their authors publish them (default: FMTRANSFER_WEIGHTS)",
    "data_root": "folder with one sub-folder per dataset (default: FMTRANSFER_DATA)",
}

_FLAGS = {
    "verify": "hash every image again, also where no file seems to have changed",
    "download": "count on what --fm-download fetches: published weights, and data whose licence allows it",
}

# The folders that are only read, and so must exist, with the variables that name them where no option does.
READ = {"weights": "FMTRANSFER_WEIGHTS", "data_root": "FMTRANSFER_DATA"}


ON_BAD_IMAGE = ("error", "skip")


def add_places(parser: argparse.ArgumentParser, *names: str) -> None:
    """Options among `store`, `weights`, `data_root`, `download`, `on_bad_image`, `verify` and `device`."""
    for name in names:
        option = name.replace("_", "-")
        both = (f"--{option}", f"--fm-{option}")
        if name in _HELP:
            parser.add_argument(*both, type=_folder, metavar="DIR", help=_HELP[name])
        elif name == "on_bad_image":
            parser.add_argument(
                *both,
                choices=ON_BAD_IMAGE,
                default="error",
                help="skip: leave out images that cannot be decoded, and say how many; error, the default: stop there",
            )
        elif name == "device":
            parser.add_argument(*both, metavar="NAME", help="cpu, cuda, cuda:1 or mps; default: the best there is")
        else:
            parser.add_argument(*both, action="store_true", help=_FLAGS[name])


def places_of(arguments: argparse.Namespace, *, tells_environment: bool = False) -> Places:
    """What the options say, and the environment where they say nothing.

    Raises InvalidInput for a folder to read from that does not exist, with who named it; with `tells_environment` the
    verb itself says so of one that a variable names. An option that a verb does not take is not looked at.
    """
    given = {name: folder for name in _HELP if (folder := getattr(arguments, name, None)) is not None}
    places = replace(
        Places.from_environment(),
        **given,
        download=getattr(arguments, "download", False),
        skip_bad_images=getattr(arguments, "on_bad_image", "error") == "skip",
        verify_since=time.time() if getattr(arguments, "verify", False) else None,
    )
    if (named := getattr(arguments, "device", None)) is not None:
        try:
            device, card = device_and_card(named)
        except InvalidInput as error:
            raise InvalidInput(f"--device={named}: {error}") from error
        places = replace(places, device=device, card=card)
    for name, variable in READ.items():
        folder: Path | None = getattr(places, name)
        if folder is None or not hasattr(arguments, name) or (tells_environment and name not in given):
            continue
        if places.download and not folder.exists():  # it is made by what is fetched
            continue
        named = f"--{name.replace('_', '-')}" if name in given else variable
        if (wrong := no_such_folder(named, folder)) is not None:
            raise InvalidInput(wrong)
    return places


def _folder(text: str) -> Path:
    return Path(text).expanduser().absolute()
