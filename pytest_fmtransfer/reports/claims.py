"""What a selection claims, as text of at most 100 columns: each sentence once, and below it the cells it is about."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import fill

from pytest_fmtransfer.words import counted

WIDTH = 100
NOT_RUN = "not run"


@dataclass(frozen=True, kw_only=True)
class ListedCase:
    """One claim: its cells, the references in the same order, and the control cells that are run with it.

    `lacks` is what is missing to run it, one thing each with its remedy; `family` is empty where it is the sentence's;
    `exception` is the known one, and empty where there is none; `last` is the last verdict and where it is from, or why
    there is none.
    """

    cells: tuple[str, ...]
    references: tuple[str, ...]
    controls: tuple[str, ...]
    lacks: tuple[str, ...]
    family: str
    exception: str
    last: str


@dataclass(frozen=True, kw_only=True)
class ListedSentence:
    """One test: its statement, who claims it and where, its family, and its claims as they were collected."""

    statement: str
    source: str
    test: str
    family: str
    cases: tuple[ListedCase, ...]


def claims_text(sentences: Sequence[ListedSentence]) -> str:
    """Sentences with their claims; what is missing, each thing once, numbered; and how many there are of each."""
    cases = [case for sentence in sentences for case in sentence.cases]
    if not cases:
        return "no claim about cells is selected\n"
    numbers = {
        lack: number for number, lack in enumerate(dict.fromkeys(each for case in cases for each in case.lacks), 1)
    }
    parts = ["\n".join(_sentence_lines(sentence, numbers)) for sentence in sentences]
    if numbers:
        missing = [_wrapped(f"[{number}] {lack}", 2, 6) for lack, number in numbers.items()]
        parts.append("\n".join(["missing:", *missing]))
    return "\n\n".join([*parts, _totals(sentences, cases)]) + "\n"


def _sentence_lines(sentence: ListedSentence, numbers: dict[str, int]) -> Iterable[str]:
    yield _wrapped(sentence.statement, 0, 0)
    for name in ("source", "test", "family"):
        yield _wrapped(f"{name}: {getattr(sentence, name)}", 2, 4)
    for case in sentence.cases:
        yield from _case_lines(case, numbers)


def _case_lines(case: ListedCase, numbers: dict[str, int]) -> Iterable[str]:
    against = f" against {', '.join(dict.fromkeys(case.references))}" if case.references else ""
    yield _wrapped(f"- {', '.join(case.cells)}{against}", 2, 4)
    rows = {
        "controls": ", ".join(case.controls),
        "family": case.family,
        "missing": " ".join(f"[{numbers[lack]}]" for lack in case.lacks),
        "known exception": case.exception,
        "last verdict": case.last,
    }
    for name, told in rows.items():
        if told:
            yield _wrapped(f"{name}: {told}", 4, 6)


def _totals(sentences: Sequence[ListedSentence], cases: Sequence[ListedCase]) -> str:
    here, judged = (sum(not case.lacks for case in cases), sum(not case.last.startswith(NOT_RUN) for case in cases))
    told = (
        f"{counted(len(cases), 'claim')} in {counted(len(sentences), 'sentence')}: nothing is missing to run {here}, "
        f"{judged} {'has' if judged == 1 else 'have'} a last verdict"
    )
    return _wrapped(told, 0, 0)


def _wrapped(text: str, first: int, others: int) -> str:
    """Paths, ids and addresses are never broken, so that they can be copied."""
    return fill(
        text,
        WIDTH,
        initial_indent=" " * first,
        subsequent_indent=" " * others,
        break_long_words=False,
        break_on_hyphens=False,
    )
