# The commands of the README. They need Python 3.11 or newer, make and a package index.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: run demo test lint bench bench-fetch clean

run: .venv/run.stamp
	$(BIN)/twistd --nodaemon --pidfile= hello --port 9999

# The two that pytest leaves to trial here take the longest, in processes that are not measured.
test: .venv/test.stamp lint
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -p no:twisted --numprocesses=2 --quiet \
	  --ignore=tests/live/test_package.py --ignore=tests/uvloop_reactor/test_twisted_suite.py
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	$(BIN)/python -W error::ResourceWarning -m twisted.trial --jobs=2 tests
	$(BIN)/pytest tests/sockets
	TEST_REACTOR=uvloop $(BIN)/pytest -p no:twisted --numprocesses=2 --quiet \
	  tests/live/test_twistd.py tests/live/test_tutorial.py tests/live/test_load.py \
	  tests/live/test_limits.py tests/live/test_places.py tests/live/test_logs.py tests/live/test_stopping.py
	$(BIN)/pytest -p tests.sockets_on_uvloop tests/sockets

demo: .venv/run.stamp
	$(BIN)/python examples/demo.py

lint: .venv/test.stamp
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/mypy hello_service twisted tests examples

bench: .venv/bench.stamp
	$(BIN)/python benchmarks/bench.py $(if $(QUICK),--quick)

bench-fetch: .venv/bench.stamp
	$(BIN)/python benchmarks/fetch.py

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "This needs Python 3.11 or newer: say which one, as in make PYTHON=python3.12."; exit 1; }
	$(PYTHON) -m venv .venv

.venv/run.stamp: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/test.stamp: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@ .venv/run.stamp

.venv/bench.stamp: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/pip install --quiet --editable '.[bench]'
	touch $@ .venv/run.stamp

clean:
	rm -rf .venv build dist *.egg-info
