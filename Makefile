# `make book` builds the book, `make test` runs all tests; both make their own environment first.
PYTHON ?= python3
CORES ?= 2
# Of `make reproduce`: full or quick; the folder of the data sets; experiments; local, slurm,
# slurm-gpu or a profile's folder; more options of Snakemake (ARGS="--dry-run").
PROFILE ?= full
DATA_ROOT ?= data
ONLY ?=
ON ?= local
ARGS ?=
# Of `make vectors`: options of `fairthesis embed`, the folder, how many jobs.
EMBED ?=
VECTORS ?=
SHARDS ?= 8
# What a caller gives reaches the shell through the environment, letter for letter: there an
# apostrophe or $(...) in the name of a folder is text.
override CORES := $(value CORES)
override PROFILE := $(value PROFILE)
override DATA_ROOT := $(value DATA_ROOT)
override ONLY := $(value ONLY)
override ON := $(value ON)
override ARGS := $(value ARGS)
override EMBED := $(value EMBED)
override VECTORS := $(value VECTORS)
override SHARDS := $(value SHARDS)
export CORES PROFILE DATA_ROOT ONLY ON ARGS EMBED VECTORS SHARDS
BIN := .venv/bin
# One thread for each worker's linear algebra: with a thread for every core in every worker they wait
# for each other, and probes take three times as long.
ALONE = OMP_NUM_THREADS=1
# What reads tables and computes from them, where a version makes a difference first; `make lowest`
# tries all of the table half.
FIRST = tests/test_floors.py tests/inputs tests/metrics tests/stats tests/auditing \
  tests/data/test_cohort.py tests/datasets/test_loaders_table.py
# A file's tests on one worker, files in the order of tests/conftest.py.
SPREAD = -n "$$CORES" --dist loadfile --no-loadscope-reorder
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help book pdf reproduce vectors test lowest check install install-test chromium pins clean

help:
	@echo "make book     environment, experiments, chapters, HTML (prints its path)"
	@echo "make pdf      the same as one PDF, printed by a browser"
	@echo "make test     environment, style, types, layers, all tests"
	@echo "make reproduce  every experiment, method, seed and weight into build/archive; PROFILE=quick:"
	@echo "              a small part in minutes; DATA_ROOT=, ONLY=, CORES=, ON=slurm, ARGS=--dry-run"
	@echo "make vectors  images into vectors, in shards; EMBED=\"--encoder ... --dataset ...\" VECTORS=folder"
	@echo "              SHARDS=8 ON=slurm-gpu: options of fairthesis embed, where to, how many jobs"
	@echo "make lowest   the table half's tests with the lowest versions that pyproject.toml allows"
	@echo "make check    style, types and layers only"
	@echo "make clean    remove everything that was made, except the environment"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v >= (3, 11) or sys.exit(f"fairthesis needs Python 3.11 or later, and {sys.executable} is {v[0]}.{v[1]}: call make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

# The stamps hold the requirements that were installed: only another content installs again.
install: $(BIN)/python
	@cat requirements.txt pyproject.toml | cmp -s - .venv/installed || { \
	  echo "Installing the environment of the book (some minutes the first time)"; \
	  $(BIN)/pip install -q --disable-pip-version-check -r requirements.txt && \
	  $(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . && \
	  cat requirements.txt pyproject.toml > .venv/installed; }

install-test: install
	@cmp -s requirements-test.txt .venv/installed-test || { \
	  echo "Installing the test tools"; \
	  $(BIN)/pip install -q --disable-pip-version-check -r requirements-test.txt && \
	  cp requirements-test.txt .venv/installed-test; }

# The browser tests need Chromium; where it cannot be installed they are skipped and say so.
chromium:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { \
	  echo "Installing Chromium for the browser tests"; \
	  { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } || \
	  echo "Chromium could not be installed here: the browser tests will be skipped"; }

book: install
	@$(BIN)/python workflow/build.py --cores="$$CORES" --args="$$ARGS"

pdf: book
	@$(BIN)/python workflow/pdf.py

reproduce: install
	@$(BIN)/python workflow/build.py --cores="$$CORES" --on="$$ON" --args="$$ARGS" --target reproduce \
	  --set "profile=$$PROFILE" "data_root=$$DATA_ROOT" "only=$$ONLY"

vectors: install
	@$(BIN)/python workflow/build.py --cores="$$CORES" --on="$$ON" --args="$$ARGS" --target vectors \
	  --set "embed=$$EMBED" "vectors=$$VECTORS" "shards=$$SHARDS"

check: install-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/nbstripout --verify notebooks/*.ipynb

test: install-test chromium check book
	@$(ALONE) $(BIN)/pytest $(SPREAD)
	@$(ALONE) $(BIN)/python workflow/table_half.py lowest -q $(SPREAD) $(FIRST)

lowest: install-test
	@$(ALONE) $(BIN)/python workflow/table_half.py lowest -q $(SPREAD)

# Pins of the newest versions that the extras of pyproject.toml allow, torch as it is.
pins: install-test
	$(BIN)/python workflow/pins.py

clean:
	rm -rf _build build book/executed .snakemake
