"""A cell and the grammar of its id: `backbone-dataset-regime`, each part `[a-z0-9_.]+`.

A dotted name is a variant of its stem: `efficientnet_lite0.random` of `efficientnet_lite0`,
`br35h.naive` of `br35h`.
"""

import re
from dataclasses import dataclass

from pytest_fmtransfer.errors import InvalidName, require

PART = re.compile(r"[a-z0-9_.]+")
FORM = "write backbone-dataset-regime, as in 'efficientnet_lite0-br35h-knn'"


def check_name(kind: str, name: str) -> str:
    """Return `name` if it may stand in an id.

    Raises InvalidName otherwise, with the form that would be accepted.
    """
    require(name, str, f"{kind} name", "write its name as text")
    if not PART.fullmatch(name):
        usable = re.sub(r"[^a-z0-9_.]+", "_", name.lower()).strip("_") or kind
        raise InvalidName(f"{kind} name {name!r}: use lower-case letters, digits, '_' and '.', as in {usable!r}")
    return name


def stem(name: str) -> str:
    """What a variant is a variant of: the name up to its first dot."""
    return name.partition(".")[0]


@dataclass(frozen=True, order=True)
class Cell:
    """Backbone × dataset × regime, by name. Names are checked against the grammar, not the catalogue."""

    backbone: str
    dataset: str
    regime: str

    def __post_init__(self) -> None:
        for kind in ("backbone", "dataset", "regime"):
            check_name(kind, getattr(self, kind))

    @property
    def id(self) -> str:
        return f"{self.backbone}-{self.dataset}-{self.regime}"

    def __str__(self) -> str:
        return self.id

    @classmethod
    def parse(cls, text: str) -> "Cell":
        """The cell that an id names. Raises InvalidName for other than three parts, InvalidInput for no text."""
        parts = require(text, str, "cell id", FORM).split("-")
        if len(parts) != 3:
            raise InvalidName(f"cell id {text!r}: {FORM}")
        backbone, dataset, regime = parts
        return cls(backbone=backbone, dataset=dataset, regime=regime)
