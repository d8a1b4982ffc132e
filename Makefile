# Ringback. `make` alone says what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .tools
# Processes that run tests at once; 0 runs them in one that a debugger can be used in.
WORKERS ?= 2
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench fuzz services clean model lock dashboards

help: ## What can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

demo: $(VENV)/.demo ## The whole path on this machine, simulated: make demo ARGS="--for 60 --seed 3"
	@$(BIN)/ringback demo $(ARGS)

test: $(VENV)/.dev $(TOOLS)/.ready ## All tests, with the real servers where they can be installed
	$(BIN)/python -m tests.servers.install
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile $(ARGS)

lint: $(VENV)/.dev ## ruff and mypy
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

services: $(VENV)/.dev ## Kafka, Redis, Asterisk and Prometheus in the foreground, until Ctrl-C
	$(BIN)/python -m tests.servers.install
	$(BIN)/python -m tests.servers.run

bench: $(VENV)/.dev ## What the README says of speed, measured on this machine
	$(BIN)/python -m benchmarks $(ARGS)

bench-%: $(VENV)/.dev
	$(BIN)/python -m benchmarks.$* $(ARGS)

fuzz: $(VENV)/.dev ## Bodies that nobody would send, for all that reads what shops send: make fuzz ARGS="--seconds 600"
	$(BIN)/python -m fuzz $(ARGS)

dashboards: $(VENV)/.dev ## Write the Grafana dashboards and the rules made with them anew
	$(BIN)/python -m dashboards

model: $(VENV)/.dev ## Train the default model again, on the simulated shop
	$(BIN)/ringback train --synthetic --seed 7 --as scoring/default_model

lock: $(VENV)/.dev ## Resolve the lock files anew
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet pyproject.toml --extra demo --extra rocksdb $(LOCK) --output-file requirements.lock
	$(BIN)/uv pip compile --quiet pyproject.toml --extra demo --extra rocksdb --extra train --extra dev --extra bench $(LOCK) --output-file requirements-dev.lock

LOCK := --upgrade --universal --generate-hashes --no-emit-index-url --no-header --no-annotate

clean: ## Remove the environment and everything that was built
	rm -rf $(VENV) $(TOOLS) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .ringback
	find . -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] < (3, 14); sys.exit(0 if ok else "Ringback needs Python 3.11, 3.12 or 3.13, and %s is %s: make PYTHON=/path/to/python3.12 …" % (sys.executable, sys.version.split()[0]))'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: requirements.lock pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --no-deps --editable .
	@touch $@ $(VENV)/.demo

# Its click is newer than Faust's, so it lives in an environment of its own.
$(TOOLS)/.ready: | $(BIN)/pip
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet check-jsonschema==0.39.0
	@touch $@
