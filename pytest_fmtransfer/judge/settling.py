"""How many patients would settle it: a range, because a sample does not tell exactly how much patients vary.

Where few patients differ, the variance is little more than their count. With two who differ in place of one it is twice
as large, and so is the number of patients asked for; where nobody of a rare class differs by chance, it is far too
small. The range reckons with the counts that are compatible with the one seen, class by class.

Legend: N images, P patients, K strata.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import chdtri
from scipy.stats import norm

from pytest_fmtransfer.judge.bounds import Bound, Floats, Piece, combine, strata_of, unseen_share
from pytest_fmtransfer.judge.comparison import COUNTED
from pytest_fmtransfer.judge.power import POWER, smallest_detectable
from pytest_fmtransfer.judge.reading import Reading
from pytest_fmtransfer.judge.score_bound import added_by_typical, by_stratum
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.words import counted

SURE = 0.9  # how often a range holds the number, at least
_TAIL = (1 - SURE) / 2
_ROUNDING = 1e-9  # of a count

# What would be enough is looked for in steps, up to where patients add nothing to what seeds do.
_STEP, _MOST_TIMES = 1.05, 1e4

# What a range takes for granted, in the words of a verdict.
IF_ALIKE = f"{100 * SURE:.0f} % sure, if those not drawn differ as these do"


@dataclass(frozen=True, kw_only=True)
class Needed:
    """Patients at the least and at the most; None where no number of them would do."""

    least: int | None
    most: int | None

    def said(self, unit: str) -> str:
        """'900 to 4200 patients', rounded outward to two digits, or '900 patients or more'.

        The one number where both are the same. Raises ValueError where there is no least.
        """
        if self.least is None:
            raise ValueError("no number of patients would do")
        if self.least == self.most:
            return counted(self.least, unit)
        least = _rounded(self.least, math.floor)
        if self.most is None:
            return f"{counted(least, unit)} or more"
        return f"{least} to {counted(_rounded(self.most, math.ceil), unit)}"


@dataclass(frozen=True, kw_only=True)
class Ends:
    """A source of variance at the least and at the most that a sample is compatible with.

    `rates` are those with which limits at either end widen (`rate_of`).
    """

    least: Piece
    most: Piece
    rates: tuple[float, float] = (0.0, 0.0)


def known(piece: Piece) -> Ends:
    """A variance that is assumed, not estimated."""
    return Ends(least=piece, most=piece)


def of_degrees(piece: Piece) -> Ends:
    """Of a variance of normal deviations, by the χ² distribution of its degrees of freedom."""
    least, most = (piece.degrees / float(chdtri(piece.degrees, tail)) for tail in (_TAIL, 1 - _TAIL))
    return Ends(
        least=replace(piece, variance=least * piece.variance), most=replace(piece, variance=most * piece.variance)
    )


def of_patients(piece: Piece, influence_N: Floats | None, result: Result, rate: float = 0.0) -> Ends:
    """Of the variance from drawing a result's patients; a metric that has influences gives each image's.

    A stratum's variance is a count of patients who differ, times the square of what one moves: as much as the one who
    moves most, or as is typical of all strata where that is more. The count is Poisson's, with the exact limits of
    Garwood ("Fiducial limits for the Poisson distribution", Biometrika 1936). The strata's limits are put together as
    in MOVER: distances from the estimate add as their squares.

    `rate` is that of the limits that decide. It is a length: where the variance is smaller, it is so by the root. Of
    patients who differ by unlike amounts it falls faster than they grow in number, and at the least it is 0.

    Where no patient at all shows any variance, it is at the least none, and what may have been missed then falls with
    the square of the patients; at the most it is that of the largest share that may have been missed.
    """
    if piece.alike:
        hidden = unseen_share(piece.alike, _TAIL) / piece.alike
        return Ends(least=piece, most=replace(piece, variance=hidden, alike=0.0))
    if influence_N is None:
        return of_degrees(piece)
    strata = strata_of(result.estimates[0].stratum_N, result.patients_N)
    sum_KP = by_stratum(influence_N, strata)
    second_K: Floats = (sum_KP**2).sum(axis=1)
    if not second_K.any():
        return known(piece)
    square_K: Floats = np.maximum((sum_KP**2).max(axis=1), added_by_typical(sum_KP, strata) ** 2)
    count_K: Floats = second_K / square_K
    fewest_K = np.asarray(chdtri(2 * np.maximum(count_K, _ROUNDING), 1 - _TAIL), dtype=np.float64) / 2
    most_K = np.asarray(chdtri(2 * count_K + 2, _TAIL), dtype=np.float64) / 2
    below_K, above_K = square_K * (count_K - fewest_K), square_K * (most_K - count_K)
    # Relative to what the strata add up to: patients with images in several are in the piece with cross terms too.
    least, most = (float(np.sqrt((each_K**2).sum()) / second_K.sum()) for each_K in (below_K, above_K))
    return Ends(
        least=replace(piece, variance=piece.variance * (1 - least)),
        most=replace(piece, variance=piece.variance * (1 + most)),
        rates=(rate * math.sqrt(1 - least) if result.question.metric in COUNTED else 0.0, rate),
    )


def needed_of(
    *,
    patients: int,
    drawn: Ends,
    seeds: Sequence[Ends] = (),
    delta: float,
    alpha: float,
    power: float,
) -> Needed:
    """The range of `patients_to_settle`, from both ends of the variances."""
    least, most = (
        patients_to_settle(
            patients=patients, piece=piece, seeds=fixed, rate=rate, delta=delta, alpha=alpha, power=power
        )
        for piece, fixed, rate in (
            (drawn.least, [each.least for each in seeds], drawn.rates[0]),
            (drawn.most, [each.most for each in seeds], drawn.rates[1]),
        )
    )
    return Needed(least=least, most=most)


def sources(reading: Reading, patients: Piece) -> tuple[Ends, Sequence[Ends]]:
    """The variance from drawing `patients` of a reading's comparison, and those of its seeds."""
    comparison, planned = reading.comparison, reading.planned
    rate = 0.0
    if planned is not None and comparison.bound is not None:
        rate = rate_of(planned, comparison.bound.standard_error, reading.level)
    drawn = of_patients(patients, comparison.influences, comparison.candidate, rate)
    return drawn, [of_degrees(piece) for piece in comparison.seed_pieces]


def _rounded(number: int, towards: Callable[[float], int]) -> int:
    unit = 10 ** max(0, len(str(number)) - 2)
    return towards(number / unit) * unit


def patients_to_settle(
    *,
    patients: int,
    piece: Piece,
    seeds: Sequence[Piece] = (),
    rate: float = 0.0,
    delta: float,
    alpha: float,
    power: float = POWER,
) -> int | None:
    """The fewest patients with which a true effect of `delta` beyond the threshold is supported with `power`.

    `piece` is the variance from drawing `patients` of them; it falls as they grow in number, and where none shows any,
    what may have been missed falls with their square. `seeds` are what more patients leave as they are. `rate` is that
    of the limits that decide (`rate_of`); it falls as patients grow in number. None when no number would do, because
    the seeds' variance alone is too much: more seeds are needed.

    The sum of two normal quantiles gives too few, from where the search begins. It goes up in steps, because more
    patients need not help: the fewer degrees of freedom the seeds have, the larger is Student's t as their share grows.
    """
    seed_variance = sum(each.variance for each in seeds)
    room = (delta / float(norm.ppf(1 - alpha) + norm.ppf(power))) ** 2 - seed_variance
    if room <= 0:
        return None

    def enough(number: int) -> bool:
        times = number / patients
        drawn = replace(
            piece,
            variance=piece.variance / times,
            degrees=max(1.0, (piece.degrees + 1) * times - 1),
            alike=piece.alike * times,
        )
        bound = combine(0.0, [drawn, *seeds])
        half = bound.quantile(1 - alpha) * rate / times / 2
        wide = replace(bound, standard_error=half + math.hypot(bound.standard_error, half))
        return smallest_detectable(wide, alpha, power) <= delta

    relative = piece.variance_at(alpha) / room
    first = number = max(2, math.ceil(patients * (math.sqrt(relative) if piece.alike else relative)))
    while not enough(number):
        if number > _MOST_TIMES * max(first, patients):
            return None
        number = math.ceil(number * _STEP)
    fewest = max(first, math.floor(number / _STEP))
    return fewest + bisect_left(range(fewest, number), True, key=enough)


def rate_of(planned: Bound, standard_error: float, alpha: float) -> float:
    """How fast the variance rises with the distance from the effect, so that limits at `alpha` are those planned with.

    In the effect's unit, as of a score bound of one stratum: reach² = q² · (variance + rate · reach).
    """
    reach = planned.quantile(1 - alpha) * planned.standard_error
    return max(0.0, planned.standard_error**2 - standard_error**2) / reach if reach else 0.0
