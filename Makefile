# Each target sets up what it needs in .venv, from the versions pinned in constraints.txt.
#   make test PYTHON=python3.12
#   make test PIP_FLAGS='--extra-index-url https://download.pytorch.org/whl/cpu'   # no CUDA build

PYTHON ?= python3
PIP_FLAGS ?=

BIN := .venv/bin
INSTALLED := .venv/.installed
WITH_MERGEKIT := .venv/.installed-parity
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt

RUN := demo/run
# How far the demo's search has come when it is killed: the ledger's lines.
KILLED_AT := 60

TIMED := merge evaluate search_resident search

.DEFAULT_GOAL := help
.PHONY: help demo test check lint fix bench parity
.DELETE_ON_ERROR:

help:  ## say what can be made
	@awk -F ':.*  ## ' '/^[a-z]+:.*  ## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED)  ## train a small family of models, search for the best merge, and say what was found
	@echo "1. Training a base and three experts, each with a skill of its own (once, a minute or two)"
	@$(BIN)/evomerge zoo demo/zoo > /dev/null
	@rm -rf $(RUN) demo/best
	@echo "2. Searching the mix that keeps every skill: search_spaces/quickstart.yaml"
	@$(BIN)/evomerge search search_spaces/quickstart.yaml --run $(RUN) & search=$$!; \
	while kill -0 $$search 2> /dev/null; do \
		if [ "$$(cat $(RUN)/study.jsonl 2> /dev/null | wc -l)" -ge $(KILLED_AT) ]; then kill -9 $$search; break; fi; \
		sleep 0.2; \
	done; wait $$search 2> /dev/null; true
	@echo "3. That search was killed, as by a power cut. Going on with it: evomerge resume $(RUN)"
	@$(BIN)/evomerge resume $(RUN) > demo/found.txt
	@echo "4. Building the winner: evomerge export $(RUN) demo/best.yaml --model demo/best"
	@$(BIN)/evomerge export $(RUN) demo/best.yaml --model demo/best --force > /dev/null
	@echo
	@cat demo/found.txt
	@echo
	@echo "The winner stands in demo/best, and transformers loads it. To look further:"
	@echo "  .venv/bin/evomerge report $(RUN)          what was tried, and what it cost"
	@echo "  .venv/bin/evomerge report $(RUN) --form html > demo/report.html"
	@echo "  search_spaces/                          other questions to ask"

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

bench: $(WITH_MERGEKIT)  ## time merges and trials side by side with mergekit's; benchmarks/ has more
	@for name in $(TIMED); do echo "benchmarks/$$name.py" && $(BIN)/python "benchmarks/$$name.py" || exit 1; done

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
