# Everything is installed into .venv; Python 3.11+ and make are all that must be there.
PYTHON ?= python3
MODEL ?= smollm2-135m
PORT ?= 8080
BIN := .venv/bin

.DEFAULT_GOAL := help

help:  ## This list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r verb meaning; do printf '  make %-8s %s\n' "$$verb" "$$meaning"; done

demo: .venv/installed  ## The workshop's lessons through boto3 on a local endpoint; MODEL=llama-2-7b-chat for a larger one
	@$(BIN)/puna demo --model $(MODEL)

serve: .venv/installed  ## The endpoint on http://127.0.0.1:8080; MODEL=... PORT=...
	@$(BIN)/puna serve --model $(MODEL) --port $(PORT)

test: .venv/developing  ## The whole test run
	@$(BIN)/python -m pytest

lint: .venv/developing  ## Style, types, and the law of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lab: .venv/lab  ## The notebooks in Jupyter, on a local endpoint
	@$(BIN)/puna exec -- $(BIN)/jupyter lab notebooks/

clients: .venv/developing  ## Every AWS and OpenAI client against the endpoint, each in an environment of its own (2 GB)
	@$(BIN)/python tests/clients/install.py .clients
	@PUNA_CLIENTS=.clients $(BIN)/python -m pytest tests/clients

docs: .venv/developing  ## The site, in build/site: the pages that are made from tables, then all of them
	@$(BIN)/python docs/generate.py
	@$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/site
	@echo "build/site/index.html"

notebooks: .venv/developing  ## Runs the notebooks from top to bottom, and keeps what they show
	@$(BIN)/puna exec -- $(BIN)/python notebooks/execute.py

fuzz: .venv/developing  ## A hundred thousand hostile inputs: no server error, no hang, no growth (4 minutes)
	@$(BIN)/python -m benchmarks.fuzz --inputs 100000

soak: .venv/developing  ## Ten minutes of 64 mixed clients: nothing lost or mixed up, memory level
	@$(BIN)/python benchmarks/soak.py

bench: .venv/benchmarking  ## Every benchmark; the last line of each is JSON
	@for file in startup engine endpoint upstream replicas together sweep intervals carrying sharing scenarios prompts pruning retrieval layouts abstention; do echo "== $$file"; $(BIN)/python benchmarks/$$file.py || exit 1; done
	@echo "== ui"; $(BIN)/python -m benchmarks.ui

clean:  ## Remove .venv and what tools leave behind
	rm -rf .venv .clients .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "puna needs Python 3.11 or newer, but $(PYTHON) is `$(PYTHON) --version 2>&1`; name another: make PYTHON=python3.12"; exit 2; }
	@echo "making .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip

.venv/installed: pyproject.toml | .venv/bin/python
	@echo "installing puna and what it needs into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[aws,documents,experiments]'
	@touch $@

.venv/developing: .venv/installed pyproject.toml
	@echo "installing what the tests need into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@

.venv/lab: .venv/installed pyproject.toml
	@echo "installing Jupyter into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[jupyter]' --group lab
	@touch $@

.venv/benchmarking: .venv/developing pyproject.toml
	@echo "installing what the benchmarks compare with into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group bench --group scale
	@touch $@

.PHONY: help demo serve lab test lint clients docs notebooks fuzz soak bench clean
