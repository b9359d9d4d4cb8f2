# Every target makes what it needs: the virtual environment is created and filled on first use.
PYTHON ?= python3
PRESET ?= quick
BENCH  ?= bench
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install bench test check format perf results atlas twin clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1|\2/' \
	  | while IFS='|' read -r target what; do printf '%-14s %s\n' "$$target" "$$what"; done

install: $(READY) ## create .venv and install the exact versions of constraints.txt

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "ArmTrials needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." \
	       "Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/pip || { echo "creating $(VENV)"; $(PYTHON) -m venv --clear $(VENV); } || { \
	  rm -rf $(VENV); echo "'$(PYTHON) -m venv' failed; on Debian: apt-get install python3-venv" >&2; \
	  exit 1; }
	@echo "installing into $(VENV) (once; a few minutes)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)

bench: $(READY) ## the main job: demonstrations, training, evaluation, leaderboard (PRESET=quick|cpu|paper)
	@$(BIN)/armtrials bench --preset $(PRESET) --out $(BENCH)

test: $(READY) ## every test
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

check: $(READY) ## lint, format, types, layers, file sizes
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest tests/test_layout.py

format: $(READY) ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

perf: $(READY) ## the speed ratios of docs/performance.md, measured here
	@$(BIN)/python -m perf

results: $(READY) ## rebuild the leaderboard from the sealed runs; it must come out byte for byte
	@rm -rf build/leaderboard
	@$(BIN)/armtrials leaderboard --results results --out build/leaderboard
	@diff -r results/leaderboard build/leaderboard && echo "results: identical"

atlas: $(READY) ## draw the pictures of docs/tasks.md again and fill its tables
	@$(BIN)/python -m scripts.atlas

twin: $(READY) ## a policy on the hardware twin, through the real driver stack; writes twin.html
	@$(BIN)/armtrials demo twin

clean: ## remove what the targets made (not .venv, data/, runs/, evaluations/)
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -print | xargs rm -rf
