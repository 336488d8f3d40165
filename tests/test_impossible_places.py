"""A leaderboard under a regime that not every backbone can run: who cannot is skipped, a regime for nobody refused."""

from dataclasses import replace

import pytest

from pytest_fmtransfer import Places
from pytest_fmtransfer.availability import lacks
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.never import never_runs
from pytest_fmtransfer.planning import Planner
from pytest_fmtransfer.plugin.registered import cells_of_the_catalogue

PLACES = """
import pytest

@pytest.mark.fm_cells(registered=True, regimes=["linear_probe"])
def test_place(ranked):
    assert ranked.mean > 0
"""
CLAIM = """
@pytest.mark.fm_cells(backbones=["tiny"], datasets=["stripes"], regimes=["partial9_linear"])
def test_claim(candidate):
    assert candidate.mean > 0
"""
SMALL = """
from tests import small

def pytest_fmtransfer_register(registry):
    small.register(registry)
    rows, few = registry.rows, ("tiny", "efficientnet_lite0", "seem_focalt", "stripes")
    registry.rows = lambda kind: [row for row in rows(kind) if row.name in few]  # all take seconds to collect
"""
NO_BLOCK = "efficientnet_lite0 has 7 blocks, 0 to 6; it has no block 9: write partial<k>_linear with k from 0 to 6"


def test_a_backbone_without_that_block_is_skipped_and_a_claim_about_it_is_an_error(
    pytester: pytest.Pytester, small: Places
) -> None:
    pytester.makeconftest(SMALL)
    pytester.makepyfile(test_suite=PLACES + CLAIM)
    result = pytester.runpytest(
        f"--fm-store={small.store}",
        f"--fm-weights={small.weights}",
        f"--fm-data-root={small.data_root}",
        "--fm-profile=smoke",
        "--fm-regime=partial9_linear",
        "-rsE",
    )
    # How many blocks `tiny` has its row does not say: that is found when its network is built.
    result.assert_outcomes(skipped=3, errors=1)
    told = result.stdout.str()
    assert f"test_suite.py:3: {NO_BLOCK}\n" in told
    assert "test_suite.py:3: seem_focalt has 4 blocks, 0 to 3" in told
    assert "test_suite.py:3: tiny-stripes-partial9_linear: tiny has 5 blocks, 0 to 4; it has no block 9\n" in told
    assert "ERROR test_suite.py::test_claim[tiny-stripes-partial9_linear]" in told


def test_a_regime_that_no_backbone_can_run_is_a_usage_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_suite=PLACES)
    result = pytester.runpytest("--fm-regime=partial99_linear")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--fm-regime=partial99_linear: no backbone of the catalogue can run it: even " in result.stderr.str()


@pytest.mark.parametrize(
    ("regime", "told"),
    [
        (
            "partial99_linear",
            "even sam2_hieral has 48 blocks, 0 to 47; it has no block 99; write partial<k>_linear with k from 0 to 47",
        ),
        (
            "drop48_deitb.views4",
            "even sam2_hieral has 48 blocks, 0 to 47; it has no block 48; write drop<k>_deitb.views4 with k from 0",
        ),
        (
            "lora8.from99",
            "even sam2_hieral has 48 blocks, 0 to 47; it has no block 99; write lora8.from<k> with k from",
        ),
        (
            "lora9999",
            "even aimv2_vith14's narrowest layer to add to has rank 1536, and not 9999; write lora<r> with r from 1",
        ),
    ],
)
def test_a_regime_for_nobody_is_told_by_the_backbone_that_comes_nearest(regime: str, told: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        cells_of_the_catalogue(Registry(), ("knn", regime))
    assert str(raised.value).startswith(f"{regime}: no backbone of the catalogue can run it: {told}")


def test_a_backbone_whose_row_does_not_say_what_it_has_is_not_refused_for_the_others() -> None:
    registry = Registry()
    unknown = replace(registry.backbone("mobilenetv2"), name="mine", blocks=None)
    registry.register(unknown)
    cells = cells_of_the_catalogue(registry, ("partial99_linear",))
    assert Cell("mine", "br35h", "partial99_linear") in cells
    assert Cell("mobilenetv2", "br35h", "partial99_linear") in cells


@pytest.mark.parametrize(
    ("backbone", "regime", "reason"),
    [
        ("seem_focalt", "partial9_linear", "seem_focalt has 4 blocks, 0 to 3; it has no block 9"),
        ("seem_focalt", "drop4_deitb", "seem_focalt has 4 blocks, 0 to 3; it has no block 4"),
        ("dinov2_vitb14", "zeroshot", "zeroshot needs a text tower, and dinov2_vitb14 has none"),
        (
            "imagenet_vgg16",
            "lora8.from2",
            "imagenet_vgg16 has no linear layer and no 1 × 1 convolution in its blocks to add to",
        ),
        ("mobilenetv2", "lora32", "mobilenetv2's narrowest layer to add to has rank 16, and not 32"),
        ("mobilenetv2.random", "lora32", "mobilenetv2.random's narrowest layer to add to has rank 16, and not 32"),
    ],
)
def test_of_a_cell_that_can_never_run_neither_weights_nor_images_are_asked_for(
    backbone: str, regime: str, reason: str, small: Places
) -> None:
    registry, cell = Registry(), Cell(backbone, "aptos2019", regime)
    (lack,) = lacks(cell, registry, small)
    assert lack.reason == reason
    assert lack.remedy
    (line,) = Planner(profile="ci", registry=registry, places=small, baseline=lambda cell: None).plan([cell]).cells
    assert line.missing == (str(lack),)
    assert line.expected is None  # nothing that could be put in place would let it run


@pytest.mark.parametrize(
    ("backbone", "regime"),
    [
        ("mobilenetv2", "lora16"),
        ("mobilenetv2", "lora32.from4"),  # later blocks are wider: told when the network is built
        ("imagenet_vgg16", "finetune_linear"),
        ("mobilenetv2.tiny", "lora32"),
        ("openclip_vitb16", "zeroshot"),
        ("blip_vitb16", "zeroshot"),
        ("seem_focalt", "knn"),
    ],
)
def test_nothing_is_said_against_what_is_possible_or_not_known(backbone: str, regime: str) -> None:
    registry = Registry()
    assert never_runs(registry.backbone(backbone), registry.regime(regime)) is None
