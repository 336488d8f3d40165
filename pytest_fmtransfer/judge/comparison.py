"""The arithmetic under a verdict: two results on the same patients, their difference and its limits.

A difference is an improvement: candidate minus reference for a metric of which more is better, the reverse for
a loss.

Legend: N test images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.bounds import (
    Bound,
    Floats,
    Piece,
    Strata,
    combine,
    patient_covariance,
    piece_within,
    seed_piece,
    strata_of,
    together,
)
from pytest_fmtransfer.judge.causes import other_patients
from pytest_fmtransfer.judge.mover import Auc, Mover
from pytest_fmtransfer.judge.resampling import bootstrap_piece
from pytest_fmtransfer.judge.rounding import within_rounding
from pytest_fmtransfer.judge.score_bound import ScoreBound, score_bound_of
from pytest_fmtransfer.judge.seeds import Weighed, seed_covariance, seed_pieces_of, shared_seeds
from pytest_fmtransfer.metrics import absent_labels, images_by_class, metric_named
from pytest_fmtransfer.metrics.estimate import Ints
from pytest_fmtransfer.results import Result

# A standard error below this is rounding: no metric of so many images as fit on a disk has one so small.
ROUNDING = 1e-12

# By how many times the share of a class's patients that change, at most, where it is not once (`reading.UNBOUNDED`
# names the metrics that may move further).
MOVED_TIMES = {"macro_f1": 2, "quadratic_kappa": 2, "linear_kappa": 2}

# Metrics to which every patient of a class who differs makes the same difference.
COUNTED = ("accuracy", "balanced_accuracy", "macro_recall")

# Metrics of the places of patients among others: how far one can fall is seen from those who are placed worst.
PLACED = ("roc_auc", "roc_auc_ovo", "roc_auc_ovr", "mean_roc_auc")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Candidate against reference. Raises InvalidInput when they do not score the same test images alike.

    `recorded` is a seed variance that was recorded for this dataset and regime, of a single run: it stands in
    for those of seeded results.
    """

    candidate: Result
    reference: Result
    recorded: Piece | None = None

    def __post_init__(self) -> None:
        ours, theirs = self.candidate, self.reference
        if ours.question.metric != theirs.question.metric:
            raise InvalidInput(
                f"{ours.cell} is measured in {ours.metric_of}, {theirs.cell} in {theirs.metric_of}; "
                "compare results of one dataset"
            )
        for what in ("profile", "forward_dtype"):
            mine, other = getattr(ours.question, what), getattr(theirs.question, what)
            if mine != other:
                raise InvalidInput(
                    f"{ours.cell} ran with {what} {mine}, {theirs.cell} with {other}; run both under one profile"
                )
        same = ours.question.dataset_fingerprint == theirs.question.dataset_fingerprint
        if not same or not np.array_equal(ours.ids_N, theirs.ids_N):
            raise InvalidInput(
                f"{ours.cell} and {theirs.cell} were not scored on the same images; compare results of one dataset, "
                "and record a stored reference again when the dataset changed (--fm-update=changed)"
            )
        if not np.array_equal(ours.labels_N, theirs.labels_N) or other_patients(ours.patients_N, theirs.patients_N):
            raise InvalidInput(
                f"{ours.cell} and {theirs.cell} have other labels or patients for the same images of one dataset: one "
                "of the two was not measured on it; measure both again, or export both again"
            )
        if ours.classes != theirs.classes:
            raise InvalidInput(
                f"{ours.cell} names the classes {', '.join(ours.classes)}, {theirs.cell} {', '.join(theirs.classes)}: "
                "scores are held to the classes by their place; measure both again, or export both again"
            )
        if ours.cell.regime == theirs.cell.regime and ours.question.settings != theirs.question.settings:
            raise InvalidInput(
                f"{ours.cell} and {theirs.cell} ran with other settings of one regime: "
                f"{_other_settings(ours, theirs)}; measure both again under one"
            )

    @property
    def metric(self) -> str:
        return self.candidate.question.metric

    @property
    def sign(self) -> int:
        """+1 where a higher metric is better, -1 for a loss."""
        return 1 if metric_named(self.candidate.question.metric).higher_is_better else -1

    @property
    def effect(self) -> float:
        return self.sign * (self.candidate.mean - self.reference.mean)

    @cached_property
    def identical(self) -> bool:
        """Whether both have the same scores, byte for byte: in no population do they then differ."""
        return np.array_equal(self.candidate.scores_SNC, self.reference.scores_SNC)

    @cached_property
    def within_rounding(self) -> bool:
        """Whether their scores differ by rounding at most, as those of an export do."""
        return within_rounding(self.candidate, self.reference)

    @cached_property
    def patients_by_class(self) -> Mapping[str, int]:
        """Test patients of every class that must be large enough, in the order of the classes."""
        return patients_by_class(self.candidate)

    @cached_property
    def own_influences(self) -> tuple[Floats, Floats] | None:
        """N each; the images' influences on the candidate's metric and on the reference's, None where it has none."""
        ours_N, theirs_N = influence_of(self.candidate), influence_of(self.reference)
        return None if ours_N is None or theirs_N is None else (ours_N, theirs_N)

    @cached_property
    def influences(self) -> Floats | None:
        """N; each image's influence on candidate minus reference, or None for a metric that has no influence values."""
        return None if self.own_influences is None else self.own_influences[0] - self.own_influences[1]

    @cached_property
    def patient_piece(self) -> Piece | None:
        """The variance from drawing patients; None where a class has too few to show any.

        Scores that differ and yet show no variance of the difference, those of two perfect cells say, leave open how
        many patients would; scores that are equal, or differ by rounding alone, do not.
        """
        if self.influences is None:
            piece = bootstrap_piece([(1, self.candidate), (-1, self.reference)])
        else:
            piece = piece_of(self.candidate, self.influences)
        return piece if self.within_rounding else _as_seen(piece, self.candidate)

    @cached_property
    def seed_pieces(self) -> tuple[Piece, ...]:
        """The variances from training again, of regimes that depend on their seed; none where all scores are equal."""
        if self.identical:
            return ()
        if self.recorded is not None:
            shares = [1 / len(result.seeds) for result in (self.candidate, self.reference) if result.seeded]
            pooled = Piece(variance=self.recorded.variance * sum(shares), degrees=self.recorded.degrees)
            return (pooled,) if shares else ()
        sides = Weighed(weight=1.0, result=self.candidate), Weighed(weight=-1.0, result=self.reference)
        pieces = seed_pieces_of(sides)
        return (together(pieces),) if pieces else ()

    @property
    def shared_seeds(self) -> tuple[int, ...]:
        """The seeds at which both saw the same draw, by which they are paired; () where none are."""
        return () if self.recorded is not None else shared_seeds((self.candidate, self.reference))

    @cached_property
    def bound(self) -> Bound | None:
        """The t bound of the effect; None where a class has too few patients for one."""
        return combine(self.effect, [self.patient_piece, *self.seed_pieces]) if self.patient_piece else None

    @cached_property
    def score_bound(self) -> ScoreBound | None:
        """The limits that hold where few patients differ; None where no patient shows any variance, for a metric
        without influence values, and for too few patients.
        """
        if self.bound is None or self.influences is None:
            return None
        strata = strata_of(self.candidate.estimates[0].stratum_N, self.candidate.patients_N)
        return self.score_bound_about(self.bound, strata)

    def score_bound_about(self, bound: Bound, strata: Strata) -> ScoreBound | None:
        """The limits about this t bound of the effect; `strata` are the test side's."""
        if self.influences is None or self.own_influences is None:
            return None
        return score_bound_in(self.metric, bound, self.sign * self.influences, self.own_influences, strata)

    @property
    def wider(self) -> Bound | ScoreBound | None:
        """The score bound, which is nowhere inside the t bound; the t bound where there is no score bound."""
        return self.score_bound or self.bound

    @cached_property
    def mover(self) -> Mover | None:
        """The limits recovered from the two AUCs' own; None for other metrics and for too few patients.

        None too where the scores differ by rounding alone: how sure either AUC is says nothing of the difference then.
        """
        if self.candidate.question.metric != "roc_auc" or self.patient_piece is None or self.within_rounding:
            return None
        if self.own_influences is None:  # an AUC has influence values
            return None
        covariance = patient_covariance(
            *self.own_influences, self.candidate.estimates[0].stratum_N, self.candidate.patients_N
        )
        if self.shared_seeds:
            covariance += seed_covariance(self.candidate, self.reference)
        return Mover(
            candidate=auc_of(self.candidate, self.recorded),
            reference=auc_of(self.reference, self.recorded),
            covariance=covariance,
        )


def score_bound_in(
    metric: str, bound: Bound, influence_N: Floats, own: tuple[Floats, Floats], strata: Strata
) -> ScoreBound | None:
    """The limits beside a t bound in a metric, which says how unlike patients are who differ: see `score_bound_of`."""
    placed = own if metric in PLACED else None
    return score_bound_of(bound, influence_N, strata, graded=metric not in COUNTED, own=placed)


def _other_settings(ours: Result, theirs: Result) -> str:
    """'name: candidate's, reference's' for each that differs."""
    mine, other = ours.question.settings, theirs.question.settings
    names = [name for name in sorted(mine.keys() | other.keys()) if mine.get(name) != other.get(name)]
    return "; ".join(f"{name}: {mine.get(name, 'none')}, {other.get(name, 'none')}" for name in names)


def influence_of(result: Result) -> Floats | None:
    """Each image's influence on the mean over seeds; None for a metric that has no influence values."""
    influences = [estimate.influence_N for estimate in result.estimates if estimate.influence_N is not None]
    return np.mean(influences, axis=0) if len(influences) == len(result.estimates) else None


def piece_of(result: Result, influence_N: Floats) -> Piece | None:
    """The patient variance of influences on a result's test side; None where a stratum has one patient."""
    strata = strata_of(result.estimates[0].stratum_N, result.patients_N)
    return piece_within(influence_N, strata) if strata.patients_K.min() >= 2 else None


def own_piece(result: Result) -> Piece | None:
    """The patient variance of one result's mean; None where a stratum has one patient."""
    influence_N = influence_of(result)
    piece = bootstrap_piece([(1, result)]) if influence_N is None else piece_of(result, influence_N)
    return _as_seen(piece, result)


def _as_seen(piece: Piece | None, result: Result) -> Piece | None:
    """Told with the patients that bound what was missed, where none of them shows any variance.

    They are the smallest class's, because a share of its patients moves an area under ROC curves (as disjoint pairs), a
    recall, an accuracy or a mean between 0 and 2 by that share at most; half as many for what moves by up to twice it.
    """
    if piece is None or piece.variance > ROUNDING**2:
        return piece
    times = MOVED_TIMES.get(result.question.metric, 1)
    return replace(piece, variance=0.0, alike=fewest_patients(result) / times)


def fewest_patients(result: Result) -> int:
    """Test patients of the smallest class that has any."""
    return min((count for count in patients_by_class(result).values() if count), default=result.patients)


def seed_piece_of(result: Result, recorded: Piece | None = None) -> Piece | None:
    """The variance from training again; None for a regime that does not depend on its seed, or ran at one.

    `recorded` is a variance of a single run that was recorded beforehand.
    """
    if not result.seeded:
        return None
    if recorded is not None:
        return Piece(variance=recorded.variance / len(result.seeds), degrees=recorded.degrees)
    return seed_piece(result.by_seed)


def auc_of(result: Result, recorded: Piece | None = None) -> Auc:
    """An AUC with its own variance, patients and seeds together. The caller has made sure of two patients a class."""
    pieces = (own_piece(result), seed_piece_of(result, recorded))
    own = combine(result.mean, [piece for piece in pieces if piece is not None])
    variance = own.standard_error**2
    return Auc(value=result.mean, variance=variance, degrees=own.degrees, fewest=fewest_patients(result))


def patients_by_class(result: Result) -> dict[str, int]:
    """Test patients of every class that must be large enough."""
    return count_patients(result.labels_N, result.patients_N, result.classes)


def count_patients(labels_N: Ints, patients_N: NDArray[np.str_], classes: Sequence[str]) -> dict[str, int]:
    """Patients of every declared class; a class without images has none.

    Of a multi-label dataset, patients known to bear each label and patients known not to; a label that no image is
    known to bear, or that none is known not to, counts alike in every cell and is left out.
    """
    of_class = images_by_class(labels_N, classes)
    if labels_N.ndim > 1:
        alike = absent_labels(labels_N, classes)
        left_out = {*alike, *(f"no {name}" for name in alike)}
        of_class = {name: of_class_N for name, of_class_N in of_class.items() if name not in left_out}
    return {name: len(np.unique(patients_N[of_class_N])) for name, of_class_N in of_class.items()}
