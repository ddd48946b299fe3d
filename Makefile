# Each target sets up what it needs in .venv, from the versions pinned in constraints.txt.
#   make test PYTHON=python3.12
#   make test PIP_FLAGS='--extra-index-url https://download.pytorch.org/whl/cpu'   # no CUDA build

PYTHON ?= python3
PIP_FLAGS ?=

BIN := .venv/bin
INSTALLED := .venv/.installed
WITH_MERGEKIT := .venv/.installed-parity
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt

RECIPE := search_spaces/ties_two_experts.yaml

.DEFAULT_GOAL := help
.PHONY: help demo test check lint fix bench parity
.DELETE_ON_ERROR:

help:  ## say what can be made
	@awk -F ':.*  ## ' '/^[a-z]+:.*  ## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED)  ## train a small family of models, merge two experts, score parents and merge
	@echo "1. Training a base and its experts on three small skills (once, about two minutes)"
	@$(BIN)/evomerge zoo demo/zoo
	@echo "2. Merging two experts by $(RECIPE)"
	@$(BIN)/evomerge merge $(RECIPE) demo/merged --force
	@echo "3. Scoring parents and merge on items that none of them has seen"
	@$(BIN)/evomerge evaluate demo/zoo/base demo/zoo/reverse demo/zoo/upper demo/merged \
		--tasks reverse_holdout,upper_holdout,sums_holdout --include-path evaluators/tasks
	@echo
	@echo "Read each row from left to right: base, the two experts, and what the one merged model keeps of"
	@echo "both. It stands in demo/merged, and transformers loads it. Change the weights in"
	@echo "$(RECIPE) and run 'make demo' again to see another."

test: $(INSTALLED)  ## the fast tests
	$(BIN)/python -m pytest -q -n 2 -m "not slow and not parity"

check: lint test  ## lint, format, types, fast tests: what a change must pass

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

fix: $(INSTALLED)  ## mend and format what can be mended without thinking
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/python docs/write_methods.py

parity: $(WITH_MERGEKIT)  ## compare with mergekit itself: every such test, the slow ones too
	$(BIN)/python -m pytest -q -n 2 -m parity

bench: $(WITH_MERGEKIT)  ## time merges side by side with mergekit's
	@for script in $$(grep -l __main__ benchmarks/*.py); do echo "$$script" && $(BIN)/python "$$script" || exit 1; done

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "evomerge needs Python 3.10 or newer; this is " + sys.version.split()[0] + ". Try: make test PYTHON=python3.12")'
	@echo "Installing into .venv: some minutes, once."
	@$(PYTHON) -m venv .venv
	@$(INSTALL) torch
	@$(INSTALL) -e '.[dev]'
	@touch $@

$(WITH_MERGEKIT): $(INSTALLED)
	@$(INSTALL) -e '.[parity]'
	@touch $@
