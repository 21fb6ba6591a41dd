# Everything runs in .venv, built from the hashed constraints; `make PYTHON=python3.13 test` picks another interpreter.
PYTHON ?= python3
ARGS ?=
# What of the simulation `make proof` runs: --days 20 --levels none=20,some=40,all=200 unless set, up to a core-minute
# a run. Broken off, it goes on with the runs it has, as long as the code is the same.
PROOF ?= --kept .proof.jsonl
# And of the cuts at crash points: --cuts 10000 unless set, about five cuts a second and core.
CUTS ?= --kept .proof_cuts.jsonl
# And of SIGKILL to real processes: --kills 200 unless set, some seconds each.
KILLS ?=
WORKERS ?= 2

BIN := .venv/bin
RUN := .venv/.run
DEV := .venv/.dev
PIP := $(BIN)/python -m pip --disable-pip-version-check
# hatchling and editables come from the constraints too, so the build needs no isolation and fetches nothing unhashed.
EDITABLE := $(PIP) install --quiet --no-deps --no-build-isolation --editable .
PIN = uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-emit-index-url --no-annotate
COMPILE = $(PIN) --extra ib --extra build

.PHONY: demo test lint bench proof mutants clean clients constraints
.DEFAULT_GOAL := demo

demo: $(RUN)
	@$(BIN)/longwatch demo $(ARGS)

test: lint clients
	$(BIN)/python -m pytest -q -n $(WORKERS) $(ARGS)

# The environments of other people's client libraries, each made once and again when its pins change.
clients: $(DEV)
	$(BIN)/python -m tests.clients.environments

lint: $(DEV)
	$(BIN)/ruff check daemon tests deploy
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(DEV)
	$(BIN)/python -m tests.bench $(ARGS)

proof: $(DEV)
	HYPOTHESIS_PROFILE=proof $(BIN)/python -m pytest -q -n $(WORKERS) --timeout 900 $(ARGS)
	$(BIN)/python -m tests.domain.proof_limits --workers $(WORKERS)
	$(BIN)/python -m tests.scenarios.mutants
	$(BIN)/python -m tests.simulation.breaks --write
	$(BIN)/python -m tests.simulation.proof --workers $(WORKERS) $(PROOF)
	$(BIN)/python -m tests.simulation.proof_cuts --workers $(WORKERS) $(CUTS)
	$(BIN)/python -m tests.simulation.proof_stops --workers $(WORKERS)
	$(BIN)/python -m tests.explain.proof_why --workers $(WORKERS)
	$(BIN)/python -m tests.process.proof_kills $(KILLS)

# Which tests would notice: mutmut over modules of the domain, as docs/mutants.md tells; a core-minute for each hundred
# changes with ARGS=--quick. What it counted is kept in .mutants, so a second run asks all tests of what is left.
ORDERS := positions course orders working transitions identity evidence lifecycle inference resolution claims \
	submission modification told_terms patience breaker closing questions outage links verdicts inactive listing \
	unanswered
BREAKS := reconcile breaks causes looks others busts splits quarantines adopting contracts
SIZING := weights sizing methods targets wanted rebalance parts flattening
RISK := table limits proposal permits permissions pricing exposure held_at oca caps means room commissions what_if \
	holds instrument_losses strategy_losses session_losses day_trades verbs readiness certificate \
	sold_twice risk/attached
STOPS := stops at_write shares stop_levels protection profits pauses safeguards/attached
MODULES ?= $(ORDERS) $(BREAKS) $(SIZING) $(RISK) $(STOPS)
mutants: $(DEV)
	$(PIP) install --quiet --require-hashes -r requirements/mutants.txt
	$(BIN)/python -m tests.mutants $(MODULES) $(ARGS)

clean:
	rm -rf .venv .clients .mutants build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find daemon tests deploy -name __pycache__ -type d -exec rm -rf {} +

constraints:
	$(COMPILE) $(ARGS) -o requirements/run.txt pyproject.toml
	$(COMPILE) $(ARGS) --extra test --extra dev -c requirements/run.txt -o requirements/dev.txt pyproject.toml
	echo ib_insync==0.9.86 | $(PIN) $(ARGS) -o requirements/clients/ib_insync.txt -
	echo ib_async==2.1.0 | $(PIN) $(ARGS) -o requirements/clients/ib_async.txt -
	echo ibapi==9.81.1.post1 | $(PIN) $(ARGS) -o requirements/clients/ibapi.txt -
	echo ibapi-stable==10.37.2 | $(PIN) $(ARGS) -o requirements/clients/ibapi_stable.txt -
	echo mutmut==3.8.1 | $(PIN) $(ARGS) -c requirements/dev.txt -o requirements/mutants.txt -
	printf '%s\n' setuptools wheel | $(PIN) $(ARGS) -o requirements/clients/ibapi.build.txt -

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
