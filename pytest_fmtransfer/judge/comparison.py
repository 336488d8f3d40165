"""The arithmetic under a verdict: two results on the same patients, their difference and its limits.

Legend: N test images, C classes.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.bounds import (
    Bound,
    Floats,
    Piece,
    combine,
    patient_covariance,
    patient_piece,
    patients_per_stratum,
    seed_piece,
)
from pytest_fmtransfer.judge.mover import Auc, Mover
from pytest_fmtransfer.results import Result


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Candidate minus reference. Raises InvalidInput when they do not score the same test images alike."""

    candidate: Result
    reference: Result

    def __post_init__(self) -> None:
        ours, theirs = self.candidate, self.reference
        if ours.question.metric != theirs.question.metric:
            raise InvalidInput(
                f"{ours.cell} is measured in {ours.question.metric}, {theirs.cell} in {theirs.question.metric}; "
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

    @property
    def effect(self) -> float:
        return self.candidate.mean - self.reference.mean

    @cached_property
    def patients_by_class(self) -> tuple[int, ...]:
        """Test patients of every declared class, in the order of the classes."""
        return patients_by_class(self.candidate)

    @cached_property
    def patient_piece(self) -> Piece | None:
        """The variance from drawing patients; None where a class has too few to show any."""
        return piece_of(self.candidate, influence_of(self.candidate) - influence_of(self.reference))

    @cached_property
    def seed_pieces(self) -> tuple[Piece, ...]:
        """The variances from training again, of regimes that depend on their seed."""
        pieces = map(seed_piece_of, (self.candidate, self.reference))
        return tuple(piece for piece in pieces if piece is not None)

    @cached_property
    def bound(self) -> Bound | None:
        """The t bound of the effect; None where a class has too few patients for one."""
        return combine(self.effect, [self.patient_piece, *self.seed_pieces]) if self.patient_piece else None

    @cached_property
    def mover(self) -> Mover | None:
        """The limits recovered from the two AUCs' own; None for other metrics and for too few patients."""
        if self.candidate.question.metric != "roc_auc" or self.patient_piece is None:
            return None
        covariance = patient_covariance(
            influence_of(self.candidate),
            influence_of(self.reference),
            self.candidate.estimates[0].stratum_N,
            self.candidate.patients_N,
        )
        return Mover(candidate=auc_of(self.candidate), reference=auc_of(self.reference), covariance=covariance)


def influence_of(result: Result) -> Floats:
    """Each image's influence on the mean over seeds. Raises InvalidInput for a metric without influences."""
    influences = [estimate.influence_N for estimate in result.estimates if estimate.influence_N is not None]
    if not influences:
        raise InvalidInput(f"{result.cell}: {result.question.metric} has no influences to judge by; use another metric")
    return np.mean(influences, axis=0)


def piece_of(result: Result, influence_N: Floats) -> Piece | None:
    """The patient variance of influences on a result's test side; None where a stratum has one patient."""
    stratum_N = result.estimates[0].stratum_N
    if patients_per_stratum(stratum_N, result.patients_N).min() < 2:
        return None
    return patient_piece(influence_N, stratum_N, result.patients_N)


def seed_piece_of(result: Result) -> Piece | None:
    """The variance from training again; None for a regime that does not depend on its seed, or ran at one."""
    return seed_piece(result.by_seed) if result.seeded else None


def auc_of(result: Result) -> Auc:
    """An AUC with its own variance, patients and seeds together. The caller has made sure of two patients a class."""
    patients = piece_of(result, influence_of(result))
    seeds = seed_piece_of(result)
    own = combine(result.mean, [piece for piece in (patients, seeds) if piece is not None])
    fewest = min(count for count in patients_by_class(result) if count)
    return Auc(value=result.mean, variance=own.standard_error**2, degrees=own.degrees, fewest=fewest)


def patients_by_class(result: Result) -> tuple[int, ...]:
    """Test patients of every declared class; a class without images has none."""
    return tuple(len(np.unique(result.patients_N[result.labels_N == label])) for label in range(len(result.classes)))
