"""A result and its two files. Legend: S seeds, N images, C classes."""

import functools
import json
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pytest_fmtransfer.errors import BaselineError, InvalidInput, OldBaseline
from pytest_fmtransfer.pseudonyms import DIGITS
from pytest_fmtransfer.results import (
    OLD_SCHEMA,
    SCHEMA,
    Question,
    Recorded,
    Result,
    packed_scores,
    record_checksum,
    scores_checksum,
)
from tests.helpers import LAWS, image, make_result, noisy_scores

# What a file name or a patient's number may be made of; numpy drops NUL at the end of a string.
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
scalars = (
    text | st.integers(-(2**53), 2**53) | st.booleans() | st.none() | st.floats(allow_nan=False, allow_infinity=False)
)
pseudonym = st.text("0123456789abcdef", min_size=DIGITS, max_size=DIGITS)
part = st.from_regex(r"[a-z0-9_.]{1,8}", fullmatch=True)


@st.composite
def results(draw: st.DrawFn) -> Result:
    """Any result that can be stored: its arrays, names, subject and settings are arbitrary."""
    metric = draw(st.sampled_from(["roc_auc", "accuracy", "balanced_accuracy"]))
    classes = 2 if metric == "roc_auc" else draw(st.integers(2, 4))
    label = st.integers(0, classes - 1)
    labels = draw(st.permutations([*range(classes), *draw(st.lists(label, max_size=8))]))
    seeds, images = draw(st.integers(1, 3)), len(labels)
    scores_SNC = draw(arrays(np.float32, (seeds, images, classes), elements=st.floats(-(2.0**100), 2.0**100, width=32)))
    return make_result(
        "-".join(draw(st.tuples(part, part, part))),
        labels,
        scores_SNC,
        patients_N=draw(st.lists(text, min_size=images, max_size=images)),
        seeded=draw(st.booleans()),
        metric=metric,
        classes=tuple(draw(st.lists(text, min_size=classes, max_size=classes))),
        patient_unit=draw(st.sampled_from(["patient", "image"])),
        margin=draw(st.floats(0.001, 1)),
        subject=draw(st.dictionaries(text, scalars | st.dictionaries(text, scalars), max_size=4)),
        ids_N=sorted(draw(st.lists(pseudonym, min_size=images, max_size=images, unique=True))),
        settings=draw(st.dictionaries(text, scalars | st.lists(scalars), max_size=3)),
    )


def through_files(result: Result) -> Result:
    record = json.loads(json.dumps(result.record()))
    return Result.restore(record, result.scores_file(), origin="baseline")


@LAWS
@given(results())
def test_a_result_comes_back_from_its_files(result: Result) -> None:
    restored = through_files(result)
    assert restored.origin == "baseline"
    for name in {field.name for field in fields(Result)} - {"origin"}:
        before, after = getattr(result, name), getattr(restored, name)
        if isinstance(before, np.ndarray):
            np.testing.assert_array_equal(after, before)
            assert after.dtype == before.dtype
        else:
            assert after == before, name
    assert restored.by_seed == result.by_seed


@LAWS
@given(results())
def test_the_same_values_are_the_same_bytes(result: Result) -> None:
    copy = replace(result, **{name: getattr(result, name).copy() for name in ("ids_N", "labels_N", "scores_SNC")})
    assert copy.scores_file() == result.scores_file()
    assert through_files(result).scores_file() == result.scores_file()
    assert through_files(result).record() == result.record()


def some_result() -> Result:
    return make_result("a-b-c", [0, 0, 1, 1], noisy_scores(np.array([0, 0, 1, 1]), 1.0, seed=0))


def nudged(result: Result) -> Result:
    scores_SNC = result.scores_SNC.copy()
    scores_SNC[0, 2, 1] = np.nextafter(scores_SNC[0, 2, 1], np.float32(9))
    return replace(result, scores_SNC=scores_SNC)


EDITS: dict[str, Callable[[Result], Result]] = {
    "score by one bit": nudged,
    "label": lambda result: replace(result, labels_N=np.array([0, 1, 1, 1])),
    "patient": lambda result: replace(result, patients_N=result.patients_N[[0, 0, 2, 3]]),
    "image": lambda result: on_images(result, *(image(number) for number in range(1, 5))),
    "seeds": lambda result: replace(
        result, scores_SNC=result.scores_SNC.repeat(2, axis=0), seeds=(0, 1), chosen=result.chosen * 2
    ),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_scores_that_the_record_was_not_written_with_are_refused(edit: Callable[[Result], Result]) -> None:
    result = some_result()
    with pytest.raises(BaselineError, match="not the ones that the record was written with"):
        Result.restore(result.record(), edit(result).scores_file(), origin="baseline")


@LAWS
@given(results(), st.data())
def test_any_other_score_is_detected(result: Result, data: st.DataObject) -> None:
    scores_SNC = result.scores_SNC.copy()
    place = tuple(data.draw(st.integers(0, size - 1)) for size in scores_SNC.shape)
    score = data.draw(st.floats(-(2.0**100), 2.0**100, width=32))
    assume(score != scores_SNC[place])
    scores_SNC[place] = score
    with pytest.raises(BaselineError):
        Result.restore(result.record(), replace(result, scores_SNC=scores_SNC).scores_file(), origin="baseline")


def places_of(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The way to every value inside a JSON value, to lists and objects too."""
    inside: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value))
    return [way for name, inner in inside for way in ((*path, name), *places_of(inner, (*path, name)))]


def holder_of(value: Any, path: tuple[str | int, ...]) -> Any:
    return functools.reduce(lambda inner, name: inner[name], path[:-1], value)


def recorded_result() -> Result:
    return replace(some_result(), recorded=Recorded(date="2026-11-25", commit=None, version="0.1.0"))


RECORD: dict[str, Any] = recorded_result().record()
ALL_PLACES = places_of(RECORD)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3)
)


@settings(LAWS, max_examples=300)
@given(st.sampled_from(ALL_PLACES), json_values)
def test_any_other_value_in_the_record_is_detected(place: tuple[str | int, ...], value: object) -> None:
    record = json.loads(json.dumps(RECORD))
    holder = holder_of(record, place)
    assume(json.dumps(holder[place[-1]], sort_keys=True) != json.dumps(value, sort_keys=True))
    holder[place[-1]] = value
    with pytest.raises(BaselineError):
        Result.restore(record, recorded_result().scores_file(), origin="baseline")


@pytest.mark.parametrize("place", ALL_PLACES, ids=lambda place: ".".join(map(str, place)))
def test_a_value_taken_out_of_the_record_or_doubled_is_detected(place: tuple[str | int, ...]) -> None:
    scores_file = recorded_result().scores_file()
    Result.restore(json.loads(json.dumps(RECORD)), scores_file, origin="baseline")
    for edit in ("taken out", "doubled"):
        record = json.loads(json.dumps(RECORD))
        holder, last = holder_of(record, place), place[-1]
        if edit == "taken out":
            del holder[last]
        elif isinstance(holder, list):
            holder.append(holder[int(last)])
        else:
            holder[f"{last}2"] = holder[last]
        with pytest.raises(BaselineError):
            Result.restore(record, scores_file, origin="baseline")


def test_another_layout_of_the_record_is_no_edit() -> None:
    record = dict(reversed(json.loads(json.dumps(RECORD, indent=7, ensure_ascii=True)).items()))
    assert Result.restore(record, recorded_result().scores_file(), origin="baseline").record() == RECORD


@pytest.mark.parametrize("by", [1e-6, -0.01])
def test_a_metric_that_this_version_does_not_compute_is_told(by: float) -> None:
    record = some_result().record()
    record["metric"]["by_seed"][0] += by
    record["checksum"] = record_checksum(record)
    with pytest.raises(BaselineError, match="not the one that this version computes"):
        Result.restore(record, some_result().scores_file(), origin="baseline")


def test_a_metric_summed_in_another_order_is_the_same() -> None:
    record = some_result().record()
    record["metric"]["by_seed"][0] += 1e-11
    record["checksum"] = record_checksum(record)
    assert Result.restore(record, some_result().scores_file(), origin="baseline").mean == some_result().mean


@pytest.mark.parametrize(("name", "value"), [("seeds", [0, 1]), ("chosen", [{}, {}]), ("classes", ["one"])])
def test_a_record_that_does_not_fit_its_scores_is_told(name: str, value: object) -> None:
    record = some_result().record() | {name: value}
    record["checksum"] = record_checksum(record)
    with pytest.raises(BaselineError, match="the record does not fit its scores"):
        Result.restore(record, some_result().scores_file(), origin="baseline")


def test_the_fingerprint_of_a_question_is_over_every_field() -> None:
    question = some_result().question
    others = [replace(question, **{field.name: "other"}) for field in fields(Question)]
    assert len({question.fingerprint, *(other.fingerprint for other in others)}) == len(others) + 1
    assert replace(question).fingerprint == question.fingerprint == some_result().record()["question_fingerprint"]


def several_labels(labels: list[list[int]]) -> Result:
    """Two images of two patients; an image may bear each of three labels or not."""
    plain = make_result("a-b-c", [0, 1], np.arange(6).reshape(2, 3), metric="mean_roc_auc")
    return replace(plain, labels_N=np.array(labels, dtype=np.int64))


def test_several_labels_of_an_image_come_back() -> None:
    result = several_labels([[0, 1, 1], [1, 0, 0]])
    restored = through_files(result)
    assert restored.labels_N.tolist() == [[0, 1, 1], [1, 0, 0]]
    assert restored.by_seed == result.by_seed == (pytest.approx(1 / 3),)


@pytest.mark.parametrize("labels", [[[0, 1, 1], [1, 0, 1]], [[0, 1, 0], [1, 0, 0]]])
def test_another_of_several_labels_is_detected(labels: list[list[int]]) -> None:
    record, other = several_labels([[0, 1, 1], [1, 0, 0]]).record(), several_labels(labels)
    with pytest.raises(BaselineError, match="not the ones that the record was written with"):
        Result.restore(record, other.scores_file(), origin="baseline")


@pytest.mark.parametrize("labels", [[[0, 1], [1, 0]], [[[0, 1, 1]], [[1, 0, 0]]], [[0, 1, 1]]])
def test_labels_of_another_shape_than_the_scores_are_refused(labels: Any) -> None:
    with pytest.raises(InvalidInput, match=r"labels of shape|scores of 2 images"):
        several_labels(labels)


@pytest.mark.parametrize(
    "damage",
    [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"PK" + data[9:]],
    ids=["empty", "cut", "torn"],
)
def test_a_damaged_file_of_scores_is_told(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BaselineError, match="the file of scores is damaged"):
        Result.restore(some_result().record(), damage(some_result().scores_file()), origin="baseline")


def test_the_width_of_a_text_array_changes_no_byte() -> None:
    result = some_result()
    wide = replace(result, ids_N=result.ids_N.astype("<U99"), scores_SNC=np.asfortranarray(result.scores_SNC))
    assert wide.scores_file() == result.scores_file()


@pytest.mark.parametrize("schema", [SCHEMA + 1, SCHEMA - 2, str(SCHEMA), None])
def test_another_schema_is_refused(schema: object) -> None:
    record = some_result().record() | {"schema": schema}
    with pytest.raises(BaselineError, match=f"this version reads schema {SCHEMA}"):
        Result.restore(record, some_result().scores_file(), origin="baseline")


def test_the_schema_before_is_told_apart() -> None:
    record = some_result().record() | {"schema": OLD_SCHEMA}
    with pytest.raises(OldBaseline, match="schema 2, which held the names of images and of patients"):
        Result.restore(record, some_result().scores_file(), origin="baseline")


NAMED: dict[str, tuple[Callable[[Result], Result], str]] = {
    "a file's name": (
        lambda result: on_images(result, "a.png", *result.ids_N[1:]),
        "an image is not called by the 32 hexadecimal digits of a pseudonym",
    ),
    "letters in the upper case": (
        lambda result: on_images(result, *(name.replace("0", "A") for name in result.ids_N)),
        "an image is not called by the 32 hexadecimal digits of a pseudonym",
    ),
    "images in another order": (
        lambda result: on_images(result, *result.ids_N[::-1]),
        "the images are not in the order of their pseudonyms, each once",
    ),
    "an image twice": (
        lambda result: on_images(result, *result.ids_N[[0, 0, 1, 2]]),
        "the images are not in the order of their pseudonyms, each once",
    ),
    "a patient's number": (
        lambda result: replace(result, patients_N=np.array(["patient 7", *result.patients_N[1:]])),
        "a patient is not called after the first of their images",
    ),
    "a patient after a later image": (
        lambda result: replace(result, patients_N=result.patients_N[[1, 1, 2, 3]]),
        "a patient is not called after the first of their images",
    ),
}


@pytest.mark.parametrize(("edit", "reason"), NAMED.values(), ids=NAMED.keys())
def test_nothing_but_pseudonyms_is_written_or_read(edit: Callable[[Result], Result], reason: str) -> None:
    result = edit(some_result())
    for write in (result.record, result.scores_file):
        with pytest.raises(InvalidInput, match=f"a-b-c cannot be stored: {reason}"):
            write()
    arrays = (result.ids_N, result.patients_N, result.labels_N, result.scores_SNC)
    fields = some_result().record() | {"scores": scores_checksum(*arrays)}
    with pytest.raises(BaselineError, match=reason):
        Result.restore(fields | {"checksum": record_checksum(fields)}, packed_scores(*arrays), origin="baseline")


def on_images(result: Result, *names: str) -> Result:
    """A result on images of these names, each of a patient of its own."""
    return replace(result, ids_N=np.array(names), patients_N=np.array(names))


def test_a_record_counts_images_and_patients() -> None:
    result = make_result("a-b-c", [0, 0, 1], np.eye(2)[[0, 0, 1]], patients_N=["p", "p", "q"])
    record = result.record()
    assert (record["images"], record["patients"]) == (3, 2)


def test_a_result_says_its_cell_and_its_metric() -> None:
    result = make_result("a-b-c", [0, 1, 1, 1], np.eye(2)[[0, 1, 1, 0]], metric="accuracy")
    assert repr(result) == "<a-b-c: accuracy 0.7500>"


def test_what_two_questions_differ_in_is_named_with_both_values() -> None:
    one, other = some_result().question, replace(some_result().question, profile="full", metric="accuracy")
    assert one.differences(one) == []
    assert other.differences(one) == ["metric: roc_auc → accuracy", "profile: ci → full"]


@pytest.mark.parametrize(("passes", "speed"), [(4, 2.0), (0, None)])
def test_speed_is_that_of_the_forward_passes_alone(passes: int, speed: float | None) -> None:
    cost = replace(some_result().cost, forward_passes=passes)
    assert (cost.images_per_second, cost.seconds) == (speed, 2.5)
