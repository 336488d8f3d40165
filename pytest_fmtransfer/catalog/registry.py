"""Register and look up backbones, datasets, regimes and profiles by name.

Somebody else's project adds rows from its conftest (`pytest_fmtransfer_register(registry)`) or from an
entry point in group `fmtransfer.catalog` that names a function taking the registry; entry points are
loaded when a name is first unknown, so that nothing is imported for those who do not need it.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeVar, cast

from pytest_fmtransfer.catalog.backbones import BACKBONES
from pytest_fmtransfer.catalog.datasets import DATASETS
from pytest_fmtransfer.catalog.possible import check_blocks
from pytest_fmtransfer.catalog.prompts import check_prompts
from pytest_fmtransfer.catalog.regime_families import FORMS, regime_of
from pytest_fmtransfer.catalog.regime_mistakes import mistake_in
from pytest_fmtransfer.catalog.regime_specs import Profile, RegimeSpec
from pytest_fmtransfer.catalog.regimes import PROFILES, REGIMES
from pytest_fmtransfer.catalog.specs import (
    FINDING_KINDS,
    LIBRARIES,
    RANDOM,
    SHUFFLED,
    TINY,
    BackboneSpec,
    DatasetSpec,
    RandomWeights,
    is_intensity,
)
from pytest_fmtransfer.catalog.spending_checks import check_spending
from pytest_fmtransfer.catalog.timm_names import PREFIX, check_timm
from pytest_fmtransfer.cell import Cell, check_name
from pytest_fmtransfer.errors import DuplicateName, InvalidInput, UnknownName, nearest, require
from pytest_fmtransfer.margins import check_margin

ENTRY_POINT_GROUP = "fmtransfer.catalog"

S = TypeVar("S", BackboneSpec, DatasetSpec, RegimeSpec, Profile)

Spec = BackboneSpec | DatasetSpec | RegimeSpec | Profile
_KINDS: dict[type[Spec], str] = {
    BackboneSpec: "backbone",
    DatasetSpec: "dataset",
    RegimeSpec: "regime",
    Profile: "profile",
}


class Registry:
    """The catalogue of one session. `Registry()` holds our own rows; `Registry(rows=())` is empty."""

    def __init__(self, rows: tuple[Spec, ...] = (*BACKBONES, *DATASETS, *REGIMES, *PROFILES)) -> None:
        self._rows: dict[type[Spec], dict[str, Spec]] = {kind: {} for kind in _KINDS}
        self._loaded_entry_points: set[str] = set()
        self._candidates: list[str] = []
        self._everywhere: list[str] = []
        for row in rows:
            self.register(row)

    @property
    def candidates(self) -> tuple[str, ...]:
        """The backbones that stand beside the candidates of every suite, in the order of their registration."""
        return tuple(self._candidates)

    @property
    def everywhere(self) -> tuple[str, ...]:
        """The datasets that stand beside those of every suite's comparisons, in the order of their registration."""
        return tuple(self._everywhere)

    def register(self, spec: Spec, *, candidate: bool = False, everywhere: bool = False) -> None:
        """Add a row; with `candidate`, a backbone that stands beside the candidates of every suite; with `everywhere`,
        a dataset that stands beside those of every suite's comparisons.

        Raises InvalidName when its name cannot stand in an id, DuplicateName when the name is taken,
        and InvalidInput when it is no row at all, takes a name that is derived (`….random`, `….tiny`), asks for a
        library or a reader that there is none of, acknowledges what no audit finds, or without a reason, has a
        margin outside its metric's range, or prompts that do not describe its classes.
        """
        if type(spec) not in _KINDS:
            raise InvalidInput(
                f"register a BackboneSpec, DatasetSpec, RegimeSpec or Profile, not {type(spec).__name__}"
            )
        kind, rows = _KINDS[type(spec)], self._rows[type(spec)]
        check_name(kind, spec.name)
        if isinstance(spec, BackboneSpec) and spec.name.endswith(f".{RANDOM}"):
            raise InvalidInput(
                f"{spec.name!r}: '.{RANDOM}' is the twin that every backbone has; register the backbone itself"
            )
        if isinstance(spec, BackboneSpec) and spec.name.endswith(f".{TINY}"):
            raise InvalidInput(
                f"{spec.name!r}: '.{TINY}' is the small version that every network has; register the backbone itself"
            )
        if isinstance(spec, DatasetSpec) and spec.name.endswith(f".{SHUFFLED}"):
            raise InvalidInput(
                f"{spec.name!r}: '.{SHUFFLED}' is the control that every dataset has; register the dataset itself"
            )
        if isinstance(spec, BackboneSpec) and spec.library not in LIBRARIES:
            raise InvalidInput(f"library {spec.library!r} of {spec.name}; {nearest(spec.library, LIBRARIES)}")
        if isinstance(spec, DatasetSpec) and spec.reader is not None and spec.reader not in _readers():
            raise InvalidInput(f"reader {spec.reader!r} of {spec.name}; {nearest(spec.reader, _readers())}")
        for finding, reason in spec.acknowledged.items() if isinstance(spec, DatasetSpec) else ():
            if finding not in FINDING_KINDS:
                raise InvalidInput(f"acknowledged {finding!r} of {spec.name}; {nearest(finding, FINDING_KINDS)}")
            if not reason.strip():
                raise InvalidInput(f"acknowledged {finding!r} of {spec.name} says no reason; write one")
        if isinstance(spec, DatasetSpec) and not is_intensity(spec.intensity):
            raise InvalidInput(f'intensity {spec.intensity!r} of {spec.name}; write "image", "dtype" or (low, high)')
        if isinstance(spec, DatasetSpec) and spec.prompts is not None:
            check_prompts(spec.prompts, spec.name, spec.classes, several=spec.several_labels)
        if isinstance(spec, DatasetSpec):
            check_margin(spec.margin, spec.metric, len(spec.classes), f"dataset {spec.name}")
            if spec.hidden_share is not None and not 0 < spec.hidden_share < 1:
                raise InvalidInput(
                    f"dataset {spec.name}: hidden_share={spec.hidden_share:g} is no share of a class; write one "
                    "between 0 and 1, such as 0.05"
                )
        if isinstance(spec, Profile | RegimeSpec):
            check_spending(spec)
        if isinstance(spec, RegimeSpec) and regime_of(spec.name) not in (None, spec):
            raise InvalidInput(f"{spec.name!r} already stands for a regime; choose another name")
        if spec.name in rows:
            raise DuplicateName(f"{kind} {spec.name!r} is registered already; choose another name")
        if candidate and (not isinstance(spec, BackboneSpec) or spec.is_control):
            raise InvalidInput(f"{spec.name!r} cannot be a candidate: only a backbone that has learnt something can")
        if everywhere and not isinstance(spec, DatasetSpec):
            raise InvalidInput(f"{spec.name!r} cannot stand everywhere: only a dataset can (candidate=True?)")
        rows[spec.name] = spec
        if candidate:
            self._candidates.append(spec.name)
        if everywhere:
            self._everywhere.append(spec.name)

    def backbone(self, name: str) -> BackboneSpec:
        """The row of a backbone, of its random-weight twin, or of its tiny version. Raises UnknownName.

        `timm.<model>` is any model of timm that has no row; its row is timm's own record, for which timm is imported.
        """
        base, dot, suffix = _text("backbone", name).rpartition(".")
        if dot and suffix == RANDOM:
            original = self._find(BackboneSpec, base, asked=name)
            if original.is_control:
                raise UnknownName("backbone", name, self.names(BackboneSpec))
            return replace(original, name=name, weights=RandomWeights())
        if dot and suffix == TINY:
            original = self._find(BackboneSpec, base, asked=name)
            if not original.is_network:
                raise UnknownName("backbone", name, self.names(BackboneSpec))
            return replace(original, name=name, weights=RandomWeights(), tiny=True, blocks=None)
        return self._find(BackboneSpec, name)

    def dataset(self, name: str) -> DatasetSpec:
        """The dataset of that name; `<name>.shuffled` is its control. Raises UnknownName."""
        base, _, suffix = _text("dataset", name).rpartition(".")
        if suffix == SHUFFLED:
            return replace(self._find(DatasetSpec, base, asked=name), name=name, shuffled=True)
        return self._find(DatasetSpec, name)

    def regime(self, name: str) -> RegimeSpec:
        """The row of that name, or that a name of a family stands for (`regime_families`). Raises UnknownName."""
        if _text("regime", name) not in self._rows[RegimeSpec] and (of_family := regime_of(name)) is not None:
            return of_family
        try:
            return self._find(RegimeSpec, name)
        except UnknownName as error:
            mistake = mistake_in(name, self._is_regime)
            raise UnknownName("regime", name, (), mistake=mistake) if mistake else error from None

    def profile(self, name: str) -> Profile:
        """Raises UnknownName."""
        return self._find(Profile, _text("profile", name))

    def check(self, cell: Cell) -> Cell:
        """Return `cell` if all its parts are registered. Raises UnknownName for the first that is not, and InvalidInput
        for a regime of a block that the backbone does not have, as far as its row tells.

        Imports nothing heavy: collection asks this of every cell.
        """
        backbone, regime = self._named(cell)
        if backbone is not None:
            check_blocks(backbone, regime)
        return cell

    def check_names(self, cell: Cell) -> Cell:
        """`check` of the names alone, whatever the backbone can run."""
        self._named(cell)
        return cell

    def _named(self, cell: Cell) -> tuple[BackboneSpec | None, RegimeSpec]:
        """Rows of a cell; no backbone's where timm would have to be imported for it. Raises UnknownName."""
        require(cell, Cell, "cell", "give a Cell, or Cell.parse('backbone-dataset-regime')")
        base = cell.backbone.removesuffix(f".{RANDOM}")
        base = base.removesuffix(f".{TINY}") if base == cell.backbone else base
        backbone = None
        if base.startswith(PREFIX) and base not in self._rows[BackboneSpec]:
            check_timm(base)
        else:
            backbone = self.backbone(cell.backbone)
        self.dataset(cell.dataset)
        return backbone, self.regime(cell.regime)

    def rows(self, kind: type[S]) -> tuple[S, ...]:
        """Every row of a kind, ours and those of entry points, by name; no twins and no controls derived from them."""
        self._load_entry_points()
        return tuple(cast(S, self._rows[kind][name]) for name in sorted(self._rows[kind]))

    def names(self, kind: type[Spec]) -> tuple[str, ...]:
        """Every valid name of a kind, sorted; controls, tiny versions and the forms of regimes with numbers too."""
        names = set(self._rows[kind])
        if kind is RegimeSpec and names:
            names.update(FORMS)
        for spec in self._rows[kind].values():
            if isinstance(spec, BackboneSpec) and not spec.is_control:
                names.add(f"{spec.name}.{RANDOM}")
            if isinstance(spec, BackboneSpec) and spec.is_network:
                names.add(f"{spec.name}.{TINY}")
            if isinstance(spec, DatasetSpec):
                names.add(f"{spec.name}.{SHUFFLED}")
        return tuple(sorted(names))

    def _is_regime(self, name: str) -> bool:
        return name in self._rows[RegimeSpec] or regime_of(name) is not None

    def _find(self, kind: type[S], name: str, *, asked: str | None = None) -> S:
        if name not in self._rows[kind]:
            self._load_entry_points()
        spec = self._rows[kind].get(name)
        if spec is None and kind is BackboneSpec and name.startswith(PREFIX):
            # By name, as every library's module is: the catalogue stands below the modules that build its rows.
            spec = import_module("pytest_fmtransfer.backbones.timm_row").row(check_timm(name))
        if not isinstance(spec, kind):
            raise UnknownName(_KINDS[kind], asked or name, self.names(kind))
        return spec

    def _load_entry_points(self) -> None:
        for point in entry_points(group=ENTRY_POINT_GROUP):
            if point.value in self._loaded_entry_points:
                continue
            self._loaded_entry_points.add(point.value)  # before it runs: it may look an unknown name up itself
            try:
                fill: Callable[[Registry], None] = point.load()
                fill(self)
            except Exception as error:
                raise InvalidInput(
                    f"entry point {point.name!r} ({point.value}) in group {ENTRY_POINT_GROUP} failed: {error!r}; "
                    "mend or uninstall the package that declares it"
                ) from error


def _text(kind: str, name: object) -> str:
    return require(name, str, f"{kind} name", "write its name as text")


@cache
def _readers() -> frozenset[str]:
    """Modules of `data/readers`, found without importing them."""
    folder = Path(__file__).parents[1] / "data" / "readers"
    return frozenset(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
