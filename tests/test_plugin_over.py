"""Tests over datasets or backbones: one item, its cells in the order of the mark, one verdict.

What is judged is synthetic.
"""

import json
from pathlib import Path

import pytest

from pytest_fmtransfer.baselines import Baselines
from tests.helpers import as_declared, collected

# How far apart the classes' scores lie. mobilenetv2 is better than its twin on ddsm, and worse on br35h.
SIGNALS = {
    "efficientnet_lite0": (2.0, 2.0),
    "mobilenetv2": (1.0, -1.0),
    "shortcut.metadata": (0.0, 0.0),
    "efficientnet_lite0.random": (0.0, 0.0),
    "mobilenetv2.random": (0.0, 0.0),
}

CELLS = 'backbones=["mobilenetv2", "efficientnet_lite0"], datasets=["ddsm", "br35h"], regimes=["knn"]'
SUITE = f"""
import pytest

from pytest_fmtransfer.judge.compound import consistently_better, ranks_above


@pytest.mark.fm_cells({CELLS}, reference="{{backbone}}.random", over="datasets")
@pytest.mark.fm_claim(source="us", family_size=2, expected={{"mobilenetv2-knn": ("refuted", "worse on br35h")}})
def test_everywhere(candidates, references):
    '''Better than random weights on each dataset.'''
    assert consistently_better(candidates, references)


@pytest.mark.fm_cells(
    backbones=["efficientnet_lite0", "mobilenetv2", "shortcut.metadata"], datasets=["ddsm", "br35h"], regimes=["knn"],
    over="backbones",
)
@pytest.mark.fm_claim(expected={{"br35h-knn": ("refuted", "mobilenetv2 comes last")}})
def test_ranking(candidates):
    assert ranks_above(*candidates)
"""

EVERYWHERE = ["test_everywhere[efficientnet_lite0-knn]", "test_everywhere[mobilenetv2-knn]"]
RANKING = ["test_ranking[br35h-knn]", "test_ranking[ddsm-knn]"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    for seed, (backbone, signals) in enumerate(SIGNALS.items()):
        for dataset, signal in zip(("ddsm", "br35h"), signals, strict=True):
            Baselines(folder=folder).write(as_declared(f"{backbone}-{dataset}-knn", signal, seed=seed))
    return folder


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_suite=SUITE)
    return pytester


def test_each_item_is_named_by_what_its_cells_share(suite: pytest.Pytester) -> None:
    assert collected(suite) == [*EVERYWHERE, *RANKING]


@pytest.mark.parametrize(
    ("options", "items"),
    [
        (("-k", "ddsm"), [*EVERYWHERE, RANKING[1]]),
        (("-k", "mobilenetv2 and br35h"), [EVERYWHERE[1], RANKING[0]]),
        (("-k", "mobilenetv2.random-br35h-knn"), [EVERYWHERE[1]]),
        (("-m", "fm_cell(backbone='mobilenetv2.random', dataset='ddsm')"), [EVERYWHERE[1]]),
        (("-m", "fm_cell(backbone='efficientnet_lite0', dataset='br35h')"), [EVERYWHERE[0], RANKING[0]]),
        (("-m", "fm_cell(backbone='shortcut.metadata')"), RANKING),
    ],
)
def test_any_of_its_cells_selects_an_item(suite: pytest.Pytester, options: tuple[str, str], items: list[str]) -> None:
    assert collected(suite, *options) == items


def test_results_come_in_the_order_of_the_mark(pytester: pytest.Pytester, exported: Path) -> None:
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.fm_cells({CELLS}, reference="{{backbone}}.random", over="datasets")
        def test_datasets(candidates, references):
            assert isinstance(candidates, tuple)
            assert [each.cell.dataset for each in candidates] == ["ddsm", "br35h"]
            assert {{each.cell.backbone for each in candidates}} == {{candidates[0].cell.backbone}}
            assert [each.cell.id for each in references] == [
                each.cell.id.replace("-", ".random-", 1) for each in candidates
            ]

        @pytest.mark.fm_cells({CELLS}, reference="shortcut.metadata", over="backbones")
        def test_backbones(candidates, references):
            assert [each.cell.backbone for each in candidates] == ["mobilenetv2", "efficientnet_lite0"]
            dataset = candidates[0].cell.dataset
            assert [each.cell.id for each in references] == [f"shortcut.metadata-{{dataset}}-knn"] * 2
        """
    )
    pytester.runpytest(f"--fm-collect={exported}").assert_outcomes(passed=4)


def test_each_item_reaches_one_verdict_and_reports_all_its_cells(suite: pytest.Pytester, exported: Path) -> None:
    suite.runpytest(f"--fm-collect={exported}", "--fm-report=json:r.json").assert_outcomes(passed=4)
    told = json.loads((suite.path / "r.json").read_text())
    assert [cell["cell"] for cell in told["cells"]] == sorted(
        f"{backbone}-{dataset}-knn" for backbone in SIGNALS for dataset in ("br35h", "ddsm")
    )
    assert [(claim["test"], claim["kind"], claim["outcome"]) for claim in told["claims"]] == [
        (EVERYWHERE[0], "consistently_better", "supported"),
        (EVERYWHERE[1], "consistently_better", "refuted"),
        (RANKING[0], "ranks_above", "refuted"),
        (RANKING[1], "ranks_above", "supported"),
    ]
    assert told["claims"][1]["expected"] == {"outcome": "refuted", "reason": "worse on br35h"}
    # A compound claim makes one sentence about its datasets together.
    assert told["claims"][0]["family"].endswith("[br35h+ddsm-knn]")


def test_a_known_exception_of_a_case_that_is_no_longer_found_fails(pytester: pytest.Pytester, exported: Path) -> None:
    pytester.makepyfile(SUITE.replace("refuted", "inconclusive"))
    result = pytester.runpytest(f"--fm-collect={exported}")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*mobilenetv2-knn was expected to be inconclusive (worse on br35h), but is refuted*",
            "*br35h-knn was expected to be inconclusive (mobilenetv2 comes last), but is refuted*",
        ]
    )


def test_one_absent_cell_skips_the_whole(suite: pytest.Pytester, exported: Path, tmp_path: Path) -> None:
    for file in exported.iterdir():
        if not file.name.startswith("mobilenetv2.random-ddsm"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    result = suite.runpytest(f"--fm-collect={tmp_path}", "-rs")
    result.assert_outcomes(passed=3, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*mobilenetv2.random-ddsm-knn: no exported result in*--fm-export=DIR*"])


@pytest.mark.parametrize(
    ("marks", "arguments", "message"),
    [
        (f"fm_cells({CELLS}, over='datasets')", "candidate", "with over='datasets'; take candidates and references"),
        (
            f"fm_cells({CELLS}, over='backbones')",
            "candidates, baseline",
            "asks for baseline, candidate, cell with over='backbones'",
        ),
        (f"fm_cells({CELLS})", "candidates", "asks for candidates; say over='datasets' or over='backbones'"),
        (f"fm_cells({CELLS}, over='dataset')", "candidates", "fm_cells(over='dataset'): did you mean datasets"),
        (f"fm_cells({CELLS}, over=['datasets'])", "candidates", "fm_cells(over=['datasets']): did you mean datasets"),
        (f"fm_cells({CELLS}, over='datasets')", "candidates, references", "name it in fm_cells(reference=...)"),
        (f"fm_cells({CELLS}, over='datasets')", "", "asks for no fixture; take one of candidates, references"),
        (f"fm_cells({CELLS}, over='datasets')", "controls", "has no learnt backbone on one dataset"),
        (
            f"fm_cells({CELLS}, over='datasets')\n"
            "@pytest.mark.fm_claim(expected={'mobilenetv2-ddsm-knn': ('refuted', 'a cell')})",
            "candidates",
            "names mobilenetv2-ddsm-knn, no case of this test; did you mean mobilenetv2-knn",
        ),
        (f"fm_cells({CELLS})\n@pytest.mark.fm_claim(family=3)", "candidate", "fm_claim(family=3): give a name"),
        (
            f"fm_cells({CELLS})\n@pytest.mark.fm_claim(controls='yes')",
            "candidate",
            "fm_claim(controls='yes'): give True or False",
        ),
    ],
)
def test_mistakes(pytester: pytest.Pytester, marks: str, arguments: str, message: str) -> None:
    pytester.makepyfile(f"import pytest\n\n@pytest.mark.{marks}\ndef test_it({arguments}):\n    pass\n")
    result = pytester.runpytest()
    assert set(result.parseoutcomes()) == {"failed"}  # of a claim that cannot be read each case does
    assert message in result.stdout.str()
