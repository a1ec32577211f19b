# Needs only Python 3.11 or newer, make and a network. `make test` on a fresh machine does everything.
#   PYTHON   the interpreter that creates .venv          make test PYTHON=python3.12
#   ARGS     passed on to the program behind a target    make test ARGS="-k occupancy -x"

PYTHON ?= python3
EXTRAS ?= test,distributed
ARGS ?=

BIN := .venv/bin
STAMP := .venv/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install test test-slow figures figures-full verify lint types layers benchmarks teeth clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(STAMP) ## create .venv and install the project into it, editable, with pinned dependencies

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "error: '$(PYTHON)' is missing or older than Python 3.11; choose another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "error: '$(PYTHON)' cannot create virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv

$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[$(EXTRAS)]"
	@touch $@

test: $(STAMP) ## the test suite, without the slow tests
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

test-slow: $(STAMP) ## the slow tests only
	$(BIN)/python -m pytest -m slow $(ARGS)

figures: $(STAMP) ## make every figure again
	$(BIN)/python -m figures $(ARGS)

figures-full: $(STAMP) ## make every figure again, at full size
	$(BIN)/python -m figures --full $(ARGS)

verify: $(STAMP) ## execute the proofs: every claim and its negative control
	$(BIN)/python -m proofs_check $(ARGS)

teeth: $(STAMP) ## plant faults: do the claims and the tests notice?
	$(BIN)/python -m teeth $(ARGS)

lint: $(STAMP) ## ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## mypy
	$(BIN)/mypy

layers: $(STAMP) ## import-linter: an import only ever points down
	$(BIN)/lint-imports

benchmarks: $(STAMP) ## speed and memory
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove caches, builds and figures; keeps .venv and results/
	rm -rf build dist figures/output .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find . \( -path ./.venv -o -path ./.git \) -prune -o -type d -name __pycache__ -exec rm -rf {} +
