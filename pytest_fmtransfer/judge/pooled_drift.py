"""Did many cells drift a little, all the same way? One test over the cells of a suite, declared and run once.

Each cell is judged alone by `drift`, which does not find a loss of one standard deviation. Of a hundred cells it would
be plain. Cells are not independent: at one seed they share shuffles and draws. So seeds are the sample, not cells. At
each seed the cells' values are averaged, in units of each cell's own spread, and the new seed's mean is held against
those of the recorded seeds. Under no drift these means are exchangeable, however alike cells are.

Legend: A cells, R recorded seeds that all of them have, K = R + 1 seeds, the new one last.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from pytest_fmtransfer.judge.court import Outcome
from pytest_fmtransfer.judge.drift import FEWEST_RECORDED
from pytest_fmtransfer.words import counted

# Two-sided. So small that cells alone and together keep .05 over a suite, also where a seed fails for many cells.
LEVEL = 0.01
FEWEST_CELLS = 2
_ROUNDING = 1e-9  # standard deviations: recorded means that spread less are equal, but for floating-point rounding


@dataclass(frozen=True, kw_only=True)
class Screened:
    """One cell's recorded values by seed, and its value at the new seed, in the metric's unit.

    `tolerance` is what rounding may move the metric by; `changes` are what changed since the baseline.
    """

    seeds: Sequence[int]
    recorded: Sequence[float]
    screened: float
    tolerance: float
    higher_is_better: bool
    changes: Sequence[str]

    def row(self) -> dict[str, Any]:
        """As plain JSON values; `Screened(**row)` reads it."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Together:
    """What cells say together. `effect` is how far they moved on average, in standard deviations of their seeds, better
    above 0; `p` is two-sided. Both are None where nothing was tested.
    """

    outcome: Outcome
    summary: str
    effect: float | None = None
    p: float | None = None


def together(screened: Sequence[Screened], *, judged: int, declared: int) -> Together:
    """The verdict over `declared` cells, of which `judged` were and those of `screened` have other scores than before.

    Supported where they did not move together, refuted where they did, inconclusive where not all were judged: what is
    selected does not change what is tested.
    """
    cells = counted(declared, "cell")
    if judged < declared:
        return Together(outcome="inconclusive", summary=f"not judged together: {judged} of {cells} were judged")
    if len(screened) < FEWEST_CELLS:
        return Together(outcome="supported", summary=f"unchanged together: {len(screened)} of {cells} moved at all")
    shared = _shared_seeds(screened)
    if len(shared) < FEWEST_RECORDED:
        return Together(
            outcome="inconclusive",
            summary=f"not judged together: the {len(screened)} cells that moved share {len(shared)} of the "
            f"{FEWEST_RECORDED} recorded seeds that it takes; record them again: --fm-update=all",
        )
    values_AK, tolerance_A = _arrays(screened, shared)
    effect, p = moved_together(values_AK, tolerance_A)
    who = cells if len(screened) == declared else f"{len(screened)} of {cells}, those that moved,"
    way = "worse" if effect < 0 else "better"
    found = f"{who} together: {way} by {abs(effect):.2g} standard deviations of their seeds (p {p:.2g})"
    if p <= LEVEL:
        return Together(outcome="refuted", summary=f"drifted, {found}; {in_common(screened)}", effect=effect, p=p)
    return Together(outcome="supported", summary=f"unchanged within noise, {found}", effect=effect, p=p)


def moved_together(values_AK: NDArray[np.float64], tolerance_A: NDArray[np.float64]) -> tuple[float, float]:
    """How far the last seed's mean over cells lies from the others', in standard deviations, and its two-sided p.

    A cell's unit is its standard deviation over all K seeds, the new one too: so none of them is special, and the means
    stay exchangeable. It is never below the cell's tolerance, so a cell whose seeds agree does not outweigh the rest.
    Rounding on one machine may move all cells the same way, so the mean tolerance is taken off. The rest is referred to
    Student's t of a prediction with R − 1 degrees of freedom, where R recorded means are nearly normal.
    """
    unit_A = np.maximum(values_AK.std(axis=1, ddof=1), tolerance_A)
    moves_A = unit_A > 0  # a cell with one value at every seed shows nothing
    if not moves_A.any():
        return 0.0, 1.0
    unit_A1 = unit_A[moves_A, None]
    from_mean_AK = values_AK[moves_A] - values_AK[moves_A, :-1].mean(axis=1, keepdims=True)
    mean_K = (from_mean_AK / unit_A1).mean(axis=0)
    recorded = len(mean_K) - 1
    effect = float(mean_K[-1])  # the recorded means have mean 0
    beyond = max(0.0, abs(effect) - float((tolerance_A[moves_A, None] / unit_A1).mean()))
    error = float(mean_K[:-1].std(ddof=1)) * float(np.sqrt(1 + 1 / recorded))
    return effect, float(2 * student.sf(beyond / max(error, _ROUNDING), recorded - 1))


def in_common(screened: Sequence[Screened]) -> str:
    """'they share: timm 1.0.31 → 1.0.32': the changes that every cell has."""
    first, *others = screened
    shared = [change for change in first.changes if all(change in each.changes for each in others)]
    return f"they share: {', '.join(shared)}" if shared else "nothing known changed under all of them"


def _shared_seeds(screened: Sequence[Screened]) -> list[int]:
    return sorted(set[int](screened[0].seeds).intersection(*(each.seeds for each in screened)))


def _arrays(screened: Sequence[Screened], seeds: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(A, K), better above, and (A,)."""
    rows: list[list[float]] = []
    for each in screened:
        of_seed = dict(zip(each.seeds, each.recorded, strict=True))
        sign = 1 if each.higher_is_better else -1
        rows.append([sign * value for value in (*(of_seed[seed] for seed in seeds), each.screened)])
    return np.array(rows, dtype=np.float64), np.array([each.tolerance for each in screened], dtype=np.float64)
