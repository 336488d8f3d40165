"""Verdicts of pairs of results. Legend: S seeds, N images, C classes."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.comparison import Comparison
from pytest_fmtransfer.judge.court import Court, Outcome, Verdict, current, judging
from pytest_fmtransfer.judge.published import Published, above_published
from pytest_fmtransfer.judge.verdicts import beats, not_worse_than
from pytest_fmtransfer.results import Result
from tests.helpers import CANDIDATE, LAWS, REFERENCE, image, make_result, result, retrained
from tests.strategies import levels, margins, pairs


@LAWS
@given(pairs(), levels)
def test_what_beats_another_is_beaten_by_it_never(pair: tuple[Result, Result], court: Court) -> None:
    with judging(court):
        there, back = beats(*pair), beats(pair[1], pair[0])
    assert (there.outcome == "inconclusive") == (back.outcome == "inconclusive") or there.effect == 0
    assert not (there and back)
    if there:
        assert back.outcome == "refuted"


@LAWS
@given(pairs(), levels)
def test_nothing_beats_itself(pair: tuple[Result, Result], court: Court) -> None:
    """However few the seeds: scores that are the same are equal."""
    with judging(court):
        assert beats(pair[0], pair[0]).outcome == "refuted"


@LAWS
@given(pairs(fewest=50), levels, margins)
def test_what_beats_another_is_not_worse(pair: tuple[Result, Result], court: Court, margin: float) -> None:
    with judging(court):
        stronger, weaker = beats(*pair), not_worse_than(*pair, margin)
    assert weaker or not stronger
    if weaker.outcome == "refuted":
        assert stronger.outcome == "refuted"


@LAWS
@given(pairs(fewest=50), levels, margins)
def test_the_verdict_the_interval_and_p_never_disagree(
    pair: tuple[Result, Result], court: Court, margin: float
) -> None:
    with judging(court):
        verdicts = {0.0: beats(*pair), margin: beats(*pair, margin), -margin: not_worse_than(*pair, margin)}
    for threshold, verdict in verdicts.items():
        assume(verdict.reason == "")
        assert verdict.lower is not None
        assert verdict.upper is not None
        assert verdict.p is not None
        says: Outcome = (
            "supported" if verdict.lower > threshold else "refuted" if verdict.upper <= threshold else "inconclusive"
        )
        assert verdict.outcome == says
        assert (verdict.p < court.level) == bool(verdict) or verdict.p == pytest.approx(court.level)
        printed = re.search(r"interval \[([+-]\d\.\d{4}), ([+-]\d\.\d{4})\]", repr(verdict))
        assert printed is not None
        assert printed.groups() == (f"{verdict.lower:+.4f}", f"{verdict.upper:+.4f}")


@LAWS
@given(pairs(), st.integers(1, 200), st.integers(1, 200))
def test_a_larger_family_never_supports_more(pair: tuple[Result, Result], one: int, other: int) -> None:
    with judging(Court(family_size=min(one, other))):
        small = beats(*pair)
    with judging(Court(family_size=max(one, other))):
        large = beats(*pair)
    assert small or not large
    assert small.outcome == "refuted" or large.outcome != "refuted"


@pytest.mark.parametrize(("candidate", "outcome"), [(2.0, "supported"), (0.5, "inconclusive"), (0.0, "refuted")])
def test_only_supported_is_true(candidate: float, outcome: Outcome) -> None:
    verdict = beats(result(CANDIDATE, candidate, seed=1), result(REFERENCE, 0.5))
    assert (verdict.outcome, bool(verdict)) == (outcome, outcome == "supported")


@pytest.mark.parametrize(("judge", "fewest"), [(beats, 20), (not_worse_than, 50)])
@pytest.mark.parametrize("small", [0, 1])
def test_a_class_of_too_few_patients_is_named(judge: Any, fewest: int, small: int) -> None:
    def verdict(patients: int) -> Verdict:
        counts = (patients, 90) if small == 0 else (90, patients)
        more: dict[str, Any] = {"counts": counts, "classes": ("benign", "malign")}
        return judge(result(CANDIDATE, 3.0, **more), result(REFERENCE, 0.3, **more))

    assert verdict(fewest)
    named = f"class '{('benign', 'malign')[small]}' has {fewest - 1} in the test side, {judge.__name__} needs {fewest}"
    assert named in verdict(fewest - 1).reason
    assert verdict(fewest - 1).outcome == "inconclusive"


def test_patients_are_counted_and_not_their_images() -> None:
    patients_N = np.r_[np.repeat(np.arange(19), 5), np.arange(100, 160)].astype(np.str_)
    more: dict[str, Any] = {"counts": (95, 60), "patients_N": patients_N}
    verdict = beats(result(CANDIDATE, 3.0, **more), result(REFERENCE, 0.3, **more))
    assert "class 'class0' has 19 in" in verdict.reason


def test_one_seed_of_a_seeded_regime_settles_nothing() -> None:
    verdict = beats(retrained(CANDIDATE, 3.0), retrained(REFERENCE, 0.3, 0.3))
    assert verdict.outcome == "inconclusive"
    assert verdict.reason == f"training randomness not measured: {CANDIDATE} ran at one seed"


def test_the_spread_of_the_seeds_widens_the_interval() -> None:
    steady = beats(retrained(CANDIDATE, 1.2, 1.2, 1.2), retrained(REFERENCE, 0.3, 0.3, 0.3))
    noisy = beats(retrained(CANDIDATE, 0.3, 1.2, 2.4), retrained(REFERENCE, 0.3, 0.3, 0.3))
    assert steady.lower is not None
    assert noisy.lower is not None
    assert (steady.outcome, noisy.outcome) == ("supported", "inconclusive")
    assert steady.effect is not None
    assert noisy.effect is not None
    assert noisy.effect - noisy.lower > 2 * (steady.effect - steady.lower)


@pytest.mark.parametrize(("family_size", "supported"), [(5, True), (6, False)])
def test_a_level_below_1_percent_needs_three_seeds(family_size: int, supported: bool) -> None:
    with judging(Court(family_size=family_size)):
        two = beats(retrained(CANDIDATE, 3.0, 3.0), retrained(REFERENCE, *[0.3] * 3))
        three = beats(retrained(CANDIDATE, *[3.0] * 3), retrained(REFERENCE, *[0.3] * 3))
    assert (bool(two), bool(three)) == (supported, True)
    assert supported or two.reason == f"{CANDIDATE} needs 3 seeds at this level, not 2"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"dataset_fingerprint": "ffff"}, "not scored on the same images"),
        ({"ids_N": [image(number) for number in range(120, 240)]}, "not scored on the same images"),
        ({"metric": "accuracy"}, "measured in roc_auc, old.model-data-knn in accuracy"),
    ],
)
def test_results_that_cannot_be_compared_are_refused(other: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        beats(result(CANDIDATE, 1.0), result(REFERENCE, 1.0, **other))


@pytest.mark.parametrize("margin", [0.0, -0.01])
def test_not_worse_than_without_a_margin_is_refused(margin: float) -> None:
    one = result(CANDIDATE, 1.0)
    with pytest.raises(InvalidInput, match="needs a margin above 0"):
        not_worse_than(one, one, margin)
    with pytest.raises(InvalidInput, match="needs a margin above 0"):
        not_worse_than(replace(one, margin=margin), one)


def test_the_default_margin_is_the_datasets() -> None:
    one, other = result(CANDIDATE, 1.0, margin=0.05), result(REFERENCE, 1.0, seed=1)
    assert not_worse_than(one, other) == not_worse_than(one, other, 0.05)


def test_a_court_writes_down_each_verdict_until_its_session_ends() -> None:
    recorded: list[Verdict] = []
    one, other, outside = result(CANDIDATE, 2.0), result(REFERENCE, 0.3), current()
    with judging(Court(family_size=5, record=recorded.append)) as court:
        assert current() is court
        reached = [beats(one, other), not_worse_than(one, other)]
    beats(one, other)
    assert recorded == reached
    assert [(verdict.kind, verdict.level, verdict.family_size) for verdict in recorded] == [
        ("beats", 0.01, 5),
        ("not_worse_than", 0.01, 5),
    ]
    assert current() is outside


def test_two_perfect_aucs_are_not_taken_for_certain() -> None:
    """The exact bound and MOVER both say how much 60 patients a class can hide."""
    perfect = make_result("a-b-c", [0] * 60 + [1] * 60, np.repeat(np.eye(2), 60, axis=0))
    other = make_result("d-b-c", [0] * 60 + [1] * 60, 3 * np.repeat(np.eye(2), 60, axis=0))
    verdict = not_worse_than(perfect, other, 0.02)
    assert verdict.outcome == "inconclusive"
    assert verdict.lower == pytest.approx(0.05 ** (1 / 60) - 1)
    assert not_worse_than(perfect, other, 0.06)


def test_a_class_without_test_images_is_named() -> None:
    labels = [0] * 40 + [1] * 40
    scores = np.eye(3)[labels]
    more: dict[str, Any] = {"metric": "balanced_accuracy", "classes": ("one", "two", "three")}
    verdict = beats(make_result("a-b-c", labels, scores, **more), make_result("d-b-c", labels, -scores, **more))
    assert "class 'three' has 0 in the test side" in repr(verdict)


@pytest.mark.parametrize("margin", [-0.1, float("nan"), float("inf")])
def test_a_margin_that_is_none_is_refused(margin: float) -> None:
    one = make_result("a-b-c", [0, 1] * 60, np.eye(2)[[0, 1] * 60])
    with pytest.raises(InvalidInput):
        beats(one, one, margin)
    with pytest.raises(InvalidInput):
        not_worse_than(one, one, margin)


def test_results_of_two_profiles_are_not_compared() -> None:
    labels = [0, 1] * 60
    ci = make_result("a-b-c", labels, np.eye(2)[labels])
    smoke = make_result("d-b-c", labels, np.eye(2)[labels], profile="smoke")
    with pytest.raises(InvalidInput, match="run both under one profile"):
        beats(ci, smoke)


@pytest.mark.parametrize("name", ["labels_N", "patients_N"])
def test_results_that_disagree_about_the_same_images_are_not_compared(name: str) -> None:
    """A forged result keeps the dataset's fingerprint."""
    mine, theirs = result(CANDIDATE, 1.0), result(REFERENCE, 0.5)
    other_N = getattr(theirs, name).copy()
    other_N[0] = other_N[-1]
    with pytest.raises(InvalidInput, match="have other labels or patients for the same images"):
        beats(mine, replace(theirs, **{name: other_N}), 0.0)


def test_classes_in_another_order_are_no_comparison() -> None:
    """Wherever one is built: scores are held to classes by their place."""
    one, other = result(CANDIDATE, 1.0), result(REFERENCE, 1.0, classes=("class1", "class0"))
    told = f"{CANDIDATE} names the classes class0, class1, {REFERENCE} class1, class0"
    with pytest.raises(InvalidInput, match=told):
        Comparison(candidate=one, reference=other)
    with pytest.raises(InvalidInput, match=told):
        beats(one, other)


def test_other_settings_of_one_regime_are_no_comparison() -> None:
    """They are of two regimes, which may well be compared."""
    one, other = result(CANDIDATE, 1.0), result(REFERENCE, 1.0, settings={"neighbours": [1], "metric": "cosine"})
    told = r"of one regime: metric: none, cosine; neighbours: \[1, 2, 5\], \[1\]; measure both again under one"
    with pytest.raises(InvalidInput, match=told):
        Comparison(candidate=one, reference=other)
    probe = replace(other, cell=Cell.parse("old.model-data-linear_probe"))
    assert Comparison(candidate=one, reference=probe).effect == pytest.approx(one.mean - probe.mean)


@LAWS
@given(pairs(fewest=50), levels, margins)
def test_what_can_be_shown_is_never_below_nothing(pair: tuple[Result, Result], court: Court, margin: float) -> None:
    """A wide margin is not "smallest detectable −0.42"."""
    with judging(court):
        wide = not_worse_than(*pair, margin + 0.5)
        narrow = not_worse_than(*pair, margin)
        better = beats(*pair, margin)
    assert "smallest margin that could be shown" in wide.text
    for verdict in (wide, narrow, better):
        assert verdict.detectable is not None
        assert verdict.detectable >= 0
    assert better.detectable is not None
    assert better.detectable >= margin


@LAWS
@given(st.floats(0, 3), st.integers(2, 6), levels)
def test_limits_of_a_difference_are_ones_that_there_can_be(signal: float, seeds: int, court: Court) -> None:
    """Seeds that come to all or nothing make a t interval that reaches beyond −1 or 1."""
    signals = [signal if seed % 2 else -signal for seed in range(seeds)]
    with judging(court):
        verdicts = [
            beats(retrained(CANDIDATE, *signals), retrained(REFERENCE, *reversed(signals))),
            not_worse_than(retrained(CANDIDATE, *signals), retrained(REFERENCE, *reversed(signals)), 0.5),
            above_published(retrained(CANDIDATE, *signals), Published(value=0.9, source="Somebody 2020")),
        ]
    for verdict in verdicts:
        assert verdict.lower is not None
        assert verdict.upper is not None
        assert -1 <= verdict.lower <= verdict.upper <= 1


def test_underpowered_is_told_by_the_margin_of_the_claim() -> None:
    told = not_worse_than(result(CANDIDATE, 0.8, seed=1), result(REFERENCE, 1.0, seed=2), margin=0.07)
    assert told.outcome == "inconclusive"
    assert "or more, and the margin is 0.07" in told.text
    assert "0.02" not in told.text
