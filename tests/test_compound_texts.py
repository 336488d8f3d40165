"""Claims over several datasets or in an order: names, texts, records and what is refused. Synthetic results."""

from typing import Any

import pytest

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.compound import consistently_better, not_consistently_better, ranks_above
from pytest_fmtransfer.judge.court import Court, Verdict, judging
from tests.helpers import Sides, pair_on, result, sides

GOOD, UNSURE, BAD = 0.8, 0.02, -0.6


def test_names_hold_every_dataset_or_the_whole_order() -> None:
    over = consistently_better(*sides(pair_on(0, GOOD), pair_on(1, GOOD)))
    assert (over.candidate, over.reference) == ("new.model-data0+data1-knn", "old.model-data0+data1-knn")
    first, second, third = (result(f"model{i}-data-knn", 2 - i) for i in range(3))
    order = ranks_above(first, second, third)
    assert (order.candidate, order.reference) == ("model0-data-knn", "model1-data-knn > model2-data-knn")


def test_it_is_recorded_once_under_its_own_name() -> None:
    recorded: list[Verdict] = []
    both = sides(pair_on(0, GOOD), pair_on(1, UNSURE))
    with judging(Court(family_size=4, record=recorded.append)):
        reached = [consistently_better(*both), not_consistently_better(*both), ranks_above(both[0][0], both[1][0])]
    assert recorded == reached
    assert [(each.kind, each.level, each.family_size, each.metric) for each in recorded] == [
        (kind, 0.0125, 4, "roc_auc") for kind in ("consistently_better", "not_consistently_better", "ranks_above")
    ]


def test_the_text_has_a_line_per_part_and_the_rule() -> None:
    both = sides(pair_on(0, GOOD), pair_on(1, BAD, patient_unit="lesion"))
    for judge, if_all, if_one in (
        (consistently_better, "supported", "refuted"),
        (not_consistently_better, "refuted", "supported"),
    ):
        verdict = judge(*both)
        lines = verdict.text.splitlines()
        assert lines[0].endswith(f"old.model-data0+data1-knn: {verdict!r}")
        assert lines[1].strip() == (
            "2 parts, each 'beats' at one-sided level 0.05 (a claim of its own): the whole is "
            f"{if_all} when all are supported, {if_one} when one is refuted at 0.025"
        )
        for line, mine, theirs, outcome in zip(lines[2:4], *both, ("supported", "refuted"), strict=True):
            assert line.strip().startswith(f"{mine.cell} against {theirs.cell}: {mine.mean:.4f} against")
            assert line.endswith(f"]: {outcome}")
        assert any("assumes independent lesions" in line for line in lines)


def test_an_uninformative_dataset_marks_it() -> None:
    telling = Verdict(kind="tells", candidate="a-b-c", reference="", outcome="refuted", summary="refuted: b is blind")
    with judging(Court(telling=telling)):
        verdict = ranks_above(result("one-data-knn", 2.0), result("two-data-knn", 0.3))
    assert (bool(verdict), verdict.mark, verdict.reason) == (True, "b is blind", "")
    assert "b is blind" in verdict.text


@pytest.mark.parametrize("judge", [consistently_better, not_consistently_better])
@pytest.mark.parametrize(
    ("both", "message"),
    [
        (sides(), "two datasets or more, each once, not none"),
        (sides(pair_on(0, GOOD)), "two datasets or more, each once, not data0"),
        (sides(pair_on(0, GOOD), pair_on(0, GOOD)), "not data0, data0"),
        ((sides(pair_on(0, GOOD), pair_on(1, GOOD))[0], [pair_on(0, GOOD)[1]]), "2 candidates against 1 reference"),
        ((list(pair_on(0, GOOD)), list(pair_on(0, GOOD))), "each once, not data0, data0"),
        (([pair_on(0, 1)[0], pair_on(1, 1)[1]], sides(pair_on(0, 1), pair_on(1, 1))[1]), "one backbone and regime"),
        ((sides(pair_on(0, 1), pair_on(1, 1))[0], [pair_on(0, 1)[1], pair_on(1, 1)[0]]), "one backbone and regime"),
        ((sides(pair_on(0, 1), pair_on(1, 1))[0], sides(pair_on(1, 1), pair_on(0, 1))[1]), "not scored on the same"),
    ],
)
def test_sides_that_make_no_such_claim_are_refused(judge: Any, both: Sides, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        judge(*both)


def test_a_ranking_of_one_is_refused() -> None:
    with pytest.raises(InvalidInput, match="two results or more, the best first"):
        ranks_above(result("one-data-knn", 1.0))
