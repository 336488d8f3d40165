"""Textbook tests beside a verdict, against independent computations. Synthetic results. Legend: N images."""

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from pytest_fmtransfer.judge.comparison import Comparison
from pytest_fmtransfer.judge.diagnostics import diagnostics
from pytest_fmtransfer.judge.verdicts import beats
from pytest_fmtransfer.results import Result
from tests.helpers import CANDIDATE, LAWS, REFERENCE, labels_of, make_result, noisy_scores, result, retrained


def told(one: Result, other: Result) -> list[str]:
    return diagnostics(Comparison(candidate=one, reference=other))


def figures(line: str) -> list[float]:
    return [float(number) for number in re.findall(r"[-+]?\d+\.?\d*(?:e[-+]\d+)?", line.partition("test: ")[2])]


def delong(one: Result, other: Result) -> float:
    """z by the kernel over all pairs of a positive and a negative image (DeLong 1988)."""
    positive_N = one.labels_N == 1
    positives, negatives = [], []
    for each in (one, other):
        value_N = (each.scores_SNC[0, :, 1] - each.scores_SNC[0, :, 0]).astype(np.float64)
        difference = value_N[positive_N][:, None] - value_N[~positive_N][None]
        kernel = (difference > 0) + 0.5 * (difference == 0)
        positives.append(kernel.mean(axis=1))
        negatives.append(kernel.mean(axis=0))
    gain = positives[0].mean() - positives[1].mean()
    spread_2 = [np.var(side[0] - side[1], ddof=1) / len(side[0]) for side in (positives, negatives)]
    return gain / math.sqrt(sum(spread_2))


@LAWS
@given(st.floats(0, 1.5), st.floats(0, 1.5), st.integers(20, 60), st.integers(1, 2**32 - 1))
def test_delong_and_mcnemar_are_the_textbooks(one: float, other: float, positives: int, seed: int) -> None:
    mine = result(CANDIDATE, one, seed=seed, counts=(40, positives))
    theirs = result(REFERENCE, other, seed=seed // 2, counts=(40, positives))
    lines = told(mine, theirs)
    z = delong(mine, theirs)
    assert lines[0].startswith("DeLong's test: z ")
    assert figures(lines[0]) == pytest.approx([z, norm.sf(z), 2 * norm.sf(abs(z))], abs=0.006, rel=0.06)
    assert re.search(r"one-sided p \S+ \(better\), two-sided p \S+$", lines[0])
    right_2N = [each.scores_SNC[0].argmax(axis=1) == each.labels_N for each in (mine, theirs)]
    better, worse = (int((right_2N[i] & ~right_2N[1 - i]).sum()) for i in (0, 1))
    p = min(1.0, 2 * binom.cdf(min(better, worse), better + worse, 0.5))
    assert len(lines) == 2
    assert lines[1].startswith("McNemar's exact test: right where the reference is wrong ")
    assert figures(lines[1]) == pytest.approx([better, worse, p], rel=0.06)


def test_exchanging_the_two_turns_the_sign() -> None:
    one, other = result(CANDIDATE, 1.0), result(REFERENCE, 0.5, seed=1)
    there, back = told(one, other), told(other, one)
    (z, better, either), (other_z, worse, other_either) = figures(there[0]), figures(back[0])
    assert (z, either) == (-other_z, other_either)
    assert better + worse == pytest.approx(1, abs=0.02)
    assert figures(there[1]) == [figures(back[1])[i] for i in (1, 0, 2)]


def test_of_other_metrics_there_is_only_mcnemar() -> None:
    one, other = (result(cell, 1.0, seed=seed, metric="accuracy") for seed, cell in enumerate((CANDIDATE, REFERENCE)))
    assert [line.partition("'")[0] for line in told(one, other)] == ["McNemar"]


def test_of_a_result_and_itself_there_is_nothing_to_test() -> None:
    assert told(result(CANDIDATE, 1.0), result(CANDIDATE, 1.0)) == []


def test_they_know_neither_seeds_nor_clusters_nor_several_labels() -> None:
    one, other = result(CANDIDATE, 1.0), result(REFERENCE, 0.5, seed=1)
    assert told(one, other)
    two_seeds = retrained(CANDIDATE, 1.0, 1.0)
    assert told(two_seeds, other) == told(other, two_seeds) == []
    clustered = np.array(["same", "same", *(str(place) for place in range(118))])
    assert told(replace(one, patients_N=clustered), replace(other, patients_N=clustered)) == []
    labels_NC = np.eye(2, dtype=np.int64)[labels_of(60, 60)]
    several: list[Any] = [
        make_result(cell, labels_NC, noisy_scores(labels_of(60, 60), 1.0, seed=seed), metric="mean_roc_auc")
        for seed, cell in enumerate((CANDIDATE, REFERENCE))
    ]
    assert told(*several) == []


def test_they_stand_in_the_text() -> None:
    verdict = beats(result(CANDIDATE, 1.0), result(REFERENCE, 0.5, seed=1))
    assert "for comparison, deciding nothing: DeLong's test: z " in verdict.text
    assert "; McNemar's exact test: " in verdict.text
    seeded = beats(retrained(CANDIDATE, 1.0, 1.0), retrained(REFERENCE, 0.5, 0.5))
    assert "for comparison" not in seeded.text
