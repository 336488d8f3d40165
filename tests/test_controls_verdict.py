"""Can a dataset tell backbones apart: each check failing alone, and what follows for other verdicts. Synthetic results.

Legend: S shuffles, N images, C classes.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pytest_fmtransfer.judge.controls import Controls, chance_level, tells_backbones_apart
from pytest_fmtransfer.judge.court import Court, Outcome, Verdict, judging
from pytest_fmtransfer.judge.published import Published, above_published, consistent_with
from pytest_fmtransfer.judge.verdicts import beats, equivalent_to, not_worse_than
from pytest_fmtransfer.metrics import METRICS
from pytest_fmtransfer.results import Result
from tests.helpers import labels_of, make_result, noisy_scores

LABELS_N = labels_of(150, 150)
SOUND = "supported: data under knn can tell backbones apart"


def cell(backbone: str, signal: float, *, seed: int = 0, **more: Any) -> Result:
    return make_result(f"{backbone}-data-knn", LABELS_N, noisy_scores(LABELS_N, signal, seed=seed), **more)


def shuffled(signal: float = 0.0, shuffles: int = 20) -> Result:
    scores_SNC = np.stack([noisy_scores(LABELS_N, signal, seed=100 + seed) for seed in range(shuffles)])
    return make_result("good-data.shuffled-knn", LABELS_N, scores_SNC, seeded=True)


def controls(**other: Result) -> Controls:
    """A sound set, but for what is given."""
    fields = {
        "reference": cell("good", 1.5),
        "twin": cell("good.random", 0.3, seed=1),
        "shortcut": cell("shortcut.metadata", 0.5, seed=2),
        "shuffled": shuffled(),
    }
    return Controls(**fields | other)


def outcomes_of(verdict: Verdict) -> list[str]:
    """Of the checks, in their order."""
    lines = [line.strip().partition(":")[0] for line in verdict.text.splitlines()[1:]]
    return [line for line in lines if line in ("supported", "refuted", "inconclusive")]


def test_a_sound_dataset_tells_backbones_apart() -> None:
    verdict = controls().tell_backbones_apart()
    assert (bool(verdict), repr(verdict), verdict.reason) == (True, SOUND, "")
    assert outcomes_of(verdict) == ["supported"] * 5
    assert (verdict.kind, verdict.candidate, verdict.reference) == (
        "tells_backbones_apart",
        "good-data-knn",
        "controls",
    )


PERFECT = make_result("good-data-knn", LABELS_N, 3 * np.eye(2)[LABELS_N])


@pytest.mark.parametrize(
    ("other", "failing", "name"),
    [
        ({"twin": cell("good.random", 1.7, seed=1)}, 0, "not better than random weights"),
        ({"shortcut": cell("shortcut.metadata", 1.5, seed=2)}, 1, "not better than shortcut"),
        ({"shuffled": shuffled(0.3)}, 3, "leak suspected: shuffled labels are not at chance"),
        ({"shuffled": shuffled(-0.3)}, 3, "leak suspected: shuffled labels are not at chance"),
        ({"reference": PERFECT}, 4, "no headroom"),
    ],
)
def test_each_check_that_fails_alone_turns_the_verdict(other: dict[str, Result], failing: int, name: str) -> None:
    verdict = tells_backbones_apart(controls(**other))
    assert repr(verdict) == f"refuted: data under knn cannot tell backbones apart ({name})"
    assert outcomes_of(verdict) == ["refuted" if place == failing else "supported" for place in range(5)]


def test_a_reference_that_is_no_better_than_its_shuffles_fails_twice() -> None:
    verdict = tells_backbones_apart(controls(shuffled=shuffled(1.5)))
    assert outcomes_of(verdict) == ["supported", "supported", "refuted", "refuted", "supported"]
    assert verdict.reason == "not better than shuffled labels, leak suspected: shuffled labels are not at chance"


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ({"twin": cell("good.random", 1.2, seed=1)}, "random weights not settled"),
        ({"shortcut": cell("shortcut.metadata", 1.2, seed=1)}, "shortcut not settled"),
        ({"shuffled": shuffled(shuffles=1)}, "shuffled labels not settled"),
    ],
)
def test_a_check_that_is_open_leaves_it_open(other: dict[str, Result], name: str) -> None:
    verdict = tells_backbones_apart(controls(**other))
    assert repr(verdict) == f"inconclusive: data under knn was not shown to tell backbones apart ({name})"


def test_what_failed_is_told_before_what_is_open() -> None:
    other = {"twin": cell("good.random", 1.7, seed=1), "shortcut": cell("shortcut.metadata", 1.2, seed=1)}
    verdict = tells_backbones_apart(controls(**other))
    assert outcomes_of(verdict)[:2] == ["refuted", "inconclusive"]
    assert (verdict.outcome, verdict.reason) == ("refuted", "not better than random weights")


def test_better_means_by_more_than_the_margin() -> None:
    within = cell("good", 1.5, margin=0.3)
    verdict = tells_backbones_apart(controls(reference=within))
    assert "refuted: good-data-knn 0.9168 against shortcut" in verdict.text
    assert "to lie above 0.3" in verdict.text
    assert "each at one-sided level 0.05, margin 0.3; all must hold" in verdict.text


def test_it_is_judged_at_its_own_level_whatever_the_family() -> None:
    alone = tells_backbones_apart(controls())
    with judging(Court(family_size=1000)):
        assert tells_backbones_apart(controls()) == alone


def test_only_the_verb_records_it() -> None:
    recorded: list[Verdict] = []
    with judging(Court(record=recorded.append)):
        tells_backbones_apart(controls())
        assert recorded == []
        verdict = controls().tell_backbones_apart()
    assert recorded == [verdict]


def test_shuffles_that_all_take_one_class_are_at_chance() -> None:
    """The mean of twenty times 1/3 is 1/3 but for rounding, and has no spread."""
    labels_N = labels_of(60, 60, 60)

    def learnt(name: str, signal: float, seed: int = 0) -> Result:
        scores_NC = noisy_scores(labels_N, signal, seed=seed, classes=3)
        return make_result(name, labels_N, scores_NC, metric="macro_recall")

    one_class = make_result(
        "good-data.shuffled-knn", labels_N, np.tile(np.eye(3)[0], (20, 180, 1)), seeded=True, metric="macro_recall"
    )
    told = tells_backbones_apart(
        Controls(
            reference=learnt("good-data-knn", 2.0),
            twin=learnt("good.random-data-knn", 0.3, 1),
            shortcut=learnt("shortcut.metadata-data-knn", 0.3, 2),
            shuffled=one_class,
        )
    )
    assert repr(told) == SOUND


def test_too_few_patients_leave_it_open() -> None:
    """One patient of a class: no interval, and no headroom that is known."""
    labels_N = labels_of(60, 1)

    def few(name: str, signal: float) -> Result:
        return make_result(name, labels_N, noisy_scores(labels_N, signal, seed=0))

    shuffles = make_result("good-data.shuffled-knn", labels_N, np.zeros((20, 61, 2)), seeded=True)
    told = tells_backbones_apart(
        Controls(
            reference=few("good-data-knn", 2.0), twin=few("t-data-knn", 0), shortcut=few("s-data-knn", 0),
            shuffled=shuffles,
        )
    )  # fmt: skip
    assert told.outcome == "inconclusive"
    assert "too few patients for an interval" in told.text
    assert "headroom not known" in told.reason


def test_a_seeded_reference_needs_headroom_for_its_spread_too() -> None:
    scores_SNC = np.stack([noisy_scores(LABELS_N, signal, seed=7) for signal in (1.5, 2.0, 2.5)])
    steady, noisy = (
        make_result("good-data-knn", LABELS_N, scores_SNC[rows], seeded=True) for rows in ([1, 1, 1], [0, 1, 2])
    )
    assert outcomes_of(tells_backbones_apart(controls(reference=steady)))[4] == "supported"
    assert outcomes_of(tells_backbones_apart(controls(reference=noisy)))[4] == "refuted"


def test_the_chance_level_of_every_metric() -> None:
    levels = {
        name: chance_level(make_result("a-b-c", [0, 1, 2] * 10, np.zeros((30, 3)), metric=name)) for name in METRICS
    }
    areas = {"roc_auc", "roc_auc_ovo", "roc_auc_ovr", "mean_roc_auc"}
    assert levels == {
        name: 0.5 if name in areas else 0.0 if "kappa" in name else 1 / 3 if "recall" in name else levels[name]
        for name in METRICS
    }
    assert levels["balanced_accuracy"] == 1 / 3
    unknown = {"accuracy", "macro_f1", "average_precision", "log_loss", "brier", "expected_calibration_error"}
    assert {name for name, level in levels.items() if level is None} == unknown


def test_without_a_chance_level_the_shuffles_are_only_to_be_beaten() -> None:
    def of(result: Result) -> Result:
        return replace(result, question=replace(result.question, metric="accuracy"))

    sound = controls()
    verdict = tells_backbones_apart(
        Controls(**{name: of(getattr(sound, name)) for name in ("reference", "twin", "shortcut", "shuffled")})
    )
    assert (bool(verdict), outcomes_of(verdict)) == (True, ["supported"] * 4)
    assert (
        "not checked: whether shuffled labels are at chance, because what chance is in accuracy depends on the scores; "
        "a leak is not ruled out"
    ) in verdict.text
    assert "not checked" not in tells_backbones_apart(sound).text


def test_one_shuffle_says_that_chance_was_not_checked() -> None:
    text = tells_backbones_apart(controls(shuffled=shuffled(shuffles=1))).text
    assert "not checked: whether shuffled labels are at chance, because one shuffle has no interval" in text


NUMBER = Published(value=0.9168, source="table 1")


@pytest.mark.parametrize("told", ["refuted", "inconclusive"])
def test_what_an_uninformative_dataset_can_still_say(told: Outcome) -> None:
    """A difference found is marked; that nothing is worse, or the same, says nothing."""
    telling = replace(tells_backbones_apart(controls()), outcome=told, summary=f"{told}: data under knn is no use")
    one, other, same = cell("good", 1.5), cell("other", 0.5), cell("same", 1.5)
    with judging(Court(telling=telling)):
        marked = [beats(one, other), above_published(one, replace(NUMBER, value=0.7))]
        blocked = [not_worse_than(one, same), equivalent_to(one, same, 0.1), consistent_with(one, NUMBER, 0.1)]
    for verdict in marked:
        assert (verdict.outcome, verdict.mark, verdict.reason) == ("supported", "data under knn is no use", "")
        assert "data under knn is no use" in verdict.text
    for verdict in blocked:
        assert (verdict.outcome, verdict.mark, verdict.reason) == ("inconclusive", "", "data under knn is no use")
        assert (repr(verdict), verdict.p) == ("inconclusive: data under knn is no use", None)
        assert verdict.lower is not None


@pytest.mark.parametrize("telling", [None, tells_backbones_apart(controls())])
def test_an_informative_dataset_or_one_not_asked_changes_nothing(telling: Verdict | None) -> None:
    one, same = cell("good", 1.5), cell("same", 1.5)
    with judging(Court(telling=telling)):
        reached = [not_worse_than(one, same), equivalent_to(one, same), consistent_with(one, NUMBER, 0.1)]
    assert all(reached)
    said = "controls not run: --fm-controls says" if telling is None else f"controls: {SOUND}"
    assert said in reached[0].text
