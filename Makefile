# One door each: run, test, check, bench. Needs make and Python 3.11 or later, and nothing else:
# the first call makes an environment in .venv, the next ones use it.
#   make PYTHON=python3.12 test      with another Python
#   make TESTS=tests/core test       some of the tests
PYTHON ?= python3
VENV ?= .venv
TESTS ?= tests
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Named after the Python that made the environment: asked for another one, make builds it anew.
MADE := $(VENV)/.made-by-$(notdir $(PYTHON))

.DEFAULT_GOAL := help
.PHONY: help run test check docs bench fuzz chaos soak clean

help:  ## say what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 14

run: $(VENV)/.installed  ## supervise the example jobs, with their lines on the terminal; Ctrl-C ends it
	@$(BIN)/jobvisor run --output

test: $(VENV)/.installed-dev  ## run the tests
	$(BIN)/python -m pytest $(TESTS)

check: $(VENV)/.installed-dev  ## linters, types, floors, then the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(TESTS)

docs: $(VENV)/.installed-docs  ## build the manual into build/docs; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(VENV)/.installed  ## measure beside supervisord, APScheduler and a bare fork; about ten minutes
	$(BIN)/python benchmarks

fuzz: $(VENV)/.installed-dev  ## hostile manifests, clients, jobs and messages, for about ten minutes; FUZZ=100 for longer
	FUZZ=$(or $(FUZZ),50) $(BIN)/python -m pytest tests/fuzz --timeout 3600

chaos: $(VENV)/.installed-dev  ## kill, stop and order at random for ten minutes; CHAOS_SECONDS and CHAOS_SEED say otherwise
	CHAOS_SECONDS=$(or $(CHAOS_SECONDS),600) UPGRADES=$(or $(UPGRADES),20) $(BIN)/python -m pytest tests/chaos tests/test_upgrade.py

soak: $(VENV)/.installed-dev  ## 200 jobs, orders, reloads and kills for half an hour; nothing may grow; SOAK_SECONDS and SOAK_JOBS say otherwise
	SOAK_SECONDS=$(or $(SOAK_SECONDS),1800) SOAK_JOBS=$(or $(SOAK_JOBS),200) $(BIN)/python -m pytest -s tests/chaos/test_soak.py

clean:  ## remove the environment, and what the example jobs and the benchmarks have left
	rm -rf $(VENV) .jobvisor data build benchmarks/.peers

$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'Jobvisor needs Python 3.11 or later, and $(PYTHON) is not: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; \
	  exit 1; }
	@echo 'making $(VENV) with $(PYTHON)'
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.installed: $(MADE) pyproject.toml constraints.txt
	@echo 'installing Jobvisor into $(VENV)'
	@$(PIP) -e .
	@touch $@

$(VENV)/.installed-dev: $(MADE) pyproject.toml constraints.txt
	@echo 'installing Jobvisor and what its tests need into $(VENV)'
	@$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: $(MADE) pyproject.toml constraints.txt
	@echo 'installing Jobvisor and what its manual is built with into $(VENV)'
	@$(PIP) -e '.[docs]'
	@touch $@ $(VENV)/.installed
