# Each target sets up what it needs. Needs python3 >= 3.11, make and pip.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo pictures test check lint types benchmark bytes dashboard detection classifier flapping hostile crash-matrix clean

demo: $(VENV)/.ready-demo
	$(BIN)/bq-monitor demo --dir bq-monitor-demo

pictures: $(VENV)/.ready-dev demo
	$(BIN)/python docs/pictures/make.py bq-monitor-demo

test: $(VENV)/.ready-dev
	$(BIN)/python -m pytest

check: lint types test

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready-dev
	$(BIN)/mypy

benchmark: $(VENV)/.ready-dev
	$(BIN)/python benchmarks/scan.py

dashboard: $(VENV)/.ready-dev
	$(BIN)/python benchmarks/dashboard.py

bytes: $(VENV)/.ready-dev
	$(BIN)/python benchmarks/bytes_scanned.py

detection: $(VENV)/.ready-dev
	$(BIN)/python benchmarks/detection.py

classifier: $(VENV)/.ready-dev
	$(BIN)/python benchmarks/classifier_false_alarms.py

flapping: $(VENV)/.ready-dev
	$(BIN)/python benchmarks/flapping.py

hostile: $(VENV)/.ready-dev
	$(BIN)/python benchmarks/hostile.py

crash-matrix: $(VENV)/.ready-dev
	$(BIN)/python benchmarks/crash_matrix.py

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "bq-monitor needs python3 >= 3.11; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready-demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[ml,report]'
	touch $@

$(VENV)/.ready-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[ml,function,googlesql,dashboard,prometheus,dev]'
	touch $@ $(VENV)/.ready-demo

clean:
	rm -rf $(VENV) bq-monitor-demo dist .pytest_cache .mypy_cache .ruff_cache
