"""Where no patient shows any variance, a verdict takes nothing for certain: two perfect cells, above all.

Legend: N images, C classes or labels, S seeds.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pytest_fmtransfer.judge.bounds import Bound, Piece, combine, unseen_share
from pytest_fmtransfer.judge.comparison import MOVED_TIMES, Comparison, influence_of
from pytest_fmtransfer.judge.compound import consistently_better, not_consistently_better, ranks_above
from pytest_fmtransfer.judge.controls import Controls, tells_backbones_apart
from pytest_fmtransfer.judge.court import Court, Verdict, judging
from pytest_fmtransfer.judge.foresight import from_pair
from pytest_fmtransfer.judge.intervals import interval
from pytest_fmtransfer.judge.power import smallest_detectable
from pytest_fmtransfer.judge.published import Published, above_published, consistent_with
from pytest_fmtransfer.judge.reading import UNBOUNDED
from pytest_fmtransfer.judge.settling import patients_to_settle
from pytest_fmtransfer.judge.verdicts import beats, equivalent_to, not_worse_than
from pytest_fmtransfer.metrics import METRICS, evaluate
from pytest_fmtransfer.results import Result
from tests.helpers import (
    CANDIDATE,
    LAWS,
    REFERENCE,
    Sides,
    labels_of,
    make_result,
    noisy_scores,
    pair_on,
    result,
    sides,
)
from tests.metric_samples import FEWER, Sample, samples
from tests.strategies import levels, margins

OF_CLASSES = ["accuracy", "balanced_accuracy", "macro_recall", "macro_f1", "quadratic_kappa", "linear_kappa"]
BOUNDED = ["roc_auc", "roc_auc_ovo", "roc_auc_ovr", *OF_CLASSES]
NEAR = Published(value=0.99, source="Somebody 2020, table 1")
SURE = 2000.0  # scores so far apart that the probability of the right class is 1


def perfect_pair(*counts: int, metric: str = "roc_auc", **more: Any) -> tuple[Result, Result]:
    """Both right about every image, with other scores."""
    labels_N = labels_of(*counts)
    scores_NC = np.eye(len(counts))[labels_N]
    one, other = scores_NC + noisy_scores(labels_N, 0.0, seed=0, classes=len(counts)) / 100, 3 * scores_NC
    fields: dict[str, Any] = {"metric": metric, **more}
    return make_result(CANDIDATE, labels_N, one, **fields), make_result(REFERENCE, labels_N, other, **fields)


def multiples(labels_N: NDArray[Any], scores: NDArray[Any], by: float = 1.0, **more: Any) -> tuple[Result, Result]:
    """The same scores `by` times and twice as many times: the same order and the same classes."""
    one, other = (make_result(f"{name}-b-c", labels_N, k * scores, **more) for name, k in (("a", by), ("d", 2 * by)))
    return one, other


def limits_of(verdict: Verdict) -> tuple[float, float]:
    assert verdict.lower is not None
    assert verdict.upper is not None
    return verdict.lower, verdict.upper


def hidden(patients: int, alpha: float = 0.05, metric: str = "roc_auc") -> float:
    """What so many of the smallest class can hide."""
    return 1 - alpha ** (MOVED_TIMES.get(metric, 1) / patients)


@pytest.mark.parametrize("metric", BOUNDED)
@pytest.mark.parametrize(
    ("judge", "fewest"),
    [(beats, 24), (not_worse_than, 50), (equivalent_to, 50)],
    ids=["beats", "not_worse_than", "equivalent_to"],
)
def test_two_perfect_cells_are_not_taken_for_equal(metric: str, judge: Callable[..., Verdict], fewest: int) -> None:
    verdict = judge(*perfect_pair(fewest, fewest, metric=metric))
    assert (verdict.outcome, verdict.effect, verdict.reason) == ("inconclusive", 0, "")
    assert limits_of(verdict) == pytest.approx((-hidden(fewest, metric=metric), hidden(fewest, metric=metric)))


@pytest.mark.parametrize("metric", OF_CLASSES)
def test_two_cells_that_err_alike_are_not_taken_for_equal(metric: str) -> None:
    """Every image is taken for the same class by both, one in four for a wrong one."""
    labels_N = labels_of(60, 60, 60)
    taken_N = np.where(np.arange(180) % 4 == 0, (labels_N + 1) % 3, labels_N)
    verdict = equivalent_to(*multiples(labels_N, np.eye(3)[taken_N], metric=metric))
    assert (verdict.outcome, verdict.effect) == ("inconclusive", 0)
    assert limits_of(verdict)[0] == pytest.approx(-hidden(60, metric=metric))


def test_two_cells_that_rank_alike_are_not_taken_for_equal() -> None:
    labels_N = labels_of(60, 60)
    verdict = beats(*multiples(labels_N, noisy_scores(labels_N, 1.0, seed=0)))
    assert (verdict.outcome, limits_of(verdict)[1]) == ("inconclusive", pytest.approx(hidden(60)))


def test_of_several_labels_the_rarest_is_what_bounds_the_difference() -> None:
    labels_NC = np.random.default_rng(0).integers(0, 2, (400, 3))
    labels_NC[:, 2] = np.arange(400) < 55
    pair = multiples(labels_NC, labels_NC, metric="mean_roc_auc", classes=("edema", "fracture", "rare"))
    verdict = not_worse_than(*pair)
    assert (verdict.outcome, limits_of(verdict)[0]) == ("inconclusive", pytest.approx(-hidden(55)))
    assert not_worse_than(*pair, 0.06)


@pytest.mark.parametrize("metric", BOUNDED)
def test_patients_enough_show_that_nothing_is_lost(metric: str) -> None:
    """At .05 and a margin of .02, 149 of the smallest class, or twice as many where a share of them moves more."""
    enough = math.ceil(MOVED_TIMES.get(metric, 1) * math.log(0.05) / math.log(0.98))
    for judge in (not_worse_than, equivalent_to):
        assert judge(*perfect_pair(enough, 2 * enough, metric=metric), 0.02)
        assert judge(*perfect_pair(enough - 1, 2 * enough, metric=metric), 0.02).outcome == "inconclusive"
    assert beats(*perfect_pair(enough, enough, metric=metric)).outcome == "inconclusive"


@pytest.mark.parametrize("metric", OF_CLASSES)
def test_equal_scores_are_equal_in_every_population(metric: str) -> None:
    one = perfect_pair(60, 60, metric=metric)[0]
    outcomes = [judge(one, one).outcome for judge in (beats, not_worse_than, equivalent_to)]
    assert outcomes == ["refuted", "supported", "supported"]


@pytest.mark.parametrize("metric", UNBOUNDED)
def test_a_metric_that_one_patient_can_ruin_is_bounded_by_no_number_of_them(metric: str) -> None:
    labels_N = labels_of(500, 500)
    pair = multiples(labels_N, np.eye(2)[labels_N], SURE, metric=metric)
    for verdict in (beats(*pair), not_worse_than(*pair), consistent_with(pair[0], NEAR, 0.1)):
        assert (verdict.outcome, verdict.p) == ("inconclusive", None)
        named = pair[0].metric_of  # average precision is of one class
        assert verdict.reason == f"no patient shows any variance, and few that were not drawn could move {named} far"
        assert len(repr(verdict)) <= 120
    assert beats(pair[0], pair[0]).outcome == "refuted"
    assert interval(pair[0]) is None


@pytest.mark.parametrize("metric", ["brier", "expected_calibration_error"])
def test_two_sure_and_right_cells_are_not_taken_for_equal(metric: str) -> None:
    labels_N = labels_of(60, 60)
    pair = multiples(labels_N, np.eye(2)[labels_N], SURE, metric=metric)
    assert limits_of(equivalent_to(*pair)) == pytest.approx((-hidden(60), hidden(60)))
    assert interval(pair[0]) == (0.0, pytest.approx(hidden(60, 0.025)))


def test_a_variance_that_is_rounding_is_none() -> None:
    """The same three runs in another order, whose mean differs in the last digit."""
    labels_N = labels_of(60, 60)
    scores_SNC = np.stack([noisy_scores(labels_N, signal, seed=7) for signal in (0.3, 1.0, 1.7)])
    one, other = (
        make_result(f"{name}-b-c", labels_N, scores_SNC[order], seeded=True)
        for name, order in (("a", [0, 1, 2]), ("d", [1, 2, 0]))
    )
    one_N, other_N = influence_of(one), influence_of(other)
    assert one_N is not None
    assert other_N is not None
    rounding_N = one_N - other_N
    assert 0 < np.abs(rounding_N).max() < 1e-15
    assert Comparison(candidate=one, reference=other).patient_piece == Piece(variance=0.0, degrees=59, alike=60)


def test_one_image_that_differs_is_a_variance() -> None:
    labels_N = labels_of(60, 60)
    other_NC = np.eye(2)[labels_N]
    other_NC[0] = other_NC[0, ::-1]
    piece = Comparison(
        candidate=make_result(CANDIDATE, labels_N, np.eye(2)[labels_N]),
        reference=make_result(REFERENCE, labels_N, other_NC),
    ).patient_piece
    assert piece is not None
    assert (piece.alike, piece.variance > 0) == (0, True)


def two_by_turns(metric: str = "accuracy", images: int = 60) -> tuple[Result, Result]:
    """Two seeds each, one right about all and one wrong about a third, in opposite order: on the mean none differs."""
    labels_N = labels_of(images, images)
    right_NC = np.eye(2)[labels_N]
    wrong_NC = np.where((np.arange(2 * images) % 3 == 0)[:, None], right_NC[:, ::-1], right_NC)
    return (
        make_result(CANDIDATE, labels_N, np.stack([right_NC, wrong_NC]), seeded=True, metric=metric),
        make_result(REFERENCE, labels_N, np.stack([wrong_NC, right_NC]), seeded=True, metric=metric),
    )


@pytest.mark.parametrize("metric", ["accuracy", "quadratic_kappa", "roc_auc"])
def test_seeds_and_what_patients_may_hide_both_count(metric: str) -> None:
    pair = two_by_turns(metric)
    comparison = Comparison(candidate=pair[0], reference=pair[1])
    seeds = combine(0.0, list(comparison.seed_pieces))
    assert seeds.standard_error > 0
    both = math.hypot(seeds.upper(0.05), hidden(60, metric=metric))
    assert limits_of(beats(*pair)) == pytest.approx((-both, both))
    assert f"standard error {seeds.standard_error:.4f} of the seeds" in beats(*pair).text


def test_steady_seeds_do_not_make_two_perfect_cells_certain() -> None:
    labels_N = labels_of(24, 24)
    scores_SNC = np.stack([np.eye(2)[labels_N]] * 3)
    assert beats(*multiples(labels_N, scores_SNC, seeded=True)).outcome == "inconclusive"


def with_perfect(*gains: float) -> Sides:
    """Two perfect cells on one dataset, and others on others."""
    perfect = [
        make_result(f"{name}-data9-knn", one.labels_N, one.scores_SNC, dataset_fingerprint="9" * 8)
        for name, one in zip(("new.model", "old.model"), perfect_pair(60, 60), strict=True)
    ]
    return sides((perfect[0], perfect[1]), *(pair_on(place, gain) for place, gain in enumerate(gains)))


def test_two_perfect_cells_leave_a_claim_over_datasets_open() -> None:
    whole, opposite = consistently_better(*with_perfect(0.8)), not_consistently_better(*with_perfect(0.8))
    assert (whole.outcome, opposite.outcome) == ("inconclusive", "inconclusive")
    assert (whole.p, opposite.p) == (1, 1)
    assert limits_of(whole) == pytest.approx((-hidden(60), hidden(60)))
    assert whole.settle.endswith("for a true difference of 0.02, on new.model-data9-knn")


def test_a_dataset_that_refutes_a_claim_does_so_beside_two_perfect_cells() -> None:
    opposite = not_consistently_better(*with_perfect(-0.6))
    assert opposite.p is not None
    assert (bool(opposite), opposite.p < 0.05) == (True, True)


def test_a_ranking_of_perfect_cells_is_open() -> None:
    assert ranks_above(*perfect_pair(60, 60)).outcome == "inconclusive"


def test_the_line_and_the_text_say_what_bounds_the_difference() -> None:
    with judging(Court(family_size=2)):
        verdict = beats(*perfect_pair(24, 24))
    half, hidden_error = hidden(24, 0.025), math.sqrt(hidden(24, 0.025) / 24)
    shown = smallest_detectable(Bound(effect=0.0, standard_error=hidden_error, degrees=23), 0.025)
    assert repr(verdict) == (
        f"inconclusive: Δ +0.0000, 95 % interval [-{half:.4f}, +{half:.4f}], smallest detectable {shown:.4f}"
    )
    assert shown > half
    assert (
        "bound: exact at one-sided level 0.025 (0.05 over 2 declared claims), by the share of the smallest class that "
        "may differ though no patient shows any variance; supported when the lower limit is above 0"
    ) in verdict.text
    assert "standard error" not in verdict.text
    assert "underpowered" in verdict.text


def test_the_patients_that_would_settle_it_settle_it() -> None:
    """As many as are asked for can show the margin, whether told by the verdict or before it."""
    pair = perfect_pair(24, 24)
    asked = re.search(r"(\d+) to (\d+) patients", beats(*pair).settle)
    assert asked is not None
    enough = int(asked[1])
    assert f"underpowered: {asked[0]} would settle 0.02" == from_pair("beats", *pair, Court()).answer
    shown = [beats(*perfect_pair(each, each)).detectable for each in (math.ceil(enough / 2), 9 * enough // 20)]
    assert all(each is not None for each in shown)
    assert shown == [pytest.approx(0.02, rel=0.04), pytest.approx(0.02 / 0.9, rel=0.04)]


def test_what_was_missed_falls_with_the_square_of_the_patients() -> None:
    few, many = (
        patients_to_settle(patients=100, piece=Piece(variance=0.0, degrees=1e6, alike=each), delta=0.02, alpha=0.05)
        for each in (40, 20)
    )
    assert few is not None
    assert many == pytest.approx(2 * few, abs=2)


def test_a_perfect_result_is_not_certain_beside_a_published_number() -> None:
    ours = perfect_pair(60, 60)[0]
    unsure = unseen_share(30, 0.05)  # theirs has as many patients and may hide as much
    verdict = consistent_with(ours, NEAR, 0.02)
    assert (verdict.outcome, limits_of(verdict)[0] < 0.01 - unsure) == ("inconclusive", True)
    assert limits_of(verdict)[1] > 0.01 + unsure
    assert "exact, by the share of the smallest class" in verdict.text
    assert above_published(ours, NEAR).outcome == "inconclusive"
    assert consistent_with(perfect_pair(1200, 1200)[0], NEAR, 0.02)


def test_a_perfect_accuracy_has_an_interval() -> None:
    ours = perfect_pair(60, 60, metric="accuracy")[0]
    assert interval(ours) == (pytest.approx(1 - hidden(60, 0.025)), 1.0)


def test_a_perfect_reference_has_no_headroom() -> None:
    labels_N = labels_of(150, 150)
    perfect = make_result("good-data-knn", labels_N, np.eye(2)[labels_N])
    shuffles_SNC = np.stack([noisy_scores(labels_N, 0.0, seed=seed) for seed in range(20)])
    verdict = tells_backbones_apart(
        Controls(
            reference=perfect,
            twin=result("good.random-data-knn", 0.3, counts=(150, 150)),
            shortcut=result("shortcut.metadata-data-knn", 0.3, counts=(150, 150)),
            shuffled=make_result("good-data.shuffled-knn", labels_N, shuffles_SNC, seeded=True),
        )
    )
    assert (verdict.outcome, verdict.reason) == ("refuted", "no headroom")


@LAWS
@given(st.integers(50, 400), levels, margins)
def test_the_interval_and_p_agree_with_the_verdict(fewest: int, court: Court, margin: float) -> None:
    pair = perfect_pair(fewest, fewest + 10, metric="macro_recall")
    with judging(court):
        verdicts = beats(*pair), not_worse_than(*pair, margin), equivalent_to(*pair, margin)
    for verdict, threshold in zip(verdicts, (0.0, -margin, -margin), strict=True):
        assert verdict.outcome == ("supported" if limits_of(verdict)[0] > threshold else "inconclusive")
        assert verdict.p is not None
        assert (verdict.p < court.level) == bool(verdict) or verdict.p == pytest.approx(court.level, rel=1e-6)


@LAWS
@given(
    st.floats(-1, 1),
    st.floats(1e-4, 1) | st.just(0.0),
    st.floats(1, 1e5),
    st.floats(10, 1e5),
    st.floats(-1, 1),
    st.floats(1e-4, 0.499),
)
def test_p_values_invert_the_limits(
    effect: float, error: float, degrees: float, alike: float, threshold: float, alpha: float
) -> None:
    bound = Bound(effect=effect, standard_error=error, degrees=degrees, alike=alike)
    above, refuting = bound.p_above(threshold), bound.p_refuting(threshold)
    assume(min(abs(above - alpha), abs(refuting - alpha)) > 1e-9)
    assert (bound.lower(alpha) > threshold) == (above < alpha)
    assert (bound.upper(alpha) < threshold) == (refuting < alpha)


def test_the_share_that_was_missed_is_clopper_and_pearsons() -> None:
    assert (1 - unseen_share(48, 0.05)) ** 48 == pytest.approx(0.05)
    assert unseen_share(3000, 0.05) == pytest.approx(0.001, rel=0.01)


def test_a_part_without_variance_takes_the_fewest_patients() -> None:
    pieces = [Piece(variance=0.0, degrees=29, alike=30), Piece(variance=0.0, degrees=19, alike=20)]
    assert combine(0.0, pieces) == Bound(effect=0.0, standard_error=0.0, degrees=19, alike=20)


def moved(metric: str, sample: Sample, images: list[int], to: NDArray[np.float64]) -> float:
    scores_NC = sample.scores_NC.copy()
    scores_NC[images] = to
    one, other = (evaluate(metric, sample.labels, each_NC).value for each_NC in (sample.scores_NC, scores_NC))
    return abs(one - other)


@pytest.mark.parametrize("metric", sorted(METRICS.keys() - set(UNBOUNDED)))
@FEWER
@given(st.data())
def test_patients_move_a_metric_by_no_more_than_their_share_of_the_smallest_class(
    metric: str, data: st.DataObject
) -> None:
    """By so many times their share as is said of the metric, where at least two classes have images."""
    sample = data.draw(samples(metric, fewest=4, with_each=4))
    several = sample.labels.ndim > 1
    bears_NC = sample.labels == 1 if several else np.eye(sample.scores_NC.shape[1])[sample.labels] == 1
    counts = [*bears_NC.sum(axis=0), *((sample.labels == 0).sum(axis=0) if several else [])]
    fewest = min((count for count in counts if count), default=0)
    assume(fewest >= 4)
    assume(several or np.count_nonzero(counts) > 1)
    classes = sample.scores_NC.shape[1]
    images = data.draw(st.lists(st.integers(0, len(sample) - 1), min_size=1, max_size=2, unique=True))
    to = np.array(data.draw(st.lists(st.integers(-9, 9), min_size=classes, max_size=classes)))
    most = MOVED_TIMES.get(metric, 1) * len(images) / fewest
    assert moved(metric, sample, images, to.astype(np.float64)) <= most * (1 + 1e-9)


def test_every_metric_is_bounded_or_named() -> None:
    assert set(MOVED_TIMES) | set(UNBOUNDED) <= set(METRICS)
    assert not set(MOVED_TIMES) & set(UNBOUNDED)
