"""Numbers with their nouns."""

import pytest

from pytest_fmtransfer.words import counted


@pytest.mark.parametrize(
    ("number", "noun", "told"),
    [
        (0, "claim", "0 claims"),
        (1, "claim", "1 claim"),
        (2, "class", "2 classes"),
        (1, "class", "1 class"),
        (1234, "forward pass", "1234 forward passes"),
        (3, "group of near copies", "3 groups of near copies"),
        (1, "group of near copies", "1 group of near copies"),
        (2, "shuffled labelling", "2 shuffled labellings"),
        (8, "epoch", "8 epochs"),
        (2, "batch", "2 batches"),
        (2, "branch", "2 branches"),
        (2, "box", "2 boxes"),
        (2, "brush", "2 brushes"),
    ],
)
def test_one_of_a_thing_is_singular_and_any_other_number_plural(number: int, noun: str, told: str) -> None:
    assert counted(number, noun) == told


def test_thousands_stand_apart_where_that_is_asked() -> None:
    assert counted(1234, "forward pass", ",") == "1,234 forward passes"
