# `make` with no target lists these. Each target sets up .venv by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

MINUTES ?= 30
# An alpha; there is no later build on the package index.
ROTEL := rotel==0.0.1a15
# So many files of tests at once; 0: one test after the other. Tests wait as much as they work: 6 are
# quickest on two cores.
AT_ONCE ?= 0

.PHONY: help demo test test-all parts soak check bench bench-peers format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"genops needs Python 3.11 or newer, but $(PYTHON) is {v.major}.{v.minor}. Name another: make PYTHON=python3.12 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "could not make $(VENV); on Debian and Ubuntu: apt install python3-venv" >&2; rm -rf $(VENV); exit 1; }
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(STAMP) ## run the whole path: app -> client -> enricher -> backend
	$(BIN)/genops-enricher demo

test: $(STAMP) ## run the tests
	$(BIN)/python -m pytest -m 'not heavy' -n $(AT_ONCE) --dist loadfile

test-all: $(STAMP) ## run the tests that need heavy real parts
	$(BIN)/python -m pytest -m heavy

parts: $(STAMP) ## build the OpenTelemetry Collector and what else the heavy tests run; needs Go
	cd tests && ../$(BIN)/python -m real_parts.build
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(ROTEL) || echo "no rotel for this machine" >&2

soak: $(STAMP) ## audit delivery across kills and faults, fuzz, watch memory; at most MINUTES=30 for each
	GRPC_VERBOSITY=NONE PYTHONPATH=tests $(BIN)/python -m soak.audit --minutes $(MINUTES)
	GRPC_VERBOSITY=NONE PYTHONPATH=tests $(BIN)/python -m soak.fuzz --minutes $(MINUTES)
	GRPC_VERBOSITY=NONE PYTHONPATH=tests $(BIN)/python -m soak.memory

check: $(STAMP) ## format, lint, types, import boundaries, docs, prices, known vulnerabilities
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/genops-pricing check
	$(BIN)/python -m pytest -q tests/docs
	$(BIN)/python tests/dependency_audit.py constraints.txt

bench: $(STAMP) ## CPU per span of the hot path; the client's cost to an app; the price catalog's
	PYTHONPATH=tests $(BIN)/python tests/bench/bench_hot_path.py
	PYTHONPATH=tests $(BIN)/python tests/bench/bench_redaction.py
	PYTHONPATH=tests $(BIN)/python tests/bench/bench_reload.py
	PYTHONPATH=tests $(BIN)/python tests/bench/bench_service.py
	PYTHONPATH=tests $(BIN)/python tests/bench/bench_client.py
	$(BIN)/python tests/bench/bench_catalog.py

bench-peers: $(STAMP) ## whole servers side by side: ours, the Collector, rotel; half an hour, alone on the machine
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(ROTEL)
	PYTHONPATH=tests $(BIN)/python tests/bench/bench_peers.py --json docs/benchmarks.json
	PYTHONPATH=tests $(BIN)/python tests/bench/bench_peers.py --write docs

format: $(STAMP) ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove everything that make built
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
