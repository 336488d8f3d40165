"""The third tier of the gate: a seeded regime, ten recorded seeds, a screen and six fresh seeds. Synthetic results.

Legend: S seeds, N images, C classes.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.court import Court, judging
from pytest_fmtransfer.judge.drift import (
    chance_of_false_alarm,
    fresh_seeds,
    has_drifted,
    passes_screen,
    screen_limit,
)
from pytest_fmtransfer.judge.regression import Tolerance, accept, unchanged_from
from pytest_fmtransfer.results import Result
from tests.helpers import LAWS, labels_of, make_result

CELL = "some.model-data-head"
LABELS_N = labels_of(50, 50)
TOLERANCE = Tolerance(score=0.01, metric=0.001)

figures = st.lists(st.floats(0.5, 1.0), min_size=10, max_size=20)


def of_accuracy(values: Sequence[float], seeds: Sequence[int], **subject: str) -> Result:
    """A seeded result whose accuracy at each seed is the value asked for, to a hundredth."""
    wrong = [round(100 * (1 - value)) for value in values]
    scores_SNC = np.stack([np.eye(2)[np.where(np.arange(100) < count, 1 - LABELS_N, LABELS_N)] for count in wrong])
    made = make_result(CELL, LABELS_N, scores_SNC, seeded=True, metric="accuracy", subject=subject)
    return replace(made, seeds=tuple(seeds))


BASELINE = of_accuracy([0.80, 0.81, 0.82, 0.83, 0.84, 0.85, 0.86, 0.87, 0.88, 0.89], range(10), timm="1.0.20")


class Training:
    """Yields fresh seeds around an accuracy, and writes down which were asked for."""

    def __init__(self, *values: float) -> None:
        self.values = values
        self.asked: list[tuple[int, ...]] = []

    def __call__(self, seeds: tuple[int, ...]) -> Result:
        self.asked.append(seeds)
        return of_accuracy([self.values[seed - 10] for seed in seeds], seeds, timm="1.0.21")


def retrained(value: float) -> Result:
    """Another upgrade, the recorded seeds trained again."""
    return of_accuracy([value] * 10, range(10), timm="1.0.21")


def test_identical_scores_at_the_recorded_seeds_need_no_new_one() -> None:
    training = Training()
    assert unchanged_from(replace(BASELINE, subject={"timm": "1.0.21"}), BASELINE, TOLERANCE, training)
    assert training.asked == []


def test_a_new_seed_within_noise_ends_it() -> None:
    training = Training(0.82)
    verdict = unchanged_from(retrained(0.84), BASELINE, TOLERANCE, training)
    assert verdict.outcome == "supported"
    assert training.asked == [(10,)]
    assert "third tier, screen: seed 10 has accuracy 0.8200" in verdict.text
    assert "changed since the baseline: timm 1.0.20 → 1.0.21" in verdict.text
    assert repr(verdict).startswith("unchanged within noise: a new seed moved accuracy by -0.0250")


def test_six_fresh_seeds_below_everything_recorded_are_drift() -> None:
    """An upgrade that makes transfer worse is drift, not a stale baseline."""
    training = Training(0.70, 0.71, 0.72, 0.70, 0.73, 0.69, 0.72)
    verdict = unchanged_from(retrained(0.71), BASELINE, TOLERANCE, training)
    assert verdict.outcome == "refuted"
    assert training.asked == [(10,), (11, 12, 13, 14, 15, 16)]
    assert repr(verdict).startswith("drifted: accuracy 0.8450 → 0.7117, all 6 fresh seeds")
    assert "changed since the baseline: timm 1.0.20 → 1.0.21" in verdict.text
    assert accept(CELL) in verdict.text


@pytest.mark.parametrize("name", ["processor", "device"])
@pytest.mark.parametrize("rerun", [Training(0.82), Training(*[0.70] * 7), None], ids=["within", "drifted", "cannot"])
def test_another_machine_is_told_with_what_its_rounding_may_do(name: str, rerun: Training | None) -> None:
    elsewhere = replace(retrained(0.71), subject={**BASELINE.subject, name: "another"})
    told = (
        "another machine than the baseline's: its rounding may move accuracy by 0.001, the regime's metric_tolerance; "
        "for one that moves it further keep baselines of its own: -o fm_baselines=DIR --fm-update=new"
    )
    assert told in unchanged_from(elsewhere, BASELINE, TOLERANCE, rerun).text
    assert "another machine" not in unchanged_from(retrained(0.71), BASELINE, TOLERANCE, rerun).text


def test_a_verdict_holds_what_the_screen_saw() -> None:
    screened = unchanged_from(retrained(0.84), BASELINE, TOLERANCE, Training(0.82)).screened
    assert screened is not None
    assert (screened.seeds, screened.recorded) == (BASELINE.seeds, BASELINE.by_seed)
    assert (screened.screened, screened.tolerance, screened.higher_is_better) == (pytest.approx(0.82), 0.001, True)
    assert screened.changes == ["timm 1.0.20 → 1.0.21"]
    assert unchanged_from(replace(BASELINE, subject={}), BASELINE, TOLERANCE, Training()).screened is None


def test_a_gain_is_drift_too() -> None:
    training = Training(0.96, 0.97, 0.95, 0.96, 0.98, 0.99, 0.96)
    assert unchanged_from(retrained(0.97), BASELINE, TOLERANCE, training).outcome == "refuted"


@pytest.mark.parametrize("odd_one", [0.80, 0.85, 0.99])
def test_one_fresh_seed_among_the_recorded_ones_or_beyond_the_other_end_clears_it(odd_one: float) -> None:
    training = Training(0.70, 0.71, 0.72, odd_one, 0.73, 0.69, 0.72)
    verdict = unchanged_from(retrained(0.71), BASELINE, TOLERANCE, training)
    assert verdict.outcome == "supported"
    assert "over 6 fresh seeds" in repr(verdict)


def test_the_second_stage_is_run_once_whatever_it_says() -> None:
    training = Training(0.70, 0.71, 0.72, 0.85, 0.73, 0.69, 0.72)
    unchanged_from(retrained(0.71), BASELINE, TOLERANCE, training)
    assert len(training.asked) == 2


@pytest.mark.parametrize(("size", "seeds"), [(200, 6), (201, 7)])
def test_a_large_family_takes_seven_seeds(size: int, seeds: int) -> None:
    training = Training(*[0.70] * 8)
    with judging(Court(family_size=size)):
        unchanged_from(retrained(0.71), BASELINE, TOLERANCE, training)
    assert len(training.asked[1]) == seeds


def test_fewer_than_ten_recorded_seeds_cannot_tell() -> None:
    nine = replace(BASELINE, scores_SNC=BASELINE.scores_SNC[:9], seeds=BASELINE.seeds[:9], chosen=BASELINE.chosen[:9])
    training = Training(0.70)
    verdict = unchanged_from(retrained(0.71), nine, TOLERANCE, training)
    assert verdict.outcome == "inconclusive"
    assert "9 of the 10 recorded seeds that it takes" in repr(verdict)
    assert training.asked == []


def test_where_nothing_can_be_trained_drift_cannot_be_told() -> None:
    verdict = unchanged_from(retrained(0.71), BASELINE, TOLERANCE, None)
    assert verdict.outcome == "inconclusive"
    assert "no new seed can be run here" in repr(verdict)


def test_the_chance_of_a_false_alarm_is_the_declared_one() -> None:
    assert chance_of_false_alarm(10, 6) == pytest.approx(2 / 8008)
    assert fresh_seeds(120) == 6


@LAWS
@given(figures, st.floats(0.5, 1.0), st.floats(0, 0.1))
def test_a_wider_tolerance_never_raises_an_alarm(recorded: list[float], screened: float, tolerance: float) -> None:
    assert passes_screen(recorded, screened, 2 * tolerance) or not passes_screen(recorded, screened, tolerance)
    fresh = [screened] * 6
    assert has_drifted(recorded, screened, fresh, tolerance) or not has_drifted(
        recorded, screened, fresh, 2 * tolerance
    )


@LAWS
@given(figures, st.permutations(range(10)), st.floats(0, 0.1))
def test_values_within_the_recorded_range_are_never_drift(
    recorded: list[float], order: list[int], tolerance: float
) -> None:
    fresh = [recorded[at] for at in order[:6]]
    assert not has_drifted(recorded, fresh[0], fresh, tolerance)


def test_seeds_that_agree_exactly_leave_the_tolerance_alone() -> None:
    assert screen_limit([0.9] * 10, 0.001) == pytest.approx(0.001)
    assert passes_screen([0.9] * 10, 0.9005, 0.001)
    assert not passes_screen([0.9] * 10, 0.902, 0.001)


def test_a_screen_of_one_recorded_seed_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least two recorded seeds, not 1"):
        screen_limit([0.9], 0.001)
