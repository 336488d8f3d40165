"""Our own catalogue: every row can stand in an id, be run, and says whose it is."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from pytest_fmtransfer.catalog.backbones import BACKBONES
from pytest_fmtransfer.catalog.datasets import DATASETS
from pytest_fmtransfer.catalog.regime_specs import Profile, RegimeSpec
from pytest_fmtransfer.catalog.regimes import PROFILES, REGIMES
from pytest_fmtransfer.catalog.registry import Registry, Spec
from pytest_fmtransfer.catalog.specs import BackboneSpec, DatasetSpec
from pytest_fmtransfer.cell import check_name

ROWS: tuple[Spec, ...] = (*BACKBONES, *DATASETS, *REGIMES, *PROFILES)


def kind_and_name(row: Spec) -> str:
    return f"{type(row).__name__}:{row.name}"


@pytest.mark.parametrize("row", ROWS, ids=kind_and_name)
def test_a_row_is_found_under_its_name(row: Spec) -> None:
    kind = {BackboneSpec: "backbone", DatasetSpec: "dataset", RegimeSpec: "regime", Profile: "profile"}[type(row)]
    assert getattr(Registry(), kind)(row.name) is row


@pytest.mark.parametrize("row", ROWS, ids=kind_and_name)
def test_every_name_of_ours_may_stand_in_an_id(row: Spec) -> None:
    assert check_name("row", row.name) == row.name


@pytest.mark.parametrize("row", [*BACKBONES, *DATASETS], ids=kind_and_name)
def test_every_row_of_ours_names_licence_and_source(row: BackboneSpec | DatasetSpec) -> None:
    assert row.licence.strip()
    assert row.source.strip()


@pytest.mark.parametrize("row", DATASETS, ids=kind_and_name)
def test_every_dataset_of_ours_has_classes_a_margin_and_its_reason(row: DatasetSpec) -> None:
    assert len(set(row.classes)) == len(row.classes) >= 2
    assert 0 < row.margin < 1
    assert row.margin_reason.strip()
    assert row.expected_images > 0


@pytest.mark.parametrize("row", BACKBONES, ids=kind_and_name)
def test_every_backbone_of_ours_states_a_usable_input(row: BackboneSpec) -> None:
    assert row.image_size > 0
    assert all(0 <= mean <= 1 and std > 0 for mean, std in zip(row.mean, row.std, strict=True))


@pytest.mark.parametrize(
    "module",
    [
        *sorted({f"backbones.{row.library}" for row in BACKBONES}),
        *sorted({f"data.readers.{row.reader}" for row in DATASETS if row.reader}),
        *sorted({f"adapt.{row.method}" for row in REGIMES}),
    ],
)
def test_every_module_that_a_row_names_exists(module: str) -> None:
    assert find_spec(f"pytest_fmtransfer.{module}") is not None


def test_the_catalogue_imports_nothing_heavy() -> None:
    heavy = ("torch", "timm", "numpy", "pandas", "transformers")
    code = f"import sys, pytest_fmtransfer.catalog.registry; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
