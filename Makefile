# Two commands do all the set-up: `make suite` runs the main job, `make test` the project's own tests.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: suite test low stand-ins lint clean

.venv/pyvenv.cfg:
	$(PYTHON) -m venv .venv

.venv/.pocket: .venv/pyvenv.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[pocket]'
	touch $@

.venv/.test: .venv/pyvenv.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

.venv/.lint: .venv/pyvenv.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[lint]'
	touch $@

suite: .venv/.pocket
	$(BIN)/pytest suites/pocket --fm-report=terminal --fm-report=markdown:fm-report.md

test: .venv/.test
	$(BIN)/pytest tests -n auto

# The tests that compare numbers, as on a processor that has only the oldest instructions (tests/low.py).
low: .venv/.test
	$(BIN)/python -m tests.low -n auto

# Part of a publication, from generated files to verdicts that are planted (docs/stand-ins.md).
stand-ins: .venv/.test
	$(BIN)/pytest suites/huix2024 -k "dinov2 and (beats_imagenet or worse_than_imagenet)" --fm-stand-ins -n 2

lint: .venv/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

clean:
	rm -rf .venv fm-report.md
