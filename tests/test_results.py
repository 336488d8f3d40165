"""A result and its two files. Legend: S seeds, N images, C classes."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pytest_fmtransfer.errors import BaselineError
from pytest_fmtransfer.results import SCHEMA, Result
from tests.helpers import LAWS, make_result, noisy_scores

# What a file name or a patient's number may be made of; numpy drops NUL at the end of a string.
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
scalars = text | st.integers(-(2**53), 2**53) | st.booleans() | st.none() | st.floats(allow_nan=False)
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
        ids_N=draw(st.lists(text, min_size=images, max_size=images, unique=True)),
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
    "patient": lambda result: replace(result, patients_N=np.array(["patient00001", *result.patients_N[1:]])),
    "id": lambda result: replace(result, ids_N=np.array(["another", *result.ids_N[1:]])),
    "order of the images": lambda result: replace(result, ids_N=result.ids_N[::-1]),
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


@pytest.mark.parametrize("by", [1e-6, -0.01, float("nan")])
def test_a_metric_edited_in_the_record_is_detected(by: float) -> None:
    record = some_result().record()
    record["metric"]["by_seed"][0] += by
    with pytest.raises(BaselineError, match="not the metric of its scores"):
        Result.restore(record, some_result().scores_file(), origin="baseline")


def test_another_metric_written_into_the_question_is_detected() -> None:
    result = make_result("a-b-c", [0, 0, 1], np.eye(2)[[1, 0, 1]], metric="accuracy")
    record: dict[str, Any] = result.record()
    record["question"]["metric"] = "balanced_accuracy"
    with pytest.raises(BaselineError, match="not the metric of its scores"):
        Result.restore(record, result.scores_file(), origin="baseline")


@pytest.mark.parametrize(
    ("name", "value"), [("seeds", [0, 1]), ("chosen", []), ("classes", ["one"]), ("images", 3), ("patients", 9)]
)
def test_a_count_edited_in_the_record_is_detected(name: str, value: object) -> None:
    record = some_result().record() | {name: value}
    with pytest.raises(BaselineError):
        Result.restore(record, some_result().scores_file(), origin="baseline")


@pytest.mark.parametrize("by_seed", [[], [0.5, 0.5]])
def test_a_metric_of_other_seeds_is_detected(by_seed: list[float]) -> None:
    record = some_result().record()
    record["metric"]["by_seed"] = by_seed
    with pytest.raises(BaselineError, match="not the metric of its scores"):
        Result.restore(record, some_result().scores_file(), origin="baseline")


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


@pytest.mark.parametrize("schema", [SCHEMA + 1, SCHEMA - 1, str(SCHEMA), None])
def test_another_schema_is_refused(schema: object) -> None:
    record = some_result().record() | {"schema": schema}
    with pytest.raises(BaselineError, match=f"this version reads schema {SCHEMA}"):
        Result.restore(record, some_result().scores_file(), origin="baseline")


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
