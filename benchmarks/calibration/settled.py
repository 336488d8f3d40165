"""Does the range of patients that a verdict asks for hold the number that is needed?"""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.random import Generator

from benchmarks.calibration.false_claims import STRICT, question
from benchmarks.calibration.scenario import Scenario
from benchmarks.calibration.study import Band
from pytest_fmtransfer.judge.comparison import Comparison
from pytest_fmtransfer.judge.court import ALPHA
from pytest_fmtransfer.judge.power import POWER
from pytest_fmtransfer.judge.reading import Reading
from pytest_fmtransfer.judge.settling import SURE, Needed, known, needed_of, sources

MANY = 20_000  # patients, at least, of the draw that tells what is needed


@dataclass(frozen=True, kw_only=True)
class Settled:
    """`beats`, for a true difference of the dataset's margin. `hidden`: a sample may hold nobody who differs most.

    Such designs have no band: what is assumed, that those not drawn differ as those drawn do, is not so there. `wrong`:
    the variance is taken for known, and the range for a fifth about what it gives.
    """

    scenario: Scenario
    hidden: bool = False
    wrong: str = ""

    @property
    def title(self) -> str:
        return ", ".join(filter(None, [self.scenario.title, self.wrong]))

    @property
    def bands(self) -> dict[str, Band]:
        return {holding(level): Band() if self.hidden else Band(low=SURE) for level in (ALPHA, STRICT)}

    def run(self, rng: Generator, trials: int) -> Counter[str]:
        found: Counter[str] = Counter()
        for _ in range(trials):
            candidate, reference = self.scenario.draw(rng)
            comparison = Comparison(candidate=candidate, reference=reference)
            for level in (ALPHA, STRICT):
                needed = asked_of(comparison, level, exact=bool(self.wrong))
                assert needed.least is not None
                assert needed.most is not None
                least, most = (0.8 * needed.least, 1.2 * needed.most) if self.wrong else (needed.least, needed.most)
                found[holding(level)] += least <= true_number(self.scenario, level) <= most
        return found


def holding(level: float) -> str:
    return question("range holds what is needed", level)


def asked_of(comparison: Comparison, level: float, *, exact: bool) -> Needed:
    """What a verdict asks for; `exact`: with the variance as it was seen, at either end."""
    reading = Reading(kind="beats", comparison=comparison, level=level, threshold=0.0)
    assert comparison.patient_piece is not None
    drawn, _ = sources(reading, comparison.patient_piece)
    if exact:
        drawn = replace(known(comparison.patient_piece), rates=(drawn.rates[1],) * 2)
    result = comparison.candidate
    return needed_of(patients=result.patients, drawn=drawn, delta=result.margin, alpha=level, power=POWER)


@cache
def true_number(scenario: Scenario, level: float) -> int:
    """The number that a draw of very many patients asks for."""
    times = -(-MANY // scenario.patients)
    many = replace(scenario, patients=times * scenario.patients, fewest=times * scenario.fewest)
    candidate, reference = many.draw(np.random.default_rng(0))
    needed = asked_of(Comparison(candidate=candidate, reference=reference), level, exact=True)
    assert needed.least is not None
    return needed.least
