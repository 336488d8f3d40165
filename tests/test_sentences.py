"""Every verdict in words: each kind and outcome as the report prints it, of gains, losses, marks and reasons."""

from typing import Any, get_args

import pytest

from pytest_fmtransfer.judge.compound import Compound
from pytest_fmtransfer.judge.court import Outcome, Verdict
from pytest_fmtransfer.judge.gain_claims import KINDS as OF_GAINS
from pytest_fmtransfer.judge.reading import FEWEST_PATIENTS
from pytest_fmtransfer.reports.rows import verdict_row
from pytest_fmtransfer.reports.sentences import in_words

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
KINDS = (*FEWEST_PATIENTS, *get_args(Compound), *OF_GAINS)

# Limits where each outcome has them, of a claim at a margin of 0.02 or, of those without, at 0.
UP: dict[str, Any] = {"effect": 0.031, "lower": 0.011, "upper": 0.051}
DOWN: dict[str, Any] = {"effect": -0.041, "lower": -0.061, "upper": -0.021}
WIDE: dict[str, Any] = {"effect": 0.005, "lower": -0.035, "upper": 0.045}
SAME: dict[str, Any] = {"effect": 0.001, "lower": -0.011, "upper": 0.013}


def said(kind: str, outcome: Outcome, **more: Any) -> str:
    fields: dict[str, Any] = {"level": 0.025, "metric": "roc_auc", "summary": f"{outcome}: what was found"}
    return in_words(verdict_row(Verdict(kind=kind, candidate="a", reference="b", outcome=outcome, **fields | more)))


TABLE: list[tuple[str, Outcome, dict[str, Any], str]] = [
    ("beats", "supported", UP, "better: roc_auc +0.031, at least +0.011 (97.5 % sure)"),
    ("beats", "refuted", DOWN, "not better: roc_auc -0.041, at most -0.021 (97.5 % sure)"),
    (
        "not_worse_than",
        "supported",
        SAME | {"margin": 0.02},
        "not worse: roc_auc +0.001, at least -0.011 (97.5 % sure); a loss of 0.02 is allowed",
    ),
    (
        "not_worse_than",
        "refuted",
        DOWN | {"margin": 0.02},
        "worse: roc_auc -0.041, at most -0.021 (97.5 % sure); a loss of 0.02 is allowed",
    ),
    (
        "no_class_worse_than",
        "supported",
        SAME | {"margin": 0.02, "metric_of": "roc_auc of rash"},
        "no class is worse; the weakest roc_auc of rash +0.001, at least -0.011 (97.5 % sure); a loss of 0.02 is "
        "allowed",
    ),
    (
        "no_class_worse_than",
        "refuted",
        DOWN | {"margin": 0.02, "metric_of": "roc_auc of rash"},
        "a class is worse: roc_auc of rash -0.041, at most -0.021 (97.5 % sure); a loss of 0.02 is allowed",
    ),
    (
        "equivalent_to",
        "supported",
        SAME | {"margin": 0.02},
        "the same within 0.02: roc_auc +0.001, between -0.011 and +0.013 (97.5 % sure of each)",
    ),
    (
        "equivalent_to",
        "refuted",
        DOWN | {"margin": 0.02},
        "not the same within 0.02: roc_auc -0.041, between -0.061 and -0.021 (97.5 % sure of each)",
    ),
    (
        "consistent_with",
        "supported",
        SAME | {"margin": 0.02},
        "agrees within 0.02: roc_auc +0.001, between -0.011 and +0.013 (97.5 % sure of each)",
    ),
    (
        "consistent_with",
        "refuted",
        DOWN | {"margin": 0.02},
        "does not agree within 0.02: roc_auc -0.041, between -0.061 and -0.021 (97.5 % sure of each)",
    ),
    ("above_published", "supported", UP, "better than published: roc_auc +0.031, at least +0.011 (97.5 % sure)"),
    ("above_published", "refuted", DOWN, "not better than published: roc_auc -0.041, at most -0.021 (97.5 % sure)"),
    (
        "consistently_better",
        "supported",
        UP,
        "better on every dataset; on the weakest roc_auc +0.031, at least +0.011 (97.5 % sure)",
    ),
    (
        "consistently_better",
        "refuted",
        DOWN,
        "not better on every dataset; on the weakest roc_auc -0.041, at most -0.021 (97.5 % sure)",
    ),
    (
        "not_consistently_better",
        "supported",
        DOWN,
        "not better on every dataset; on the weakest roc_auc -0.041, at most -0.021 (97.5 % sure)",
    ),
    (
        "not_consistently_better",
        "refuted",
        UP,
        "better on every dataset; on the weakest roc_auc +0.031, at least +0.011 (97.5 % sure)",
    ),
    (
        "ranks_above",
        "supported",
        UP,
        "each better than the next; the closest pair roc_auc +0.031, at least +0.011 (97.5 % sure)",
    ),
    (
        "ranks_above",
        "refuted",
        DOWN,
        "not in this order; the pair furthest from it roc_auc -0.041, at most -0.021 (97.5 % sure)",
    ),
    (
        "gains_in_order",
        "supported",
        {"effect": 3.1, "lower": 1.1, "upper": 5.1},
        "gains in this order; the closest pair +3.10 %, at least +1.10 % (97.5 % sure)",
    ),
    (
        "gains_in_order",
        "refuted",
        {"effect": -4.1, "lower": -6.1, "upper": -2.1},
        "not in this order; the pair furthest from it -4.10 %, at most -2.10 % (97.5 % sure)",
    ),
    (
        "gain_consistent_with",
        "supported",
        {"effect": 0.1, "lower": -1.1, "upper": 1.3, "margin": 2.0},
        "agrees within 2 %: average relative gain +0.10 %, between -1.10 % and +1.30 % (97.5 % sure of each)",
    ),
    (
        "gain_consistent_with",
        "refuted",
        {"effect": -4.1, "lower": -6.1, "upper": -2.1, "margin": 2.0},
        "does not agree within 2 %: average relative gain -4.10 %, between -6.10 % and -2.10 % (97.5 % sure of each)",
    ),
]


@pytest.mark.parametrize(("kind", "outcome", "figures", "sentence"), TABLE)
def test_a_settled_verdict_says_which_is_better_and_how_sure_that_is(
    kind: str, outcome: Outcome, figures: dict[str, Any], sentence: str
) -> None:
    assert said(kind, outcome, **figures) == sentence
    assert (
        said(kind, outcome, **figures, mark="not better than shortcut") == f"{sentence} (but not better than shortcut)"
    )


def test_the_table_holds_every_kind_and_outcome() -> None:
    settled = {(kind, outcome) for kind in KINDS for outcome in OUTCOMES if outcome != "inconclusive"}
    assert {(kind, outcome) for kind, outcome, _, _ in TABLE} == settled


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_is_open_says_what_it_could_be_and_what_it_takes(kind: str) -> None:
    found = "found +0.005, could be anything from -0.035 to +0.045"
    settle = "would settle it: 812 patients in the test side (it has 205), for a true difference of 0.02"
    assert said(kind, "inconclusive", **WIDE, settle=settle) == (
        f"cannot tell: {found}; it takes 812 patients in the test side (it has 205), for a true difference of 0.02"
    )
    assert said(kind, "inconclusive", **WIDE) == f"cannot tell: {found}"
    reason = "training randomness not measured: a ran at one seed"
    assert said(kind, "inconclusive", **WIDE, reason=reason, settle=settle) == f"cannot tell: {reason}; {found}"
    assert said(kind, "inconclusive", reason=reason) == f"cannot tell: {reason}"


def test_a_loss_that_is_sure_and_perhaps_small_enough_is_told_as_that() -> None:
    assert said("not_worse_than", "inconclusive", effect=-0.015, lower=-0.029, upper=-0.003, margin=0.02) == (
        "cannot tell: it is worse, but whether by less than 0.02 is open; "
        "found -0.015, could be anything from -0.029 to -0.003"
    )


def test_a_margin_to_be_exceeded_is_named() -> None:
    better = said("beats", "supported", **UP, margin=0.01)
    assert better == "better by more than 0.01: roc_auc +0.031, at least +0.011 (97.5 % sure)"
    not_better = said("beats", "refuted", **DOWN, margin=0.01)
    assert not_better == "not better by more than 0.01: roc_auc -0.041, at most -0.021 (97.5 % sure)"


@pytest.mark.parametrize(
    ("kind", "outcome", "figures", "sentence"),
    [
        ("beats", "supported", UP, "better: log_loss improved by +0.031, at least +0.011 (97.5 % sure)"),
        ("beats", "refuted", DOWN, "not better: log_loss improved by -0.041, at most -0.021 (97.5 % sure)"),
        (
            "equivalent_to",
            "supported",
            SAME | {"margin": 0.02},
            "the same within 0.02: log_loss improved by +0.001, between -0.011 and +0.013 (97.5 % sure of each)",
        ),
        (
            "ranks_above",
            "supported",
            UP,
            "each better than the next; the closest pair log_loss improved by +0.031, at least +0.011 (97.5 % sure)",
        ),
        (
            "above_published",
            "supported",
            UP,
            "better than published: log_loss improved by +0.031, at least +0.011 (97.5 % sure)",
        ),
        (
            "consistent_with",
            "supported",
            SAME | {"margin": 0.02},
            "agrees within 0.02: log_loss improved by +0.001, between -0.011 and +0.013 (97.5 % sure of each)",
        ),
    ],
)
def test_a_loss_improves_by_so_much(kind: str, outcome: Outcome, figures: dict[str, Any], sentence: str) -> None:
    assert said(kind, outcome, **figures, metric="log_loss") == sentence


@pytest.mark.parametrize("kind", ["unchanged_from", "tells_backbones_apart"])
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_gate_and_the_controls_speak_for_themselves(kind: str, outcome: Outcome) -> None:
    assert said(kind, outcome, level=None) == "what was found"
    assert said(kind, outcome, level=None, summary="unchanged: scores identical") == "unchanged: scores identical"


def test_the_level_of_a_family_is_how_sure_it_is() -> None:
    """Five claims share 5 %: 1 % each."""
    assert said("beats", "supported", **UP, level=0.01).endswith("at least +0.011 (99 % sure)")
