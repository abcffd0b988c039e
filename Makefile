# `make demo` needs Python 3.11 or newer and make, nothing else. `make test` is what CI runs.
PYTHON ?= $(shell for python in python3.12 python3 python3.11 python3.13; do \
  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements-dev.lock
WORKERS ?= 2

.PHONY: demo test lint docs clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.demo
	$(BIN)/mechlearn run streamflow --quick --out runs/demo --force

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: $(VENV)/.dev
	$(BIN)/ruff check src tests docs benchmarks
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(VENV)/.dev
	$(BIN)/python docs/generate_nomenclature.py
	$(BIN)/python docs/generate_gallery.py

clean:
	rm -rf $(VENV) runs/demo

$(VENV)/.python:
	@$(if $(PYTHON),$(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "mechlearn needs Python 3.11 or newer (3.12 is fastest); found: $$($(or $(PYTHON),python3) --version 2>&1)."; \
	  echo "Install one, or name it: make demo PYTHON=/path/to/python3.12"; exit 2; }
	@echo "creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "could not create $(VENV); on Debian and Ubuntu: apt install python3-venv"; exit 2; }
	@touch $@

$(VENV)/.demo: $(VENV)/.python pyproject.toml requirements-dev.lock
	@echo "installing mechlearn and the three demo catchments (one to four minutes)"
	$(INSTALL) --editable '.[demo,trees]'
	@touch $@

$(VENV)/.dev: $(VENV)/.python pyproject.toml requirements-dev.lock
	@echo "installing mechlearn, its extras and the test tools (one to four minutes)"
	$(INSTALL) --editable '.[all,test]'
	@touch $@ $(VENV)/.demo
