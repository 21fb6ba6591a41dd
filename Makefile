# Everything runs in .venv, built from the hashed constraints; `make PYTHON=python3.13 test` picks another interpreter.
PYTHON ?= python3
ARGS ?=
WORKERS ?= 2

BIN := .venv/bin
RUN := .venv/.run
DEV := .venv/.dev
PIP := $(BIN)/python -m pip --disable-pip-version-check
# hatchling and editables come from the constraints too, so the build needs no isolation and fetches nothing unhashed.
EDITABLE := $(PIP) install --quiet --no-deps --no-build-isolation --editable .
COMPILE = uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-emit-index-url \
	--no-annotate --extra ib --extra build

.PHONY: demo test lint bench proof clean constraints
.DEFAULT_GOAL := demo

demo: $(RUN)
	@$(BIN)/longwatch demo $(ARGS)

test: lint
	$(BIN)/python -m pytest -q -n $(WORKERS) $(ARGS)

lint: $(DEV)
	$(BIN)/ruff check daemon tests deploy
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(DEV)
	$(BIN)/python -m tests.bench $(ARGS)

proof: $(DEV)
	HYPOTHESIS_PROFILE=proof $(BIN)/python -m pytest -q -n $(WORKERS) --timeout 900 $(ARGS)

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find daemon tests deploy -name __pycache__ -type d -exec rm -rf {} +

constraints:
	$(COMPILE) $(ARGS) -o requirements/run.txt pyproject.toml
	$(COMPILE) $(ARGS) --extra test --extra dev -c requirements/run.txt -o requirements/dev.txt pyproject.toml

.venv/bin/python:
	$(PYTHON) -m venv .venv

$(RUN): requirements/run.txt pyproject.toml | .venv/bin/python
	$(PIP) install --quiet --require-hashes -r requirements/run.txt
	$(EDITABLE)
	@touch $@

# The developing constraints hold the running ones, so one environment serves both.
$(DEV): requirements/dev.txt pyproject.toml | .venv/bin/python
	$(PIP) install --quiet --require-hashes -r requirements/dev.txt
	$(EDITABLE)
	@touch $@ $(RUN)
