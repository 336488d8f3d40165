"""What lies below a folder of the user's: links that stay in it are followed, those that lead out are refused.

A link can come with a checkout or an archive, and lead to anything on this machine. Whoever keeps images elsewhere says
so: option `links=follow` of the dataset. A folder that itself is a link is what its name says.
"""

import os
import stat
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pytest_fmtransfer.data.columns import shown
from pytest_fmtransfer.data.notices import Notice
from pytest_fmtransfer.errors import DatasetError, first_few
from pytest_fmtransfer.words import counted


@dataclass(frozen=True, kw_only=True)
class PassedOver:
    """Paths that are not read: files of other suffixes, hidden ones, and links to what is read already."""

    others: list[str] = field(default_factory=list[str])
    hidden: list[str] = field(default_factory=list[str])
    again: list[str] = field(default_factory=list[str])

    def notices(self) -> tuple[Notice, ...]:
        every = sorted([*self.others, *self.hidden, *self.again])
        if not every:
            return ()
        suffixes = Counter(os.path.splitext(name)[1].lower() or "no suffix" for name in self.others)
        kinds = ", ".join(f"{suffix} {count}" for suffix, count in sorted(suffixes.items()))
        told = [
            f"{counted(len(self.others), 'file')} that {'ends' if len(self.others) == 1 else 'end'} as no image does "
            f"({kinds})"
            if self.others
            else "",
            f"{len(self.hidden)} hidden" if self.hidden else "",
            f"{counted(len(self.again), 'link')} to folders that are read already" if self.again else "",
        ]
        notice = Notice(
            kind="files_passed_over",
            count=len(every),
            sentence=f"passed over: {'; '.join(part for part in told if part)}",
            remedy="give images among them a suffix that they have, such as .dcm or .png, or leave them so",
            examples=tuple(name.encode("utf-8", "backslashreplace").decode() for name in every),
        )
        return (notice,)


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def images_below(
    folder: Path, root: Path, passed: PassedOver, *, is_image: Callable[[str], bool], follow: bool
) -> list[str]:
    """Paths of the images below a folder of the dataset's root, relative to it, sorted, with '/'.

    A folder is read once, however many links lead to it, under its own name where it has one here. Raises DatasetError
    for links that lead out of the root unless `follow`, and for images that are no files.
    """
    inside = Path(os.path.realpath(root))
    found: list[str] = []
    read: set[str] = set()
    leads_out: list[str] = []
    strange: list[str] = []

    def name_of(path: str) -> str:
        return Path(path).relative_to(root).as_posix()

    def walk(top: str, linked: list[str]) -> None:
        """All below a folder but the folders behind links, which come after."""
        real = Path(os.path.realpath(top))
        if str(real) in read or inside.is_relative_to(real):
            passed.again.append(name_of(top))
            return
        read.add(str(real))
        with os.scandir(top) as entries:
            for entry in sorted(entries, key=lambda each: each.name):
                is_folder = os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()
                if is_hidden(entry.name):
                    passed.hidden.append(name_of(entry.path))
                elif not is_folder and not is_image(entry.name):
                    passed.others.append(name_of(entry.path))
                elif entry.is_symlink() and not follow and _is_outside(entry.path, inside):
                    leads_out.append(name_of(entry.path))
                elif is_folder and entry.is_symlink():
                    linked.append(entry.path)
                elif is_folder:
                    walk(entry.path, linked)
                elif os.path.isfile(entry.path) or not os.path.exists(entry.path):  # the absent are missed later
                    found.append(Path(entry.path).relative_to(folder).as_posix())
                else:
                    strange.append(name_of(entry.path))

    try:
        waiting = [str(folder)]
        while waiting:
            linked: list[str] = []
            for top in waiting:
                walk(top, linked)
            waiting = linked
    except OSError as error:
        raise DatasetError(f"cannot read {error.filename} ({error.strerror}); make it readable") from error
    if strange:
        raise DatasetError(f"{root}: no file but a device, a pipe or the like: {first_few(strange)}; take it out")
    check_inside(root, leads_out)
    return sorted(found)


def check_inside(root: Path, leads_out: Sequence[str]) -> None:
    """Raises DatasetError where links lead out of a root."""
    if leads_out:
        raise DatasetError(
            f"{root}: {counted(len(leads_out), 'link')} out of it: {first_few(leads_out)}; if they are to be "
            "followed, say links=follow"
        )


def leads_out_of(root: Path, path: Path) -> bool:
    """Whether a path is a link to what lies elsewhere."""
    return path.is_symlink() and _is_outside(path, Path(os.path.realpath(root)))


def check_rows(file: Path, column: str, root: Path, ids: Sequence[str], *, follow: bool) -> None:
    """What a table names, its first image in row 2. Raises DatasetError for what is no file or lies out of the root.

    Files that are not there are counted by whoever opens them.
    """
    inside = Path(os.path.realpath(root))

    @cache
    def folder_is_outside(folder: str) -> bool:
        return _is_outside(folder, inside)

    strange: dict[int, str] = {}
    outside: dict[int, str] = {}
    for row, name in enumerate(ids, start=2):
        path = os.path.join(root, name)
        try:
            status = os.lstat(path)
            if is_link := stat.S_ISLNK(status.st_mode):
                status = os.stat(path)
        except (OSError, ValueError):
            continue
        if not stat.S_ISREG(status.st_mode):
            strange[row] = name
        elif not follow and (folder_is_outside(os.path.dirname(path)) or (is_link and _is_outside(path, inside))):
            outside[row] = name
    _refuse(file, column, strange, "no file but a folder, a device or the like", "name files")
    remedy = f"say root=DIR for a folder that holds all of them, or links=follow if links out of {root} may be read"
    _refuse(file, column, outside, f"a link that leads out of {root}", remedy)


def _refuse(file: Path, column: str, wrong: Mapping[int, str], what: str, remedy: str) -> None:
    if wrong:
        rows, first = counted(len(wrong), "row"), next(iter(wrong.values()))
        raise DatasetError(
            f"{file}: {rows} of column {column!r} with {what}, such as {first!r} ({shown(wrong)}); {remedy}"
        )


def _is_outside(path: str | Path, inside: Path) -> bool:
    return not Path(os.path.realpath(path)).is_relative_to(inside)
