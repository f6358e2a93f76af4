# `make demo` shows what the package does, and `make test` checks it. Both do all their set-up.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo table test lint unit wheel clean help

help:            ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/\t/'

demo: .venv/installed  ## run visual MPC on Cartpole with three costs and leave runs/demo/report.html
	$(BIN)/corrwise mpc --task cartpole --flow all-pairs --costs l1 corr-l1 corr-l1:form=reg --episodes 6 --steps 32 --lockstep 6 --out runs/demo

table: .venv/installed  ## plan with every cost on 100 frozen episodes of each task; takes hours, and continues where it was stopped
	$(BIN)/corrwise table mpc --out runs/table-mpc

test: .venv/installed-dev lint unit wheel  ## everything that CI runs

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_factories.py corrwise

unit: .venv/installed-dev
	sh tools/system_packages.sh
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal -q

wheel: .venv/installed-dev
	sh tools/check_wheel.sh

clean:           ## remove the environment; runs/ stays
	rm -rf .venv build dist

.venv/bin/python:
	$(PYTHON) -m venv .venv || { sh tools/install_venv.sh && $(PYTHON) -m venv .venv; }

.venv/installed: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@
