"""Our result beside a published number: its error, its verdicts, what is refused. Synthetic results."""

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import t as student

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.bounds import Piece, combine
from pytest_fmtransfer.judge.comparison import influence_of, own_piece
from pytest_fmtransfer.judge.court import Court, Verdict, judging
from pytest_fmtransfer.judge.published import (
    Published,
    _bound,
    _seed_pieces,
    _their_piece,
    above_published,
    consistent_with,
    limits_beside,
)
from pytest_fmtransfer.judge.settling import IF_ALIKE, Needed, of_patients, patients_to_settle
from pytest_fmtransfer.judge.verdicts import beats
from pytest_fmtransfer.results import Result
from tests.helpers import (
    CANDIDATE,
    LAWS,
    REFERENCE,
    labels_of,
    make_result,
    noisy_scores,
    result,
    retrained,
    two_columns,
)
from tests.strategies import levels, margins

OURS = result(CANDIDATE, 1.5, counts=(100, 100))
PERFECT = result(CANDIDATE, 20.0, counts=(100, 100))
TABLE = "Somebody 2020, table 1"


def number(value: float, **more: Any) -> Published:
    return Published(value=value, source=TABLE, **more)


def own_variance(of: Result = OURS) -> float:
    piece = own_piece(of)
    assert piece is not None
    return piece.variance


def limits_of(verdict: Verdict) -> tuple[float, float]:
    assert verdict.lower is not None
    assert verdict.upper is not None
    return verdict.lower, verdict.upper


@pytest.mark.parametrize(
    ("printed", "variance"),
    [
        ({}, 0.0),
        ({"spread": 0.02}, 0.0004),
        ({"spread": 0.02, "runs": 5}, 0.0004),
        ({"spread": 0.02, "spread_is": "sd", "runs": 5}, 0.00008),
        ({"spread": 0.02, "spread_is": "se", "runs": 5}, 0.0004),
        ({"spread": 0.0196, "spread_is": "interval", "runs": 5}, 0.0001),
    ],
)
def test_the_variance_of_a_published_mean_is_read_from_its_spread(printed: dict[str, Any], variance: float) -> None:
    assert number(0.9, **printed).seed_variance == pytest.approx(variance)


def their_piece(of: Result, published: Published) -> Piece:
    own = own_piece(of)
    assert own is not None
    return _their_piece(of, published, own)


@pytest.mark.parametrize("patients", [None, 200, 50, 20_000])
def test_the_error_is_that_of_both_means_and_nothing_is_paired(patients: int | None) -> None:
    published = number(0.9, patients=patients)
    own, theirs = own_variance(), their_piece(OURS, published)
    degrees = (own + theirs.variance) ** 2 / (own**2 / 99 + theirs.variance**2 / theirs.degrees)
    half = student.ppf(0.95, degrees) * math.sqrt(own + theirs.variance)
    verdict = consistent_with(OURS, published)
    effect = OURS.mean - 0.9
    lower, upper = limits_of(verdict)
    assert verdict.effect == pytest.approx(effect)
    assert lower <= effect - half + 1e-9
    assert upper == pytest.approx(effect + half) or upper > effect + half  # or the logits', where that is wider
    assert limits_of(above_published(OURS, published)) == (lower, upper)


@pytest.mark.parametrize("patients", [None, 50, 20_000])
def test_the_patients_behind_their_number_count(patients: int | None) -> None:
    """Ours where the publication does not say."""
    equal, theirs = their_piece(OURS, number(0.9)), their_piece(OURS, number(0.9, patients=patients))
    assert theirs.variance == pytest.approx(equal.variance * 200 / (patients or 200))
    assert theirs.degrees == pytest.approx((patients or 200) / 2 - 1)


def test_spreads_of_both_sides_add_with_the_degrees_of_a_bound() -> None:
    """In the t bound, which the score bound is nowhere inside."""
    ours = retrained(CANDIDATE, 1.0, 1.5, 2.0)
    ours = replace(ours, question=replace(ours.question, metric="accuracy"))
    published = number(0.5, spread=0.03, spread_is="sd", runs=4)
    pieces = [(own_variance(ours), 119), (float(np.var(ours.by_seed, ddof=1)) / 3, 2), (0.03**2 / 4, 3)]
    their = their_piece(ours, published)
    pieces.append((their.variance, their.degrees))
    assert their.variance == pytest.approx(0.25 / 120)  # a share of .5
    total = sum(variance for variance, _ in pieces)
    degrees = combine(0.0, [Piece(variance=variance, degrees=each) for variance, each in pieces]).degrees
    half = student.ppf(0.95, degrees) * math.sqrt(total)
    bound = _bound(ours, published)
    assert bound is not None
    assert (bound.lower(0.05), bound.upper(0.05)) == pytest.approx((ours.mean - 0.5 - half, ours.mean - 0.5 + half))
    lower, upper = limits_of(above_published(ours, published))
    assert lower < bound.lower(0.05)
    assert upper > bound.upper(0.05)


def test_a_rare_class_without_an_error_of_ours_does_not_make_us_sure() -> None:
    """All 20 of it are right, as one sample in three shows of a recall of .95."""
    labels_N = labels_of(1000, 20)
    ours = make_result(CANDIDATE, labels_N, np.eye(2)[[*[1] * 200, *[0] * 800, *[1] * 20]], metric="macro_recall")
    bound = _bound(ours, number(0.85, patients=20_000))
    assert bound is not None
    assert bound.lower(0.05) > 0
    assert above_published(ours, number(0.85, patients=20_000)).outcome == "inconclusive"


SEEDED = retrained(CANDIDATE, 1.4, 1.5, 1.6)


def seeds_deviation(of: Result = SEEDED) -> float:
    return float(np.std(of.by_seed, ddof=1))


@pytest.mark.parametrize("runs", [1, 5])
def test_without_a_spread_published_runs_may_deviate_by_twice_ours(runs: int) -> None:
    """One estimate, with its own degrees of freedom: not two."""
    deviation = seeds_deviation()
    pieces = _seed_pieces(SEEDED, number(0.8, runs=runs))
    assert [(piece.variance, piece.degrees) for piece in pieces] == [
        (pytest.approx(deviation**2 * (1 / 3 + 4 / runs)), 2)
    ]
    with judging(Court(seed_variances={("data", "knn"): Piece(variance=1e-4, degrees=12)})):
        (piece,) = _seed_pieces(SEEDED, number(0.8, runs=runs))
    assert (piece.variance, piece.degrees) == (pytest.approx(1e-4 * (1 / 3 + 4 / runs)), 12)


def test_what_is_assumed_is_said_with_its_range_and_where_the_verdict_would_change() -> None:
    top = f"between 0 and {2 * seeds_deviation():.4f}, up to 2 times that of ours, because no spread is printed"
    values = np.linspace(SEEDED.mean - 0.25, SEEDED.mean, 26)
    verdicts = [above_published(SEEDED, number(value)) for value in values]
    assert all(top in verdict.text for verdict in verdicts)
    changes = [verdict for verdict in verdicts if "the verdict would be supported below" in verdict.text]
    assert {verdict.outcome for verdict in changes} == {"supported", "inconclusive"}
    for value, verdict in zip(values, verdicts, strict=True):
        if verdict not in changes:
            continue
        told = re.search(r"supported below ([\d.]+), and is inconclusive above", verdict.text)
        assert told is not None
        at = float(told[1])
        assert (at > 2 * seeds_deviation()) == bool(verdict)
        for one, outcome in ((0.9 * at, "supported"), (1.1 * at, "inconclusive")):
            limits = limits_beside(SEEDED, number(value), one / seeds_deviation())
            assert outcome == ("supported" if limits[0] > 0 else "inconclusive")
    assert "it is inconclusive at either end too" in verdicts[-1].text


def test_nothing_is_assumed_of_a_spread_that_is_printed_and_none_of_what_depends_on_no_seed() -> None:
    assert "assumed" not in above_published(SEEDED, number(0.8, spread=0.01)).text
    text = above_published(OURS, number(0.8)).text
    assert "assumed: published runs do not differ, because no spread is printed and ours depends on no seed" in text
    alone = above_published(retrained(CANDIDATE, 3.0), number(0.8)).text
    assert "because no spread is printed and our runs' own spread is not known" in alone


def test_half_of_an_interval_is_a_variance_that_is_known_unless_runs_are_told() -> None:
    """As a figure's reading error is. A loss has no upper end."""
    ours = replace(OURS, question=replace(OURS.question, metric="log_loss"))
    for runs, quantile in ((1, 1.6449), (3, student.ppf(0.95, 2))):
        lower, upper = limits_of(consistent_with(ours, number(0.9, spread=19.6, spread_is="interval", runs=runs)))
        assert (upper - lower) / 2 == pytest.approx(10 * quantile, rel=2e-2)


def test_one_published_run_has_one_degree_of_freedom() -> None:
    """Its variance outweighs all others here, so that the bound is Student's at one degree. A loss has no upper end."""
    ours = replace(OURS, question=replace(OURS.question, metric="log_loss"))
    lower, upper = limits_of(consistent_with(ours, number(0.9, spread=10.0)))
    assert (upper - lower) / 2 == pytest.approx(10 * student.ppf(0.95, 1), rel=1e-3)


@LAWS
@given(st.floats(0.8, 1.0), st.floats(0, 0.1), st.integers(1, 10), levels, margins, margins)
def test_the_laws_of_agreement(value: float, spread: float, runs: int, court: Court, one: float, other: float) -> None:
    published = number(value, spread=spread, spread_is="sd", runs=runs)
    with judging(court):
        narrow, wide = (consistent_with(OURS, published, margin) for margin in sorted((one, other)))
    for margin, verdict in zip(sorted((one, other)), (narrow, wide), strict=True):
        lower, upper = limits_of(verdict)
        assert bool(verdict) == (-margin < lower and upper < margin)
        assert (verdict.outcome == "refuted") == (upper <= -margin or lower >= margin)
        assert verdict.p is not None
        assert (verdict.p < court.level) == bool(verdict) or verdict.p == pytest.approx(court.level)
    assert wide or not narrow
    assert narrow.outcome == "refuted" or wide.outcome != "refuted"


@LAWS
@given(st.floats(0.7, 1.0), st.floats(0, 0.1), st.floats(0, 0.1), levels)
def test_the_laws_of_being_above(value: float, one: float, other: float, court: Court) -> None:
    with judging(court):
        sure, unsure = (above_published(OURS, number(value, spread=spread)) for spread in sorted((one, other)))
    for verdict in (sure, unsure):
        lower, upper = limits_of(verdict)
        assert verdict.outcome == ("supported" if lower > 0 else "refuted" if upper <= 0 else "inconclusive")
        assert verdict.p is not None
        assert (verdict.p < court.level) == bool(verdict) or verdict.p == pytest.approx(court.level)
    assert sure or not unsure


@pytest.mark.parametrize(("value", "agrees"), [(0.93, "supported"), (0.85, "inconclusive"), (0.5, "refuted")])
def test_the_three_outcomes(value: float, agrees: str) -> None:
    above = {"supported": "inconclusive", "inconclusive": "supported", "refuted": "supported"}[agrees]
    assert consistent_with(OURS, number(value), 0.08).outcome == agrees
    assert above_published(OURS, number(value)).outcome == above
    assert above_published(OURS, number(1.2)).outcome == "refuted"


def test_the_default_margin_is_the_datasets() -> None:
    ours = replace(OURS, margin=0.08)
    assert consistent_with(ours, number(0.93)) == consistent_with(ours, number(0.93), 0.08)


@pytest.mark.parametrize(("judge", "fewest"), [(consistent_with, 50), (above_published, 20)])
def test_too_few_patients_settle_nothing(judge: Any, fewest: int) -> None:
    enough, few = (judge(result(CANDIDATE, 1.5, counts=(200, count)), number(0.5)) for count in (fewest, fewest - 1))
    assert enough.outcome == ("refuted" if judge is consistent_with else "supported")
    assert (few.outcome, few.p) == ("inconclusive", None)
    assert f"class 'class1' has {fewest - 1} in the test side, {judge.__name__} needs {fewest}" in few.reason
    assert few.lower is not None


def test_one_patient_in_a_class_has_no_interval() -> None:
    verdict = above_published(result(CANDIDATE, 1.5, counts=(200, 1)), number(0.5))
    assert (verdict.outcome, verdict.lower, verdict.detectable) == ("inconclusive", None, None)
    assert "too few patients for an interval" in verdict.text


@pytest.mark.parametrize("judge", [consistent_with, above_published])
def test_one_seed_settles_nothing_unless_its_variance_is_on_record(judge: Any) -> None:
    ours = retrained(CANDIDATE, 3.0)
    verdict = judge(ours, number(0.5))
    assert (verdict.outcome, verdict.p) == ("inconclusive", None)
    assert verdict.reason == f"training randomness not measured: {CANDIDATE} ran at one seed"
    with judging(Court(seed_variances={("data", "knn"): Piece(variance=1e-4, degrees=12)})):
        known = judge(ours, number(0.5))
    assert known.outcome != "inconclusive"
    assert known.upper - known.lower > verdict.upper - verdict.lower


def test_a_strict_level_needs_three_seeds() -> None:
    ours = retrained(CANDIDATE, *[3.0] * 2)
    with judging(Court(family_size=6)):
        assert above_published(ours, number(0.5)).reason == f"{CANDIDATE} needs 3 seeds at this level, not 2"


def test_nothing_is_ever_beaten() -> None:
    assert beats(OURS, result(REFERENCE, 0.5, counts=(100, 100)))
    for verdict in (consistent_with(OURS, number(0.9)), above_published(OURS, number(0.5))):
        assert "beat" not in verdict.text


def test_it_is_recorded_once_and_says_where_the_number_stands() -> None:
    recorded: list[Verdict] = []
    with judging(Court(family_size=2, record=recorded.append)):
        reached = [
            consistent_with(OURS, number(0.9, spread=0.01, spread_is="sd", runs=5)),
            above_published(OURS, number(0.9, same_images=True)),
        ]
    assert recorded == reached
    assert [(each.kind, each.candidate, each.reference, each.level, each.margin) for each in recorded] == [
        ("consistent_with", CANDIDATE, TABLE, 0.025, 0.02),
        ("above_published", CANDIDATE, TABLE, 0.025, 0.0),
    ]
    assert (
        f"roc_auc: ours {OURS.mean:.4f}, published 0.9 (spread 0.01: sd, 5 runs), other test images" in reached[0].text
    )
    assert "at one-sided level 0.025 lies within ±0.02" in reached[0].text
    assert "1 run), the same test images" in reached[1].text
    assert "lies above 0" in reached[1].text


def test_what_would_settle_it_counts_our_patients_only() -> None:
    published = number(OURS.mean, patients=20_000, spread=0.001, spread_is="se", runs=20)
    own = own_piece(OURS)
    assert own is not None
    theirs, ends = (
        [their_piece(OURS, published), Piece(variance=1e-6, degrees=19)],
        of_patients(own, influence_of(OURS), OURS),
    )

    def told(verdict: Verdict, margin: float, power: float, difference: float) -> None:
        fewest, most = (
            patients_to_settle(patients=200, piece=piece, seeds=theirs, delta=margin, alpha=0.05, power=power)
            for piece in (ends.least, ends.most)
        )
        assert verdict.settle == (
            f"would settle it: {Needed(least=fewest, most=most).said('patient')} in the test side (it has 200; "
            f"{IF_ALIKE}), for a true difference of {difference:g}"
        )

    told(consistent_with(OURS, published), 0.02, 0.9, 0)
    told(above_published(OURS, published), 0.02, 0.8, 0.02)
    told(consistent_with(OURS, published, 0.018), 0.018, 0.9, 0)
    unsure = consistent_with(OURS, number(OURS.mean, spread=0.05))
    assert unsure.settle.startswith("would settle it: no number of patients, but more seeds or a published number")
    assert unsure.settle in unsure.text


def test_a_loss_is_better_where_it_is_lower() -> None:
    labels_N = labels_of(80, 80)
    loss = make_result(CANDIDATE, labels_N, noisy_scores(labels_N, 1.0, seed=0), metric="log_loss")
    better, worse = above_published(loss, number(loss.mean + 1)), above_published(loss, number(loss.mean - 1))
    assert (better.outcome, better.effect) == ("supported", pytest.approx(1))
    assert (worse.outcome, worse.effect) == ("refuted", pytest.approx(-1))
    assert "a difference above 0 is better: of a loss it is theirs less ours" in better.text


@pytest.mark.parametrize("value", [0.5, 0.9, 0.97, 1.0])
def test_their_variance_is_that_of_their_value(value: float) -> None:
    """Whatever our estimate is: a sample of ours that looks sure does not make their number sure."""
    found = [their_piece(ours, number(value)) for ours in (OURS, PERFECT)]
    assert found[0] == found[1]
    assert found[0].variance > 0
    assert their_piece(OURS, number(value, patients=800)).variance < found[0].variance / 3


@pytest.mark.parametrize(
    ("ours", "theirs", "margin"), [(0.97, 0.97, None), (0.99, 0.97, 0.02), (0.97, 0.99, 0.02), (0.85, 0.85, None)]
)
def test_a_claim_beside_a_published_number_keeps_its_level(ours: float, theirs: float, margin: float | None) -> None:
    """Of 200 and 50 patients each, the truth at the threshold: today's bound supported up to .13 of them."""
    rng, labels_N = np.random.default_rng(0), labels_of(200, 50)

    def drawn(auc: float) -> Result:
        score_N = rng.normal(size=250) + math.sqrt(2) * norm.ppf(auc) * labels_N
        return make_result(CANDIDATE, labels_N, two_columns(score_N))

    supported = 0
    for _ in range(200):
        published = number(drawn(theirs).mean)
        one = drawn(ours)
        supported += bool(
            above_published(one, published) if margin is None else consistent_with(one, published, margin)
        )
    assert supported / 200 <= 0.085


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"value": math.nan}, "finite"),
        ({"spread": -0.1}, "spread of 0 or more"),
        ({"spread": math.nan}, "finite"),
        ({"spread": math.inf}, "finite"),
        ({"runs": 0}, "at least one run"),
        ({"patients": 0}, "one patient"),
        ({"spread_is": "std"}, "did you mean sd"),
    ],
)
def test_numbers_that_nobody_published_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Published(**{"value": 0.9, "source": TABLE} | wrong)


@pytest.mark.parametrize("margin", [0.0, -0.1, math.nan, math.inf])
def test_agreement_without_a_margin_is_refused(margin: float) -> None:
    with pytest.raises(InvalidInput, match="consistent_with needs a margin above 0"):
        consistent_with(OURS, number(0.9), margin)
