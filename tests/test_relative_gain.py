"""Relative gains averaged over datasets: their error, their order, and a published average. Synthetic results.

Legend: B replicates, D datasets.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.bounds import Piece, combine
from pytest_fmtransfer.judge.comparison import own_piece
from pytest_fmtransfer.judge.court import Court, Verdict, judging
from pytest_fmtransfer.judge.gain_claims import gain_consistent_with, gains_in_order
from pytest_fmtransfer.judge.published import Published
from pytest_fmtransfer.judge.relative_gain import (
    RelativeGain,
    Weighed,
    merged,
    patient_pieces,
    relative_gains,
    seed_pieces,
)
from pytest_fmtransfer.judge.resampling import bootstrap_piece, draws
from pytest_fmtransfer.metrics import replicates
from pytest_fmtransfer.results import Result
from tests.helpers import labels_of, make_result, noisy_scores

DATASETS = 3
METRICS = ("roc_auc", "macro_recall", "quadratic_kappa")


def of(
    model: str, signal: float, *, metric: str = "roc_auc", seeds: int = 1, own: float = 0.3, each: int = 80
) -> list[Result]:
    """One result a dataset; what is common to all models there makes them correlated."""
    found: list[Result] = []
    for place in range(DATASETS):
        labels_N = labels_of(each, each)
        common_NC = noisy_scores(labels_N, signal, seed=place)
        own_SNC = [
            own * noisy_scores(labels_N, 0.0, seed=100 * seed + 10 * place + sum(map(ord, model)))
            for seed in range(seeds)
        ]
        found.append(
            make_result(
                f"{model}-data{place}-knn",
                labels_N,
                common_NC + np.stack(own_SNC),
                metric=metric,
                seeded=seeds > 1,
                dataset_fingerprint=f"{place:08}",
            )
        )
    return found


def gain(candidates: list[Result], references: list[Result]) -> RelativeGain:
    return RelativeGain(candidates=tuple(candidates), references=tuple(references))


def under_ridge(result: Result) -> Result:
    return replace(result, cell=replace(result.cell, regime="ridge"))


def variance_of(terms: list[Weighed]) -> float:
    pieces = patient_pieces(terms)
    assert not isinstance(pieces, str)
    return sum(piece.variance for piece in pieces)


def limits_of(verdict: Verdict) -> tuple[float, float]:
    assert verdict.lower is not None
    assert verdict.upper is not None
    return verdict.lower, verdict.upper


def published(value: float, **more: Any) -> Published:
    return Published(value=value, source="Somebody 2020, figure 1", **more)


REFERENCE = of("old", 1.0)
BEST, GOOD, POOR = (gain(of(name, signal), REFERENCE) for name, signal in (("a", 1.6), ("b", 1.3), ("c", 0.8)))
ITSELF = gain(REFERENCE, REFERENCE)


def test_the_average_is_of_each_datasets_gain_in_percent() -> None:
    pairs = zip(BEST.candidates, REFERENCE, strict=True)
    assert BEST.value == pytest.approx(np.mean([100 * (mine.mean / other.mean - 1) for mine, other in pairs]))
    assert ITSELF.value == 0
    turned = gain([*GOOD.candidates[::-1]], REFERENCE[::-1])
    assert (turned.name, turned.by_dataset) == ("b-data2+data1+data0-knn", GOOD.by_dataset[::-1])


@pytest.mark.parametrize("metric", METRICS)
def test_the_patients_variance_is_that_of_resampled_averages(metric: str) -> None:
    """The delta method against 2,000 resamples of the ratio itself, patients drawn alike for both sides."""
    found = gain(of("new", 2.0, metric=metric), of("old", 1.6, metric=metric))
    resampled = 0.0
    for mine, other in zip(found.candidates, found.references, strict=True):
        (counts_NB,) = draws(mine, mine.estimates[0].stratum_N)
        ours_B, theirs_B = (replicates(metric, each.labels_N, each.scores_SNC[0], counts_NB) for each in (mine, other))
        resampled += float(np.nanvar(100 * (ours_B / theirs_B - 1), ddof=1)) / DATASETS**2
    assert variance_of(merged(found.weighed)) == pytest.approx(resampled, rel=0.12)


def test_a_metric_without_influences_has_its_variance_by_resampling() -> None:
    terms = [
        Weighed(weight=weight, result=of(model, signal, metric="expected_calibration_error")[0])
        for weight, model, signal in ((2.0, "new", 2.0), (-1.0, "old", 1.6))
    ]
    piece = bootstrap_piece([(term.weight, term.result) for term in terms])
    assert piece is not None
    assert variance_of(terms) == piece.variance > 0


def test_seeds_of_both_sides_add_with_the_weights_of_their_means() -> None:
    candidates, references = of("new", 1.5, seeds=3), of("old", 1.0, seeds=4)
    found = gain(candidates, references)
    expected = 0.0
    for mine, other in zip(candidates, references, strict=True):
        ours, theirs = (float(np.var(each.by_seed, ddof=1)) / len(each.seeds) for each in (mine, other))
        expected += (100 / DATASETS / other.mean) ** 2 * ours
        expected += (100 / DATASETS * mine.mean / other.mean**2) ** 2 * theirs
    [piece] = seed_pieces(merged(found.weighed))
    assert piece.variance == pytest.approx(expected)
    assert 3 < piece.degrees < 15  # of three results with 2 and three with 3


def test_a_variance_on_record_is_one_piece_a_dataset_and_regime() -> None:
    found = gain(of("new", 1.5, seeds=2), of("old", 1.0, seeds=2))
    recorded = {("data0", "knn"): Piece(variance=1e-4, degrees=9)}
    with judging(Court(seed_variances=recorded)):
        pieces = seed_pieces(merged(found.weighed))
    mine, other = found.candidates[0], found.references[0]
    weights = (100 / DATASETS / other.mean) ** 2 + (100 / DATASETS * mine.mean / other.mean**2) ** 2
    assert len(pieces) == 2
    assert pieces[-1].variance == pytest.approx(weights * 1e-4 / 2)
    assert pieces[-1].degrees == 9


def test_a_difference_of_gains_is_paired_on_the_same_patients() -> None:
    """Its variance is far below the sum of both, and nothing is left of a reference that both have alike."""
    both = merged([*BEST.weighed, *(Weighed(weight=-each.weight, result=each.result) for each in GOOD.weighed)])
    apart = variance_of(merged(BEST.weighed)) + variance_of(merged(GOOD.weighed))
    assert variance_of(both) < apart
    nothing = merged([*GOOD.weighed, *(Weighed(weight=-each.weight, result=each.result) for each in GOOD.weighed)])
    assert [term.weight for term in nothing] == [0] * (2 * DATASETS)


def test_an_order_is_judged_by_t_with_satterthwaites_degrees() -> None:
    verdict = gains_in_order([BEST], [ITSELF])
    terms = merged(BEST.weighed)
    pieces = patient_pieces(terms)
    assert not isinstance(pieces, str)
    bound = combine(BEST.value, pieces)
    half = student.ppf(0.95, bound.degrees) * math.sqrt(variance_of(terms))
    assert limits_of(verdict) == pytest.approx((BEST.value - half, BEST.value + half))
    assert bound.degrees > 79  # more than any one dataset's


@pytest.mark.parametrize(
    ("levels", "outcome"),
    [
        (([BEST], [GOOD], [ITSELF], [POOR]), "supported"),
        (([BEST], [GOOD, ITSELF], [POOR]), "supported"),
        (([GOOD], [BEST]), "refuted"),
        (([BEST], [POOR], [ITSELF]), "refuted"),
        (([ITSELF], [gain(REFERENCE, REFERENCE)]), "refuted"),
        (([BEST], [gain(of("twin", 1.6), REFERENCE)]), "inconclusive"),
    ],
)
def test_the_three_outcomes_of_an_order(levels: tuple[list[RelativeGain], ...], outcome: str) -> None:
    reached: list[Verdict] = []
    with judging(Court(record=reached.append)):
        verdict = gains_in_order(*levels)
    assert verdict.outcome == outcome
    assert reached == [verdict]
    assert len(verdict.summary) <= 120


def test_gains_of_one_level_are_in_no_order() -> None:
    """Each of them is above each of the next, and nothing is said of the two; nor do the names say an order."""
    verdict = gains_in_order([BEST, GOOD], [POOR, ITSELF])
    assert verdict
    names = [f"{each.candidates[0].cell.backbone}-knn" for each in (BEST, GOOD, POOR, ITSELF)]
    assert (verdict.candidate, verdict.reference) == (" = ".join(names[:2]), " = ".join(names[2:]))
    assert gains_in_order([BEST, GOOD], [POOR])
    assert gains_in_order([GOOD, BEST], [POOR])


def test_a_gain_is_above_each_of_the_next_level_and_not_the_first_of_them_alone() -> None:
    assert gains_in_order([GOOD], [POOR, BEST]).outcome == "refuted"
    assert gains_in_order([BEST, POOR], [GOOD]).outcome == "refuted"


def test_a_part_refutes_the_whole_at_its_share_of_the_level() -> None:
    """A little below GOOD: enough to refute the claim about both alone, and not as one of two parts."""
    below = gain(of("x", 1.18), REFERENCE)
    assert gains_in_order([below], [GOOD]).outcome == "refuted"
    verdict = gains_in_order([BEST], [below], [GOOD])
    assert verdict.outcome == "inconclusive"
    assert verdict.p == gains_in_order([below], [GOOD]).p  # that part speaks for the whole
    assert "supported when all are, refuted when one is at 0.025" in verdict.text


def test_what_an_order_can_detect_is_what_its_worst_part_can_with_the_power_that_all_need() -> None:
    whole, *parts = (gains_in_order([BEST], below).detectable for below in ([GOOD, POOR], [GOOD], [POOR]))
    assert whole is not None
    assert whole > max(part or math.inf for part in parts)


def test_seeds_widen_an_order_and_an_agreement() -> None:
    found, other = (gain(of(name, 1.5, seeds=3), of("old", 1.0, seeds=4)) for name in ("new", "x"))
    terms = merged([*found.weighed, *(Weighed(weight=-each.weight, result=each.result) for each in other.weighed)])
    for verdict, difference, both in (
        (gains_in_order([found], [other]), terms, 1.0),
        (gain_consistent_with(found, published(0.0, spread=3.0, spread_is="sd", runs=3)), merged(found.weighed), 2.0),
    ):
        patients = patient_pieces(difference)
        assert not isinstance(patients, str)
        pieces = [Piece(variance=both * each.variance, degrees=each.degrees) for each in patients]
        theirs = [] if both == 1 else [Piece(variance=3.0**2 / 3, degrees=2)]
        assert verdict.effect is not None
        bound = combine(verdict.effect, [*pieces, *theirs, *seed_pieces(difference)])
        assert limits_of(verdict) == pytest.approx((bound.lower(0.05), bound.upper(0.05)))


def test_texts_say_each_part_what_it_takes_for_granted_and_what_would_settle_it() -> None:
    acknowledged = {"data1": {"exact_copies": "they are few"}}
    settle = "would settle it: a larger test side or more seeds of the datasets whose gains are least sure"
    with judging(Court(acknowledged=acknowledged)):
        told = gains_in_order([BEST], [GOOD, ITSELF])
        open_, agreed = (gain_consistent_with(GOOD, published(GOOD.value + off), margin=8) for off in (8, 0))
        few = gains_in_order([gain(of("new", 1.5, each=19), of("old", 1.0, each=19))], [ITSELF_OF_19])
    assert f"\n  a-knn {BEST.value:+.3f} % over b-knn {GOOD.value:+.3f} %: Δ " in told.text
    assert told.settle == agreed.settle == ""
    for verdict in (told, open_, few):
        assert "\n  an audit found exact copies, and the dataset's row acknowledges it: they are few" in verdict.text
    for verdict in (open_, few):
        assert verdict.text.endswith(f"\n  {settle}")
    assert "inconclusive (not enough patients to tell: class 'class0' has 19" in few.text
    assert few.reason.endswith("(data0)")
    assert (open_.candidate, open_.published) == ("b-data0+data1+data2-knn", GOOD.value + 8)


def test_an_agreement_is_supported_where_its_p_value_is_below_the_level() -> None:
    for off in (0.0, 4.0, 5.0, 8.0, -4.0, -5.0, 30.0):
        verdict = gain_consistent_with(GOOD, published(GOOD.value + off), margin=8)
        assert verdict.p is not None
        assert (verdict.p < 0.05) == (verdict.outcome == "supported")
    narrow, wide = (gain_consistent_with(GOOD, published(0.0), margin=margin) for margin in (1, 9))
    assert narrow.detectable == wide.detectable
    one_sided = gains_in_order([GOOD], [ITSELF]).detectable
    assert wide.detectable is not None
    assert one_sided is not None
    assert wide.detectable > math.sqrt(2) * one_sided  # theirs has as many patients, and both limits must hold


def test_an_average_agrees_with_a_published_one_within_the_margin_and_not_outside() -> None:
    value = GOOD.value
    assert gain_consistent_with(GOOD, published(value), margin=8)
    assert gain_consistent_with(GOOD, published(value + 30), margin=8).outcome == "refuted"
    assert gain_consistent_with(GOOD, published(value + 8), margin=8).outcome == "inconclusive"


def test_the_default_margin_is_what_the_datasets_margins_come_to() -> None:
    verdict = gain_consistent_with(GOOD, published(0.0))
    assert verdict.margin == pytest.approx(np.mean([100 * 0.02 / other.mean for other in REFERENCE]))


def test_theirs_has_the_variance_of_our_patients_and_what_is_printed_beside_it() -> None:
    alone, known = (gain_consistent_with(GOOD, published(0.0, patients=many)) for many in (None, 3 * 160))
    assert limits_of(alone) == pytest.approx(limits_of(known))
    larger = gain_consistent_with(GOOD, published(0.0, patients=3 * 160 * 1000))
    wider = gain_consistent_with(GOOD, published(0.0, spread=5.0, spread_is="se", runs=50))
    widths = [upper - lower for lower, upper in map(limits_of, (larger, alone, wider))]
    assert widths[0] == pytest.approx(widths[1] / math.sqrt(2), rel=1e-2)
    assert widths[1] < widths[2]


def test_what_cannot_carry_a_verdict_is_named() -> None:
    one_seed = [
        make_result(
            f"new-data{place}-knn", each.labels_N, each.scores_SNC, seeded=True, dataset_fingerprint=f"{place:08}"
        )
        for place, each in enumerate(REFERENCE)
    ]
    few = gain(of("new", 1.5, each=19), of("old", 1.0, each=19))
    for found, reason in (
        (gain(one_seed, REFERENCE), "training randomness not measured"),
        (few, "not enough patients to tell: class 'class0' has 19"),
    ):
        verdict = gains_in_order([found], [gain(list(found.references), list(found.references))])
        assert verdict.outcome == "inconclusive"
        assert verdict.p is None
        assert reason in verdict.reason
    assert "consistent_with needs 50" in gain_consistent_with(few, published(0.0)).reason


def test_a_reference_that_is_not_clearly_above_0_bears_no_gain() -> None:
    """A kappa near 0: any number of percent can be had of it."""
    found = gain(of("new", 1.5, metric="quadratic_kappa"), of("old", 0.1, metric="quadratic_kappa"))
    assert min(own.variance for own in map(own_piece, found.references) if own) > 0
    for verdict in (gains_in_order([found], [ITSELF_NEAR_0]), gain_consistent_with(found, published(0.0))):
        assert verdict.outcome == "inconclusive"
        assert "not clearly above 0" in verdict.reason


def test_one_seed_of_a_reference_or_of_a_gain_that_is_not_the_first_is_named_unless_it_is_on_record() -> None:
    once = [replace(each, seeded=True) for each in GOOD.candidates]
    over = gain(list(BEST.candidates), once)
    verdicts = (
        lambda: gain_consistent_with(over, published(over.value), margin=30),
        lambda: gains_in_order([BEST], [gain(once, REFERENCE)]),
        lambda: gain_consistent_with(gain(once, REFERENCE), published(GOOD.value), margin=30),
    )
    recorded = {(f"data{place}", "knn"): Piece(variance=1e-8, degrees=20) for place in range(DATASETS)}
    for judge in verdicts:
        verdict = judge()
        assert (verdict.outcome, verdict.p) == ("inconclusive", None)
        assert verdict.reason == "training randomness not measured: b-data0-knn ran at one seed"
        with judging(Court(seed_variances=recorded)):
            assert judge().outcome == "supported"


def test_variances_on_record_of_several_datasets_are_a_piece_each() -> None:
    found = gain(of("new", 1.5, seeds=2), of("old", 1.0, seeds=2))
    recorded = {(f"data{place}", "knn"): Piece(variance=1e-4, degrees=9 + place) for place in range(DATASETS)}
    with judging(Court(seed_variances=recorded)):
        assert [piece.degrees for piece in seed_pieces(merged(found.weighed))] == [9, 10, 11]


def test_a_reference_whose_seeds_lie_far_apart_is_not_clearly_above_0() -> None:
    """Its patients alone would say that it is."""
    firm, near = (of("old", signal, metric="quadratic_kappa") for signal in (1.6, 0.0))
    apart = [
        replace(
            one,
            scores_SNC=np.concatenate([one.scores_SNC, other.scores_SNC]),
            seeds=(0, 1),
            chosen=one.chosen * 2,
            seeded=True,
        )
        for one, other in zip(firm, near, strict=True)
    ]
    new = of("new", 1.6, metric="quadratic_kappa")
    assert gain(new, firm).reference_reason(0.05) == ""
    assert gain(new, apart).reference_reason(0.05).startswith("old-data0-knn is not clearly above 0")


NEAR_0 = of("old", 0.1, metric="quadratic_kappa")
ITSELF_OF_19 = gain(of("old", 1.0, each=19), of("old", 1.0, each=19))
ITSELF_NEAR_0 = gain(NEAR_0, NEAR_0)


def test_perfect_cells_leave_an_average_open() -> None:
    """No patient shows any variance there, and scores differ."""
    found = gain(of("new", 60.0), of("old", 50.0))
    verdict = gains_in_order([found], [gain(list(found.references), list(found.references))])
    assert verdict.outcome == "inconclusive"
    assert "no patient of data0 shows any variance" in verdict.reason
    assert verdict.lower is None


@pytest.mark.parametrize(
    ("candidates", "references", "message"),
    [
        (of("new", 1.0)[:2], REFERENCE, "2 candidates against 3 references"),
        (of("new", 1.0)[:1], REFERENCE[:1], "two datasets or more, each once, not data0"),
        (of("new", 1.0)[:1] * 2, REFERENCE[:1] * 2, "each once, not data0, data0"),
        ([*of("new", 1.0)[:2], of("other", 1.0)[2]], REFERENCE, "one backbone and regime a side"),
        ([*of("new", 1.0)[:2], under_ridge(of("new", 1.0)[2])], REFERENCE, "one backbone and regime a side"),
        (of("new", 1.0), REFERENCE[::-1], "not scored on the same images"),
        (of("new", 1.0, metric="log_loss"), of("old", 1.0, metric="log_loss"), "more is better"),
        (
            of("new", 1.0, metric="quadratic_kappa"),
            of("old", -1.0, metric="quadratic_kappa"),
            r"old-data0-knn has quadratic_kappa -0\.\d+, and .* above 0 .*; compare with beats\(\)",
        ),
    ],
)
def test_what_is_no_gain_is_refused(candidates: list[Result], references: list[Result], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        gain(candidates, references)


def test_candidates_of_many_backbones_are_sorted_into_gains() -> None:
    one, other = of("a", 1.6), of("b", 1.3)
    found = relative_gains([*one, *other], [*REFERENCE, *REFERENCE])
    assert [each.value for each in found] == [BEST.value, GOOD.value]
    ridge = [under_ridge(each) for each in other]
    assert [each.value for each in relative_gains([*other, *ridge], [*REFERENCE, *REFERENCE])] == [GOOD.value] * 2
    with pytest.raises(InvalidInput, match="3 candidates against 6 references; give one each"):
        relative_gains(one, [*REFERENCE, *REFERENCE])


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (([BEST],), "two levels or more"),
        (([BEST], []), "a gain in each"),
        (([BEST], [gain(of("b", 1.3), of("other", 1.0))]), "over one reference"),
    ],
)
def test_what_is_no_order_is_refused(levels: tuple[list[RelativeGain], ...], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        gains_in_order(*levels)


@pytest.mark.parametrize("margin", [0.0, -1.0, -math.inf, math.inf, math.nan, 100.0 / 0.7, 500.0])
def test_a_margin_is_above_0_and_below_what_any_gain_would_agree_with(margin: float) -> None:
    """In percent: of an AUC 1 is the highest, 100/r percent of the reference's r on the average."""
    highest = float(np.mean([100 / other.mean for other in REFERENCE]))
    assert 110 < highest < 100 / 0.7
    with pytest.raises(InvalidInput) as raised:
        gain_consistent_with(GOOD, published(0.0), margin=margin)
    told = str(raised.value)
    assert f"needs a margin above 0 and below {highest:.3g}, in percent of the reference, not {margin:g}" in told
    assert f"leave it out for what the datasets' own come to, {GOOD.margin:.3g}" in told


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_margin_within_the_range_is_heard(share: float) -> None:
    highest = float(np.mean([100 / other.mean for other in REFERENCE]))
    verdict = gain_consistent_with(GOOD, published(GOOD.value), margin=share * highest)
    assert verdict.margin == share * highest
    warning = f"the margin {share * highest:g} % is more than a tenth of the range of the gain (0 % to {highest:.3g} %)"
    assert verdict.mark == (warning if share > 0.1 else "")
    assert (warning in verdict.text) == (share > 0.1)


def test_the_datasets_own_margins_are_never_refused() -> None:
    wide = [replace(each, margin=0.9) for each in REFERENCE]
    assert gain_consistent_with(gain(of("b", 1.3), wide), published(0.0)).margin > 100


def test_a_margin_in_words_is_told_its_unit() -> None:
    with pytest.raises(InvalidInput, match=r"margin: '2 %' is no number; give a number of percent, as in 2\.5"):
        gain_consistent_with(GOOD, published(0.0), margin="2 %")  # pyright: ignore[reportArgumentType]
