"""When two texts name one patient, class or side, and when a text names none.

Tables are written by hand and pass through spreadsheets and pandas: 12 becomes 12.0, 007 becomes 7, a space stays at an
end, an accent is stored in another Unicode form. Two patients that are wrongly joined cost a little certainty; one that
is wrongly parted is learnt from and tested on. So these differences never part:

- case, and Unicode forms of one text (NFKC, which also joins full-width digits with plain ones);
- white space at the ends, several spaces for one, and characters that nobody sees;
- a whole number's zeros in front and its fraction of zeros: 12, 12.0, 012 and +12 are one.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

from pytest_fmtransfer.data.notices import Notice
from pytest_fmtransfer.words import counted

T = TypeVar("T")

# What stands where a name is missing, as `identifier` spells it.
MISSING = frozenset(
    (
        *("", "-", "--", "?", ".", "#n/a", "<na>", "<none>", "n/a", "na", "nan", "nat", "nil", "none", "null"),
        *("anonymised", "anonymized", "anonymous", "missing", "not available", "not known", "undefined", "unknown"),
    )
)
_WHOLE = re.compile(r"([+-]?)0*([0-9]+)(\.0*)?")


@lru_cache(maxsize=2**17)
def identifier(text: str) -> str:
    """The one spelling that all spellings of a name have in common; "" only where nothing can be seen."""
    while (folded := _folded(text)) != text:  # folding case may undo a normal form
        text = folded
    whole = _WHOLE.fullmatch(text)
    if whole is None:
        return text
    sign, digits = whole[1], whole[2]
    return f"-{digits}" if sign == "-" and digits != "0" else digits


def _folded(text: str) -> str:
    visible = "".join(each for each in unicodedata.normalize("NFKC", text) if unicodedata.category(each) != "Cf")
    return " ".join(visible.casefold().split())


def is_missing(text: str) -> bool:
    """Whether a text names nothing: it is empty, or says that nobody knows."""
    return identifier(text) in MISSING


def one_spelling(texts: Iterable[str]) -> dict[str, str]:
    """By each text, the spelling that stands for its name: the first in order of those that occur.

    Names that are written in one way stay as they are, so that what is drawn in their order does not move.
    """
    spellings: dict[str, str] = {}
    different = set(texts)
    for text in sorted(different):
        spellings.setdefault(identifier(text), text)
    return {text: spellings[identifier(text)] for text in different}


def by_name(values: Mapping[str, T]) -> Callable[[str], T | None]:
    """A look-up among names, however either is spelt; None for a text that is none of them."""
    known = {identifier(name): value for name, value in values.items()}
    return lambda text: known.get(identifier(text))


def classes_of(texts: Iterable[str]) -> dict[str, str]:
    """By each text, the name of its class: a whole number without zeros that say nothing, else as it is spelt."""
    spellings = one_spelling(texts)
    return {text: name if _WHOLE.fullmatch(name := identifier(text)) else spellings[text] for text in spellings}


def in_order(classes: Iterable[str]) -> tuple[tuple[str, ...], bool]:
    """Names of classes, each once, sorted; numbers by their value, and then whether they are numbers."""
    names = sorted(set(classes))
    try:
        values = [float(name) for name in names]
    except ValueError:
        return tuple(names), False
    if not all(map(math.isfinite, values)) or any("_" in name for name in names):
        return tuple(names), False
    return tuple(name for _, name in sorted(zip(values, names, strict=True))), True


def patients_of(
    texts: Sequence[str], ids: Sequence[str], *, column: str, what: str = "patient"
) -> tuple[list[str], tuple[Notice, ...]]:
    """The patient of each image, or what stands for one, and what is to be said of them.

    An image without one is a patient of its own, named by its id.
    """
    spelt = one_spelling(texts)
    nobody = {text for text in spelt if is_missing(text)}
    unnamed = [name for name, text in zip(ids, texts, strict=True) if text in nobody]
    patients = [name if text in nobody else spelt[text] for name, text in zip(ids, texts, strict=True)]
    notices: list[Notice] = []
    if unnamed:
        told = ", ".join(repr(text) for text in sorted(nobody))
        notices.append(
            Notice(
                kind="patients_unknown",
                count=len(unnamed),
                sentence=f"{counted(len(unnamed), 'image')} of {len(texts)} without a {what} (column {column!r} holds "
                f"{told}): each counts as a {what} of its own, so images of one may be on two sides",
                remedy=f"name the {what} of each image, or leave these images out",
                examples=tuple(sorted(unnamed)),
            )
        )
    return patients, (*notices, *spelt_variously(texts, where=f"column {column!r}", what=what))


def spelt_variously(texts: Iterable[str], *, where: str, what: str) -> tuple[Notice, ...]:
    """Says of names that are written in several ways that each was taken for one."""
    spellings: dict[str, list[str]] = {}
    for text in sorted(set(texts)):
        if not is_missing(text):
            spellings.setdefault(identifier(text), []).append(text)
    several = [" = ".join(map(repr, found)) for found in spellings.values() if len(found) > 1]
    if not several:
        return ()
    notice = Notice(
        kind="names_spelt_variously",
        count=len(several),
        sentence=f"{counted(len(several), what)} of {where} written in more than one way, as 12 and 12.0 "
        "are, or one name in capitals: each was taken for one",
        remedy="write each in one way; where two are meant, give them names that differ in more than case, spaces and "
        "zeros",
        examples=tuple(several),
    )
    return (notice,)
