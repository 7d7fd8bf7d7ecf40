# One door each: run, test, check, bench. Needs Python 3.11 or later and make; nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: run test check bench clean
.DEFAULT_GOAL := run

run: $(VENV)/.installed  ## supervise the example jobs, with their lines on the terminal
	$(BIN)/jobvisor run --output

test: $(VENV)/.installed-dev  ## run the tests
	$(BIN)/python -m pytest $(TESTS)

check: $(VENV)/.installed-dev  ## linters, types, floors, then the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(TESTS)

bench: $(VENV)/.installed-dev  ## measure against supervisord and a bare fork, as ratios
	$(BIN)/python benchmarks/run.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Jobvisor needs Python 3.11 or later; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .jobvisor data
