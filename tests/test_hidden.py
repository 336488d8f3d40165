"""What a sample cannot show: the share of a class that could be lost without having shown, and where it decides."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer import Registry, own_folder
from pytest_fmtransfer.catalog.user_dataset import UserDataset
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.exports import as_declared as declared
from pytest_fmtransfer.judge.compound import consistently_better
from pytest_fmtransfer.judge.court import Court, Verdict, judging
from pytest_fmtransfer.judge.foresight import from_pair
from pytest_fmtransfer.judge.hidden import cannot_show, hidden_shares, patients_to_show, percent
from pytest_fmtransfer.judge.published import Published, above_published
from pytest_fmtransfer.judge.ranks import ranks
from pytest_fmtransfer.judge.verdicts import beats, equivalent_to, not_worse_than
from pytest_fmtransfer.reports.rows import verdict_row
from pytest_fmtransfer.results import Result
from tests.helpers import CANDIDATE, LAWS, REFERENCE, as_declared, result

levels, counts = st.floats(1e-4, 0.4), st.integers(1, 5000)


@LAWS
@given(counts, levels)
def test_a_share_that_could_be_hidden_is_missed_as_often_as_the_level_says(count: int, level: float) -> None:
    [share] = hidden_shares({"a": count}, level).values()
    assert (1 - share) ** count == pytest.approx(level)


@LAWS
@given(st.floats(0.001, 0.9), levels)
def test_so_many_patients_and_no_fewer_show_a_share(share: float, level: float) -> None:
    count = patients_to_show(share, level)
    assert hidden_shares({"a": count}, level)["a"] <= share * (1 + 1e-9)
    assert count == 1 or hidden_shares({"a": count - 1}, level)["a"] > share * (1 - 1e-9)


def test_patients_are_drawn_and_the_share_is_seldom_among_them() -> None:
    """By drawing them: of 74 patients, of whom 3.97 % are lost, none is lost in one sample of twenty."""
    share = hidden_shares({"tumour": 74}, 0.05)["tumour"]
    none = (np.random.default_rng(0).binomial(74, share, size=200_000) == 0).mean()
    assert none == pytest.approx(0.05, abs=0.002)


def test_a_class_without_patients_hides_all() -> None:
    assert hidden_shares({"a": 0}, 0.05) == {"a": 1.0}


def test_the_line_names_the_classes_of_which_most_could_be_hidden() -> None:
    [line] = cannot_show("scans", {"a": 200, "b": 50, "c": 20, "d": 74}, 0.05, "lesion", None)
    assert line == (
        "cannot show on scans: a loss of a whole part of a class, of up to 13.9 % of 'c' (20 lesions), 5.8 % of 'b' "
        "(50 lesions), 4 % of 'd' (74 lesions), less of 1 other, of which none was drawn"
    )
    assert cannot_show("scans", {}, 0.05, "patient", None) == []


@pytest.mark.parametrize(
    ("share", "text"), [(0.0579, "5.8 %"), (0.139, "13.9 %"), (0.00123, "0.12 %"), (1.0, "100.0 %")]
)
def test_shares_are_told_in_percent(share: float, text: str) -> None:
    assert percent(share) == text


def pair(hidden_share: float | None) -> tuple[Result, Result]:
    """60 patients a class: 4.9 % may be hidden at .05."""
    return replace(result(CANDIDATE, 3.0), hidden_share=hidden_share), result(REFERENCE, 0.5, seed=1)


VERBS = {
    "beats": lambda mine, theirs: beats(mine, theirs),
    "not_worse_than": lambda mine, theirs: not_worse_than(mine, theirs, 0.05),
    "equivalent_to": lambda mine, theirs: equivalent_to(mine, mine_again(mine), 0.05),
    "above_published": lambda mine, theirs: above_published(mine, Published(value=0.5, source="a paper")),
    "consistently_better": lambda mine, theirs: consistently_better(
        [mine, elsewhere(mine)], [theirs, elsewhere(theirs)]
    ),
}


def mine_again(mine: Result) -> Result:
    return replace(mine, cell=replace(mine.cell, backbone="again"))


def elsewhere(found: Result) -> Result:
    return replace(found, cell=replace(found.cell, dataset="other"))


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS.keys())
def test_every_verdict_says_what_its_sample_cannot_show(verb: object) -> None:
    verdict: Verdict = verb(*pair(None))  # pyright: ignore[reportCallIssue]
    assert verdict.outcome == "supported"
    assert dict(verdict.hidden) == pytest.approx(dict.fromkeys(("class0", "class1"), 1 - 0.05 ** (1 / 60)))
    assert (
        "cannot show on data: a loss of a whole part of a class, of up to 4.9 % of 'class0' (60 patients)"
        in verdict.text
    )
    assert verdict_row(verdict)["hidden"] == dict(verdict.hidden)


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS.keys())
def test_a_share_that_a_row_tolerates_decides(verb: object) -> None:
    assert verb(*pair(0.05)).outcome == "supported"  # pyright: ignore[reportCallIssue]
    verdict: Verdict = verb(*pair(0.04))  # pyright: ignore[reportCallIssue]
    assert (verdict.outcome, verdict.p) == ("inconclusive", None)
    enough = math.ceil(math.log(0.05) / math.log(0.96))
    assert verdict.reason == (
        "a part of up to 4.9 % of class 'class0' could be lost without having shown, and the dataset's row tolerates "
        f"4 %: it takes {enough} patients of each class, and 'class0' has 60"
    )
    told = f"would settle it: {enough} patients or more of each class in the test side ('class0' has 60, 'class1'"
    assert told in verdict.text


def test_more_claims_hide_more() -> None:
    with judging(Court(family_size=5)):
        verdict = beats(*pair(0.05))
    assert dict(verdict.hidden)["class0"] == pytest.approx(1 - 0.01 ** (1 / 60))
    assert verdict.outcome == "inconclusive"


def test_no_place_is_told_of_a_sample_that_hides_too_much() -> None:
    open_places = ranks([each if each.hidden_share else replace(each, hidden_share=0.04) for each in pair(0.04)])
    assert all("could be lost without having shown" in each.reason for each in open_places)


def test_a_plan_says_so_beforehand() -> None:
    foreseen = from_pair("beats", *pair(0.04), Court())
    assert not foreseen.settled
    assert "could be lost without having shown" in foreseen.answer
    assert from_pair("beats", *pair(0.05), Court()).answer.startswith("underpowered: ")


def test_it_is_declared_where_a_result_is_judged_and_not_in_its_files() -> None:
    registry = Registry()
    mine = as_declared("mobilenetv2-br35h-knn", 1.0)
    assert declared(mine, registry, origin="collected").hidden_share is None
    assert "hidden_share" not in mine.record()
    row = replace(registry.dataset("br35h"), name="mine", hidden_share=0.03)
    registry.register(row)
    named = replace(mine, cell=replace(mine.cell, dataset="mine"), question=replace(mine.question, dataset="mine"))
    assert declared(named, registry, origin="collected").hidden_share == 0.03


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 5.0, math.nan])
def test_what_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(InvalidInput, match="hidden_share= is a share of a class, between 0 and 1"):
        own_folder("mine", "nowhere", hidden_share=share)
    row = replace(Registry().dataset("br35h"), name="mine", hidden_share=share)
    with pytest.raises(InvalidInput, match=r"dataset mine: hidden_share=.* is no share of a class; write one between"):
        Registry().register(row)


def test_it_is_a_key_of_ones_own_data() -> None:
    line = "mine=folder:nowhere,hidden_share=0.05"
    assert (UserDataset.parse(line).row.hidden_share, str(UserDataset.parse(line))) == (0.05, line)
