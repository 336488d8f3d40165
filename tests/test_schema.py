"""The published schema of a result's record: it names what is written, and every stored baseline follows it."""

import json
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

import pytest_fmtransfer
from pytest_fmtransfer import Cell, Places, transfer
from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.results import SCHEMA, Recorded, Result
from tests.helpers import SUBJECT, result

BASELINES = Path(__file__).parents[1] / "suites" / "baselines"
SCHEMA_FILE = Path(pytest_fmtransfer.__file__).with_name("result.schema.json")
RULES: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(RULES, format_checker=Draft202012Validator.FORMAT_CHECKER)


def a_baseline() -> Result:
    recorded = Recorded(date="2026-11-25", commit="0" * 40, version="0.1.0")
    return replace(result("new.model-data-knn", 1.0, subject=SUBJECT), recorded=recorded)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(RULES)
    assert RULES["properties"]["schema"]["const"] == SCHEMA


RECORDED = [path for path in sorted(BASELINES.glob("*.json")) if not path.stem.endswith(".obtained")]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_every_baseline_follows_it_and_can_be_loaded(path: Path, tmp_path: Path) -> None:
    VALIDATOR.validate(json.loads(path.read_text(encoding="utf-8")))
    cell = Cell.parse(path.stem)
    assert Baselines(folder=path.parent, locks=tmp_path).load(cell).cell == cell


def test_what_is_measured_follows_it(places: Places) -> None:
    measured = transfer(Cell("shortcut.metadata", "br35h", "knn"), places=places)
    assert measured.cost.feature_bytes == 318 * 3247 * 4  # the probe's width, in float32
    record = json.loads(json.dumps(measured.record()))
    VALIDATOR.validate(record)
    assert record["recorded"] is None


def test_a_training_that_was_resumed_follows_it() -> None:
    course = {"history": [], "resumed": [1, 7]}
    record = replace(a_baseline(), training=(course,)).record()
    VALIDATOR.validate(record)
    for wrong in ([], [-1], ["1"], 1):
        record["training"] = [course | {"resumed": wrong}]
        with pytest.raises(ValidationError):
            VALIDATOR.validate(record)


def objects_of(rules: dict[str, Any], record: Any) -> Generator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Every object that the schema closes, with the record's own."""
    if rules.get("additionalProperties") is False:
        yield rules.get("title", rules["description"]), rules, record
    for name, inner in rules.get("properties", {}).items():
        if name in record:
            yield from objects_of(inner, record[name])


COURSE = {"history": [{"epoch": 1, "loss": 0.7, "validation": 0.8, "rate": 1e-4, "seconds": 0.5}], "batch": 16}


def test_it_names_exactly_what_is_written() -> None:
    trained = replace(a_baseline(), training=(COURSE,), data_notes=("3 images without a patient",)).record()
    VALIDATOR.validate(json.loads(json.dumps(trained)))
    objects = list(objects_of(RULES, trained))
    assert len(objects) == 5  # the record, its question, its metric, its cost, and when it was recorded
    for name, rules, written in objects:
        assert set(rules["properties"]) == set(written), name
        assert set(rules["required"]) == set(written) - {"training", "data_notes"}, name


def test_the_course_of_training_is_told_only_where_something_was_trained() -> None:
    record = a_baseline().record()
    assert "training" not in record
    VALIDATOR.validate(json.loads(json.dumps(record)))


def test_every_field_is_described() -> None:
    def undescribed(rules: dict[str, Any], name: str) -> list[str]:
        inner = [found for key, value in rules.get("properties", {}).items() for found in undescribed(value, key)]
        return inner if rules.get("description") else [name, *inner]

    assert undescribed(RULES, "record") == []


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "field taken out": lambda record: record.pop("margin"),
    "field added": lambda record: record.update(note="looks fine"),
    "field added to the question": lambda record: record["question"].update(note="looks fine"),
    "cost taken out": lambda record: record["cost"].pop("feature_bytes"),
    "older schema": lambda record: record.update(schema=1),
    "metric as text": lambda record: record["metric"].update(mean="0.93"),
    "no seed": lambda record: record.update(seeds=[]),
    "cell of two parts": lambda record: record.update(cell="new.model-data"),
    "checksum cut": lambda record: record.update(checksum=record["checksum"][:-1]),
    "date in words": lambda record: record["recorded"].update(date="in March"),
    "subject without its weights": lambda record: record["subject"].pop("weights"),
    "training without a history": lambda record: record.update(training=[{"batch": 16}]),
    "notes of the data that are none": lambda record: record.update(data_notes=[]),
    "training of no seed": lambda record: record.update(training=[]),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_it_is_strict(edit: Callable[[dict[str, Any]], object]) -> None:
    record = json.loads(json.dumps(a_baseline().record()))
    VALIDATOR.validate(record)
    edit(record)
    with pytest.raises(ValidationError):
        VALIDATOR.validate(record)
