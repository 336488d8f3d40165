"""The catalogue: registering and looking up."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_fmtransfer.catalog.backbones import BACKBONES
from pytest_fmtransfer.catalog.datasets import DATASETS
from pytest_fmtransfer.catalog.regimes import PROFILES, REGIMES
from pytest_fmtransfer.catalog.registry import Registry, Spec
from pytest_fmtransfer.catalog.specs import BackboneSpec, DatasetSpec, RandomWeights
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import DuplicateName, InvalidInput, InvalidName, UnknownName

LEARNT = [row for row in BACKBONES if not row.is_control]
CONTROLS = [row for row in BACKBONES if row.is_control]
FEW = (
    replace(BACKBONES[0], name="resnet50"),
    replace(DATASETS[0], name="retina"),
    replace(REGIMES[0], name="probe"),
    replace(PROFILES[0], name="quick"),
    replace(PROFILES[0], name="slow"),
)
TYPOS = [
    ("backbone", "resnet5", "resnet50"),
    ("backbone", "resnet5.random", "resnet50.random"),
    ("dataset", "retine", "retina"),
    ("regime", "prob", "probe"),
    ("profile", "quik", "quick"),
]


def kind_and_name(row: Spec) -> str:
    return f"{type(row).__name__}:{row.name}"


@pytest.mark.parametrize("row", [BACKBONES[0], DATASETS[0], REGIMES[0], PROFILES[0]], ids=kind_and_name)
def test_a_name_is_registered_once(row: Spec) -> None:
    with pytest.raises(DuplicateName, match=f"'{row.name}' is registered already"):
        Registry().register(row)


def test_a_backbone_and_a_dataset_may_share_a_name() -> None:
    registry = Registry(rows=(replace(BACKBONES[0], name="same"), replace(DATASETS[0], name="same")))
    assert registry.backbone("same").name == registry.dataset("same").name


@pytest.mark.parametrize(("kind", "typo", "meant"), TYPOS)
def test_a_typo_is_answered_with_the_name_that_was_meant(kind: str, typo: str, meant: str) -> None:
    with pytest.raises(UnknownName, match=rf"^unknown {kind} '{typo}'; did you mean .*\b{meant}\b.*\?$"):
        getattr(Registry(rows=FEW), kind)(typo)


def test_a_name_near_nothing_is_answered_with_every_valid_name() -> None:
    with pytest.raises(UnknownName, match=r"unknown profile 'zzz'; valid names: quick, slow$"):
        Registry(rows=FEW).profile("zzz")


def test_an_empty_registry_says_that_it_is_empty() -> None:
    with pytest.raises(UnknownName, match="unknown regime 'knn'; nothing is registered"):
        Registry(rows=()).regime("knn")


@pytest.mark.parametrize("text", ["nobody-br35h-knn", "efficientnet_lite0-nothing-knn", "efficientnet_lite0-br35h-no"])
def test_a_cell_is_checked_part_by_part(text: str) -> None:
    with pytest.raises(UnknownName):
        Registry().check(Cell.parse(text))


def test_a_cell_of_known_parts_is_returned() -> None:
    known = Cell("efficientnet_lite0.random", "br35h.naive", "knn")
    assert Registry().check(known) is known


@pytest.mark.parametrize("row", LEARNT, ids=kind_and_name)
def test_a_learnt_backbone_has_a_random_twin_that_is_a_control(row: BackboneSpec) -> None:
    twin = Registry().backbone(f"{row.name}.random")
    assert twin == replace(row, name=f"{row.name}.random", weights=RandomWeights())
    assert twin.is_control
    assert twin.name in Registry().names(BackboneSpec)


@pytest.mark.parametrize("name", [*(row.name for row in CONTROLS), "efficientnet_lite0.random"])
def test_a_control_has_no_random_twin(name: str) -> None:
    with pytest.raises(UnknownName):
        Registry().backbone(f"{name}.random")
    assert f"{name}.random" not in Registry().names(BackboneSpec)


@pytest.mark.parametrize("row", LEARNT, ids=kind_and_name)
def test_a_network_has_a_tiny_version_of_random_weights(row: BackboneSpec) -> None:
    small = Registry().backbone(f"{row.name}.tiny")
    assert small == replace(row, name=f"{row.name}.tiny", weights=RandomWeights(), tiny=True, blocks=None)
    assert small.is_control
    assert small.name in Registry().names(BackboneSpec)


@pytest.mark.parametrize(
    "name", ["shortcut.metadata.tiny", "mobilenetv2.tiny.random", "mobilenetv2.random.tiny", "mobilenetv2.tiny.tiny"]
)
def test_a_tiny_version_is_of_a_network_and_has_no_twin(name: str) -> None:
    with pytest.raises(UnknownName):
        Registry().backbone(name)
    assert name not in Registry().names(BackboneSpec)


def test_only_backbones_have_twins() -> None:
    with pytest.raises(UnknownName):
        Registry().dataset("br35h.random")


@pytest.mark.parametrize("suffix", ["random", "tiny"])
def test_a_name_that_is_derived_cannot_be_registered(suffix: str) -> None:
    with pytest.raises(InvalidInput, match="register the backbone itself"):
        Registry(rows=()).register(replace(BACKBONES[0], name=f"mine.{suffix}"))


@pytest.mark.parametrize("thing", ["efficientnet_lite0", None, BackboneSpec, RandomWeights()], ids=repr)
def test_only_rows_can_be_registered(thing: object) -> None:
    with pytest.raises(InvalidInput, match="register a BackboneSpec, DatasetSpec, RegimeSpec or Profile"):
        Registry(rows=()).register(thing)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("row", [BACKBONES[0], DATASETS[0], REGIMES[0], PROFILES[0]], ids=kind_and_name)
def test_a_name_that_cannot_stand_in_an_id_is_refused(row: Spec) -> None:
    with pytest.raises(InvalidName, match="as in 'my_row'"):
        Registry(rows=()).register(replace(row, name="My-Row"))


def test_an_entry_point_is_loaded_at_the_first_unknown_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fm_rows_of_somebody.py").write_text(
        "from dataclasses import replace\n"
        "def fill(registry):\n"
        "    registry.register(replace(registry.backbone('mobilenetv2'), name='somebodys'))\n"
    )
    information = tmp_path / "fm_rows_of_somebody-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: fm-rows-of-somebody\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[fmtransfer.catalog]\nsomebody = fm_rows_of_somebody:fill\n")
    monkeypatch.syspath_prepend(tmp_path)

    registry = Registry()
    registry.backbone("mobilenetv2")
    assert "fm_rows_of_somebody" not in sys.modules
    assert registry.backbone("somebodys").architecture == "mobilenetv2_100"
    with pytest.raises(UnknownName, match="did you mean somebodys"):  # and it is not filled in twice
        registry.backbone("somebodyss")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (replace(Registry().backbone("mobilenetv2"), name="mine", library="tim"), "did you mean timm"),
        (replace(Registry().dataset("br35h"), name="mine", reader="br35"), "did you mean br35h"),
    ],
    ids=["library", "reader"],
)
def test_a_row_that_nothing_could_run_is_refused(spec: BackboneSpec | DatasetSpec, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Registry().register(spec)
