"""A plan of what is absent, as text: each lack once, cells by dataset and regime, totals, and what could be settled."""

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.costs import CellPlan, Plan
from pytest_fmtransfer.expected_costs import ExpectedCost
from pytest_fmtransfer.judge.foresight import Foresight
from pytest_fmtransfer.reports.plans import PlannedClaim, plan_text

COST = ExpectedCost(training_steps=1_000, trained_images=3_600_000, forward_passes=0, bytes=2_000_000, source="counted")
FROZEN = ExpectedCost(training_steps=10, trained_images=0, forward_passes=60_000, bytes=0, source="counted")


def absent(backbone: str, regime: str, cost: ExpectedCost | None, *missing: str) -> CellPlan:
    return CellPlan(cell=Cell(backbone, "data", regime), lacks="; ".join(missing), missing=missing, expected=cost)


def claim(*, settled: bool, expected: bool) -> PlannedClaim:
    foresight = Foresight(detectable=0.01, settled=settled, answer="absent; …", source="", expected=expected)
    return PlannedClaim(test="test", family_size=1, margin=0.02, foresight=foresight)


def test_each_lack_is_told_once_with_its_cells_or_how_many_they_are() -> None:
    lines = [absent(f"net{at}", "knn", None, f"no weights of net{at}: get them", "no images: fetch") for at in range(5)]
    text = plan_text(Plan(cells=tuple(lines)), [])
    assert "absent:\n  net0-data-knn: no weights of net0: get them\n  5 cells: no images: fetch\n" in text
    assert "would take" not in text  # nothing is known of their size
    four = ", ".join(f"net{at}-data-knn" for at in range(4))
    assert f"\n  {four}: no images: fetch\n" in plan_text(Plan(cells=tuple(lines[:4])), [])


def test_what_cannot_be_opened_is_told_as_it_is() -> None:
    line = CellPlan(cell=Cell("net", "data", "knn"), lacks="holds 62 images, data has 7")
    assert "absent:\n  net-data-knn: holds 62 images, data has 7\n" in plan_text(Plan(cells=(line,)), [])


def test_cells_are_added_up_by_dataset_and_regime_and_all_together() -> None:
    lines = [absent("a", "tuned", COST, "no"), absent("b", "tuned", COST, "no"), absent("a", "frozen", FROZEN, "no")]
    text = " ".join(plan_text(Plan(cells=tuple(lines)), []).split())
    assert "were they here, 3 cells would take:" in text
    assert "data frozen 1 10 0 60,000 data tuned 2 2,000 7,200,000 0 4.0 MB" in text
    assert "Sizes of data: counted." in text
    assert (
        "3 absent cells would take 2,010 training steps, 7,200,000 trained images, 60,000 forward passes, and at least "
        "4.0 MB on disk. How long is not known before their networks have run here: at 1,000 images a second 2 h 0 min "
        "of training, and 1 min 0 s of forward passes" in text
    )


def test_what_is_here_is_no_part_of_what_is_absent_and_what_is_known_of_some_is_told_of_these() -> None:
    here = CellPlan(cell=Cell("net", "data", "knn"))
    assert "absent" not in plan_text(Plan(cells=(here,)), [])
    text = plan_text(Plan(cells=(here, absent("a", "tuned", COST, "no"), absent("b", "other", None, "no"))), [])
    assert "absent:\n  a-data-tuned, b-data-other: no\n\nwere it here, the cell would take:" in text
    two = (absent("a", "tuned", COST, "no"), absent("b", "tuned", COST, "no"), absent("c", "other", None, "no"))
    assert "were they here, 2 cells would take:" in plan_text(Plan(cells=two), [])


def test_where_nothing_is_trained_no_time_of_training_is_told() -> None:
    text = plan_text(Plan(cells=(absent("a", "frozen", FROZEN, "no"),)), [])
    assert "were it here, the cell would take:" in text
    assert text.rstrip().endswith("at 1,000 images a second 1 min 0 s of forward passes")


def test_what_could_be_settled_is_counted_apart_from_what_can() -> None:
    claims = [
        claim(settled=True, expected=False),
        claim(settled=True, expected=True),
        claim(settled=False, expected=True),
    ]
    text = plan_text(Plan(cells=()), claims)
    assert "3 claims, of which 1 can be settled, and 1 more once their weights and data are here" in text
    assert "more once" not in plan_text(Plan(cells=()), claims[:1])
