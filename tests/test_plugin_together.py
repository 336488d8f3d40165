"""Tests of cells that are named together: one item for all of them on all datasets. What is judged is synthetic."""

from pathlib import Path

import pytest

from pytest_fmtransfer.baselines import Baselines
from tests.helpers import as_declared, collected

REFERENCE = "mobilenetv2-{dataset}-knn"
SUITE = f"""
import pytest

import pytest_fmtransfer as fm

DATASETS = ["ddsm", "br35h"]


@pytest.mark.fm_cells(
    cells=["efficientnet_lite1-{{dataset}}-linear_probe", "efficientnet_lite0-{{dataset}}-knn"],
    datasets=DATASETS, reference="{REFERENCE}", over="datasets",
)
@pytest.mark.fm_claim(source="us")
def test_order(candidates, references):
    '''One gains more than the other.'''
    one, other = fm.relative_gains(candidates, references)
    assert [each.cell.id for each in candidates] == [
        "efficientnet_lite1-ddsm-linear_probe", "efficientnet_lite1-br35h-linear_probe",
        "efficientnet_lite0-ddsm-knn", "efficientnet_lite0-br35h-knn",
    ]
    assert [each.cell.id for each in references] == ["mobilenetv2-ddsm-knn", "mobilenetv2-br35h-knn"] * 2
    assert fm.gains_in_order([one], [other])


@pytest.mark.fm_cells(
    cells=["{{backbone}}-{{dataset}}-linear_probe", "{{backbone}}-{{dataset}}-knn"],
    backbones=["efficientnet_lite1", "efficientnet_lite0"], datasets=DATASETS, reference="{REFERENCE}", over="datasets",
)
def test_regimes(candidates, references):
    pass


@pytest.mark.fm_cells(
    backbones=["efficientnet_lite0"], datasets=DATASETS, regimes=["knn", "linear_probe"], reference="{REFERENCE}"
)
def test_pairs(candidate, reference):
    pass
"""

ORDER = "test_order[linear_probe+knn]"
REGIMES = [f"test_regimes[efficientnet_lite{number}-linear_probe+knn]" for number in (0, 1)]
SIGNALS = {"efficientnet_lite1": 3.0, "efficientnet_lite0": 1.8, "mobilenetv2": 1.0}


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_suite=SUITE)
    return pytester


def exported(suite: pytest.Pytester) -> Path:
    for backbone, signal in SIGNALS.items():
        for dataset in ("ddsm", "br35h"):
            for regime in ("knn", "linear_probe"):
                cell = f"{backbone}-{dataset}-{regime}"
                Baselines(folder=suite.path / "out").write(as_declared(cell, signal, dataset_fingerprint="0123abcd"))
    return suite.path / "out"


def test_items_are_named_by_what_is_together_and_found_by_any_cell(suite: pytest.Pytester) -> None:
    assert [name for name in collected(suite) if "pairs" not in name] == [ORDER, *REGIMES]
    assert collected(suite, "-k", "efficientnet_lite1-br35h-knn") == [REGIMES[1]]
    found = collected(suite, "-m", "fm_cell(backbone='efficientnet_lite1', dataset='ddsm', regime='linear_probe')")
    assert found == [ORDER, REGIMES[1]]


def test_results_come_cell_by_cell_on_every_dataset(suite: pytest.Pytester) -> None:
    result = suite.runpytest(f"--fm-collect={exported(suite)}", "-k", "test_order", "--fm-report=terminal")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*gains in this order; the closest pair*"])


def test_a_users_backbone_joins_pairs_and_not_what_is_together(suite: pytest.Pytester) -> None:
    names = collected(suite, "--fm-backbone=mine=timm:resnet18", "-k", "mine")
    assert {name.partition("[")[0] for name in names} == {"test_pairs"}


def test_a_users_reference_takes_the_place_of_a_backbone_under_a_regime_of_its_own(suite: pytest.Pytester) -> None:
    held = collected(suite, "--fm-reference=efficientnet_lite2", "-k", "efficientnet_lite2-ddsm-knn")
    assert held == [f"test_pairs[efficientnet_lite0-ddsm-{regime}]" for regime in ("knn", "linear_probe")]
    left = collected(suite, "--fm-reference=efficientnet_lite2", "-k", "mobilenetv2")
    assert {name.partition("[")[0] for name in left} == {"test_order", "test_regimes"}


def test_a_plan_does_not_foretell_an_average(suite: pytest.Pytester) -> None:
    result = suite.runpytest("--fm-plan", "-k", "test_order")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["test_order*an average over data sets: what it can show is known once it is measured*"]
    )


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ("cells=['a-{dataset}-knn'], datasets=['ddsm']", "goes with over='datasets' and without regimes"),
        (
            "cells=['a-{dataset}-knn'], datasets=['ddsm'], regimes=['knn'], over='datasets'",
            "goes with over='datasets' and without regimes",
        ),
        (
            "cells=['a-{dataset}-knn'], backbones=['a'], datasets=['ddsm'], over='datasets'",
            "name backbones where a cell says {backbone}, and nowhere else",
        ),
        (
            "cells=['{backbone}-{dataset}-knn'], datasets=['ddsm'], over='datasets'",
            "name backbones where a cell says {backbone}, and nowhere else",
        ),
        ("cells=['a-{dataset}-knn'], over='datasets'", "datasets missing"),
        ("cells='a-{dataset}-knn', datasets=['ddsm'], over='datasets'", "give a list of names"),
        (
            "cells=['mobilenetv2-{dataset}-{regime}'], datasets=['ddsm'], over='datasets'",
            "only {backbone} and {dataset} are filled in",
        ),
        ("cells=['mobilenetv2-{dataset}'], datasets=['ddsm'], over='datasets'", "write backbone-dataset-regime"),
        ("cells=['nope-{dataset}-knn'], datasets=['ddsm'], over='datasets'", "unknown backbone 'nope'"),
    ],
)
def test_mistakes(pytester: pytest.Pytester, mark: str, message: str) -> None:
    pytester.makepyfile(f"import pytest\n\n@pytest.mark.fm_cells({mark})\ndef test_it(candidates):\n    pass\n")
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    assert message in result.stdout.str()
