"""Blocks and shots that there are none of are told before anything is computed, and blocks while collecting."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import open_clip
import pytest
import torch

from pytest_fmtransfer import Places, transfer
from pytest_fmtransfer.adapt.attention_layers import as_linear_layers
from pytest_fmtransfer.adapt.lora import linear_layers, sides_of
from pytest_fmtransfer.availability import ready
from pytest_fmtransfer.catalog.backbones import BACKBONES
from pytest_fmtransfer.catalog.narrowest_layers import narrowest_layer
from pytest_fmtransfer.catalog.regime_families import regime_of
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, RandomWeights
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.missing import Missing
from pytest_fmtransfer.planning import Planner
from tests.small import catalogue

NETWORKS = {(row.library, row.architecture): row for row in BACKBONES if row.is_network}


def sizes_of(row: BackboneSpec) -> tuple[int, int]:
    """How many blocks the network of full size has, and how wide the narrowest layer is that additions go to.

    It is built without memory where its library can do that.
    """
    if row.library == "open_clip":  # copies weights about; what it builds from says it too
        config = open_clip.get_model_config(row.architecture)
        assert config is not None
        return config["vision_cfg"]["layers"], config["vision_cfg"]["width"]
    module = import_module(f"pytest_fmtransfer.backbones.{row.library}")
    fresh = replace(row, weights=RandomWeights())
    with torch.device("cpu" if row.library == "focalnet" else "meta"):
        backbone = module.build(fresh, None, channels=3, trainable=True)
        as_linear_layers(backbone, set(backbone.modules()))
    widths = [min(sides_of(each)) for each in linear_layers(backbone, 0).values()]
    return len(backbone.blocks), min(widths, default=0)


@pytest.mark.parametrize("row", NETWORKS.values(), ids=lambda row: row.name)
def test_the_catalogue_says_how_many_blocks_a_network_has_and_how_wide_their_narrowest_layer_is(
    row: BackboneSpec,
) -> None:
    blocks, narrowest = sizes_of(row)
    assert row.blocks == blocks
    assert narrowest_layer(row) in (None, narrowest)  # a network that nobody has looked at is asked when it is built


def test_rows_of_one_architecture_say_the_same_and_every_network_says_it() -> None:
    for row in BACKBONES:
        assert row.blocks == (NETWORKS[row.library, row.architecture].blocks if row.is_network else None), row.name


@pytest.mark.parametrize(
    ("backbone", "regime", "told"),
    [
        (
            "imagenet_resnet152",
            "partial7_linear",
            "partial7_linear: imagenet_resnet152 has 4 blocks, 0 to 3; it has no block 7; "
            "write partial<k>_linear with k from 0 to 3",
        ),
        ("dino_vitb16", "drop40_linear", "no block 40; write drop<k>_linear with k from 0 to 11"),
        ("dino_vitb16.random", "drop12_deitb.views4", "write drop<k>_deitb.views4 with k from 0 to 11"),
        (
            "dinov2_vitg14",
            "lora8.from99",
            "has 40 blocks, 0 to 39; it has no block 99; write lora8.from<k> with k from 0",
        ),
        ("mobilenetv2", "partial7_linear.unaugmented", "write partial<k>_linear.unaugmented with k from 0 to 6"),
    ],
)
def test_a_cell_of_a_block_that_there_is_none_of_is_refused_by_the_catalogue(
    backbone: str, regime: str, told: str, small: Places
) -> None:
    registry, cell = Registry(), Cell(backbone, "br35h", regime)
    with pytest.raises(InvalidInput) as raised:
        registry.check(cell)
    assert told in str(raised.value)
    with pytest.raises(InvalidInput) as raised:  # whatever else is missing to run it
        transfer(cell, registry=registry, places=small)
    assert told in str(raised.value)
    assert isinstance(state := ready(cell, registry, small), Missing)
    assert "it has no block" in state.reason


def test_a_regime_of_a_users_own_name_is_told_as_it_was_registered() -> None:
    registry = Registry()
    row = regime_of("partial9_linear")
    assert row is not None
    registry.register(replace(row, name="late_layers"))
    with pytest.raises(InvalidInput, match=r"no block 9; register regime late_layers with a block from 0 to 6$"):
        registry.check(Cell("mobilenetv2", "br35h", "late_layers"))


def test_of_one_block_alone_it_is_told_which() -> None:
    registry = Registry()
    registry.register(replace(registry.backbone("mobilenetv2"), name="shallow", blocks=1))
    with pytest.raises(InvalidInput, match=r"shallow has 1 block, 0; it has no block 1; write .* with k from 0 to 0$"):
        registry.check(Cell("shallow", "br35h", "partial1_linear"))
    registry.check(Cell("shallow", "br35h", "partial0_linear"))


@pytest.mark.parametrize(
    ("backbone", "regime"),
    [
        ("imagenet_resnet152", "partial3_linear"),
        ("dino_vitb16", "drop11_linear"),
        ("dino_vitb16", "lora8.from0"),
        ("dino_vitb16", "lora8"),
        ("dino_vitb16.tiny", "partial9_linear"),  # how deep a tiny version is its row does not say
        ("timm.resnet18", "partial9_linear"),
        ("shortcut.metadata", "partial0_linear"),
    ],
)
def test_what_is_possible_or_not_known_passes(backbone: str, regime: str) -> None:
    Registry().check(Cell(backbone, "br35h", regime))


MARK = "import pytest\n\n@pytest.mark.fm_cells(backbones=['{}'], datasets=['br35h'], regimes=['{}'], reference='{}')\n"


def test_an_impossible_block_fails_its_test(pytester: pytest.Pytester) -> None:
    mark = MARK.format("mobilenetv2", "lora8.from99", "efficientnet_lite0")
    pytester.makepyfile(f"{mark}def test_it(candidate, reference):\n    pass\n")
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    assert "has 7 blocks, 0 to 6; it has no block 99; write lora8.from<k> with k from 0 to 6" in result.stdout.str()


def test_a_reference_of_the_users_without_that_block_skips_what_needs_it_alone(pytester: pytest.Pytester) -> None:
    mark = MARK.format("mobilenetv2.random", "partial6_linear", "efficientnet_lite0")
    pytester.makepyfile(f"{mark}def test_it(candidate, reference):\n    pass\n")
    result = pytester.runpytest("--fm-reference=imagenet_resnet18", "-rs")
    result.assert_outcomes(skipped=1)
    told = result.stdout.str()
    assert "imagenet_resnet18 has 4 blocks, 0 to 3; it has no block 6" in told
    assert "write partial<k>_linear with k from 0 to 3" in told


def test_too_many_shots_are_told_once_the_data_are_opened_and_before_anything_is_computed(
    small: Places, tmp_path: Path
) -> None:
    places, registry = replace(small, store=tmp_path), catalogue()
    cell = Cell("tiny", "stripes", "fewshot500")
    told = r"has \d+ training images, not 500; write fewshot<k> with k from 1 to \d+"
    with pytest.raises(InvalidInput, match=told):
        transfer(cell, registry=registry, places=places)
    assert not {"audits", "images", "features"} & {path.name for path in tmp_path.iterdir()}
    (line,) = Planner(profile="ci", registry=registry, places=places, baseline=lambda cell: None).plan([cell]).cells
    assert "not 500; write fewshot<k> with k from 1 to" in line.lacks
