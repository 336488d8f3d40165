"""Did a regime that depends on its seed drift? A screen with one new seed; beyond it six fresh seeds, once.

The plan is declared here and does not depend on what is found: nothing is run until it passes. Under no drift
the new seed and the recorded ones are exchangeable, whatever their distribution: all six fresh values lie
beyond the range of ten recorded ones, on a side that the screen names, with probability 1 / C(16, 6) a side.
"""

import math
from collections.abc import Sequence

import numpy as np

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.bounds import t_quantile

FEWEST_RECORDED = 10
FRESH = 6
FAMILY_OF_SIX = 200  # claims up to which six fresh seeds keep a family's false alarm at .05; seven beyond


def fresh_seeds(family_size: int) -> int:
    """How many seeds the second stage runs."""
    return FRESH if family_size <= FAMILY_OF_SIX else FRESH + 1


def chance_of_false_alarm(recorded: int, fresh: int) -> float:
    """Two-sided probability that `fresh` exchangeable values all lie beyond `recorded` others, on one side."""
    return 2 / math.comb(recorded + fresh, fresh)


def screen_limit(recorded: Sequence[float], tolerance: float) -> float:
    """How far one new seed may lie from the recorded mean: rounding plus the 95 % interval of a prediction.

    `recorded` are the metric's values at the recorded seeds, `tolerance` what rounding on another processor may
    move the metric by. Raises InvalidInput for fewer than two values.
    """
    count = len(recorded)
    if count < 2:
        raise InvalidInput(f"a screen needs at least two recorded seeds, not {count}")
    spread = float(np.std(recorded, ddof=1))
    return tolerance + t_quantile(0.975, count - 1) * math.sqrt(1 / count + 1) * spread


def passes_screen(recorded: Sequence[float], screened: float, tolerance: float) -> bool:
    """Whether the value of one new seed is within noise of the recorded ones."""
    return abs(screened - float(np.mean(recorded))) <= screen_limit(recorded, tolerance)


def has_drifted(recorded: Sequence[float], screened: float, fresh: Sequence[float], tolerance: float) -> bool:
    """Whether all fresh values lie beyond the recorded range, on the screened value's side, by more than rounding."""
    if screened >= float(np.mean(recorded)):
        return min(fresh) > max(recorded) + tolerance
    return max(fresh) < min(recorded) - tolerance
