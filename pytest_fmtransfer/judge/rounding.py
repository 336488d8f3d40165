"""Do the scores of two results differ by rounding alone, as those of a network and of its export do?

No sample shows what was not drawn, of two networks or of one. Where each image is scored as before but for rounding,
there is no sign of another network, and patients who were not drawn are taken to be like those who were.

Legend: S seeds, N test images, C columns of scores, K classes.
"""

import numpy as np
from numpy.typing import NDArray

from pytest_fmtransfer.metrics import images_by_class
from pytest_fmtransfer.results import Result

# The largest change of any score that is rounding, in standard deviations of the scores within a class. An int8 export
# moves scores by about .03 of one, and the most of a thousand images by .1. Two trainings whose scores correlate by
# .99 within a class move them by .14 of one, and one image in six by more than this.
ROUNDED = 0.2

# Standard deviations in a median absolute deviation: 1 / Φ⁻¹(3/4), which makes it one of normal scores.
MAD_SCALE = 1.4826022185056018


def within_rounding(candidate: Result, reference: Result) -> bool:
    """Whether each image has the same scores in both, at every seed, but for rounding; equal scores have.

    The scale is the smaller of both sides' spreads within a class, column by column.
    """
    ours_SNC, theirs_SNC = candidate.scores_SNC, reference.scores_SNC
    if ours_SNC.shape != theirs_SNC.shape:
        return False
    if np.array_equal(ours_SNC, theirs_SNC):
        return True
    moved_SC = np.abs(ours_SNC.astype(np.float64) - theirs_SNC).max(axis=1)
    return all(  # class by class: the first one settles it for two networks
        (moved_SC <= ROUNDED * spread_within(side.scores_SNC[:, of_class_N])).all()
        for of_class_N in images_by_class(candidate.labels_N, candidate.classes).values()
        if of_class_N.any()
        for side in (candidate, reference)
    )


def spread_within(scores_SNC: NDArray[np.floating]) -> NDArray[np.float64]:
    """(S, C): the robust standard deviation of each column of scores, those of one class.

    It is the median distance from the median, times `MAD_SCALE`: images that lie far out do not widen it. It is 0 where
    more than half have one score.
    """
    wide_SNC = scores_SNC.astype(np.float64)
    distance_SNC = np.abs(wide_SNC - np.median(wide_SNC, axis=1, keepdims=True))
    return np.asarray(MAD_SCALE * np.median(distance_SNC, axis=1), dtype=np.float64)
