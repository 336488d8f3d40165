"""Which backbone is best on average over datasets, as a probability: information beside the ranks, and never a verdict.

A hierarchical normal model with partial pooling (Gelman et al., Bayesian Data Analysis, 3rd edition 2013, chapter 5).
Every figure is in units of its dataset's margin, so that datasets with different metrics can be put together. On
dataset d the means y of the backbones are normal about θ, with the covariance V of drawing patients and seeds, which is
taken to be known. θ = a + μ + η: a is how easy the dataset is, μ a backbone's mean over datasets, η its own departure
there, normal with standard deviation τ and independent of the others'. Prior: a and μ flat, τ half-normal with a scale
of one margin. So a dataset counts less where it has few patients, and all count alike where τ is large.

Legend: K backbones, D datasets, G values of τ, R draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_fmtransfer.judge.bounds import by_patient, strata_of
from pytest_fmtransfer.judge.comparison import influence_of, seed_piece_of
from pytest_fmtransfer.judge.court import current
from pytest_fmtransfer.judge.resampling import replicated
from pytest_fmtransfer.metrics import metric_named
from pytest_fmtransfer.results import Result

Floats = NDArray[np.float64]

FEWEST_DATASETS, FEWEST_BACKBONES = 3, 2
SPREAD_SCALE = 1.0  # of the half-normal prior of τ, in margins
DRAWS = 20_000

# Midpoints up to six scales of the prior, beyond which it has 2e-9 of its mass.
_SPREADS_G = (np.arange(120) + 0.5) * SPREAD_SCALE * 6 / 120
_ROUNDING = 1e-9  # variance in squared margins below which two equal results would make a covariance singular


@dataclass(frozen=True, kw_only=True)
class OnDataset:
    """What one dataset says of several backbones, in units of its margin, higher being better.

    `covariance_KK` is of drawing patients and seeds.
    """

    dataset: str
    backbones: tuple[str, ...]
    means_K: Floats
    covariance_KK: Floats


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A backbone's mean over datasets, beside the others'.

    `best` is the probability that it is the highest, `within` that it is less than one margin below the highest; each
    lies in [0, 1]. `behind` is how many margins it is expected to be below the highest, 0 or more; `least` and `most`
    are the ends of its 95 % interval.
    """

    backbone: str
    datasets: int
    best: float
    within: float
    behind: float
    least: float
    most: float


@dataclass(frozen=True, kw_only=True)
class Overall:
    """The backbones that could be put together, most probably best first; `spread` is τ's mean, in margins."""

    datasets: tuple[str, ...]
    standings: tuple[Standing, ...]
    spread: float


def on_dataset(results: Sequence[Result]) -> OnDataset | None:
    """Of results of one dataset and regime; those whose training randomness was not measured are left out.

    None where fewer than two are left, or a class has fewer than two patients.
    """
    known = [(result, variance) for result in results if (variance := _seed_variance(result)) is not None]
    if len(known) < FEWEST_BACKBONES:
        return None
    kept, first = [result for result, _ in known], known[0][0]
    patients_KK = _patient_covariance(kept)
    if patients_KK is None:
        return None
    sign = 1 if metric_named(first.question.metric).higher_is_better else -1
    return OnDataset(
        dataset=first.cell.dataset,
        backbones=tuple(result.cell.backbone for result in kept),
        means_K=sign * np.array([result.mean for result in kept]) / first.margin,
        covariance_KK=(patients_KK + np.diag([variance for _, variance in known])) / first.margin**2,
    )


def overall(tables: Sequence[OnDataset], *, draws: int = DRAWS) -> Overall | None:
    """The posterior of the backbones' means over datasets, each of which is given once.

    Backbones measured on fewer than three datasets are left out. None where fewer than two backbones or three datasets
    are left, or where no dataset ties some backbones to the others. The same tables give the same figures.
    """
    tables = _put_together(tables)
    backbones = sorted({name for table in tables for name in table.backbones})
    if len(tables) < FEWEST_DATASETS or len(backbones) < FEWEST_BACKBONES:
        return None
    drawn = posterior(tables, backbones, draws=draws)
    if drawn is None:
        return None
    means_RK, spreads_R = drawn
    behind_RK = means_RK.max(axis=1, keepdims=True) - means_RK
    lowest_K, highest_K = np.quantile(behind_RK, (0.025, 0.975), axis=0)
    standings = [
        Standing(
            backbone=name,
            datasets=sum(name in table.backbones for table in tables),
            best=float((behind_RK[:, at] == 0).mean()),
            within=float((behind_RK[:, at] < 1).mean()),
            behind=float(behind_RK[:, at].mean()),
            least=float(lowest_K[at]),
            most=float(highest_K[at]),
        )
        for at, name in enumerate(backbones)
    ]
    return Overall(
        datasets=tuple(table.dataset for table in tables),
        standings=tuple(sorted(standings, key=lambda each: (-each.best, -each.within, each.backbone))),
        spread=float(spreads_R.mean()),
    )


def posterior(
    tables: Sequence[OnDataset], backbones: Sequence[str], *, draws: int, seed: int = 0
) -> tuple[Floats, Floats] | None:
    """Draws of the backbones' means over datasets, which sum to 0 (R × K), and of τ (R).

    None where the datasets do not tie all backbones together.

    Only contrasts of backbones are told apart from how easy a dataset is. With Σ = V + τ²I and a flat, a dataset's
    precision is P = Σ⁻¹ − Σ⁻¹11ᵀΣ⁻¹ / 1ᵀΣ⁻¹1. With μ flat and Λ = ΣP, μ is normal about Λ⁺Σ(Py) with covariance Λ⁺,
    and the density of the data at τ is Π|P|^½ · |Λ|^-½ · exp(−½(Σ yᵀPy − μ̂ᵀΛμ̂)), determinants over the contrasts.
    """
    backbone_at = {name: at for at, name in enumerate(backbones)}
    precision_GKK = np.zeros((len(_SPREADS_G), len(backbones), len(backbones)))
    pulled_GK = np.zeros(precision_GKK.shape[:2])
    log_weights_G = -0.5 * (_SPREADS_G / SPREAD_SCALE) ** 2
    for table in tables:
        at = np.array([backbone_at[name] for name in table.backbones])
        one_GKK, y_K = _precisions(table.covariance_KK), table.means_K
        precision_GKK[:, at[:, None], at] += one_GKK
        pulled_GK[:, at] += one_GKK @ y_K
        log_weights_G += 0.5 * np.log(np.linalg.eigvalsh(one_GKK)[:, 1:]).sum(axis=1) - 0.5 * (one_GKK @ y_K) @ y_K
    values_GK, vectors_GKK = np.linalg.eigh(precision_GKK)
    if (values_GK[:, 1] <= 1e-9 * values_GK[:, -1]).any():
        return None
    # Λ⁺ = root rootᵀ, over all but the direction in which all backbones move alike.
    roots_GKK = vectors_GKK[:, :, 1:] / np.sqrt(values_GK[:, None, 1:])
    means_GK = np.einsum("gij,gkj,gk->gi", roots_GKK, roots_GKK, pulled_GK)
    log_weights_G += 0.5 * (pulled_GK * means_GK).sum(axis=1) - 0.5 * np.log(values_GK[:, 1:]).sum(axis=1)
    weights_G = np.exp(log_weights_G - log_weights_G.max())
    rng = np.random.default_rng(seed)
    chosen_R = rng.choice(len(_SPREADS_G), size=draws, p=weights_G / weights_G.sum())
    means_RK = means_GK[chosen_R]
    for which in np.unique(chosen_R):
        here_R = chosen_R == which
        means_RK[here_R] += rng.normal(size=(int(here_R.sum()), len(backbones) - 1)) @ roots_GKK[which].T
    return means_RK, _SPREADS_G[chosen_R]


def _precisions(covariance_KK: Floats) -> Floats:
    """G × K × K; P at every τ, of a dataset that is flat about how easy it is."""
    added_G = _SPREADS_G**2 + _ROUNDING
    inverse_GKK = np.linalg.inv(covariance_KK + added_G[:, None, None] * np.eye(len(covariance_KK)))
    sums_GK = inverse_GKK.sum(axis=2)
    outer_GKK = sums_GK[:, :, None] * sums_GK[:, None, :]
    return inverse_GKK - outer_GKK / sums_GK.sum(axis=1)[:, None, None]


def _put_together(tables: Sequence[OnDataset]) -> list[OnDataset]:
    """Without backbones that too few datasets have, and then without datasets that too few backbones are left on."""
    kept = list(tables)
    while True:
        count = {name: sum(name in table.backbones for table in kept) for table in kept for name in table.backbones}
        fewer = [
            _of_backbones(table, [name for name in table.backbones if count[name] >= FEWEST_DATASETS]) for table in kept
        ]
        fewer = [table for table in fewer if len(table.backbones) >= FEWEST_BACKBONES]
        if [table.backbones for table in fewer] == [table.backbones for table in kept]:
            return kept
        kept = fewer


def _of_backbones(table: OnDataset, names: Sequence[str]) -> OnDataset:
    at = [table.backbones.index(name) for name in names]
    return OnDataset(
        dataset=table.dataset,
        backbones=tuple(names),
        means_K=table.means_K[at],
        covariance_KK=table.covariance_KK[np.ix_(at, at)],
    )


def _seed_variance(result: Result) -> float | None:
    """Of a result's mean over seeds, 0 where nothing depends on them; None where it was not measured."""
    if not result.seeded:
        return 0.0
    piece = seed_piece_of(result, current().seed_variance(result))
    return None if piece is None else piece.variance


def _patient_covariance(results: Sequence[Result]) -> Floats | None:
    """K × K, of drawing patients; None where a class has fewer than two patients."""
    influences = [influence for result in results if (influence := influence_of(result)) is not None]
    if len(influences) < len(results):
        drawn_KR = replicated(results)
        if drawn_KR is None:
            return None
        return np.atleast_2d(np.cov(drawn_KR[:, np.isfinite(drawn_KR).all(axis=0)]))
    strata = strata_of(results[0].estimates[0].stratum_N, results[0].patients_N)
    if strata.patients_K.min() < 2:
        return None
    by_patient_KP: Floats = np.array([by_patient(influence_N, strata) for influence_N in influences], dtype=np.float64)
    return np.asarray(np.dot(by_patient_KP, np.transpose(by_patient_KP)), dtype=np.float64)
