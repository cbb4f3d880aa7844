# Everything a developer needs: `make test` on a fresh clone is enough to start.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# A worker per core; the tests of a file stay together, for they share what they have trained. Files
# come in the order of tests/conftest.py.
PYTEST := $(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder
# Where it is set, each of the processes that tests start compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup test check docs train clean

help:
	@echo "make setup   create .venv with the package (editable) and what tests and docs need"
	@echo "make test    lint, format and the quick tests, in minutes"
	@echo "make check   everything: the same, types, all tests and the documentation"
	@echo "make docs    the documentation, its notebooks executed: build/docs/index.html"
	@echo "make train   train the recipe 'digits' (other arguments: make train ARGS='fsdd --data DIR')"
	@echo "make clean   remove .venv, caches and built packages"

setup: $(READY)

$(READY): pyproject.toml setup.py
	@echo "== setup: .venv with delaysnn[test,docs]"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	    "delaysnn needs Python 3.11 or later, got %s; make setup PYTHON=python3.11" % sys.version.split()[0])'
	$(PYTHON) -m venv --system-site-packages .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test,docs]"
	@touch $(READY)

test: setup
	@echo "== lint"
	$(BIN)/python -m ruff check .
	@echo "== format"
	$(BIN)/python -m ruff format --check .
	@echo "== kernels"
	$(BIN)/python -m tests.warm
	@echo "== quick tests"
	$(PYTEST) -m "not slow and not docs"

# With `make test check`, as in CI, the quick tests run once.
check: test
	@echo "== types"
	$(BIN)/python -m mypy
	@echo "== slow tests, and what the documentation shows"
	$(PYTEST) -m "slow or docs"
	@$(MAKE) --no-print-directory docs

docs: setup
	@echo "== docs"
	$(BIN)/python -m sphinx -q -j auto -W --keep-going -b html docs build/docs

train: setup
	$(BIN)/delaysnn train $(ARGS)

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
