"""One tree of errors; every message says what to type next.

FmTransferError
├── InvalidInput            what the user wrote is not usable
│   ├── InvalidName         a cell id or a part of one breaks the grammar
│   ├── UnknownName         not in the catalogue; names the nearest that are
│   ├── DuplicateName       registered twice
│   └── Impossible          a backbone lacks what a regime adapts: a block, a layer, a text tower
├── Unavailable             weights, data or a regime are not there to run
├── CheckpointMismatch      a file of weights does not fit its architecture
│   └── LegacyPickle        it holds more than tensors; `fmtransfer convert` keeps those
├── UnreadableImage         an image file that cannot be decoded
├── DatasetError            a dataset's folder contradicts its declaration
├── StorageError            a place on disk that cannot be written: no right to, no folder, or full
├── TrainingDiverged        a loss is not a number
├── OutOfMemory             a batch of one image does not fit
└── BaselineError           a stored baseline is missing or was edited by hand
    └── OldBaseline         it is of a schema that `fmtransfer baseline migrate` writes anew
"""

import os
import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from heapq import nsmallest
from numbers import Real
from pathlib import Path
from typing import TypeVar, cast

from pytest_fmtransfer.printable import printable

T = TypeVar("T")

SHOWN = 5  # of many things that are not as they should be
FEW = 12  # valid names that a message lists, where none is near
NEAR = 0.65  # the share of their letters that two names have in common, in order: below it "did you mean" was silly
_NUMBER = re.compile("<[a-z]+>")
PART = 4  # letters of a name that may stand for a longer one

# What lists all names of a kind.
LISTED_BY = {kind: f"`fmtransfer list {kind}s`" for kind in ("backbone", "dataset", "regime", "profile")}


class FmTransferError(Exception):
    """Root of every error that pytest-fmtransfer raises on purpose.

    `args` hold the message as it was given. Its text, which may name files, classes and versions of others, is safe to
    print.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class InvalidInput(FmTransferError, ValueError):
    """What the user wrote cannot be used."""


class InvalidName(InvalidInput):
    """A name breaks the grammar of ids."""


class UnknownName(InvalidInput):
    """A name that nothing is registered under.

    `kind` is the singular noun ("backbone"); `known` are the valid names. `mistake` says what is wrong with it and what
    to write, where that is known; the nearest names otherwise. `listed_by` is what lists all names, by default the
    command for that kind.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, mistake: str = "", listed_by: str = "") -> None:
        told = mistake or nearest(name, known, listed_by=listed_by or LISTED_BY.get(kind, ""))
        super().__init__(f"unknown {kind} {name!r}; {told}")


class DuplicateName(InvalidInput):
    """A name that was registered before."""


class Impossible(InvalidInput):
    """A regime that a backbone can never run: it lacks the blocks, the layers or the tokens that the regime takes."""


class Unavailable(FmTransferError):
    """A cell cannot run here; the message holds the remedy."""


class CheckpointMismatch(FmTransferError):
    """A checkpoint's tensors do not fit the architecture; names the first that differs."""


class LegacyPickle(CheckpointMismatch):
    """A file that holds objects which only running it could restore; the message says how to keep its tensors."""


class UnreadableImage(FmTransferError):
    """An image that is truncated or no image; names the file.

    `reason` is what is wrong, without the file's name. `damaged` is False where the file may be sound: the system did
    not give it, or its decoder is not installed.
    """

    def __init__(self, message: str, *, reason: str = "", damaged: bool = True) -> None:
        super().__init__(message)
        self.reason, self.damaged = reason or message, damaged


class DatasetError(FmTransferError):
    """A dataset's files do not match what its row declares."""


class StorageError(FmTransferError):
    """A place on disk that cannot be written; names it, the reason and what to type."""


class TrainingDiverged(FmTransferError):
    """A loss that is infinite or no number; names step, rate and images."""


class OutOfMemory(FmTransferError):
    """A device whose memory does not hold the training of a single image."""


class BaselineError(FmTransferError):
    """A stored baseline cannot be used as it is."""


class OldBaseline(BaselineError):
    """A stored result of an earlier schema, sound as far as it was looked at."""


def first_few(texts: Sequence[str]) -> str:
    """The first five of many, and '…' where there are more."""
    return ", ".join(texts[:SHOWN]) + (", …" if len(texts) > SHOWN else "")


def nearest(name: str, known: Iterable[str], *, listed_by: str = "") -> str:
    """'did you mean …?' with up to three near names; else every valid name, or of many how to list them.

    `listed_by` is a command or a call that lists all of them.
    """
    names = sorted(known)
    if close := near_names(name, names):
        return f"did you mean {' or '.join(close)}?"
    if not names:
        return "nothing is registered under that kind"
    if len(names) <= FEW:
        return f"valid names: {', '.join(names)}"
    if listed_by:
        return f"none is near: {listed_by} names all"
    return f"valid names: {first_few(names)} ({len(names)} in all)"


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Up to three of the names that share most letters with `name`, or of which one holds the other; nearest first.

    A name that begins with what was typed comes before all others: "linear" is short for linear_probe rather than for
    drop<k>_linear, which has one letter less. Capitals do not count, nor does what stands for a number, the <r> of
    lora<r>.
    """
    typed = name.casefold()
    compared = SequenceMatcher(None, "", typed)
    near: list[tuple[bool, float, str]] = []
    for each in known:
        other = _NUMBER.sub("", each.casefold())
        compared.set_seq1(other)
        part = min(len(typed), len(other)) >= PART and (typed in other or other in typed)
        if part or (
            compared.real_quick_ratio() >= NEAR and compared.quick_ratio() >= NEAR and compared.ratio() >= NEAR
        ):
            near.append((not (part and other.startswith(typed)), -compared.ratio(), each))
    return [each for *_, each in nsmallest(3, near)]


def require(value: object, kind: type[T], what: str, remedy: str) -> T:
    """`value`, which is of `kind`. Raises InvalidInput elsewhere: what was given, and what to write instead.

    For the border at which a user's own code calls ours; types are checked before anything is computed.
    """
    if not isinstance(value, kind):
        raise InvalidInput(f"{what}: {shown(value)} is no {kind.__name__}; {remedy}")
    return value


def number_of(value: object, what: str, remedy: str = "give a number, as in 0.02") -> float:
    """A real number; numpy's count, True and False do not. Raises InvalidInput for anything else."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InvalidInput(f"{what}: {shown(value)} is no number; {remedy}")
    return float(value)


def path_of(value: object, what: str) -> Path:
    """A path that may be given as text or as any `os.PathLike`. Raises InvalidInput for anything else."""
    if not isinstance(value, str | os.PathLike):
        raise InvalidInput(f"{what}: {shown(value)} is no path; give text or a pathlib.Path")
    found = os.fspath(cast("str | os.PathLike[str]", value))
    if isinstance(cast(object, found), bytes):  # bytes are a path to the system, and to nothing else here
        raise InvalidInput(f"{what}: {shown(found)} is a path in bytes; give text or a pathlib.Path")
    return Path(found)


def shown(value: object) -> str:
    """A value as a message shows it: short, and on one line."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # somebody else's __repr__ must not hide our message
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:59]}…"
