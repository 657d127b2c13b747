# One environment per version of Python, made on first use: .venv-3.11, .venv-3.13, ...
#
#   make demo     a worked example on real data: out/demo/
#   make test     all tests                                  (TESTS="..." for some of them)
#   make stress   readers, writers, packers, collectors at once (MINUTES=10 in each place)
#   make servers  S3, Azure and HTTP servers for the tests, which skip what is not there
#   make check    lint, format, types, import contracts
#   make docs     the documentation as a site: out/site/
#   make bench    ratios against icechunk and others: benchmarks/RESULTS.md
#                 (BENCH="--quick" for a trial; its own environments: .venv-bench-3.13, ...)
#   make clean    remove what the targets above made
#
# Another interpreter: make test PYTHON=python3.13

SHELL := /bin/sh
ANY_PYTHON := python3 python3.14 python3.13 python3.12 python3.11 python
IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in $(ANY_PYTHON); do \
	$$p -c '$(IS_NEW_ENOUGH)' >/dev/null 2>&1 && echo $$p && break; done)
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
VENV := .venv-$(VERSION)
BIN := $(VENV)/bin

TESTS ?= tests
BENCH ?= --save
MINUTES ?= 10

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test stress servers check lint types imports docs bench measure clean environment version
.DELETE_ON_ERROR:

demo: $(VENV)/.ready-demo
	@$(BIN)/python examples/demo.py --out out/demo

test: $(VENV)/.ready-test
	$(BIN)/python -m pytest -n auto --dist worksteal $(TESTS)

stress: $(VENV)/.ready-test
	$(BIN)/python -m tests.stress --minutes $(MINUTES)

servers:
	@tests/servers/install $(PYTHON)

check: lint types imports

lint: $(VENV)/.ready-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready-test $(VENV)/.ready-check
	$(BIN)/mypy

imports: $(VENV)/.ready-check
	$(BIN)/lint-imports

docs: $(VENV)/.ready-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

bench:
	@$(MAKE) --no-print-directory VENV=.venv-bench-$(VERSION) measure

measure: $(VENV)/.ready-bench
	$(BIN)/python -m benchmarks $(BENCH)

# The environment of `make test`, without running anything; the Python version it is for.
environment: $(VENV)/.ready-test

version:
	@echo $(VERSION)

clean:
	rm -rf .venv-* out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.import_linter_cache
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

# Some systems ship Python without ensurepip; the pip of that Python then fills the environment.
$(BIN)/python:
	@test -n "$(VERSION)" || { echo "Frazil needs Python 3.11 or newer: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c '$(IS_NEW_ENOUGH)' || { \
		echo "Frazil needs Python 3.11 or newer, $(PYTHON) is $(VERSION)" >&2; exit 1; }
	@echo "Making the environment $(VENV)"
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || $(PYTHON) -m venv --without-pip --clear $(VENV)

$(VENV)/.ready-%: pyproject.toml | $(BIN)/python
	@echo "Installing frazil[$*] into $(VENV) (about a minute the first time)"
	@if $(BIN)/python -m pip --version >/dev/null 2>&1; \
	then pip="$(BIN)/python -m pip"; \
	else pip="$(PYTHON) -m pip --python $(BIN)/python"; fi; \
	$$pip install -qq --editable '.[$*]'
	@touch $@
