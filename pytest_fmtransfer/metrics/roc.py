"""Areas under ROC curves: of two classes, of many classes, of labels.

Each kind is a mean of contests: positive against negative images, by one decision value. Where there are many
classes the value is a class's log-odds against the others: the order of its softmax probability, without the
ties that rounding makes of probabilities near one.

Legend: N images, C classes or labels, M images of a contest, V its distinct values, K steps, B sets of weights.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, permutations

import numpy as np
from numpy.typing import NDArray

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.metrics.estimate import Floats, Ints, Weights, sums_by_group
from pytest_fmtransfer.metrics.labels import UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Positive against negative images, one of each at least; `image_M` are their places among the N."""

    image_M: Ints
    value_M: Floats
    positive_M: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class MeanOfAreas:
    """The mean area of contests among `images` images; None is a contest that cannot be held and counts 0.5.

    `centre_within_N` are strata that cut through the contests' own sides. Influences are then taken about their
    stratum's mean, because the number of images of a stratum is held fixed.
    """

    contests: Sequence[Contest | None]
    images: int
    centre_within_N: Ints | None = None

    def measured(self) -> tuple[float, Floats]:
        values = [0.5] * len(self.contests)
        influence_N = np.zeros(self.images)
        for place, contest in enumerate(self.contests):
            if contest is not None:
                values[place], influence_M = area(contest)
                influence_N[contest.image_M] += influence_M
        influence_N /= len(self.contests)
        if self.centre_within_N is not None:
            influence_N -= _mean_within(self.centre_within_N, influence_N)
        return float(np.mean(values)), influence_N

    def weighed(self, weights_NB: Weights) -> Floats:
        sum_B = np.full(weights_NB.shape[1], 0.5 * self.contests.count(None))
        for area_of in self._areas:
            sum_B += area_of(weights_NB)
        return sum_B / len(self.contests)

    @cached_property
    def _areas(self) -> list[Callable[[Weights], Floats]]:
        return [weighed_area(contest, self.images) for contest in self.contests if contest is not None]


def two_classes(labels_N: Ints, scores_NC: Floats) -> MeanOfAreas:
    """Class 1 against class 0, by the difference of their scores."""
    positive_N = labels_N == 1
    if scores_NC.shape[1] != 2 or positive_N.all() or not positive_N.any():
        raise InvalidInput("roc_auc needs two columns of scores, and images of both classes")
    margin_N = scores_NC[:, 1] - scores_NC[:, 0]
    contest = Contest(image_M=np.arange(len(labels_N)), value_M=margin_N, positive_M=positive_N)
    return MeanOfAreas(contests=[contest], images=len(labels_N))


def one_against_one(labels_N: Ints, scores_NC: Floats) -> MeanOfAreas:
    """Every class against every other, among the images of the two, by its log-odds against all.

    Hand and Till, "A simple generalisation of the area under the ROC curve for multiple class classification
    problems", Machine Learning 2001.
    """
    log_odds_NC = _log_odds("roc_auc_ovo", labels_N, scores_NC)
    contests: list[Contest | None] = []
    for one, other in permutations(range(scores_NC.shape[1]), 2):
        image_M = np.flatnonzero((labels_N == one) | (labels_N == other))
        contests.append(
            Contest(image_M=image_M, value_M=log_odds_NC[image_M, one], positive_M=labels_N[image_M] == one)
        )
    return MeanOfAreas(contests=contests, images=len(labels_N))


def one_against_rest(labels_N: Ints, scores_NC: Floats) -> MeanOfAreas:
    """Every class against all others, by its log-odds; influences are for a fixed number of images per class."""
    log_odds_NC = _log_odds("roc_auc_ovr", labels_N, scores_NC)
    contests = [
        Contest(image_M=np.arange(len(labels_N)), value_M=log_odds_NC[:, label], positive_M=labels_N == label)
        for label in range(scores_NC.shape[1])
    ]
    return MeanOfAreas(contests=contests, images=len(labels_N), centre_within_N=labels_N)


def label_by_label(labels_NC: Ints, scores_NC: Floats) -> MeanOfAreas:
    """Every label by its own score, among the images of which it is known.

    A label that no image is known to bear, or that none is known not to bear, counts 0.5.
    """
    contests: list[Contest | None] = []
    for label_N, score_N in zip(labels_NC.T, scores_NC.T, strict=True):
        image_M = np.flatnonzero(label_N != UNKNOWN)
        positive_M = label_N[image_M] == 1
        held = positive_M.any() and not positive_M.all()
        contests.append(Contest(image_M=image_M, value_M=score_N[image_M], positive_M=positive_M) if held else None)
    return MeanOfAreas(contests=contests, images=len(labels_NC))


def area(contest: Contest) -> tuple[float, Floats]:
    """Area under the ROC curve, ties counting half, and each image's influence on it.

    Influences are DeLong's structural components (DeLong, DeLong and Clarke-Pearson, Biometrics 1988), from one sort:
    an image's component is the share of the other class that scores lower, ties half, or higher, for a negative one.
    """
    positive_M = contest.positive_M
    order_M = np.argsort(contest.value_M)
    sorted_M, won_M = contest.value_M[order_M], positive_M[order_M]
    # The first and the one past the last place of those with the same value.
    first_V = np.flatnonzero(np.r_[True, sorted_M[1:] != sorted_M[:-1]])
    place_M = np.repeat(np.arange(len(first_V)), np.diff(np.r_[first_V, len(sorted_M)]))
    below_M = np.r_[0, np.cumsum(won_M)]  # positives among so many lowest
    past_V = np.r_[first_V[1:], len(sorted_M)]
    positives, negatives = int(below_M[-1]), len(won_M) - int(below_M[-1])
    positive_twice_V = below_M[first_V] + below_M[past_V]
    negative_twice_V = first_V + past_V - positive_twice_V
    share_M = np.empty(len(sorted_M))
    share_M[order_M] = np.where(
        won_M, negative_twice_V[place_M] / (2 * negatives), 1 - positive_twice_V[place_M] / (2 * positives)
    )
    value = float(share_M[positive_M].mean())
    own_M: Floats = np.where(positive_M, float(positives), float(negatives))
    return value, (share_M - value) / own_M


def weighed_area(contest: Contest, images: int) -> Callable[[Weights], Floats]:
    """The area of a contest as a function of weights; nan where a side weighs nothing.

    From low to high, the positives between two negatives are a step: all of them have the same negatives below.
    Positives that are tied with negatives are a step of their own, and those negatives are half below it. Negatives
    below are therefore counted twice, which keeps them whole numbers; `rise` is what the count grows by from step to
    step, and in its last row to all negatives.
    """
    _, level_M = np.unique(contest.value_M, return_inverse=True)
    positive_M, negative_M = contest.positive_M, ~contest.positive_M
    has_positive_V = np.bincount(level_M, weights=positive_M) > 0
    has_negative_V = np.bincount(level_M, weights=negative_M) > 0
    goes_on_V = np.r_[False, has_positive_V[:-1] & ~has_negative_V[:-1]] & ~has_negative_V
    begun_M = np.cumsum(has_positive_V & ~goes_on_V)[level_M]  # steps begun at or below an image's value
    steps = int(begun_M.max())
    tied_M = negative_M & has_positive_V[level_M]
    image_M = contest.image_M
    own = sums_by_group(begun_M[positive_M] - 1, image_M[positive_M], steps, images)
    rise = sums_by_group(
        np.concatenate([(begun_M - tied_M)[negative_M], begun_M[negative_M]]),
        np.concatenate([image_M[negative_M]] * 2),
        steps + 1,
        images,
    )

    def area_of(weights_NB: Weights) -> Floats:
        own_KB, twice_below_KB = own(weights_NB), rise(weights_NB)
        for lower_B, upper_B in pairwise(twice_below_KB):
            upper_B += lower_B  # row by row: NumPy's own cumulative sum goes down column by column, far slower
        twice_won_B = np.einsum("kb,kb->b", own_KB, twice_below_KB[:-1], dtype=np.float64)
        positives_B = own_KB.sum(axis=0, dtype=weights_NB.dtype)
        return twice_won_B / (positives_B.astype(np.float64) * twice_below_KB[-1])

    return area_of


def _log_odds(metric: str, labels_N: Ints, scores_NC: Floats) -> Floats:
    """Of each class's softmax probability, from scores alone: equal ones stay equal, and none saturates."""
    classes = scores_NC.shape[1]
    absent = np.flatnonzero(np.bincount(labels_N, minlength=classes) == 0)
    if classes < 2 or len(absent):
        raise InvalidInput(
            f"{metric} needs images of each of two classes or more; of {classes}, classes {absent.tolist()} have none"
        )
    odds_NC = np.empty_like(scores_NC)
    for label in range(classes):
        # Sorted, so that a sum does not depend on the order of the classes.
        others_NC = np.sort(np.delete(scores_NC, label, axis=1), axis=1)
        highest_N = others_NC[:, -1]
        odds_NC[:, label] = scores_NC[:, label] - highest_N - np.log(np.exp(others_NC - highest_N[:, None]).sum(axis=1))
    return odds_NC


def _mean_within(stratum_N: Ints, number_N: Floats) -> Floats:
    _, place_N, counts = np.unique(stratum_N, return_inverse=True, return_counts=True)
    return (np.bincount(place_N, weights=number_N) / counts)[place_N]
