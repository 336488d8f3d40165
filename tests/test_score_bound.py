"""Limits where few patients differ: against Wilson's, against the t bound, and at a margin.

Legend: N images, K strata.
"""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest

from pytest_fmtransfer.judge.bounds import Piece, combine, patient_piece, seed_piece, strata_of
from pytest_fmtransfer.judge.comparison import COUNTED, Comparison
from pytest_fmtransfer.judge.court import Court
from pytest_fmtransfer.judge.foresight import from_pair
from pytest_fmtransfer.judge.power import smallest_detectable
from pytest_fmtransfer.judge.reading import Reading
from pytest_fmtransfer.judge.score_bound import MOST_TYPICAL, ScoreBound, Side, score_bound_of
from pytest_fmtransfer.judge.settling import needed_of, rate_of, sources
from pytest_fmtransfer.judge.verdicts import beats, equivalent_to, not_worse_than
from pytest_fmtransfer.results import Result
from tests.helpers import LAWS, labels_of, make_result, noisy_scores

CANDIDATE, REFERENCE = "vits-d-knn", "vitb-d-knn"
METRICS = ("accuracy", "macro_recall", "roc_auc", "quadratic_kappa", "log_loss")

alphas = st.floats(1e-4, 0.4)


def differing(
    classes: tuple[int, ...],
    lost: tuple[int, ...],
    gained: tuple[int, ...] = (),
    metric: str = "macro_recall",
    images: int = 1,
) -> tuple[Result, Result]:
    """A candidate and a reference that names two thirds of each class; so many of each class are lost, and gained.

    Every patient has so many images, all with one fate. Scores are of no two images the same.
    """
    labels_N = labels_of(*classes).repeat(images)
    right_N = np.concatenate([np.arange(size) < 2 * size // 3 for size in classes])
    ours_N, begin = right_N.copy(), 0
    for place, size in enumerate(classes):
        ours_N[begin : begin + lost[place]] = False
        if gained:
            ours_N[begin + size - gained[place] : begin + size] = True
        begin += size
    rng = np.random.default_rng(0)
    pair: list[Result] = []
    for cell, named_N in ((CANDIDATE, ours_N), (REFERENCE, right_N)):
        wrong_N = (labels_N + 1) % len(classes)
        scores_NC = np.eye(len(classes))[np.where(named_N.repeat(images), labels_N, wrong_N)]
        patients_N = np.arange(sum(classes)).repeat(images).astype(np.str_)
        noise_NC = 0.01 * rng.random(scores_NC.shape)
        pair.append(make_result(cell, labels_N, scores_NC + noise_NC, patients_N, metric=metric))
    return pair[0], pair[1]


def bound_of(one: Result, other: Result) -> ScoreBound:
    found = Comparison(candidate=one, reference=other).score_bound
    assert found is not None
    return found


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Result, Result]:
    sizes = tuple(draw(st.lists(st.integers(12, 60), min_size=2, max_size=4)))
    lost, gained = (tuple(draw(st.integers(0, 4)) for _ in sizes) for _ in range(2))
    assume(any(lost + gained))
    metric = draw(st.sampled_from(METRICS[: len(METRICS) if len(sizes) == 2 else 2]))
    return differing(sizes, lost, gained, metric, draw(st.sampled_from([1, 3])))


@LAWS
@given(pairs(), alphas)
def test_its_limits_are_never_inside_those_of_the_t_bound(pair: tuple[Result, Result], alpha: float) -> None:
    found = bound_of(*pair)
    assert found.lower(alpha) <= found.bound.lower(alpha) < found.bound.upper(alpha) <= found.upper(alpha)


@LAWS
@given(pairs(), alphas)
def test_exchanging_the_two_mirrors_the_limits(pair: tuple[Result, Result], alpha: float) -> None:
    there, back = bound_of(*pair), bound_of(*pair[::-1])
    assert back.lower(alpha) == pytest.approx(-there.upper(alpha))
    assert back.p_above(0.01) == pytest.approx(there.p_below(-0.01), abs=1e-9)


@LAWS
@given(pairs(), alphas, st.floats(-0.3, 0.3))
def test_p_values_invert_the_limits(pair: tuple[Result, Result], alpha: float, threshold: float) -> None:
    found = bound_of(*pair)
    above, below = found.p_above(threshold), found.p_below(threshold)
    if abs(above - alpha) > 1e-6:
        assert (found.lower(alpha) > threshold) == (above < alpha)
    if abs(below - alpha) > 1e-6:
        assert (found.upper(alpha) < threshold) == (below < alpha)


@pytest.mark.parametrize("lost", [1, 2, 5, 20])
def test_of_one_class_that_only_loses_the_limit_is_wilsons(lost: int) -> None:
    """With very many patients Student's t is the normal distribution, and few lost are a proportion near 0."""
    drawn, alpha = 20_000, 0.025
    influence_N = np.where(np.arange(drawn) < lost, -1.0, 0.0) / drawn
    influence_N -= influence_N.mean()
    stratum_N, patients_N = np.zeros(drawn, dtype=np.int64), np.arange(drawn).astype(np.str_)
    bound = combine(-lost / drawn, [patient_piece(influence_N, stratum_N, patients_N)])
    found = score_bound_of(bound, influence_N, strata_of(stratum_N, patients_N))
    assert found is not None
    wilson = binomtest(lost, drawn).proportion_ci(1 - 2 * alpha, method="wilson")
    assert -found.lower(alpha) == pytest.approx(wilson.high, rel=2e-3)


def test_with_many_that_differ_both_ways_the_t_bound_is_left() -> None:
    found = bound_of(*differing((3_000, 3_000), (400, 400), (400, 400)))
    for alpha in (0.05, 0.0025):
        assert found.lower(alpha) == pytest.approx(found.bound.lower(alpha), abs=2e-4)
        assert found.upper(alpha) == pytest.approx(found.bound.upper(alpha), abs=2e-4)


def test_a_loss_widens_the_lower_limit_and_a_gain_the_upper_one() -> None:
    def beyond(pair: tuple[Result, Result]) -> tuple[float, float]:
        found = bound_of(*pair)
        return found.bound.lower(0.05) - found.lower(0.05), found.upper(0.05) - found.bound.upper(0.05)

    down, up = beyond(differing((200, 200), (8, 8)))
    assert down > 2 * up > 0
    assert beyond(differing((200, 200), (0, 0), (8, 8))) == pytest.approx((up, down), rel=1e-6)


@pytest.mark.parametrize("metric", ["macro_recall", "accuracy"])
def test_one_patient_lost_of_two_hundred_is_no_proof_of_a_loss_below_one_in_fifty(metric: str) -> None:
    """Where one in fifty is lost, one sample of eleven has one or none: a t bound called that "not worse" then."""
    pair = differing((100, 100), (1, 0), metric=metric)
    verdict, comparison = not_worse_than(*pair, margin=0.02), Comparison(candidate=pair[0], reference=pair[1])
    assert comparison.bound is not None
    assert comparison.bound.lower(0.05) > -0.02
    assert verdict.outcome == "inconclusive"
    assert verdict.p is not None
    assert verdict.p > 0.05
    assert not_worse_than(*differing((400, 400), (1, 0), metric=metric), margin=0.02)


def test_nobody_lost_of_a_small_class_is_no_proof_for_that_class() -> None:
    """Half of a macro recall is the class of 55, of which one in twenty may be lost and none of them be drawn."""
    pair = differing((55, 495), (0, 5))
    comparison = Comparison(candidate=pair[0], reference=pair[1])
    assert comparison.bound is not None
    assert comparison.bound.lower(0.05) > -0.02
    assert not_worse_than(*pair, margin=0.02).outcome == "inconclusive"
    assert not_worse_than(*differing((200, 495), (0, 5)), margin=0.02)


def test_it_decides_at_zero_and_at_a_margin() -> None:
    pair = differing((100, 100), (0, 0), (4, 0))
    found = bound_of(*pair)
    for verdict in (beats(*pair), beats(*pair, margin=0.001)):
        assert (verdict.lower, verdict.upper) == (found.lower(0.05), found.upper(0.05))
        assert "bound: t, or a score bound where that is wider at" in verdict.text


@pytest.mark.parametrize(
    ("classes", "lost", "gained"), [((100, 100), (1, 0), ()), ((55, 495), (0, 5), ()), ((100, 100), (2, 1), (1, 1))]
)
def test_what_would_settle_it_is_planned_with_the_limits_that_decide(
    classes: tuple[int, ...], lost: tuple[int, ...], gained: tuple[int, ...]
) -> None:
    """By the t bound's standard error fewer patients than there are would do, which they did not; with most they do."""
    verdict = not_worse_than(*differing(classes, lost, gained), margin=0.02)
    assert (verdict.outcome, verdict.lower is not None) == ("inconclusive", True)
    assert verdict.detectable is not None
    assert verdict.detectable > 0
    told = re.match(r"would settle it: \d+ to (\d+) patients", verdict.settle)
    assert told is not None
    needed = int(told[1])
    assert needed > sum(classes)
    times = needed / sum(classes)
    enough = tuple(math.ceil(times * size) for size in classes)
    assert not_worse_than(*differing(enough, lost, gained), margin=0.02)


@pytest.mark.parametrize(("lost", "gained", "wider"), [((4, 0), (), "below"), ((0, 0), (4, 0), "above")])
def test_a_claim_with_one_threshold_is_planned_with_its_lower_limit(
    lost: tuple[int, int], gained: tuple[int, ...], wider: str
) -> None:
    """Limits are not as far above the effect as below it, and the upper one decides nothing."""
    one, other = differing((100, 100), lost, gained)
    reading = Reading(
        kind="not_worse_than",
        comparison=Comparison(candidate=one, reference=other),
        level=0.05,
        threshold=-0.02,
    )
    assert reading.limits is not None
    assert reading.planned is not None
    effect, (lower, upper) = reading.comparison.effect, reading.limits
    assert (effect - lower > 1.05 * (upper - effect)) == (wider == "below")
    assert (upper - effect > 1.05 * (effect - lower)) == (wider == "above")
    assert reading.planned.lower(0.05) == pytest.approx(lower)


def test_either_side_of_an_equivalence_may_be_the_wider_one() -> None:
    down, up = (equivalent_to(*differing((100, 100), *one), 0.02) for one in (((3, 0), ()), ((0, 0), (3, 0))))
    assert down.detectable == pytest.approx(up.detectable)
    assert down.settle == up.settle


def test_without_a_margin_too_plans_are_made_with_the_limits_that_decide() -> None:
    pair = differing((100, 100), (2, 1), (4, 4))
    found, verdict = bound_of(*pair), beats(*pair)
    as_wide = replace(found.bound, standard_error=(found.bound.effect - found.lower(0.05)) / found.bound.quantile(0.95))
    assert verdict.detectable is not None
    assert verdict.detectable == pytest.approx(smallest_detectable(as_wide, 0.05))
    assert verdict.detectable > smallest_detectable(found.bound, 0.05)


def test_what_would_settle_it_takes_the_seeds_variance_for_what_patients_do_not_change() -> None:
    labels_N = labels_of(100, 100)
    one, other = (
        make_result(cell, labels_N, np.stack([noisy_scores(labels_N, at, seed=seed) for at in signals]), seeded=True)
        for seed, (cell, signals) in enumerate({CANDIDATE: (1.0, 1.03, 1.06), REFERENCE: (1.02, 1.05, 1.08)}.items())
    )
    comparison, verdict = Comparison(candidate=one, reference=other), beats(one, other)
    assert (verdict.outcome, comparison.patient_piece is not None) == ("inconclusive", True)
    assert comparison.patient_piece is not None
    assert comparison.bound is not None
    reading = Reading(kind="beats", comparison=comparison, level=0.05, threshold=0.0)
    assert reading.planned is not None
    drawn, seeds = sources(reading, comparison.patient_piece)
    assert drawn.rates[1] == rate_of(reading.planned, comparison.bound.standard_error, 0.05) > 0
    plan = {"patients": 200, "delta": 0.02, "alpha": 0.05, "power": 0.8}
    enough, without_seeds, without_rate = (
        needed_of(drawn=each, seeds=known_seeds, **plan)
        for each, known_seeds in ((drawn, seeds), (drawn, ()), (replace(drawn, rates=(0.0, 0.0)), seeds))
    )
    assert without_seeds.least < enough.least
    assert without_rate.most is None or enough.most is None or without_rate.most < enough.most
    assert f"would settle it: {enough.said('patient')} in the test side" in verdict.settle
    assert f"{enough.said('patient')} would settle" in from_pair("beats", one, other, Court()).answer.replace(
        ", and perhaps more seeds,", ""
    )


def test_at_least_so_many_patients_is_what_no_number_of_seeds_makes_fewer() -> None:
    """With three seeds Student's t is large, and what few patients may hide with it; with many it is neither."""
    labels_N = labels_of(60, 60)
    one, other = (
        make_result(cell, labels_N, np.stack([noisy_scores(labels_N, at, seed=seed) for at in signals]), seeded=True)
        for seed, (cell, signals) in enumerate({CANDIDATE: (0.6, 1.0, 1.4), REFERENCE: (0.6, 1.0, 1.4)}.items())
    )
    comparison = Comparison(candidate=one, reference=other)
    assert comparison.patient_piece is not None
    reading = Reading(kind="not_worse_than", comparison=comparison, level=0.05, threshold=-0.02)
    drawn, _ = sources(reading, comparison.patient_piece)
    fewest = needed_of(patients=120, drawn=drawn, delta=0.02, alpha=0.05, power=0.8).least
    assert fewest is not None
    told = f"more seeds, and at least {fewest} patients where there are 120"
    assert told in not_worse_than(one, other, margin=0.02).settle
    assert told in from_pair("not_worse_than", one, other, Court()).answer


def test_patients_and_not_images_are_counted() -> None:
    once, thrice = (equivalent_to(*differing((80, 80), (2, 1), images=images), 0.05) for images in (1, 3))
    assert (once.lower, once.upper) == pytest.approx((thrice.lower, thrice.upper))


def test_seeds_are_added_to_what_patients_may_hide() -> None:
    one, other = differing((100, 100), (2, 2))
    comparison = Comparison(candidate=one, reference=other)
    seeds = seed_piece((0.85, 0.90, 0.95))
    assert comparison.patient_piece is not None
    assert seeds is not None
    alone = bound_of(one, other)
    both = combine(comparison.effect, [comparison.patient_piece, seeds])
    q_alone, q_both = alone.bound.quantile(0.95), both.quantile(0.95)
    wider = replace(alone, bound=both)

    def hidden(limits: ScoreBound, q: float) -> float:
        return (limits.bound.effect - limits.lower(0.05)) ** 2 - (q * limits.bound.standard_error) ** 2

    assert wider.bound.standard_error > 1.2 * alone.bound.standard_error
    assert hidden(wider, q_both) >= hidden(alone, q_alone) > 0


def test_a_loss_is_one_for_a_metric_of_which_less_is_better_too() -> None:
    found = bound_of(*differing((200, 200), (8, 8), metric="log_loss"))
    assert found.bound.effect < 0
    assert found.bound.effect - found.lower(0.05) > found.upper(0.05) - found.bound.effect


def test_beside_an_exact_bound_there_is_none_though_rounding_is_left() -> None:
    stratum_N, patients_N = labels_of(60, 60), np.arange(120).astype(np.str_)
    exact = combine(0.0, [Piece(variance=0.0, degrees=59, alike=60)])
    assert score_bound_of(exact, np.full(120, 1e-17), strata_of(stratum_N, patients_N)) is None


def test_there_is_none_where_nothing_differs_or_nothing_influences() -> None:
    same = differing((60, 60), (0, 0))
    assert Comparison(candidate=same[0], reference=same[1]).score_bound is None  # the exact bound decides
    sampled = differing((60, 60), (2, 1), metric="expected_calibration_error")
    assert Comparison(candidate=sampled[0], reference=sampled[1]).score_bound is None


def test_a_patient_in_two_classes_counts_in_both() -> None:
    """The strata's own variances leave out what a patient's images of two classes share; the t bound's has it."""
    influence_N = np.array([-1.0, 1.0, 0.5, -0.5, 0.5, -0.5]) / 3
    stratum_N: NDArray[np.int64] = np.array([0, 0, 0, 1, 1, 1])
    patients_N = np.array(list("abcabc"))
    piece, strata = patient_piece(influence_N, stratum_N, patients_N), strata_of(stratum_N, patients_N)
    found = score_bound_of(combine(0.0, [piece]), influence_N, strata)
    assert found is not None
    own = [patient_piece(influence_N[at], stratum_N[at], patients_N[at]).variance for at in (slice(3), slice(3, 6))]
    assert found.losing.variance_K.tolist() == pytest.approx(own)
    assert sum(own) != pytest.approx(piece.variance)


@pytest.mark.parametrize(("drawn", "supported"), [(20, (False, False)), (75, (True, False)), (300, (True, True))])
def test_a_loss_that_no_drawn_patient_shows_is_no_gain(drawn: int, supported: tuple[bool, bool]) -> None:
    """A t bound has the whole gain of the common class, and no variance of the one that may have lost 5 %."""
    pair = differing((1000, drawn), (0, 0), (50, 0))
    comparison = Comparison(candidate=pair[0], reference=pair[1])
    assert comparison.bound is not None
    for alpha, shown in zip((0.05, 0.0025), supported, strict=True):
        assert comparison.bound.lower(alpha) > 0
        assert (bound_of(*pair).lower(alpha) > 0) == shown


def placed(fallen: int, gain: float, positives: int = 50) -> tuple[Result, Result]:
    """Two rankings; the candidate's sets the positives higher by `gain`, but so many of them lowest of all."""
    labels_N = labels_of(500, positives)
    common_NC = noisy_scores(labels_N, 1.2, seed=3)
    better_NC = common_NC + 0.3 * noisy_scores(labels_N, 0.0, seed=4) + gain * np.eye(2)[labels_N]
    better_NC[500 : 500 + fallen] = [9.0, -9.0]
    return make_result(CANDIDATE, labels_N, better_NC), make_result(REFERENCE, labels_N, common_NC)


def test_of_an_area_one_more_may_fall_as_low_as_the_lowest_of_the_cell_that_loses() -> None:
    down, up = (bound_of(*placed(fallen, 0.2)) for fallen in (0, 1))
    for found in (down, up):
        assert found.lower(0.05) < found.bound.lower(0.05)
        assert found.upper(0.05) > found.bound.upper(0.05)
    wider = [found.bound.lower(0.05) - found.lower(0.05) for found in (down, up)]
    assert wider[1] > 2 * wider[0]


@LAWS
@given(st.sampled_from([3e-2, 1e-2, 3e-3]), st.integers(0, 100), alphas)
def test_limits_shrink_with_the_difference_of_two_rankings(size: float, seed: int, alpha: float) -> None:
    """An export that differs by rounding is shown to be equal, though patients stand low in both rankings."""
    labels_N = labels_of(54, 74)
    scores_NC = noisy_scores(labels_N, 1.2, seed=seed)

    def width(size: float) -> float:
        other_NC = scores_NC + size * noisy_scores(labels_N, 0.0, seed=seed + 1)
        pair = make_result(CANDIDATE, labels_N, other_NC), make_result(REFERENCE, labels_N, scores_NC)
        found = Comparison(candidate=pair[0], reference=pair[1]).score_bound
        return 0.0 if found is None else found.upper(alpha) - found.lower(alpha)

    assert width(size) < width(10 * size)
    assert width(size) <= 0.02 + 4 * size


@LAWS
@given(pairs(), alphas)
def test_limits_do_not_depend_on_the_order_of_patients(pair: tuple[Result, Result], alpha: float) -> None:
    """Scores are the same to the last digit, sums are not."""
    order_N = np.random.default_rng(0).permutation(len(pair[0].labels_N))
    shuffled = tuple(
        make_result(
            str(each.cell),
            each.labels_N[order_N],
            each.scores_SNC[:, order_N],
            each.patients_N[order_N],
            metric=each.question.metric,
        )
        for each in pair
    )
    one, other = bound_of(*pair), bound_of(shuffled[0], shuffled[1])
    assert (one.lower(alpha), one.upper(alpha)) == pytest.approx((other.lower(alpha), other.upper(alpha)))


@LAWS
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6), st.floats(0.01, 1), st.floats(0.1, 4)
)
def test_the_reach_is_the_most_that_strata_can_share(
    strata: list[tuple[float, float]], error: float, quantile: float
) -> None:
    """Against the definition: parts that add to the reach, filled from the highest rate on, none above its own."""
    variance_K, rate_K = (np.array(each) * error for each in zip(*strata, strict=True))
    reach = Side(variance_K=variance_K, rate_K=rate_K).reach(quantile, error)
    room, most = reach, 0.0
    for rate, variance in sorted(zip(rate_K, variance_K, strict=True), reverse=True):
        alone = quantile**2 * rate / 2 + quantile * math.sqrt(variance + (quantile * rate / 2) ** 2)
        part = min(room, alone)
        most, room = most + rate * part, room - part
    assert reach == pytest.approx(quantile * math.sqrt(error**2 + most))


def two_cells(metric: str) -> Comparison:
    """Each gains some and loses some of two classes, by unlike amounts where the metric has any."""
    pair = differing((60, 90), (3, 2), (2, 4), metric=metric)
    return Comparison(candidate=pair[0], reference=pair[1])


@pytest.mark.parametrize("metric", ["accuracy", "macro_recall", "quadratic_kappa", "log_loss", "roc_auc"])
def test_one_more_who_loses_as_much_as_the_worst_seen_is_in_the_variance_where_amounts_differ(metric: str) -> None:
    comparison = two_cells(metric)
    found = comparison.score_bound
    assert found is not None
    assert comparison.influences is not None
    if metric in COUNTED:
        assert (found.losing.added, found.gaining.added) == (0, 0)
        return
    result = comparison.candidate
    of_K = [
        comparison.sign * comparison.influences[result.estimates[0].stratum_N == stratum]
        for stratum in np.unique(result.estimates[0].stratum_N)
    ]
    for side, ends in ((found.losing, [each.min() for each in of_K]), (found.gaining, [each.max() for each in of_K])):
        scales = [len(each) / (len(each) - 1) for each in of_K]
        assert side.added == pytest.approx(sum(end**2 * scale for end, scale in zip(ends, scales, strict=True)))
        assert side.variance_K.sum() == pytest.approx(found.bound.standard_error**2 + side.added)


def test_the_patient_added_to_a_ranking_falls_as_far_as_the_worst_and_no_further_than_what_differs() -> None:
    """Influences of 40 patients: all differ by one amount, up or down, and one of them stands low in the cell."""
    drawn = 40
    patients_N, stratum_N = np.arange(drawn).astype(np.str_), np.zeros(drawn, dtype=np.int64)
    influence_N = np.where(np.arange(drawn) % 2 == 0, 1.0, -1.0) / drawn
    strata = strata_of(stratum_N, patients_N)
    bound = combine(0.0, [patient_piece(influence_N, stratum_N, patients_N)])
    scale = math.sqrt(drawn / (drawn - 1))

    def rate(lowest: float) -> float:
        """Of the side on which the candidate loses, whose own lowest patient lies so far below its mean."""
        own_N = np.r_[-lowest, np.full(drawn - 1, lowest / (drawn - 1))] / drawn
        found = score_bound_of(bound, influence_N, strata, own=(own_N, np.zeros(drawn)))
        assert found is not None
        return float(found.losing.rate_K[0])

    def expected(lost: float) -> float:
        one = lost * scale / drawn
        return one**3 / (bound.standard_error**2 + one**2)

    assert rate(0.5) == pytest.approx(expected(0.5))
    assert rate(2.0) == pytest.approx(expected(2.0))
    assert rate(9.0) == rate(30.0) == pytest.approx(expected(MOST_TYPICAL))


def test_a_candidate_that_stands_well_reckons_with_a_shorter_fall_than_one_that_does_not() -> None:
    """The cell that loses decides how far: the reference's own places say nothing of the candidate's fall."""
    drawn = 40
    patients_N, stratum_N = np.arange(drawn).astype(np.str_), np.zeros(drawn, dtype=np.int64)
    influence_N = np.where(np.arange(drawn) % 2 == 0, 1.0, -1.0) / drawn
    bound = combine(0.0, [patient_piece(influence_N, stratum_N, patients_N)])
    low_N = np.r_[-2.0, np.full(drawn - 1, 2.0 / (drawn - 1))] / drawn
    level_N = influence_N / 10
    strata = strata_of(stratum_N, patients_N)
    losing, winning = (
        score_bound_of(bound, influence_N, strata, own=own) for own in ((low_N, level_N), (level_N, low_N))
    )
    assert losing is not None
    assert winning is not None
    assert losing.lower(0.05) < winning.lower(0.05)
    assert losing.upper(0.05) < winning.upper(0.05)


def test_what_is_added_widens_the_limit_as_a_variance_does() -> None:
    nothing_K = np.zeros(2)
    assert Side(variance_K=nothing_K, rate_K=nothing_K, added=16.0).reach(2.0, 3.0) == pytest.approx(10.0)
