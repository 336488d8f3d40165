"""Many cells that drift a little, all the same way: the test over a suite. Synthetic values.

Legend: A cells, K seeds with the new one last.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pytest_fmtransfer.judge.pooled_drift import LEVEL, Screened, in_common, moved_together, together
from tests.helpers import LAWS

RECORDED = (0.80, 0.81, 0.82, 0.83, 0.84, 0.85, 0.86, 0.87, 0.88, 0.89)
SPREAD = float(np.std(RECORDED, ddof=1))
TIMM = "timm 1.0.31 → 1.0.32"


def cell(shift: float, *, turn: int = 0, **more: object) -> Screened:
    """Recorded values in an order of its own, so that seeds have nothing in common, and one `shift` spreads off."""
    values = tuple(np.random.default_rng(turn).permutation(RECORDED).tolist())
    fields = {
        "seeds": tuple(range(10)),
        "recorded": values,
        "screened": float(np.mean(values)) + shift * SPREAD,
        "tolerance": 0.0,
        "higher_is_better": True,
        "changes": (TIMM,),
    }
    return Screened(**fields | more)  # pyright: ignore[reportArgumentType]


def cells(shift: float, count: int = 20, **more: object) -> list[Screened]:
    return [cell(shift, turn=at, **more) for at in range(count)]


def drawn(rng: np.random.Generator, count: int, *, alike: float = 0.0) -> NDArray[np.float64]:
    """(A, K) values whose seeds correlate between cells."""
    shared_K = rng.standard_normal(11)
    return np.sqrt(alike) * shared_K + np.sqrt(1 - alike) * rng.standard_normal((count, 11))


def test_what_no_cell_shows_alone_is_plain_together_and_names_what_all_share() -> None:
    screened = cells(-1.0)
    screened[:2] = (replace(each, changes=(TIMM, "numpy 2.2 → 2.3")) for each in screened[:2])
    found = together(screened, judged=20, declared=20)
    assert found.outcome == "refuted"
    assert found.effect == pytest.approx(-1, abs=0.1)
    assert found.summary.startswith("drifted, 20 cells together: worse by ")
    assert found.summary.endswith(f"; they share: {TIMM}")


def test_a_common_gain_is_drift_too_and_of_a_loss_it_is_worse() -> None:
    assert "better by" in together(cells(1.0), judged=20, declared=20).summary
    loss = together(cells(1.0, higher_is_better=False), judged=20, declared=20)
    assert (loss.outcome, "worse by" in loss.summary) == ("refuted", True)


def test_cells_that_moved_to_either_side_have_not_drifted_together() -> None:
    found = together([*cells(-1.0, 10), *cells(1.0, 10)], judged=20, declared=20)
    assert found.outcome == "supported"
    assert found.summary.startswith("unchanged within noise, 20 cells together: ")


def test_a_selection_is_not_taken_for_the_suite() -> None:
    found = together(cells(-1.0, 3), judged=3, declared=34)
    assert (found.outcome, found.p) == ("inconclusive", None)
    assert found.summary == "not judged together: 3 of 34 cells were judged"


@pytest.mark.parametrize("moved", [0, 1])
def test_where_at_most_one_cell_moved_at_all_there_is_nothing_to_pool(moved: int) -> None:
    found = together(cells(-5.0, moved), judged=20, declared=20)
    assert (found.outcome, found.summary) == ("supported", f"unchanged together: {moved} of 20 cells moved at all")


def test_cells_with_the_scores_of_their_baselines_are_left_out() -> None:
    found = together(cells(-1.0, 15), judged=20, declared=20)
    assert found.summary.startswith("drifted, 15 of 20 cells, those that moved, together: worse")


def test_seeds_that_some_cell_lacks_are_left_out_and_ten_are_needed() -> None:
    ten, other = cells(-1.0, 2)
    more = replace(ten, seeds=tuple(range(12)), recorded=(*ten.recorded, 0.5, 0.99))
    assert together([more, other], judged=2, declared=2) == together([ten, other], judged=2, declared=2)
    found = together([more, cell(-1.0, seeds=tuple(range(3, 13)))], judged=2, declared=2)
    assert found.outcome == "inconclusive"
    assert "share 9 of the 10 recorded seeds that it takes; record them again: --fm-update=all" in found.summary


def test_a_machine_that_moves_all_cells_by_the_tolerance_raises_no_alarm() -> None:
    tolerated = cells(-1.0, tolerance=SPREAD)
    assert together(tolerated, judged=20, declared=20).outcome == "supported"
    assert together(cells(-2.0, tolerance=SPREAD), judged=20, declared=20).outcome == "refuted"


def test_a_seed_that_is_bad_for_all_cells_is_that_seeds_luck() -> None:
    """The recorded seeds spread as far as the new one lies, at every cell alike."""
    alike = [cell(-1.0) for _ in range(20)]
    assert together(alike, judged=20, declared=20).outcome == "supported"


def test_a_cell_whose_seeds_agree_does_not_outweigh_the_rest() -> None:
    steady = cell(0.0, recorded=(0.9,) * 10, screened=0.899, tolerance=0.005)
    assert together([*cells(-1.0), steady], judged=21, declared=21).outcome == "refuted"
    assert together([*cells(0.0), steady], judged=21, declared=21).outcome == "supported"
    constant = cell(0.0, recorded=(0.9,) * 10, screened=0.9)
    assert together([constant, constant], judged=2, declared=2).p == 1


@pytest.mark.parametrize(("last", "outcome"), [(1.0, "supported"), (-1.0, "refuted")])
def test_recorded_means_that_agree_but_for_rounding_make_no_drift_of_it(last: float, outcome: str) -> None:
    """Each value once at each seed: the recorded means are equal. Half of the cells are worse, half are `last`."""
    turned = [(*RECORDED[at % 10 :], *RECORDED[: at % 10]) for at in range(20)]
    shifted = zip(turned, [-1.0] * 10 + [last] * 10, strict=True)
    screened = [cell(0.0, recorded=each, screened=float(np.mean(each)) + by * SPREAD) for each, by in shifted]
    assert together(screened, judged=20, declared=20).outcome == outcome


def test_one_that_shares_nothing_known_says_so() -> None:
    assert in_common([cell(0.0), cell(0.0, changes=())]) == "nothing known changed under all of them"


def test_it_travels_as_json() -> None:
    told = cell(-1.0)
    assert Screened(**json.loads(json.dumps(told.row()))).screened == told.screened


@LAWS
@given(st.integers(0, 2**32 - 1), st.floats(-3, 3), st.floats(0.1, 10), st.permutations(range(10)))
def test_neither_units_nor_the_order_of_seeds_matter(seed: int, offset: float, scale: float, order: list[int]) -> None:
    values_AK = drawn(np.random.default_rng(seed), 6)
    tolerance_A = np.full(6, 0.1)
    other_AK = offset + scale * values_AK[:, [*order, 10]]
    assert moved_together(other_AK, scale * tolerance_A) == pytest.approx(moved_together(values_AK, tolerance_A))


@LAWS
@given(st.integers(0, 2**32 - 1), st.floats(0, 2), st.floats(0, 2))
def test_a_wider_tolerance_never_makes_it_surer(seed: int, narrow: float, wider: float) -> None:
    values_AK = drawn(np.random.default_rng(seed), 6, alike=0.5)
    values_AK[:, -1] -= 1.0
    spread_A = values_AK.std(axis=1, ddof=1)
    narrow_p, wide_p = (moved_together(values_AK, by * spread_A)[1] for by in (min(narrow, 1), min(narrow + wider, 1)))
    assert wide_p >= narrow_p


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.95])
def test_the_level_holds_however_alike_cells_are(alike: float) -> None:
    rng = np.random.default_rng(0)
    alarms = [moved_together(drawn(rng, 20, alike=alike), np.zeros(20))[1] <= LEVEL for _ in range(3_000)]
    assert 0.004 <= np.mean(alarms) <= 0.017
