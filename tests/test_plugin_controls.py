"""Controls: run where a claim asks for them or with --fm-controls, and what verdicts say where they do not fail.

What is judged is synthetic.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.judge import controls as judge
from tests.helpers import as_declared

LITE0, MOBILENET, SHORTCUT = "efficientnet_lite0", "mobilenetv2", "shortcut.metadata"
OWN = [f"{MOBILENET}-br35h-knn", f"{MOBILENET}-br35h.shuffled-knn", f"{MOBILENET}.random-br35h-knn"]
ALL = sorted([*OWN, f"{SHORTCUT}-br35h-knn"])

# How far apart the classes' scores lie where controls fail as they should.
SIGNALS = {LITE0: 2.5, MOBILENET: 1.2, SHORTCUT: 0.0, f"{LITE0}.random": 0.0, f"{MOBILENET}.random": 0.1}
INFORMATIVE = SIGNALS | {"shuffled": 0.0}

SUITE = """
import pytest


@pytest.mark.fm_cells(backbones=["efficientnet_lite0"], datasets=["br35h"], regimes=["knn"], reference="mobilenetv2")
@pytest.mark.fm_claim({claim})
def test_it(candidate, reference):
    assert {assertion}
"""
BEATS, NOT_WORSE = "candidate.beats(reference)", "candidate.not_worse_than(reference)"


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., str]:
    """Writes synthetic results under the signals given, and says how they are collected."""

    def write(**signals: float) -> str:
        whole = INFORMATIVE | {name.replace("__", "."): signal for name, signal in signals.items()}
        shuffled = whole.pop("shuffled")
        cells = {f"{backbone}-br35h-knn": signal for backbone, signal in whole.items()}
        cells |= {f"{backbone}-br35h.shuffled-knn": shuffled for backbone in (LITE0, MOBILENET)}
        for seed, (cell, signal) in enumerate(cells.items()):
            Baselines(folder=tmp_path / "out").write(as_declared(cell, signal, seed=seed))
        return f"--fm-collect={tmp_path / 'out'}"

    return write


def write_suite(pytester: pytest.Pytester, claim: str = "", assertion: str = BEATS) -> None:
    pytester.makepyfile(test_suite=SUITE.format(claim=claim, assertion=assertion))


def told(pytester: pytest.Pytester, *options: str, **outcomes: int) -> dict[str, Any]:
    """The json report of a run with these outcomes."""
    pytester.runpytest("--fm-report=json:r.json", *options).assert_outcomes(**outcomes)
    return json.loads((pytester.path / "r.json").read_text())


@pytest.mark.parametrize(("claim", "options"), [("controls=True", ()), ("", ("--fm-controls",))])
def test_controls_are_measured_and_reported_where_they_are_asked_for(
    pytester: pytest.Pytester, export: Callable[..., str], claim: str, options: tuple[str, ...]
) -> None:
    write_suite(pytester, claim)
    found = told(pytester, export(), *options, passed=1)
    assert [cell["cell"] for cell in found["cells"]] == sorted([f"{LITE0}-br35h-knn", *ALL])
    assert len(next(cell for cell in found["cells"] if "shuffled" in cell["cell"])["by_seed"]) == 20
    [telling], [claim_row] = found["tellings"], found["claims"]
    assert (telling["candidate"], telling["outcome"], telling["reason"]) == (OWN[0], "supported", "")
    assert (claim_row["outcome"], claim_row["mark"]) == ("supported", "")


def test_where_nobody_asks_none_is_run_and_the_report_says_how_to_ask(
    pytester: pytest.Pytester, export: Callable[..., str]
) -> None:
    write_suite(pytester, assertion=f"not {BEATS}")
    collect = export()
    found = told(pytester, collect, failed=1)
    assert [cell["cell"] for cell in found["cells"]] == [f"{LITE0}-br35h-knn", OWN[0]]
    assert found["tellings"] == []
    result = pytester.runpytest(collect, "--fm-report")
    result.stdout.fnmatch_lines(
        [
            "*controls not run: --fm-controls says whether this dataset and regime can tell backbones apart",
            "Can the datasets tell backbones apart?",
            "not asked: --fm-controls *",
        ]
    )


@pytest.mark.parametrize(
    ("signals", "outcome", "said", "why"),
    [
        ({}, "supported", "yes", ""),
        ({"shortcut__metadata": 3.0}, "refuted", "no", "not better than shortcut"),
        ({"shortcut__metadata": 1.0}, "inconclusive", "not shown", "shortcut not settled"),
        ({"mobilenetv2__random": 3.0}, "refuted", "no", "not better than random weights"),
        ({"shuffled": 0.3}, "refuted", "no", "leak suspected: shuffled labels are not at chance"),
        ({"mobilenetv2": 4.0, "efficientnet_lite0": 5.0}, "refuted", "no", "no headroom"),
    ],
)
def test_the_report_says_of_each_dataset_and_regime_whether_it_tells_and_why_not(
    pytester: pytest.Pytester, export: Callable[..., str], signals: dict[str, float], outcome: str, said: str, why: str
) -> None:
    write_suite(pytester)
    outcomes = {"failed" if why == "no headroom" else "passed": 1}
    found = told(pytester, export(**signals), "--fm-controls", "--fm-report=markdown:r.md", **outcomes)
    [telling] = found["tellings"]
    assert (telling["outcome"], telling["reason"]) == (outcome, why)
    lines = (pytester.path / "r.md").read_text().partition("tell backbones apart?")[2].splitlines()
    row = next(line for line in lines if line.startswith("| br35h "))
    assert [cell.strip() for cell in row.strip("|").split("|")] == ["br35h", "knn", said, why, OWN[0]]


def test_where_it_cannot_tell_a_difference_is_marked(pytester: pytest.Pytester, export: Callable[..., str]) -> None:
    write_suite(pytester, "controls=True")
    collect = export(mobilenetv2__random=1.2)
    [claim] = told(pytester, collect, passed=1)["claims"]
    said = "br35h under knn was not shown to tell backbones apart (random weights not settled)"
    assert (claim["outcome"], claim["mark"]) == ("supported", said)
    pytester.runpytest(collect, "--fm-report").stdout.fnmatch_lines([f"* better: *(but {said})*"])


@pytest.mark.parametrize("verb", ["not_worse_than", "equivalent_to"])
def test_where_it_cannot_tell_nothing_is_shown_to_be_no_worse(
    pytester: pytest.Pytester, export: Callable[..., str], verb: str
) -> None:
    """On an uninformative dataset everything is as good as everything."""
    write_suite(pytester, "controls=True", f"candidate.{verb}(reference, margin=.5)")
    assert told(pytester, export(), passed=1)["claims"][0]["outcome"] == "supported"
    [claim] = told(pytester, export(mobilenetv2__random=1.2), failed=1)["claims"]
    assert claim["outcome"] == "inconclusive"
    assert claim["reason"] == "br35h under knn was not shown to tell backbones apart (random weights not settled)"
    result = pytester.runpytest(export(mobilenetv2__random=1.2))
    result.stdout.fnmatch_lines(["*controls: inconclusive: br35h under knn was not shown to tell backbones apart*"])


def test_the_fixture_gives_the_controls_of_the_reference(pytester: pytest.Pytester, export: Callable[..., str]) -> None:
    pytester.makepyfile(
        SUITE.format(claim="", assertion="controls.tell_backbones_apart()").replace(
            "(candidate, reference)", "(controls)"
        )
    )
    found = told(pytester, export(), passed=1)
    assert [cell["cell"] for cell in found["cells"]] == ALL
    [claim], [telling] = found["claims"], found["tellings"]
    assert (claim["kind"], claim["candidate"], claim["outcome"]) == ("tells_backbones_apart", OWN[0], "supported")
    assert telling["candidate"] == OWN[0]
    found = told(pytester, export(shortcut__metadata=3.0), failed=1)
    assert found["claims"][0]["outcome"] == found["tellings"][0]["outcome"] == "refuted"


MANY = """
import pytest

CELLS = {"datasets": ["br35h"], "regimes": ["knn"]}


@pytest.mark.fm_cells(backbones=["efficientnet_lite0", "shortcut.metadata"], reference="mobilenetv2", **CELLS)
@pytest.mark.fm_claim(family_size=2, expected={"shortcut.metadata-br35h-knn": ("refuted", "sees no picture")})
def test_learnt_reference(candidate, reference):
    candidate.beats(reference)


@pytest.mark.fm_cells(backbones=["efficientnet_lite0", "mobilenetv2"], reference="{backbone}.random", **CELLS)
@pytest.mark.fm_claim(family_size=2)
def test_control_reference(candidate, reference):
    candidate.beats(reference)


@pytest.mark.fm_cells(backbones=["shortcut.metadata", "mobilenetv2"], over="backbones", **CELLS)
@pytest.mark.fm_claim(family_size=1)
def test_over_backbones(candidates):
    candidates[1].beats(candidates[0])


@pytest.mark.fm_cells(backbones=["shortcut.metadata"], reference="mobilenetv2.random", **CELLS)
@pytest.mark.fm_claim(expected={"shortcut.metadata-br35h-knn": ("inconclusive", "as good as chance")})
def test_controls_only(candidate, reference):
    candidate.beats(reference)
"""


def test_each_yardstick_is_asked_once(
    pytester: pytest.Pytester, export: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim's yardstick is its learnt reference, or the candidate where the reference is a control."""
    asked: list[str] = []
    tells = judge.tells_backbones_apart

    def counted(controls: judge.Controls) -> judge.Verdict:
        asked.append(controls.reference.cell.id)
        return tells(controls)

    monkeypatch.setattr(judge, "tells_backbones_apart", counted)
    pytester.makepyfile(test_suite=MANY)
    found = told(pytester, export(), "--fm-controls", passed=6)
    assert sorted(asked) == [f"{LITE0}-br35h-knn", OWN[0]]
    assert [telling["candidate"] for telling in found["tellings"]] == sorted(asked)


def test_items_of_controls_only_are_left_alone(pytester: pytest.Pytester, export: Callable[..., str]) -> None:
    pytester.makepyfile(test_suite=MANY)
    found = told(pytester, export(), "--fm-controls", "-k", "controls_only", passed=1)
    assert found["tellings"] == []
    assert [cell["cell"] for cell in found["cells"]] == [f"{MOBILENET}.random-br35h-knn", f"{SHORTCUT}-br35h-knn"]


def test_a_claim_about_controls_only_cannot_ask_for_them(pytester: pytest.Pytester) -> None:
    write_suite(pytester, "controls=True")
    suite = pytester.path / "test_suite.py"
    suite.write_text(suite.read_text().replace(LITE0, SHORTCUT).replace(MOBILENET, f"{MOBILENET}.random"))
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    message = f"{SHORTCUT}-br35h-knn has no learnt backbone on one dataset to hold controls against; leave out"
    assert message in result.stdout.str()


@pytest.mark.parametrize(("claim", "options"), [("controls=True", ()), ("", ("--fm-controls",))])
@pytest.mark.parametrize("absent", [OWN[1], OWN[2], f"{SHORTCUT}-br35h-knn"])
def test_an_absent_control_skips_with_the_remedy(
    pytester: pytest.Pytester,
    export: Callable[..., str],
    tmp_path: Path,
    claim: str,
    options: tuple[str, ...],
    absent: str,
) -> None:
    write_suite(pytester, claim)
    collect = export()
    (tmp_path / "out" / f"{absent}.json").unlink()
    result = pytester.runpytest(collect, "-rs", *options)
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines([f"SKIPPED*{absent}: no exported result in*export it *--fm-export=DIR*"])


@pytest.mark.parametrize("options", [("-k", "shuffled"), ("-m", "fm_cell(dataset='br35h.shuffled')")])
def test_controls_select_every_item_that_runs_them(pytester: pytest.Pytester, options: tuple[str, str]) -> None:
    pytester.makepyfile(test_suite=MANY)
    lines = pytester.runpytest("--co", "-q", "--fm-controls", *options).outlines
    assert sum("::" in line for line in lines) == 5  # all but the one that is about controls only
    assert pytester.runpytest("--co", "-q", *options).ret == pytest.ExitCode.NO_TESTS_COLLECTED
