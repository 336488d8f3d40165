# Two commands do all the set-up: `make suite` runs the main job, `make test` the project's own tests.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: suite test lint clean

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

lint: .venv/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

clean:
	rm -rf .venv fm-report.md
