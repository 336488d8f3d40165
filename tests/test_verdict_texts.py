"""What a verdict says of itself: its one line and its full text."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.judge.compound import ranks_above
from pytest_fmtransfer.judge.court import Court, Verdict, judging
from pytest_fmtransfer.judge.published import Published, above_published, consistent_with
from pytest_fmtransfer.judge.verdicts import beats, equivalent_to, not_worse_than
from pytest_fmtransfer.judge.wording import more_seeds
from tests.helpers import CANDIDATE, LAWS, REFERENCE, result, retrained

levels = st.builds(Court, alpha=st.floats(0.001, 0.4), family_size=st.integers(1, 200))
names = st.from_regex(r"[a-z0-9_.]{1,200}-[a-z0-9_.]{1,200}-[a-z0-9_.]{1,40}", fullmatch=True)


@LAWS
@given(
    names,
    st.text(max_size=300) | st.text(min_size=60, max_size=300),
    st.integers(2, 60),
    st.floats(0, 1, exclude_max=True),
    levels,
    st.booleans(),
)
def test_a_verdict_takes_at_most_120_characters(
    cell: str, name: str, fewest: int, margin: float, court: Court, seeded: bool
) -> None:
    more: dict[str, Any] = {"counts": (60, fewest), "classes": ("benign", name), "seeded": seeded}
    with judging(court):
        verdict = beats(result(cell, 1.0, **more), result(cell, 0.5, seed=1, **more), margin)
    assert 0 < len(repr(verdict)) <= 120


def test_the_full_text_holds_what_the_verdict_rests_on() -> None:
    more: dict[str, Any] = {"counts": (60, 40), "classes": ("benign", "malign")}
    candidate, reference = result(CANDIDATE, 2.0, **more), result(REFERENCE, 0.3, **more)
    with judging(Court(family_size=4)):
        verdict = beats(candidate, reference)
    for part in (
        f"{CANDIDATE} beats {REFERENCE}: {verdict!r}",
        f"roc_auc: candidate {candidate.mean:.4f}, reference {reference.mean:.4f}",
        "100 images of 100 patients (benign 60, malign 40)",
        "one-sided level 0.0125 (0.05 over 4 declared claims)",
        "39 degrees of freedom; supported when the lower limit is above 0",
    ):
        assert part in verdict.text
    assert "would settle" not in verdict.text
    assert "assumes independent" not in verdict.text


@pytest.mark.parametrize(
    ("size", "added", "told"),
    [
        (1, 0, "0.05 (a claim of its own)"),
        (2, 0, "0.025 (0.05 over 2 declared claims)"),
        (3, 2, "0.01667 (0.05 over the suite's claim and 2 of candidates added to it)"),
        (6, 2, "0.008333 (0.05 over 4 declared claims and 2 of candidates added to them)"),
    ],
)
def test_a_claim_alone_is_not_said_to_be_declared(size: int, added: int, told: str) -> None:
    """A size of 1 is what a suite has that declares none."""
    with judging(Court(family_size=size, added=added)):
        verdict = beats(result(CANDIDATE, 2.0), result(REFERENCE, 0.3))
    assert f"at one-sided level {told}, standard error" in verdict.text
    assert ("before correction for the family" in verdict.text) == (size > 1)


def test_a_p_value_names_its_side() -> None:
    one, other = result(CANDIDATE, 1.0), result(REFERENCE, 0.9, seed=1)
    sides = {
        beats(one, other): "above 0",
        beats(one, other, 0.01): "above 0.01",
        not_worse_than(one, other): "above -0.02",
        equivalent_to(one, other): "the larger of above -0.02 and below 0.02",
    }
    for verdict, side in sides.items():
        assert f"\n  one-sided p {verdict.p:.2g} ({side})\n" in verdict.text


def test_each_seeds_metric_is_in_the_full_text() -> None:
    candidate = retrained(CANDIDATE, 1.0, 2.0)
    assert f"(seeds {candidate.by_seed[0]:.4f}, {candidate.by_seed[1]:.4f})" in beats(candidate, candidate).text


def test_an_inconclusive_text_says_how_many_patients_would_settle_it() -> None:
    verdict = beats(result(CANDIDATE, 0.5, seed=1), result(REFERENCE, 0.5, seed=2))
    assert verdict.outcome == "inconclusive"
    settled = re.search(
        r"would settle it: (\d+) to \d+ patients in the test side \(it has \d+; .+\), for a true difference of 0\.02",
        verdict.text,
    )
    assert settled is not None
    assert int(settled[1]) > 120
    shown = r"underpowered: these data show a difference of 0\.\d{4} or more, and the margin is 0\.02"
    assert re.search(shown, verdict.text)


def test_an_inconclusive_text_says_when_seeds_would_settle_it_and_whether_patients_are_needed_too() -> None:
    verdict = beats(retrained(CANDIDATE, 0.3, 1.2, 2.4), retrained(REFERENCE, 0.3, 0.3, 0.3))
    too = re.search(
        r"settle it: more seeds, and at least (\d+) patients where there are (\d+), for a true difference of 0\.02",
        verdict.text,
    )
    assert too is not None
    assert int(too[1]) > int(too[2]) == retrained(CANDIDATE, 0.3).patients
    assert more_seeds(120, 120, "patient") == more_seeds(None, 120, "patient") == "more seeds, not more patients"
    assert more_seeds(121, 120, "lesion") == "more seeds, and at least 121 lesions where there are 120"


@pytest.mark.parametrize(
    ("unit", "assumed"), [("image", "images"), ("lesion", "lesions"), ("group of near copies", "groups of near copies")]
)
def test_a_unit_that_is_not_the_patient_is_an_assumption(unit: str, assumed: str) -> None:
    one = result(CANDIDATE, 1.0, patient_unit=unit)
    verdict = beats(one, one)
    of = "" if unit == "image" else f" of 120 {assumed}"
    assert f"test side: 120 images{of} (class0 60, class1 60)" in verdict.text
    assert f"assumes independent {assumed}" in verdict.text


def test_what_an_audit_found_and_a_row_acknowledges_stands_in_every_text() -> None:
    found = {"patients_on_two_sides": "the publisher's own split"}
    line = "an audit found patients on two sides, and the dataset's row acknowledges it: the publisher's own split"
    one, other = result(CANDIDATE, 2.0), result(REFERENCE, 0.3)
    number = Published(value=0.9, source="table 1")
    with judging(Court(acknowledged={"data": found, "other": {"class_small": "no more is there"}})):
        texts = [each.text for each in (beats(one, other), ranks_above(one, other), consistent_with(one, number, 0.1))]
    for text in texts:
        assert text.count(line) == 1
        assert "no more is there" not in text
    assert "an audit found" not in beats(one, other).text


def test_a_reason_does_not_hide_the_figures_and_says_what_is_needed() -> None:
    more: dict[str, Any] = {"counts": (60, 12), "classes": ("benign", "malign")}
    verdict = beats(result(CANDIDATE, 2.0, **more), result(REFERENCE, 0.3, **more))
    assert "class 'malign' has 12 in the test side, beats needs 20" in repr(verdict)
    assert "% interval [" in verdict.text
    assert "would settle it: 20 patients or more of each class in the test side ('malign' has 12)" in verdict.text


def test_one_patient_in_a_class_is_inconclusive_and_has_no_interval() -> None:
    more: dict[str, Any] = {"counts": (60, 1), "classes": ("benign", "malign")}
    verdict = beats(result(CANDIDATE, 2.0, **more), result(REFERENCE, 0.3, **more))
    assert verdict.outcome == "inconclusive"
    assert "class 'malign' has 1 in the test side" in repr(verdict)
    assert "too few patients for an interval" in verdict.text


PATIENTS = re.compile(r"\bpatients?\b")


@pytest.mark.parametrize(
    ("counts", "needed"),
    [
        ((60, 12), "would settle it: 20 {}s or more of each class in the test side ('malign' has 12)"),
        ((9, 1), "would settle it: 20 {}s or more of each class in the test side ('benign' has 9, 'malign' has 1)"),
    ],
)
@pytest.mark.parametrize("unit", ["patient", "image", "lesion"])
def test_what_too_few_patients_take_is_said_in_the_datasets_unit(
    unit: str, counts: tuple[int, int], needed: str
) -> None:
    more: dict[str, Any] = {"counts": counts, "classes": ("benign", "malign"), "patient_unit": unit}
    one, other = result(CANDIDATE, 2.0, **more), result(REFERENCE, 0.3, **more)
    for verdict in (beats(one, other), above_published(one, Published(value=0.9, source="table 1"))):
        assert verdict.reason.startswith(f"not enough {unit}s to tell: class 'malign' has ")
        assert verdict.settle == needed.format(unit)
        assert needed.format(unit) in verdict.text
    ranked = ranks_above(one, other)
    assert ranked.settle == f"{needed.format(unit)}, on {one.cell}"


def test_what_too_few_seeds_take_is_said() -> None:
    verdict = beats(retrained(CANDIDATE, 2.0), retrained(REFERENCE, 0.3, 0.4))
    assert verdict.settle == f"would settle it: {CANDIDATE} at 2 seeds or more, of its profile or of transfer(seeds=…)"
    with judging(Court(family_size=20)):
        verdict = beats(retrained(CANDIDATE, *3 * [2.0]), retrained(REFERENCE, 0.3, 0.4))
    assert verdict.settle == f"would settle it: {REFERENCE} at 3 seeds or more, of its profile or of transfer(seeds=…)"


def test_a_dataset_that_cannot_tell_backbones_apart_is_not_its_own_remedy() -> None:
    told = Verdict(kind="tells_backbones_apart", candidate="", reference="", outcome="refuted", summary="refuted: no")
    more: dict[str, Any] = {"counts": (60, 60)}
    with judging(Court(telling=told)):
        verdict = not_worse_than(result(CANDIDATE, 2.0, **more), result(REFERENCE, 0.3, **more))
    assert verdict.reason == "no"
    assert verdict.settle == "would settle it: a dataset and a regime that can tell backbones apart"


def test_where_no_patient_shows_variance_more_of_them_are_asked_for() -> None:
    alike: dict[str, Any] = {"metric": "average_precision", "patient_unit": "image"}
    verdict = beats(result(CANDIDATE, 90.0, **alike), result(REFERENCE, 90.0, seed=1, **alike))
    assert verdict.reason.startswith("no image shows any variance")
    assert verdict.settle == "would settle it: more images, until some show a difference"


@pytest.mark.parametrize("counts", [(60, 60), (60, 12), (60, 1)])
@pytest.mark.parametrize("metric", ["roc_auc", "accuracy", "log_loss"])
def test_nothing_is_said_of_patients_where_a_dataset_names_none(counts: tuple[int, int], metric: str) -> None:
    more: dict[str, Any] = {"counts": counts, "patient_unit": "image", "metric": metric}
    number = Published(value=0.9, source="table 1")
    for one, other in (
        (result(CANDIDATE, 1.0, **more), result(REFERENCE, 0.9, seed=1, **more)),
        (result(CANDIDATE, 90.0, **more), result(REFERENCE, 90.0, seed=1, **more)),
    ):
        found = [beats(one, other), not_worse_than(one, other), ranks_above(one, other), consistent_with(one, number)]
        for verdict in found:
            said = "\n".join((repr(verdict), verdict.text, verdict.settle, verdict.reason))
            assert not PATIENTS.search(said.replace("the dataset names no patients", ""))
            assert f"{sum(counts)} images of" not in said
            assert "what is named above" not in said
