"""A user's own folder: one sub-folder per class, or `train/<class>`, `val/<class>` and `test/<class>`.

Images lie anywhere below a class's folder and are known by their suffix; other files, and hidden files and folders, are
passed over and counted. Links are followed as `pytest_fmtransfer.data.links` says (option `links`).
Without sides, each class is split 40 % training, 20 % validation, 40 % test under a fixed seed (options `validation`
and `test`); without a validation side, 20 % of each class of the training side become one. A folder names no
patients, so each image stands alone. Licence and number of images are the user's to know.

Legend: N images.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pytest_fmtransfer.catalog.specs import DatasetSpec, UserFolder
from pytest_fmtransfer.data.identifiers import by_name, identifier, one_spelling, spelt_variously
from pytest_fmtransfer.data.links import PassedOver, check_inside, images_below, is_hidden, leads_out_of
from pytest_fmtransfer.data.own import SIDE_NAMES, classes_in_order, is_image, own_table
from pytest_fmtransfer.data.table import TEST, TRAIN, Table
from pytest_fmtransfer.errors import SHOWN, DatasetError, first_few, nearest
from pytest_fmtransfer.words import counted

LAYOUT = "put images into one sub-folder per class, or into train/<class>, val/<class> and test/<class>"


@dataclass(frozen=True, kw_only=True)
class _Class:
    """The folder of a class, on a side where the folder above it names one."""

    name: str
    folder: Path
    side: str | None


def classes(location: UserFolder, options: Mapping[str, str], named: Sequence[str], *, scale: bool) -> tuple[str, ...]:
    """The names of the classes' folders, as `classes_in_order` has them.

    Raises DatasetError as that does, and for a folder that is not laid out as one.
    """
    found = _class_folders(location.path, PassedOver(), follow="links" in options)
    if any(each.side for each in found) and "test" in options:
        raise DatasetError(f"{location.path} has a test side; leave test= out")
    names = set(one_spelling(each.name for each in found).values())
    return classes_in_order(location.path, names, named, scale=scale, line=location.line)


def read(folder: Path, spec: DatasetSpec) -> Table:
    """The images of every class, sorted by path.

    Raises DatasetError for a folder that is not laid out so, a class that the row lacks or that has no images, and a
    side without images.
    """
    ids: list[str] = []
    labels: list[int] = []
    sides: list[str | None] = []
    passed, follow = PassedOver(), "links" in spec.options
    class_folders = _class_folders(folder, passed, follow=follow)
    label_of = by_name({name: label for label, name in enumerate(spec.classes)})
    for each in class_folders:
        if (label := label_of(each.name)) is None:
            raise DatasetError(
                f"{each.folder} is no class of {spec.name}; {nearest(each.name, spec.classes)} (add it to classes=, or "
                "take the folder out)"
            )
        below = _images(each.folder, folder, passed, follow=follow)
        ids += [f"{each.folder.relative_to(folder).as_posix()}/{name}" for name in below]
        labels += [label] * len(below)
        sides += [each.side] * len(below)
    empty = [name for label, name in enumerate(spec.classes) if label not in set(labels)]
    if empty:
        raise DatasetError(f"{folder}: no images of class {', '.join(empty)}; put some there, or take the class out")
    return own_table(
        folder,
        spec,
        ids_N=np.array(ids),
        labels=np.array(labels, dtype=np.int64),
        patients_N=None,
        split_N=None if None in sides else np.array(sides),
        notices=(
            *spelt_variously({each.name for each in class_folders}, where="the folders", what="class"),
            *passed.notices(),
        ),
    )


def _class_folders(folder: Path, passed: PassedOver, *, follow: bool) -> list[_Class]:
    below, side_of = _sub_folders(folder, folder, passed, follow=follow), by_name(SIDE_NAMES)
    named = {sub: side_of(sub.name) for sub in below}
    if TRAIN not in named.values() and (not below or None in named.values()):
        return _enough(folder, [_Class(name=sub.name, folder=sub, side=None) for sub in below])
    if others := [sub.name for sub, side in named.items() if side is None]:
        raise DatasetError(f"{folder} has {', '.join(others[:SHOWN])} beside its sides of a split; {LAYOUT}")
    found: dict[str, Path] = {}
    for sub, side in named.items():
        if side is not None and found.setdefault(side, sub) != sub:
            raise DatasetError(f"{folder}: {found[side].name} and {sub.name} are one side; join them")
    for side in (TRAIN, TEST):
        if side not in found:
            raise DatasetError(f"{folder} has {', '.join(sub.name for sub in below)} and no {side} side; {LAYOUT}")
    return _enough(
        folder,
        [
            _Class(name=sub.name, folder=sub, side=side)
            for side, top in found.items()
            for sub in _sub_folders(top, folder, passed, follow=follow)
        ],
    )


def _enough(folder: Path, found: list[_Class]) -> list[_Class]:
    if len(names := {identifier(each.name) for each in found}) >= 2:
        return found
    loose = sum(len(names) for _, _, names in os.walk(folder))
    raise DatasetError(
        f"{folder} has {counted(len(names), 'class folder')}, two or more are needed "
        f"({counted(loose, 'file')} below it); {LAYOUT}"
    )


def _sub_folders(folder: Path, root: Path, passed: PassedOver, *, follow: bool) -> list[Path]:
    """Sorted by name. Raises DatasetError where images lie beside them, which would be left out."""
    try:
        every = sorted(folder.iterdir())
        entries = [path for path in every if not is_hidden(path.name)]
        below = [path for path in entries if path.is_dir()]
        loose = [path.name for path in entries if is_image(path.name) and path.is_file()]
        others = [path for path in entries if path not in set(below) and path.name not in loose]
        out = [path.relative_to(root).as_posix() for path in below if not follow and leads_out_of(root, path)]
    except OSError as error:
        raise DatasetError(f"cannot read {folder} ({error.strerror}); name a folder that you may read") from error
    if loose:
        told = first_few([_plain(folder, name) for name in loose])
        raise DatasetError(f"{counted(len(loose), 'image')} of no class in {folder}: {told}; {LAYOUT}")
    for path in below:
        _plain(folder, path.name)
    check_inside(root, out)
    passed.hidden.extend(path.relative_to(root).as_posix() for path in every if is_hidden(path.name))
    passed.others.extend(path.relative_to(root).as_posix() for path in others)
    return below


def _images(folder: Path, root: Path, passed: PassedOver, *, follow: bool) -> list[str]:
    """Paths of the images below a class's folder, with '/'. Raises DatasetError where there are files and no image."""
    before = len(passed.others)
    found = images_below(folder, root, passed, is_image=is_image, follow=follow)
    for name in found:
        _plain(folder, name)
    if (others := len(passed.others) - before) and not found:
        raise DatasetError(
            f"{folder} has {counted(others, 'file')}, and none ends as an image does (.png, .jpg, .tif, .dcm …)"
        )
    return found


def _plain(folder: Path, name: str) -> str:
    """A name that can be written down. Raises DatasetError for one that is not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DatasetError(f"{folder}: a file's name is not UTF-8: {name!r}; rename it") from error
    return name
