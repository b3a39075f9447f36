# The commands of the README. They need Python 3.11 or newer with venv, make and a package index.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: run demo test lint drawing screenshot bench bench-fetch clean

run: .venv/run.stamp
	$(BIN)/twistd --nodaemon --pidfile= hello --port 9999

demo: .venv/run.stamp
	$(BIN)/python examples/demo.py

test: .venv/test.stamp
	@$(BIN)/python -m tests.run

lint: .venv/test.stamp
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/mypy hello_service twisted tests examples

drawing: .venv/run.stamp
	$(BIN)/python -m tests.drawing

screenshot: .venv/test.stamp
	$(BIN)/python -m tests.screenshot

bench: .venv/bench.stamp
	$(BIN)/python benchmarks/bench.py $(if $(QUICK),--quick)

bench-fetch: .venv/bench.stamp
	$(BIN)/python benchmarks/fetch.py

# Without pip, it is what `python3 -m venv` leaves when it fails: made anew.
.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "$(PYTHON) is not Python 3.11 or newer: say which one is, as in make PYTHON=python3.12."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments: on Debian and Ubuntu, sudo apt install python3-venv."; exit 1; }
	$(PYTHON) -m venv --clear .venv

.venv/run.stamp: .venv/bin/pip setup.cfg pyproject.toml
	$(BIN)/pip install --quiet --editable '.[progress,tls]'
	touch $@

# It holds what is needed to run, too.
.venv/test.stamp: .venv/bin/pip setup.cfg pyproject.toml
	$(BIN)/pip install --quiet --editable '.[test]'
	touch .venv/run.stamp $@

.venv/bench.stamp: .venv/run.stamp
	$(BIN)/pip install --quiet --editable '.[bench]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info
