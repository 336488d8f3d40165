"""How large a difference a claim's dataset can show, told before the claim is measured.

From a pair of results that exists, the standard error is theirs. Without one, both metrics are taken to be
`ASSUMED_METRIC` and the two backbones' scores to be correlated by `ASSUMED_CORRELATION` among the patients of
a class (statistics.md A, "Power"); whoever prints the figure prints the assumption with it.

Legend: M simulated images, C classes.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from scipy.optimize import brentq
from scipy.special import owens_t
from scipy.stats import norm

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.bounds import Bound, Floats, Piece, combine
from pytest_fmtransfer.judge.comparison import Comparison
from pytest_fmtransfer.judge.court import Court
from pytest_fmtransfer.judge.per_class import KIND as NO_CLASS
from pytest_fmtransfer.judge.per_class import class_comparisons, samples_of_classes
from pytest_fmtransfer.judge.power import (
    ASSUMED_CORRELATION,
    POWER,
    both_ways,
    shared_power,
    smallest_detectable,
)
from pytest_fmtransfer.judge.reading import Reading, too_few_patients
from pytest_fmtransfer.judge.settling import IF_ALIKE, Ends, known, needed_of, sources
from pytest_fmtransfer.judge.wording import more_seeds
from pytest_fmtransfer.metrics import Estimate, evaluate, metric_of
from pytest_fmtransfer.metrics.estimate import Ints
from pytest_fmtransfer.results import Result

ASSUMED_METRIC = 0.85
DRAWS = 20_000


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The test side of a dataset as a verdict sees it.

    `by_class` counts the patients with an image of each class, in the order of the classes, or those known to bear each
    label and those known not to; `margin`, in the metric's unit, and `hidden_share` are the dataset's.
    """

    metric: str
    margin: float
    patients: int
    by_class: Mapping[str, int]
    patient_unit: str
    hidden_share: float | None = None


@dataclass(frozen=True, kw_only=True)
class Foresight:
    """What a claim can come to.

    `detectable` is the distance beyond the claim's threshold that is supported with power .8 at the level of its
    family, in the metric's unit; None where nothing tells. A claim can be settled when it is at most the margin
    and no reason speaks against a verdict; `answer` says so, or what would settle it. `source` says where the
    standard error is from. `expected`: of a dataset that is absent, as large as the catalogue expects it to be.
    """

    detectable: float | None
    settled: bool
    answer: str
    source: str
    expected: bool = False


def from_pair(kind: str, candidate: Result, reference: Result, court: Court, *, power: float = POWER) -> Foresight:
    """Of a claim of a kind ('beats', 'not_worse_than', 'equivalent_to', 'no_class_worse_than') whose two results exist.

    Raises InvalidInput when they do not score the same images alike, and for a claim about classes under a metric that
    is no average over any.
    """
    recorded = court.seed_variance(candidate, reference)
    pair = Comparison(candidate=candidate, reference=reference, recorded=recorded)
    if kind != NO_CLASS:
        return _from_comparison(kind, pair, court, power)
    parts = class_comparisons(pair)
    power = shared_power(max(1, len(parts)), power)
    return _weakest_class({part.name: _from_comparison(kind, part, court, power) for part in parts}, pair.metric)


def _from_comparison(kind: str, pair: Comparison, court: Court, power: float) -> Foresight:
    candidate, reference = pair.candidate, pair.reference
    sample = Sample(
        metric=candidate.question.metric,
        margin=candidate.margin,
        patients=candidate.patients,
        by_class=pair.patients_by_class,
        patient_unit=candidate.patient_unit,
        hidden_share=candidate.hidden_share,
    )
    # The limits that decide are wider than the t bound's; `planned` has their standard error.
    margin = 0.0 if kind == "beats" else candidate.margin
    ceiling = margin if kind == "equivalent_to" else None
    reading = Reading(kind=kind, comparison=pair, level=court.level, threshold=-margin, ceiling=ceiling)
    source = f"this pair, from {' and '.join(dict.fromkeys((candidate.origin, reference.origin)))}"
    patients, planned = pair.patient_piece, reading.planned
    found = None if patients is None else sources(reading, patients)
    return _foresee(kind, sample, found, planned, court, power, reading.reason, source)


def from_assumption(kind: str, sample: Sample, court: Court, *, power: float = POWER) -> Foresight:
    """Of a claim without a pair of results, at an assumed metric and correlation; training randomness is left out.

    Raises InvalidInput for a metric whose error is not known beforehand, unless a class is too small for any verdict,
    and for a claim about classes under a metric that is no average over any.
    """
    if kind != NO_CLASS:
        return _from_sample(kind, sample, court, power)
    parts = {
        name: replace(sample, metric=metric, by_class=by_class, patients=sum(by_class.values()))
        for name, (metric, by_class) in samples_of_classes(sample.metric, sample.by_class).items()
    }
    power = shared_power(max(1, len(parts)), power)
    return _weakest_class({name: _from_sample(kind, part, court, power) for name, part in parts.items()}, sample.metric)


def _from_sample(kind: str, sample: Sample, court: Court, power: float) -> Foresight:
    source = f"assumed: {_metric(sample)} {ASSUMED_METRIC:g} in both, scores correlated {ASSUMED_CORRELATION:g}"
    lack = too_few_patients(kind, sample.by_class, sample.patient_unit, court.level, sample.hidden_share)
    if lack and sample.metric not in VARIANCES:  # no verdict is to come, whatever the error
        return Foresight(detectable=None, settled=False, answer=lack, source="")
    piece = assumed_piece(sample, ASSUMED_METRIC, ASSUMED_CORRELATION)
    found, bound = (None, None) if piece is None else ((known(piece), ()), combine(0.0, [piece]))
    return _foresee(kind, sample, found, bound, court, power, lack, source)


def weakest(parts: Sequence[Foresight]) -> Foresight:
    """Of a claim all of whose parts must hold: the part that is least likely to."""
    return min(parts, key=lambda part: (part.settled, -math.inf if part.detectable is None else -part.detectable))


def _weakest_class(parts: Mapping[str, Foresight], metric: str) -> Foresight:
    """The class that is least likely to be shown, named where that is not said already."""
    if not parts:
        raise InvalidInput(f"{metric} is no average over classes; not_worse_than() is the claim about it")
    part = weakest(list(parts.values()))
    name = next(name for name, each in parts.items() if each is part)
    said = part.settled or f"'{name}'" in part.answer
    return part if said else replace(part, answer=f"{part.answer} in class '{name}'")


def assumed_piece(sample: Sample, value: float, correlation: float) -> Piece | None:
    """The variance from drawing patients of the difference of two metrics that are both `value`.

    `correlation` is that of the two backbones' scores among the patients of a class. None where a class has too
    few patients to show any. Raises InvalidInput for a metric that has no rule.
    """
    if (rule := VARIANCES.get(sample.metric)) is None:
        raise InvalidInput(f"the error of {_metric(sample)} is not known before a pair of results is")
    fewest = min(sample.by_class.values()) if sample.metric in STRATIFIED else sample.patients
    return Piece(variance=rule(sample, value, correlation), degrees=fewest - 1) if fewest >= 2 else None


def _foresee(
    kind: str,
    sample: Sample,
    found: tuple[Ends, Sequence[Ends]] | None,
    bound: Bound | None,
    court: Court,
    power: float,
    reason: str,
    source: str,
) -> Foresight:
    if found is None or bound is None:
        return Foresight(detectable=None, settled=False, answer=reason, source=source)
    if kind == "equivalent_to":  # both of its tests must succeed
        power = both_ways(power)
    detectable = smallest_detectable(bound, court.level, power)
    if reason or detectable <= sample.margin:
        answer = reason or "can be settled"
        return Foresight(detectable=detectable, settled=not reason, answer=answer, source=source)
    drawn, seeds = found
    needed = partial(
        needed_of, patients=sample.patients, drawn=drawn, delta=sample.margin, alpha=court.level, power=power
    )
    enough = needed(seeds=seeds)
    if enough.least is None:
        what = f"{more_seeds(needed().least, sample.patients, sample.patient_unit)},"
    else:
        what = enough.said(sample.patient_unit)
        if enough.most is None:
            what += ", and perhaps more seeds,"
    answer = f"underpowered: {what} would settle {sample.margin:g}"
    if enough.least != enough.most:
        source = f"{source}; {IF_ALIKE}"
    return Foresight(detectable=detectable, settled=False, answer=answer, source=source)


def _roc_auc(sample: Sample, value: float, correlation: float) -> float:
    """DeLong's variance at its expectation under binormal scores of equal variance.

    With a = Φ⁻¹(AUC), a patient's structural component is Φ of a normal, and the expected product of two
    backbones' components is the bivariate normal distribution at (a, a), correlated by half the scores'
    correlation.
    """
    per_patient = 2 * (_both(value, 0.5) - _both(value, correlation / 2))
    return per_patient * sum(1 / count for count in sample.by_class.values())


def _share(sample: Sample, value: float, correlation: float) -> float:
    """Of correct images: binomial, the two backbones' hits correlated through latent normal scores."""
    return 2 * (value - _both(value, correlation)) / sample.patients


def _mean_recall(sample: Sample, value: float, correlation: float) -> float:
    """Of the mean of the classes' recalls, each a share of its own patients."""
    per_patient = 2 * (value - _both(value, correlation))
    return per_patient * sum(1 / count for count in sample.by_class.values()) / len(sample.by_class) ** 2


def _quadratic_kappa(sample: Sample, value: float, correlation: float) -> float:
    return _kappa_variance(tuple(sample.by_class.values()), value, correlation) / sample.patients


@cache
def _kappa_variance(counts: Sequence[int], value: float, correlation: float) -> float:
    """Of one image, by the delta method over `DRAWS` simulated ones; grades are normals cut at the classes' shares.

    Both backbones grade the truth plus noise, correlated so between the two, and as large as makes kappa `value`.
    """
    rng = np.random.default_rng(0)
    truth_M, common_M = rng.normal(size=(2, DRAWS))
    noise_2M = math.sqrt(correlation) * common_M + math.sqrt(1 - correlation) * rng.normal(size=(2, DRAWS))
    cuts: Floats = np.asarray(norm.ppf(np.cumsum(counts)[:-1] / sum(counts)), dtype=np.float64)

    def grades_of(latent_M: Floats) -> Ints:
        return np.asarray(np.searchsorted(cuts, latent_M), dtype=np.int64)

    def graded(noise_M: Floats, spread: float) -> Estimate:
        grade_M = grades_of((truth_M + spread * noise_M) / math.hypot(1, spread))
        return evaluate("quadratic_kappa", grades_of(truth_M), np.eye(len(counts))[grade_M])

    spread = float(brentq(lambda spread: graded(noise_2M[0], spread).value - value, 1e-3, 30.0, xtol=1e-3))
    influence_2M = np.array([graded(noise_M, spread).influence_N for noise_M in noise_2M], dtype=np.float64)
    return float(np.var(DRAWS * (influence_2M[1] - influence_2M[0])))


def _both(probability: float, correlation: float) -> float:
    """The chance that two normals, correlated so, both stay below the quantile of `probability`.

    From Owen's T function: Φ₂(a, a; r) = Φ(a) − 2 T(a, √((1 − r)/(1 + r))) (Owen, Annals of Mathematical
    Statistics 1956).
    """
    slope = math.sqrt((1 - correlation) / (1 + correlation))
    return probability - 2 * float(owens_t(float(norm.ppf(probability)), slope))


Rule = Callable[[Sample, float, float], float]

VARIANCES: dict[str, Rule] = {
    "roc_auc": _roc_auc,
    "accuracy": _share,
    "balanced_accuracy": _mean_recall,
    "macro_recall": _mean_recall,
    "quadratic_kappa": _quadratic_kappa,
}
STRATIFIED: Sequence[str] = ("roc_auc", "balanced_accuracy", "macro_recall")


def _metric(sample: Sample) -> str:
    return metric_of(sample.metric, tuple(sample.by_class))
