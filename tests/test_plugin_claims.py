"""`--fm-claims`: what is claimed and by whom, what is missing to run it, and its last verdict. Nothing is computed."""

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.store import MANIFEST, Store, fingerprint
from tests.helpers import as_declared, image

WIDTH = 100

SUITE = '''
import pytest

CLAIM = {"source": "arXiv:1234.56789", "where": "Table 2"}


@pytest.mark.fm_cells(backbones=["efficientnet_lite1", "dinov2_vitb14"], datasets=["br35h"],
                      regimes=["knn", "linear_probe"], reference="efficientnet_lite0")
@pytest.mark.fm_claim(**CLAIM, family_size=3, expected={"efficientnet_lite1-br35h-knn": ("inconclusive", "too small")})
def test_beats(candidate, reference):
    """A larger backbone beats
    a small one.

    This is no part of the statement.
    """
    assert candidate.beats(reference)


@pytest.mark.fm_cells(backbones=["efficientnet_lite1"], datasets=["br35h"], regimes=["knn"])
def test_unchanged(candidate, baseline):
    assert candidate.unchanged_from(baseline)


def test_plain():
    pass
'''

KNN, PROBE = "efficientnet_lite1-br35h-knn", "efficientnet_lite1-br35h-linear_probe"
KNN_REFERENCE, PROBE_REFERENCE = "efficientnet_lite0-br35h-knn", "efficientnet_lite0-br35h-linear_probe"


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A suite with a store of its own that is not there yet, and no data but those of packages."""
    monkeypatch.setenv("FMTRANSFER_STORE", str(pytester.path / "store"))
    pytester.makepyfile(test_suite=SUITE)
    return pytester


def record(suite: pytest.Pytester, *results: Result) -> None:
    stored = Baselines(folder=suite.path / "baselines", locks=suite.path / "locks")
    for result in results:
        stored.write(result)


def store(suite: pytest.Pytester, *results: Result, written: str = "", profile: str = "ci") -> list[Path]:
    """What runs leave in the store; `written` is the day, noon UTC, on which they did."""

    def keep(result: Result, entry: Path) -> None:
        (entry / "result.json").write_text(json.dumps(result.record()))
        (entry / "scores.npz").write_bytes(result.scores_file())

    entries: list[Path] = []
    for result in results:
        key = fingerprint(repr(result.question), result.by_seed, written, list(result.seeds))
        about = {"cell": result.cell.id, "profile": profile}
        where = Store(root=suite.path / "store")
        entry, _ = where.fetch("results", key, lambda entry, result=result: keep(result, entry), about=about)
        if written:
            noon = int(written) * 86_400 + 43_200
            os.utime(entry / MANIFEST, (noon, noon))
        entries.append(entry)
    return entries


def listed(suite: pytest.Pytester, *options: str) -> str:
    """The list, without what pytest says around it."""
    result = suite.runpytest("--fm-claims", *options)
    assert result.ret == pytest.ExitCode.OK
    lines = result.outlines
    start = next(i for i, line in enumerate(lines) if "fmtransfer: claims" in line)
    end = next(i for i, line in enumerate(lines) if i > start and line.startswith("===="))
    told = lines[start + 1 : end]
    assert all(len(line) <= WIDTH or len(line.split()) == 1 for line in told)  # a folder's path is one word
    return "\n".join(told).strip("\n")


def flat(text: str) -> str:
    return " ".join(text.split())


def last_verdict(suite: pytest.Pytester, *options: str) -> str:
    """Of a selection of one claim."""
    told = flat(listed(suite, *options))
    return told.partition("last verdict: ")[2].rpartition(" 1 claim in 1 sentence")[0]


def files_under(folder: Path) -> dict[str, bytes]:
    paths: Iterable[Path] = (path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in paths}


def test_a_sentence_stands_once_and_its_cells_below_as_they_were_collected(suite: pytest.Pytester) -> None:
    told = listed(suite).splitlines()
    assert told[:4] == [
        "A larger backbone beats a small one.",
        "  source: arXiv:1234.56789, Table 2",
        "  test: test_suite.py::test_beats",
        "  family: the test's own, 3 claims per dataset and regime, each judged at 0.0167, one-sided",
    ]
    assert [line for line in told if line.startswith("  - ")] == [
        "  - dinov2_vitb14-br35h-knn against efficientnet_lite0-br35h-knn",
        "  - dinov2_vitb14-br35h-linear_probe against efficientnet_lite0-br35h-linear_probe",
        "  - efficientnet_lite1-br35h-knn against efficientnet_lite0-br35h-knn",
        "  - efficientnet_lite1-br35h-linear_probe against efficientnet_lite0-br35h-linear_probe",
        "  - efficientnet_lite1-br35h-knn",
    ]
    assert told.count("    known exception: inconclusive, too small") == 1
    assert told.count("test_unchanged") == 1  # a test without a docstring is called by its name
    assert told[-1] == "5 claims in 2 sentences: nothing is missing to run 3, 0 have a last verdict"
    assert "test_plain" not in "\n".join(told)


def test_what_is_missing_is_told_once_with_the_remedy_that_a_skip_shortens(suite: pytest.Pytester) -> None:
    told = listed(suite, "-k", "dinov2")
    assert told.count("    missing: [1]\n") == 2
    assert flat(told).count("[1] no weights of dinov2_vitb14: put dinov2_vitb14_pretrain.pth into a folder") == 1
    skipped = suite.runpytest("-k", "dinov2 and knn", "-rs").stdout.str()
    remedy = flat(told).rpartition("[1] ")[2].rpartition(" 2 claims")[0]
    assert remedy.endswith(" or add --fm-download (licence Apache-2.0)")
    assert ": no weights of dinov2_vitb14: add --fm-download (licence Apache-2.0), or put" in skipped
    assert remedy not in skipped
    assert "--fm-download (" in flat(listed(suite, "-k", "dinov2", "--fm-download"))  # a list fetches nothing


def test_what_is_recorded_is_judged_again_at_the_level_of_its_family(suite: pytest.Pytester) -> None:
    assert last_verdict(suite, "-k", "test_beats and lite1 and probe") == "not run"
    record(suite, as_declared(PROBE, 3.0), as_declared(PROBE_REFERENCE, 0.2))
    told = last_verdict(suite, "-k", "test_beats and lite1 and probe")
    assert told.startswith("supported: Δ +0.")
    assert "96.67 % interval" in told
    assert "(from baselines, recorded 20" in told
    suite.makepyfile(test_suite=SUITE.replace("family_size=3", "family_size=5"))
    assert "98 % interval" in last_verdict(suite, "-k", "test_beats and lite1 and probe")


def test_a_verdict_that_is_not_the_known_exception_says_so(suite: pytest.Pytester) -> None:
    record(suite, as_declared(KNN, 1.0), as_declared(KNN_REFERENCE, 1.0, seed=1))
    assert "not the known exception" not in last_verdict(suite, "-k", "test_beats and lite1 and knn")
    record(suite, as_declared(KNN, 3.0))
    told = last_verdict(suite, "-k", "test_beats and lite1 and knn")
    assert told.startswith("supported: ")
    assert ", which is not the known exception (from baselines" in told


def test_the_newest_results_of_one_source_are_judged(suite: pytest.Pytester) -> None:
    select = ("-k", "test_beats and lite1 and probe")
    store(suite, as_declared(PROBE, 3.0), as_declared(PROBE_REFERENCE, 0.2), written="20000")
    assert last_verdict(suite, *select).endswith("(from the store, measured 2024-10-04)")
    store(suite, as_declared(PROBE, 0.1), written="20001")
    told = last_verdict(suite, *select)
    assert not told.startswith("supported")
    assert told.endswith("(from the store, measured 2024-10-04 to 2024-10-05)")
    record(suite, as_declared(PROBE, 3.0))
    assert last_verdict(suite, *select) == told  # the reference is not recorded, and sources are not mixed
    record(suite, as_declared(PROBE_REFERENCE, 0.2))
    assert "supported" in last_verdict(suite, *select)
    assert "from baselines" in last_verdict(suite, *select)
    store(suite, as_declared(PROBE, 0.1), as_declared(PROBE_REFERENCE, 0.1))
    assert "from the store" in last_verdict(suite, *select)


def test_what_is_no_longer_declared_or_damaged_is_not_judged(suite: pytest.Pytester) -> None:
    select = ("-k", "test_beats and lite1 and probe")
    candidate, reference = as_declared(PROBE, 3.0), as_declared(PROBE_REFERENCE, 0.2)
    other = replace(candidate, question=replace(candidate.question, settings={"of": "another version"}))
    more = replace(candidate, seeds=(7,))
    smoke = replace(candidate, question=replace(candidate.question, profile="smoke"))
    store(suite, reference, other, more)
    store(suite, smoke, profile="smoke")
    assert last_verdict(suite, *select) == "not run"
    (entry,) = store(suite, candidate)
    assert last_verdict(suite, *select).startswith("supported")
    (entry / "scores.npz").write_bytes(b"damaged")
    assert last_verdict(suite, *select) == "not run"
    (entry / MANIFEST).write_text("{")
    assert last_verdict(suite, *select) == "not run"
    record(suite, other, reference)
    assert last_verdict(suite, *select) == "not run"


def test_a_baseline_is_never_held_against_itself(suite: pytest.Pytester) -> None:
    select = ("-k", "test_unchanged")
    record(suite, as_declared(KNN, 1.0))
    assert last_verdict(suite, *select) == "not run"
    store(suite, as_declared(KNN, 1.0))
    assert last_verdict(suite, *select).startswith("unchanged: scores identical (from the store, measured ")
    (suite.path / "baselines" / f"{KNN}.npz").write_bytes(b"damaged")
    assert last_verdict(suite, *select).startswith(f"not run to its end: no baseline of {KNN} that can be used")


def test_results_that_cannot_be_compared_are_no_verdict(suite: pytest.Pytester) -> None:
    reference = as_declared(PROBE_REFERENCE, 0.2)
    others_N = np.array([image(number) for number in range(500, 500 + len(reference.ids_N))])
    others = replace(reference, ids_N=others_N, patients_N=others_N)
    store(suite, as_declared(PROBE, 3.0), replace(others, question=replace(others.question, dataset_fingerprint="f")))
    assert last_verdict(suite, "-k", "test_beats and lite1 and probe").startswith("not run to its end: ")


ODD = """
import pytest
from pytest_fmtransfer import Cell, transfer

CELLS = {"backbones": ["efficientnet_lite1"], "datasets": ["br35h"], "regimes": ["knn"]}


@pytest.mark.fm_cells(**CELLS)
def test_computes(candidate):
    transfer(Cell("shortcut.metadata", "br35h", "knn"))


@pytest.mark.fm_cells(**CELLS)
def test_asks_for_more(candidate, tmp_path):
    print("never")


@pytest.mark.fm_cells(**CELLS)
def test_reaches_none(candidate):
    print("aloud")
    assert candidate.mean > 2


@pytest.mark.fm_cells(**CELLS)
def test_skips(candidate):
    pytest.skip("not today")


@pytest.mark.fm_cells(**CELLS)
def test_names(cell):
    pass
"""


def test_nothing_is_computed_or_written_whatever_a_test_does(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_suite=ODD)
    record(suite, as_declared(KNN, 1.0))
    before = files_under(suite.path)
    told = flat(listed(suite, "-p", "no:cacheprovider", "-p", "no:benchmark"))
    assert files_under(suite.path) == before
    assert (
        "- efficientnet_lite1-br35h-knn last verdict: not run to its end: an entry of contents would have to be" in told
    )
    assert "last verdict: not run here, because its test asks for tmp_path too" in told
    assert "last verdict: not run to a verdict: its test reaches none (from baselines" in told
    assert "last verdict: not run to its end: not today (from baselines" in told
    assert told.endswith(
        "last verdict: not run 5 claims in 5 sentences: nothing is missing to run 5, 0 have a last verdict"
    )
    assert "aloud" not in told


def test_controls_are_listed_and_judged_with_their_claim(suite: pytest.Pytester) -> None:
    twin, shortcut = "efficientnet_lite0.random-br35h-linear_probe", "shortcut.metadata-br35h-linear_probe"
    shuffled = "efficientnet_lite0-br35h.shuffled-linear_probe"
    select = ("-k", "test_beats and lite1 and probe", "--fm-controls")
    recorded = [as_declared(PROBE, 3.0), as_declared(PROBE_REFERENCE, 1.0)]
    record(suite, *recorded)
    assert last_verdict(suite, *select) == "not run"
    record(suite, *(as_declared(cell, 0.0) for cell in (twin, shortcut, shuffled)))
    assert f"controls: {PROBE_REFERENCE}, {twin}, {shortcut}, {shuffled}" in flat(listed(suite, *select))
    assert "supported: " in last_verdict(suite, *select)
    suite.makepyfile(
        test_suite=SUITE.replace("candidate.beats(reference)", "candidate.not_worse_than(reference)").replace(
            "family_size=3", "family_size=3, controls=True"
        )
    )
    record(suite, as_declared(shuffled, 3.0))
    assert "shuffled" in last_verdict(suite, *select[:2])  # where chance is no chance, nothing is worse than anything


def test_what_was_collected_is_judged_where_it_is_asked_for(suite: pytest.Pytester) -> None:
    exported = Baselines(folder=suite.path / "out", locks=suite.path / "locks")
    for result in (as_declared(PROBE, 3.0), as_declared(PROBE_REFERENCE, 0.2)):
        exported.write(result)
    select = ("--fm-collect=out", "-k", "test_beats and lite1")
    told = flat(listed(suite, *select))
    assert told.count("last verdict: supported: ") == 1
    assert f"(from {suite.path / 'out'}, recorded 20" in told
    assert "missing: [1] known exception: inconclusive, too small last verdict: not run" in told
    assert "[1] no exported result in" in told


def test_a_candidate_of_the_users_has_a_family_of_its_own_and_the_reference_says_nothing_of_itself(
    suite: pytest.Pytester,
) -> None:
    mine = "--fm-backbone=mine=timm:resnet18,weights=nothing.pt"
    (suite.path / "nothing.pt").touch()
    told = flat(listed(suite, mine, "-k", "test_beats and linear_probe"))
    assert (
        "family: the test's own with candidates of yours, 4 claims per dataset and regime, each judged at 0.0125"
        in told
    )
    itself = flat(listed(suite, "--fm-reference=efficientnet_lite1", "-k", "test_beats and lite1 and probe"))
    assert "last verdict: not run: efficientnet_lite1-br35h-linear_probe is the reference itself" in itself


def test_claims_are_told_once_on_workers_too_and_beside_a_plan(suite: pytest.Pytester) -> None:
    result = suite.runpytest("--fm-claims", "-n", "2", "--fm-report=json:r.json")
    assert result.stdout.str().count("5 claims in 2 sentences") == 1
    assert "<Function" not in result.stdout.str()
    assert not (suite.path / "r.json").exists()
    both = suite.runpytest("--fm-claims", "--fm-plan", "-q", "-k", "test_plain").stdout.str()
    assert both.count("fmtransfer: plan") == both.count("fmtransfer: claims") == 1
    assert "test_suite.py::test_plain" not in both


def test_a_selection_without_claims_says_so(suite: pytest.Pytester) -> None:
    assert "no claim about cells is selected" in listed(suite, "-k", "test_plain")
    suite.makepyfile(test_broken="import no_such_module")
    result = suite.runpytest("--fm-claims")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "fmtransfer: claims" not in result.stdout.str()
