"""What a claim can show before it is measured: laws, the wording, and simulations of the assumed errors.

Legend: P patients, S simulated samples, C classes.
"""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import cohen_kappa_score

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.bounds import Piece, combine, patient_piece
from pytest_fmtransfer.judge.compound import consistently_better
from pytest_fmtransfer.judge.court import Court, judging
from pytest_fmtransfer.judge.foresight import Foresight, Sample, assumed_piece, from_assumption, from_pair, weakest
from pytest_fmtransfer.judge.power import POWER, shared_power
from pytest_fmtransfer.judge.settling import IF_ALIKE
from pytest_fmtransfer.judge.verdicts import beats, equivalent_to
from pytest_fmtransfer.metrics import evaluate
from tests.helpers import CANDIDATE, LAWS, REFERENCE, labels_of, pair_on, result, retrained, sides, two_columns

METRICS = ("roc_auc", "accuracy", "balanced_accuracy", "macro_recall", "quadratic_kappa")


def sample(*by_class: int, metric: str = "roc_auc", margin: float = 0.03) -> Sample:
    return Sample(
        metric=metric,
        margin=margin,
        patients=sum(by_class),
        by_class={f"class{label}": count for label, count in enumerate(by_class)},
        patient_unit="patient",
    )


def detectable(of: Sample, family_size: int = 1, power: float = POWER) -> float:
    found = from_assumption("beats", of, Court(family_size=family_size), power=power).detectable
    assert found is not None
    return found


@given(st.sampled_from(METRICS), st.integers(3, 400), st.integers(3, 400), st.integers(1, 20), st.integers(2, 5))
@LAWS
def test_more_patients_show_less_and_more_claims_show_more(
    metric: str, negatives: int, positives: int, family: int, more: int
) -> None:
    few, many = (sample(negatives * times, positives * times, metric=metric) for times in (1, more))
    assert detectable(many, family) < detectable(few, family) < detectable(few, family * more)


@given(st.sampled_from(METRICS), st.floats(0.0, 0.9), st.floats(0.01, 0.09))
@LAWS
def test_backbones_that_agree_more_differ_less(metric: str, correlation: float, more: float) -> None:
    loose, close = (
        assumed_piece(sample(40, 60, metric=metric), 0.85, each) for each in (correlation, correlation + more)
    )
    assert loose is not None
    assert close is not None
    simulated = 1.02 if metric == "quadratic_kappa" else 1.0  # by that much a variance is off
    assert close.variance < simulated * loose.variance


@given(st.floats(0.5, 0.9), st.floats(0.01, 0.09))
@LAWS
def test_more_power_shows_more(power: float, more: float) -> None:
    assert detectable(sample(40, 60), power=power) < detectable(sample(40, 60), power=power + more)


@pytest.mark.parametrize("counts", [(60, 60), (79, 126)])
def test_the_stated_difference_is_found_with_the_stated_power(counts: tuple[int, int]) -> None:
    """Binormal scores correlated .8, AUC .85 against .85 and the detectable difference, two claims in the family."""
    court, trials = Court(family_size=2), 1000
    shift_2 = [math.sqrt(2) * norm.ppf(auc) for auc in (0.85, 0.85 + detectable(sample(*counts), 2))]
    found = sum(bound.lower(court.level) > 0 for bound in simulated(counts, shift_2, trials))
    assert 0.8 - 3 * math.sqrt(0.8 * 0.2 / trials) <= found / trials <= 0.92


def test_the_assumed_error_of_an_auc_is_the_simulated_one() -> None:
    shift = math.sqrt(2) * norm.ppf(0.85)
    effects = [bound.effect for bound in simulated((79, 126), [shift, shift], 1000)]
    assumed = assumed_piece(sample(79, 126), 0.85, 0.8)
    assert assumed is not None
    assert np.std(effects) == pytest.approx(math.sqrt(assumed.variance), rel=0.06)


def simulated(counts: tuple[int, int], shift_2: list[float], trials: int):
    """Bounds of the difference of two AUCs of scores whose classes lie so far apart."""
    rng, label_P = np.random.default_rng(0), labels_of(*counts)
    patients_P = np.arange(len(label_P)).astype(np.str_)
    for _ in range(trials):
        common_P = math.sqrt(0.8) * rng.normal(size=len(label_P))
        score_2P = common_P + math.sqrt(0.2) * rng.normal(size=(2, len(label_P))) + np.outer(shift_2, label_P)
        old, new = (evaluate("roc_auc", label_P, two_columns(score_P)) for score_P in score_2P)
        piece = patient_piece(new.influence_N - old.influence_N, new.stratum_N, patients_P)
        yield combine(new.value - old.value, [piece])


def hits(counts: tuple[int, ...], samples: int) -> NDArray[np.bool_]:
    """Correct or not, 2 × S × P, right with chance .85 through latent normals correlated .8."""
    rng, size = np.random.default_rng(0), (samples, sum(counts))
    latent_2SP = math.sqrt(0.8) * rng.normal(size=size) + math.sqrt(0.2) * rng.normal(size=(2, *size))
    return latent_2SP < norm.ppf(0.85)


def test_the_assumed_errors_of_shares_are_the_simulated_ones() -> None:
    counts = (20, 50, 130)
    difference_SP = np.diff(hits(counts, 2000).astype(float), axis=0)[0]
    recall_SC = np.stack([part.mean(axis=1) for part in np.split(difference_SP, np.cumsum(counts)[:-1], axis=1)], 1)
    for metric, effect_S in (("accuracy", difference_SP.mean(axis=1)), ("macro_recall", recall_SC.mean(axis=1))):
        assumed = assumed_piece(sample(*counts, metric=metric), 0.85, 0.8)
        assert assumed is not None
        assert np.std(effect_S) == pytest.approx(math.sqrt(assumed.variance), rel=0.06)


def test_the_assumed_error_of_quadratic_kappa_is_the_simulated_one() -> None:
    """Five grades cut from latent normals: both graders see the truth through noise that is correlated .8."""
    rng, cuts, patients = np.random.default_rng(0), norm.ppf([0.5, 0.6, 0.8, 0.92]), 500
    kappas: list[list[float]] = []
    for _ in range(300):
        truth_P = rng.normal(size=patients)
        noise_2P = math.sqrt(0.8) * rng.normal(size=patients) + math.sqrt(0.2) * rng.normal(size=(2, patients))
        grades = [np.searchsorted(cuts, (truth_P + 0.4 * noise_P) / math.hypot(1, 0.4)) for noise_P in noise_2P]
        truth = np.searchsorted(cuts, truth_P)
        kappas.append([cohen_kappa_score(truth, grade, weights="quadratic") for grade in grades])
    assumed = assumed_piece(sample(250, 50, 100, 60, 40, metric="quadratic_kappa"), float(np.mean(kappas)), 0.8)
    assert assumed is not None
    assert np.std(np.diff(kappas)) == pytest.approx(math.sqrt(assumed.variance), rel=0.1)


def test_a_large_sample_settles_and_a_small_one_says_how_many_would() -> None:
    large = from_assumption("beats", sample(2000, 2000), Court())
    assert (large.settled, large.answer) == (True, "can be settled")
    small = from_assumption("beats", sample(79, 126), Court(family_size=2))
    assert not small.settled
    assert small.answer == "underpowered: 633 patients would settle 0.03"
    assert small.source == "assumed: roc_auc 0.85 in both, scores correlated 0.8"
    enough = 633 / 205
    grown = from_assumption("beats", sample(math.ceil(79 * enough), math.ceil(126 * enough)), Court(family_size=2))
    assert grown.detectable == pytest.approx(0.03, rel=0.005)


def test_a_class_that_is_too_small_is_named() -> None:
    found = from_assumption("beats", sample(12, 3000), Court())
    assert found.answer == "not enough patients to tell: class 'class0' has 12 in the test side, beats needs 20"
    assert not found.settled
    assert from_assumption("not_worse_than", sample(30, 3000), Court()).answer.endswith("not_worse_than needs 50")
    assert from_assumption("beats", sample(1, 50), Court()).detectable is None


def test_a_metric_without_a_rule_is_not_guessed_at() -> None:
    with pytest.raises(InvalidInput, match="the error of mean_roc_auc is not known before a pair of results is"):
        from_assumption("beats", sample(60, 60, metric="mean_roc_auc"), Court())


def test_a_pair_foretells_what_its_verdict_says() -> None:
    candidate, reference = result(CANDIDATE, 1.5, seed=1), result(REFERENCE, 1.4, seed=2)
    court = Court(family_size=3)
    found = from_pair("beats", candidate, reference, court)
    with judging(court):
        verdict = beats(candidate, reference)
    assert found.detectable == verdict.detectable
    assert found.answer.removeprefix("underpowered: ").split(" would")[0] in verdict.text
    assert found.source == f"this pair, from computed; {IF_ALIKE}"
    assert IF_ALIKE in verdict.text


def test_a_pair_from_two_places_says_so() -> None:
    candidate, reference = result(CANDIDATE, 1.5, seed=1), replace(result(REFERENCE, 1.4), origin="baseline")
    found = from_pair("beats", candidate, reference, Court())
    assert found.source == f"this pair, from computed and baseline; {IF_ALIKE}"


def test_a_seeded_pair_at_one_seed_is_not_settled_unless_its_variance_is_on_record() -> None:
    pair = retrained(CANDIDATE, 1.5), retrained(REFERENCE, 1.4)
    found = from_pair("beats", *pair, Court())
    assert found.answer.startswith("training randomness not measured")
    assert not found.settled
    recorded = from_pair("beats", *pair, Court(seed_variances={("data", "knn"): Piece(variance=1e-4, degrees=9)}))
    assert recorded.answer.startswith("underpowered")
    assert recorded.detectable > found.detectable


def test_noisy_seeds_ask_for_seeds() -> None:
    found = from_pair("beats", retrained(CANDIDATE, 0.5, 2.5), retrained(REFERENCE, 1.4, 1.4), Court())
    assert re.search(
        r"underpowered: more seeds, and at least \d+ patients where there are \d+, would settle", found.answer
    )


def test_two_results_on_other_images_are_no_pair() -> None:
    with pytest.raises(InvalidInput, match="not scored on the same images"):
        from_pair("beats", result(CANDIDATE, 1.5), result(REFERENCE, 1.4, dataset_fingerprint="other"), Court())


def test_equivalence_needs_both_of_its_tests() -> None:
    one, both = (from_assumption(kind, sample(400, 400), Court()) for kind in ("not_worse_than", "equivalent_to"))
    assert both.detectable == pytest.approx(detectable(sample(400, 400), power=0.9))
    assert both.detectable > one.detectable


def test_what_would_settle_it_counts_the_power_that_the_claim_needs() -> None:
    """AUC .85 in both: with V patients' variance, P V (z(.95) + z(power))² / .03² of them, a few more by t."""
    few = sample(79, 126)
    piece = assumed_piece(few, 0.85, 0.8)
    assert piece is not None
    for kind, asked, needed in (("beats", 0.8, 0.8), ("beats", 0.8**0.5, 0.8**0.5), ("equivalent_to", 0.8, 0.9)):
        quantiles = norm.ppf(0.95) + norm.ppf(needed)
        enough = math.ceil(205 * piece.variance * (quantiles / 0.03) ** 2)
        found = from_assumption(kind, few, Court(), power=asked)
        told = re.fullmatch(r"underpowered: (\d+) patients would settle 0\.03", found.answer)
        assert told is not None
        assert enough < int(told[1]) < 1.015 * enough


def test_a_pair_foretells_the_patients_that_its_verdict_asks_for() -> None:
    """Of equivalence within the dataset's margin, and of each part of a claim over two datasets."""
    one, other = (pair_on(at, 0.05, patients=60, seed=10 * at) for at in (1, 2))
    same = equivalent_to(*one)
    assert same.outcome == "inconclusive"
    assert patients_in(from_pair("equivalent_to", *one, Court()).answer) == patients_in(same.settle)
    both = consistently_better(*sides(one, other))
    parts = [from_pair("beats", *pair, Court(), power=shared_power(2)) for pair in (one, other)]
    assert both.outcome == "inconclusive"
    assert patients_in(both.settle) in [patients_in(part.answer) for part in parts]


def patients_in(told: str) -> int:
    found = re.search(r"(\d+) patients", told)
    assert found is not None
    return int(found[1])


def test_the_weakest_part_speaks_for_the_whole() -> None:
    strong, weak = (from_assumption("beats", sample(n, n), Court()) for n in (5000, 100))
    unknown = Foresight(detectable=None, settled=False, answer="absent", source="")
    assert weakest([strong, weak]) == weak
    assert weakest([strong, unknown, weak]) == unknown
