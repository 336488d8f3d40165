"""Text that is not ours on a terminal and in a CI log."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.errors import DatasetError
from pytest_fmtransfer.printable import inert_json, inline, printable
from tests.helpers import LAWS

# Every code point, halves of surrogate pairs too; and often what is dangerous.
TEXTS = st.lists(
    st.one_of(
        st.characters(exclude_categories=()),
        st.sampled_from(["::", "##", "[", "vso", "\n", "\r", " ", "\x1b[2J", "\u202e", "\u2028", "\x9b", "\\", "\xa0"]),
    )
).map("".join)

DIRECTION = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def obeyed(line: str) -> bool:
    """Whether a runner of GitHub's or Azure's would take a line for a command."""
    return line.strip().startswith("::") or "##[" in line or "##vso[" in line


@LAWS
@given(TEXTS)
def test_nothing_is_left_that_a_terminal_or_a_runner_obeys(text: str) -> None:
    for seen in (inline(text), *printable(text).split("\n")):
        assert not {unicodedata.category(each) for each in seen} & {"Cc", "Cs", "Zl", "Zp"}
        assert not {unicodedata.bidirectional(each) for each in seen} & DIRECTION
        assert not obeyed(seen)
    assert printable(text).count("\n") == text.count("\n")


@LAWS
@given(TEXTS)
def test_what_was_made_printable_stays_as_it_is(text: str) -> None:
    assert printable(printable(text)) == printable(text)
    assert inline(inline(text)) == inline(text)


@LAWS
@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"), exclude_characters="#:")))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Δ +0.0123, 90 % interval [−0.01, 2 × 0.05/m] – “déjà vu” … ≥ → ▁▃▆[█]▇",
        "tests/test_x.py::test_beats[mobilenetv2-br35h-knn]\n  would settle it: 120 patients",
        "## Cells\n\n| cell | Δ [interval] |\n# [a link](b) C:\\x1b \\n 日本語 עברית 👩‍⚕️",
    ],
)
def test_our_own_texts_stay_as_they_are(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\r\nb", "a\\r\\nb"),
        ("a\tb\x7f\x9b", "a\\tb\\x7f\\x9b"),
        ("\u202eevil\u2066\u2028", "\\u202eevil\\u2066\\u2028"),
        ("\udc80", "\\udc80"),
        ("::stop-commands::x", "\\x3a:stop-commands::x"),
        (" \xa0::error::x", " \xa0\\x3a:error::x"),
        ("a ##[add-path]x", "a \\x23#[add-path]x"),
        ("a ###vso[task.setvariable]x", "a #\\x23#vso[task.setvariable]x"),
    ],
)
def test_what_is_obeyed_is_shown_as_an_escape(text: str, seen: str) -> None:
    assert inline(text) == seen


@LAWS
@given(st.recursive(TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_json_says_the_same_and_nothing_in_it_is_obeyed(value: object) -> None:
    for plain in (json.dumps(value, indent=1, ensure_ascii=False), json.dumps(value, indent=1)):
        inert = inert_json(plain)
        assert json.loads(inert) == json.loads(plain)
        assert printable(inert) == inert


def test_an_error_shows_what_it_names_and_keeps_its_lines() -> None:
    error = DatasetError("no folder a\x1b[2Jb\n::stop-commands::x: give another")
    assert str(error) == "no folder a\\x1b[2Jb\n\\x3a:stop-commands::x: give another"
