# The two commands are `make report` and `make test`. Both make the environment first.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
BIN := .venv/bin
READY := .venv/.ready
TEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/mutants

.PHONY: help report test test-all mutants lab accept compare lint lock clean

help:  ## what can be made
	@sed -nE "s/^([a-z-]+):.*## +(.*)/\1\t\2/p" $(MAKEFILE_LIST) | expand -t 12

report: $(READY)  ## run every page on the default data and write reports/index.html
	$(BIN)/journeybook run

test: $(READY)  ## the tests, but for the slow ones
	$(TEST) -m "not slow"

test-all: $(READY)  ## all tests
	$(TEST)

mutants: $(READY)  ## plant each known error in its page and see it caught (ACCEPT=--accept writes the table of them)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONHASHSEED=0 \
		$(BIN)/python -m pytest -n 2 tests/mutants $(ACCEPT)

lab: $(READY)  ## JupyterLab on the pages, the kernel ready
	$(BIN)/jupyter lab --notebook-dir=.

accept: $(READY)  ## make the results in reports/ the accepted ones (tests/baseline)
	$(BIN)/journeybook compare --accept

compare: $(READY)  ## compare the results in reports/ with the accepted ones
	$(BIN)/journeybook compare

lint: $(READY)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock: $(READY)  ## resolve the dependencies anew
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
		--no-header --no-emit-index-url --no-emit-find-links --upgrade --output-file requirements.lock

clean:  ## remove what was written: the default run's tables and reports, tables by hand, caches; not the environment
	rm -rf data/processed data/processed.building data/processed.old data/manual .pytest_cache .mypy_cache .ruff_cache
	find reports -mindepth 1 ! -name example.png -delete

$(READY): requirements.lock pyproject.toml
	@for python in "$${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Environment in .venv with $$("$$python" --version)"; \
			"$$python" -m venv .venv || { \
				echo "This Python cannot make an environment: on Debian, apt-get install python3-venv." >&2; exit 1; }; \
			exit 0; \
		fi; \
	done; \
	echo "journeybook needs Python 3.11 or newer: none was found (name one with PYTHON=/path/to/python3 make ...)." >&2; \
	exit 1
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
