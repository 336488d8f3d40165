"""Where things are kept and computed: the store, published weights, data sets, the device; and whether this is a CI.

Each is an option of the plugin, an ini value or an environment variable, in that order;
this module knows the environment and the defaults.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_fmtransfer.devices import Device, best_device, device_and_card
from pytest_fmtransfer.errors import InvalidInput, near_names, path_of, require


def _user_cache(environ: Mapping[str, str]) -> Path:
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@dataclass(frozen=True, kw_only=True)
class Places:
    """Folders on disk, and what computes. `weights` and `data_root` are None when the user named none. Folders may be
    given as text or as any path. Raises InvalidInput for what is no path.

    `download`: published weights that are nowhere may be fetched; only what the user says turns it on. So with
    `skip_bad_images`: images that cannot be decoded are left out of their dataset, and counted. `device` is by default
    the best that is here, `card` the number of one of several cards, which `device="cuda:1"` gives too.
    `deterministic`: it computes the same bits in every run, if more slowly. `compiled`: a network that learns goes
    through torch.compile. What the store holds of a file's content from before
    `verify_since`, in seconds since 1970, is not trusted: the file is hashed again.
    """

    store: Path
    weights: Path | None = None
    data_root: Path | None = None
    download: bool = False
    skip_bad_images: bool = False
    device: Device = field(default_factory=best_device)
    card: int | None = None
    deterministic: bool = False
    compiled: bool = False
    verify_since: float | None = None

    def __post_init__(self) -> None:
        for name in ("store", "weights", "data_root"):
            if (given := getattr(self, name)) is not None or name == "store":
                object.__setattr__(self, name, path_of(given, f"Places({name}=…)"))
        device, card = device_and_card(require(self.device, str, "Places(device=…)", "write cpu, cuda, cuda:1 or mps"))
        object.__setattr__(self, "device", device)
        object.__setattr__(self, "card", self.card if card is None else card)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Places":
        """`FMTRANSFER_STORE`, by default in the user's cache, `FMTRANSFER_WEIGHTS`, `FMTRANSFER_DATA` and
        `FMTRANSFER_DEVICE`, by default the best there is.

        Raises InvalidInput for a device that there is none of.
        """

        def folder(variable: str) -> Path | None:
            return Path(environ[variable]).expanduser().absolute() if environ.get(variable) else None

        device, card = _device(environ)
        return cls(
            store=folder("FMTRANSFER_STORE") or _user_cache(environ) / "fmtransfer",
            weights=folder("FMTRANSFER_WEIGHTS"),
            data_root=folder("FMTRANSFER_DATA"),
            device=device,
            card=card,
        )


def _device(environ: Mapping[str, str]) -> tuple[Device, int | None]:
    named = environ.get("FMTRANSFER_DEVICE")
    try:
        return device_and_card(named) if named else (best_device(environ), None)
    except InvalidInput as error:
        raise InvalidInput(f"FMTRANSFER_DEVICE={named}: {error}") from error


def no_such_folder(named: str, folder: Path) -> str | None:
    """What is wrong with a folder that must exist, with near names beside it; `named` says who named it, as in
    '--fm-weights'. None where it exists.
    """
    if folder.is_dir():
        return None
    if folder.exists():
        return f"{named}={folder}: that is no folder; name the folder that the file is in"
    there = next(place for place in folder.parents if place.is_dir())
    wrong = folder.relative_to(there).parts[0]
    try:
        beside = [each.name for each in there.iterdir() if each.is_dir()]
    except OSError:  # it may be entered, not listed
        beside = []
    near = near_names(wrong, beside)
    meant = f"did you mean {' or '.join(str(there / name) for name in near)}?" if near else "name one that exists"
    return f"{named}={folder}: no such folder; {meant}"


def on_ci(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether `CI` is set, to anything but 0 or false: no baseline is written there."""
    return environ.get("CI", "").lower() not in ("", "0", "false")
