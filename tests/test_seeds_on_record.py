"""A variance of single runs on record: what it makes of results of one seed, pair by pair and dataset by dataset.

What is judged is synthetic.
"""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.catalog.regime_settings import KnnSettings
from pytest_fmtransfer.catalog.regime_specs import RegimeSpec, SeedVariance
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.judge.bounds import Piece, combine, together
from pytest_fmtransfer.judge.comparison import Comparison, auc_of, own_piece, seed_piece_of
from pytest_fmtransfer.judge.compound import consistently_better
from pytest_fmtransfer.judge.controls import Controls, tells_backbones_apart
from pytest_fmtransfer.judge.court import Court, judging
from pytest_fmtransfer.judge.power import smallest_detectable
from pytest_fmtransfer.judge.verdicts import beats
from pytest_fmtransfer.plugin.on_record import seed_variances
from pytest_fmtransfer.results import Result
from tests.helpers import (
    CANDIDATE,
    REFERENCE,
    as_declared,
    labels_of,
    make_result,
    noisy_scores,
    pair_on,
    result,
    retrained,
    sides,
)

RECORDED = Piece(variance=1e-4, degrees=9)


def test_satterthwaites_degrees_on_figures_worked_by_hand() -> None:
    """Two runs, 1 and 1/2 of 2e-4 with 9: 3e-4. (6e-4 + 3e-4)² / ((6e-4)²/99 + (3e-4)²/9) = 81 / (36/99 + 1)."""
    both = together([Piece(variance=6e-4, degrees=99), Piece(variance=3e-4, degrees=9)])
    assert both.degrees == pytest.approx(59.4)
    assert both.variance == pytest.approx(9e-4)


def test_runs_of_both_sides_share_one_recorded_piece() -> None:
    """One run against two: 1e-4 × (1 + 1/2), with the degrees of the one estimate that both are."""
    one, two = retrained(CANDIDATE, 1.5), retrained(REFERENCE, 0.5, 1.0)
    pair = Comparison(candidate=one, reference=two, recorded=RECORDED)
    assert pair.seed_pieces == (Piece(variance=pytest.approx(1.5e-4), degrees=9),)
    unseeded = Comparison(candidate=one, reference=result(REFERENCE, 0.5), recorded=RECORDED)
    assert unseeded.seed_pieces == (Piece(variance=pytest.approx(1e-4), degrees=9),)


def test_a_result_of_several_runs_has_its_share_of_the_record() -> None:
    """Of four runs the mean varies by a quarter of 1e-4; a regime without a seed by nothing."""
    four = retrained(CANDIDATE, 1.0, 1.1, 1.2, 1.3)
    assert seed_piece_of(four, RECORDED) == Piece(variance=pytest.approx(2.5e-5), degrees=9)
    assert seed_piece_of(result(CANDIDATE, 1.0), RECORDED) is None
    patients = own_piece(four)
    assert patients is not None
    assert auc_of(four, RECORDED).variance == pytest.approx(patients.variance + 2.5e-5)


def test_the_limit_of_a_perfect_auc_is_that_of_the_smaller_class() -> None:
    labels_N = labels_of(60, 25)
    perfect = make_result(CANDIDATE, labels_N, 3 * np.eye(2)[labels_N])
    assert auc_of(perfect).fewest == 25
    assert auc_of(perfect).limits(0.05)[0] == pytest.approx(0.05 ** (1 / 25))


def test_a_verdict_on_one_seed_has_the_degrees_of_both_pieces() -> None:
    pair = retrained(CANDIDATE, 3.0), retrained(REFERENCE, 0.5)
    with judging(Court(seed_variances={("data", "knn"): RECORDED})):
        verdict = beats(*pair)
    patients = Comparison(candidate=pair[0], reference=pair[1]).patient_piece
    assert patients is not None
    assert patients.degrees == 59  # 60 patients in each class
    degrees = combine(0.0, [patients, Piece(variance=2e-4, degrees=9)]).degrees
    assert verdict.outcome == "supported"
    assert f"{degrees:.0f} degrees of freedom" in verdict.text
    assert "of its square, by the recorded variance" in verdict.text
    with judging(Court(seed_variances={("other", "knn"): RECORDED, ("data", "tuned"): RECORDED})):
        assert beats(*pair).reason == f"training randomness not measured: {CANDIDATE} ran at one seed"


def test_the_record_is_that_of_the_side_that_depends_on_its_seed() -> None:
    court = Court(seed_variances={("data", "knn"): RECORDED, ("data", "tuned"): Piece(variance=1.0, degrees=1)})
    knn, tuned, fixed = (retrained(f"m-data-{regime}", 1.0) for regime in ("knn", "tuned", "knn"))
    fixed = replace(fixed, seeded=False)
    assert court.seed_variance(knn) == RECORDED
    assert court.seed_variance(fixed, tuned) == Piece(variance=1.0, degrees=1)
    assert court.seed_variance(knn, tuned) is None
    assert court.seed_variance(fixed) is None


def test_each_dataset_of_a_claim_has_its_own() -> None:
    pairs = [
        tuple(replace(each, seeded=True) for each in pair_on(at, 0.8, patients=100, seed=10 * at)) for at in (1, 2)
    ]
    small, large = Piece(variance=1e-5, degrees=9), Piece(variance=0.01, degrees=9)
    with judging(Court(seed_variances={("data1", "knn"): small, ("data2", "knn"): large})):
        told = consistently_better(*sides(*pairs))
    with judging(Court(seed_variances={("data1", "knn"): small, ("data2", "knn"): small})):
        both = consistently_better(*sides(*pairs))
    with judging(Court(seed_variances={("data1", "knn"): small})):
        half = consistently_better(*sides(*pairs))
    assert (told.outcome, told.reason, both.outcome) == ("inconclusive", "", "supported")
    assert "weakest on new.model-data2-knn" in told.summary
    bound = Comparison(candidate=pairs[1][0], reference=pairs[1][1], recorded=large).wider
    assert bound is not None
    assert told.lower == pytest.approx(bound.lower(0.05))
    assert half.reason == "training randomness not measured: new.model-data2-knn ran at one seed"


LABELS_N = labels_of(150, 150)


def cell(name: str, signal: float, seed: int) -> Result:
    return make_result(f"{name}-data-knn", LABELS_N, noisy_scores(LABELS_N, signal, seed=seed), seeded=True)


def controls(shuffles: int = 20, **more: Any) -> Controls:
    """All of one seed, but for the shuffles."""
    scores_SNC = np.stack([noisy_scores(LABELS_N, 0.0, seed=100 + seed) for seed in range(shuffles)])
    return Controls(
        reference=cell("good", 1.5, 0),
        twin=cell("good.random", 0.3, 1),
        shortcut=cell("shortcut.metadata", 0.5, 2),
        shuffled=make_result("good-data.shuffled-knn", LABELS_N, scores_SNC, seeded=True),
        **more,
    )


def test_controls_of_one_seed_are_judged_by_the_record() -> None:
    alone = tells_backbones_apart(controls())
    assert alone.outcome == "inconclusive"
    assert "training randomness not measured" in alone.text
    assert tells_backbones_apart(controls(recorded=Piece(variance=1e-5, degrees=9)))
    noisy = tells_backbones_apart(controls(recorded=Piece(variance=0.01, degrees=9)))
    assert (noisy.outcome, noisy.reason) == ("refuted", "no headroom")


@pytest.mark.parametrize("metric", ["roc_auc", "macro_recall"])
def test_the_record_says_nothing_of_how_shuffles_vary(metric: str) -> None:
    """Against the shuffles: the reference's one run by the record, theirs by their own spread over twenty."""
    recorded, whole = Piece(variance=0.001, degrees=9), controls()
    reference, twin, shortcut, shuffled = (
        replace(each, question=replace(each.question, metric=metric))
        for each in (whole.reference, whole.twin, whole.shortcut, whole.shuffled)
    )
    told = tells_backbones_apart(
        Controls(reference=reference, twin=twin, shortcut=shortcut, shuffled=shuffled, recorded=recorded)
    )
    patients = Comparison(candidate=reference, reference=shuffled).patient_piece
    assert patients is not None
    spread = Piece(variance=float(np.var(shuffled.by_seed, ddof=1)) / 20, degrees=19)
    bound = combine(reference.mean - shuffled.mean, [patients, spread, recorded])
    hidden = Comparison(candidate=reference, reference=shuffled).score_bound
    assert hidden is not None
    lower = min(bound.lower(0.05), replace(hidden, bound=bound).lower(0.05))
    if (mover := Comparison(candidate=reference, reference=shuffled).mover) is not None:
        lower = min(lower, replace(mover, candidate=auc_of(reference, recorded)).lower(0.05))
    [line] = [line for line in told.text.splitlines() if "against shuffled labels" in line]
    assert f"[{lower:+.4f}, " in line


def test_headroom_counts_the_seeds_of_both_backbones() -> None:
    """Another backbone as good has as much variance from its seeds as the reference."""
    record = Piece(variance=1e-4, degrees=9)
    told = tells_backbones_apart(controls(recorded=record))
    patients = own_piece(controls().reference)
    assert patients is not None
    pieces = [Piece(variance=0.4 * patients.variance, degrees=149), Piece(variance=2e-4, degrees=9)]
    assert f"more than the {smallest_detectable(combine(0.0, pieces), 0.05):.4f} that could be shown" in told.text


def test_chance_is_looked_for_in_the_99_percent_interval_of_the_shuffles() -> None:
    values = controls().shuffled.by_seed
    half = 2.8609 * float(np.std(values, ddof=1)) / math.sqrt(20)  # t(.995, 19)
    mean = float(np.mean(values))
    assert (
        f"[{mean - half:.4f}, {mean + half:.4f}], to hold chance, 0.5, at 99 %"
        in tells_backbones_apart(controls()).text
    )


def test_one_shuffle_is_too_few_whatever_is_on_record() -> None:
    told = tells_backbones_apart(controls(shuffles=1, recorded=Piece(variance=1e-5, degrees=9)))
    assert (told.outcome, told.reason) == ("inconclusive", "shuffled labels not settled")
    assert "training randomness not measured: good-data.shuffled-knn ran at one seed" in told.text


def test_the_rows_of_the_catalogue_say_what_is_on_record() -> None:
    known = SeedVariance(variance=2e-4, degrees=9, source="ten runs")
    row = RegimeSpec(
        name="tuned", settings=KnnSettings(), seeded=True, tolerance=0.0, metric_tolerance=0.0, summary="",
        seed_variances={"br35h": known},
    )  # fmt: skip
    registry = Registry()
    registry.register(row)
    cells = [Cell("mobilenetv2", dataset, regime) for dataset in ("br35h", "ddsm") for regime in ("tuned", "knn")]
    assert seed_variances(cells, registry) == {("br35h", "tuned"): Piece(variance=2e-4, degrees=9)}


CONFTEST = """
from pytest_fmtransfer.catalog.regime_settings import KnnSettings
from pytest_fmtransfer.catalog.regime_specs import RegimeSpec, SeedVariance


def pytest_fmtransfer_register(registry):
    registry.register(
        RegimeSpec(
            name="tuned", settings=KnnSettings(), seeded=True, tolerance=0.0, metric_tolerance=0.0, summary="",
            seed_variances={
                "ddsm": SeedVariance(variance=1e-5, degrees=9, source="ten runs"),
                "br35h": SeedVariance(variance=BR35H, degrees=9, source="ten runs"),
            },
        )
    )
"""
SUITE = """
import pytest

from pytest_fmtransfer.judge.compound import consistently_better


@pytest.mark.fm_cells(
    backbones=["mobilenetv2"], datasets=["ddsm", "br35h"], regimes=["tuned"], reference="{backbone}.random",
    over="datasets",
)
@pytest.mark.fm_claim(family_size=1)
def test_everywhere(candidates, references):
    assert consistently_better(candidates, references)


@pytest.mark.fm_cells(backbones=["mobilenetv2"], datasets=["br35h"], regimes=["tuned"])
def test_it_tells(controls):
    assert controls.tell_backbones_apart()
"""
SIGNALS = {
    "mobilenetv2-ddsm": 2.0,
    "mobilenetv2.random-ddsm": 0.1,
    "mobilenetv2-br35h": 1.5,
    "mobilenetv2.random-br35h": 0.1,
    "shortcut.metadata-br35h": 0.0,
    "mobilenetv2-br35h.shuffled": 0.0,
}


@pytest.mark.parametrize(("variance", "outcomes"), [(1e-5, {"passed": 2}), (0.09, {"failed": 2})])
def test_a_suite_is_judged_by_what_its_catalogue_has_on_record(
    pytester: pytest.Pytester, variance: float, outcomes: dict[str, int]
) -> None:
    for seed, (name, signal) in enumerate(SIGNALS.items()):
        known = as_declared(f"{name}-knn", signal, seed=seed)
        tuned = replace(
            known, cell=Cell.parse(f"{name}-tuned"), question=replace(known.question, regime="tuned"), seeded=True
        )
        Baselines(folder=pytester.path / "out").write(tuned)
    pytester.makeconftest(CONFTEST.replace("BR35H", str(variance)))
    pytester.makepyfile(test_suite=SUITE)
    pytester.runpytest("--fm-collect=out", "--fm-report=json:r.json").assert_outcomes(**outcomes)
    claims = json.loads((pytester.path / "r.json").read_text())["claims"]
    assert not any("training randomness not measured" in claim["reason"] for claim in claims)
