# Each target sets up what it needs. Needs python3 >= 3.11, make and pip.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo pictures test check lint types benchmark bytes peers judging statements dashboard detection classifier flapping hostile crash-matrix archive deploy-test function orchestrators sbom terraform clean

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

peers: $(VENV)/.ready-dev
	$(BIN)/python benchmarks/peers.py --install

judging: $(VENV)/.ready-dev
	$(BIN)/python benchmarks/judging.py

statements: $(VENV)/.ready-dev
	$(BIN)/python benchmarks/statements.py

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

archive: $(VENV)/.ready-dev
	$(BIN)/python functions/build.py $(foreach part,$(WITH),--with $(part))

deploy-test: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -n 0 -m deploy tests/deploy

function: $(VENV)/.ready-dev
	$(BIN)/python benchmarks/function.py

crash-matrix: $(VENV)/.ready-dev
	$(BIN)/python benchmarks/crash_matrix.py

orchestrators:
	$(MAKE) --jobs 2 .venv-airflow/.ready .venv-training/.ready $(VENV)/.ready-dev
	$(BIN)/python -m pytest -m orchestrators tests/orchestrators

.venv-airflow/.ready: pyproject.toml examples/airflow/requirements.txt examples/airflow/constraints.txt
	$(PYTHON) -m venv .venv-airflow
	.venv-airflow/bin/python -m pip install --no-compile --quiet --disable-pip-version-check --requirement examples/airflow/requirements.txt --editable .
	touch $@

.venv-training/.ready: pyproject.toml examples/kfp/requirements.txt examples/mlflow/requirements.txt examples/mlflow/constraints.txt
	$(PYTHON) -m venv .venv-training
	.venv-training/bin/python -m pip install --no-compile --quiet --disable-pip-version-check --requirement examples/kfp/requirements.txt --requirement examples/mlflow/requirements.txt --editable .
	touch $@

sbom: $(VENV)/.ready-dev $(VENV)-sbom/.ready
	mkdir -p dist
	$(VENV)-sbom/bin/cyclonedx-py environment --sv 1.6 --no-validate --output-reproducible --pyproject pyproject.toml -o dist/environment.cdx.json $(BIN)/python
	$(BIN)/python docs/licences.py --sbom dist/environment.cdx.json dist/sbom.cdx.json
	rm dist/environment.cdx.json
	$(VENV)-sbom/bin/python docs/licences.py --validate dist/sbom.cdx.json

$(VENV)-sbom/.ready:
	$(PYTHON) -m venv $(VENV)-sbom
	$(VENV)-sbom/bin/python -m pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0
	touch $@

terraform: $(VENV)/.ready-dev $(VENV)-checkov/.ready
	BQ_MONITOR_CHECKOV=$(abspath $(VENV)-checkov)/bin/checkov $(BIN)/python -m pytest tests/terraform

$(VENV)-checkov/.ready:
	$(PYTHON) -m venv $(VENV)-checkov
	$(VENV)-checkov/bin/python -m pip install --quiet --disable-pip-version-check checkov==3.3.30
	touch $@

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
	rm -rf $(VENV) .venv-airflow .venv-training $(VENV)-sbom $(VENV)-checkov bq-monitor-demo dist .pytest_cache .mypy_cache .ruff_cache
