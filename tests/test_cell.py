"""A cell's id and the grammar of its parts."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.cell import Cell, check_name, stem
from pytest_fmtransfer.errors import InvalidInput, InvalidName
from tests.helpers import LAWS

ALLOWED = string.ascii_lowercase + string.digits + "_."
NAMES = st.text(ALLOWED, min_size=1, max_size=20)
CELLS = st.builds(Cell, NAMES, NAMES, NAMES)
BAD_NAMES = st.text(max_size=12).filter(lambda text: not text or not set(text) <= set(ALLOWED))
KINDS = st.sampled_from(["backbone", "dataset", "regime", "profile"])


@given(CELLS)
@LAWS
def test_an_id_parses_back_to_its_cell(one: Cell) -> None:
    assert Cell.parse(one.id) == one


@given(CELLS, CELLS)
@LAWS
def test_different_cells_have_different_ids(one: Cell, other: Cell) -> None:
    assert (one.id == other.id) == (one == other)


def test_an_id_is_the_three_parts_joined_by_hyphens() -> None:
    one = Cell("efficientnet_lite0", "br35h", "knn")
    assert str(one) == one.id == "efficientnet_lite0-br35h-knn"


@given(KINDS, NAMES)
@LAWS
def test_a_name_within_the_grammar_is_returned_as_it_is(kind: str, name: str) -> None:
    assert check_name(kind, name) == name


@given(KINDS, BAD_NAMES)
@LAWS
def test_a_name_outside_the_grammar_is_refused_with_one_that_would_do(kind: str, name: str) -> None:
    with pytest.raises(InvalidName) as caught:
        check_name(kind, name)
    message = str(caught.value)
    suggested = re.search(r"as in '([a-z0-9_.]+)'$", message)
    assert message.startswith(f"{kind} name {name!r}: ")
    assert suggested is not None
    assert check_name(kind, suggested[1]) == suggested[1]


@pytest.mark.parametrize(
    ("name", "usable"),
    [("ViT B/14", "vit_b_14"), ("Größe", "gr_e"), ("aptos-2019", "aptos_2019"), ("a\n", "a"), ("@@", "dataset")],
)
def test_the_suggestion_stays_near_what_was_written(name: str, usable: str) -> None:
    with pytest.raises(InvalidName, match=f"as in '{usable}'$"):
        check_name("dataset", name)


@given(NAMES, NAMES, BAD_NAMES, st.permutations([0, 1, 2]))
@LAWS
def test_every_part_of_a_cell_is_checked(good: str, fine: str, bad: str, order: list[int]) -> None:
    parts = [good, fine, bad]
    with pytest.raises(InvalidName):
        Cell(*(parts[at] for at in order))


def test_a_refused_part_is_named_by_its_kind() -> None:
    with pytest.raises(InvalidName, match=r"^regime name 'KNN'"):
        Cell("efficientnet_lite0", "br35h", "KNN")


@pytest.mark.parametrize("text", ["", "knn", "efficientnet_lite0-br35h", "a-b-c-d", "a_b_c"])
def test_an_id_of_other_than_three_parts_is_refused_with_an_example_that_parses(text: str) -> None:
    with pytest.raises(InvalidName) as caught:
        Cell.parse(text)
    example = re.search(r"as in '(.+)'$", str(caught.value))
    assert repr(text) in str(caught.value)
    assert example is not None
    assert Cell.parse(example[1]).id == example[1]


@pytest.mark.parametrize("text", ["--", "a--c", "-b-c", "a-b-"])
def test_an_empty_part_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        Cell.parse(text)


def test_a_refused_name_is_a_value_error_too() -> None:
    assert issubclass(InvalidName, InvalidInput)
    assert issubclass(InvalidInput, ValueError)


@given(NAMES)
@LAWS
def test_a_stem_is_what_stands_before_the_first_dot(name: str) -> None:
    assert "." not in stem(name)
    assert name == stem(name) or name.startswith(f"{stem(name)}.")


@given(st.lists(CELLS, max_size=8))
@LAWS
def test_cells_sort_by_backbone_then_dataset_then_regime(some: list[Cell]) -> None:
    assert sorted(some) == sorted(some, key=lambda one: (one.backbone, one.dataset, one.regime))


def test_equal_cells_are_one_key() -> None:
    assert len({Cell("a", "b", "c"), Cell.parse("a-b-c")}) == 1
