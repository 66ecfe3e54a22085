# `make demo` and `make test` set everything up by themselves; Python >= 3.11 and make are all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SERVICE ?=

.PHONY: dev demo up test lint types api docs bench release clean

dev: $(READY)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Cumulet needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing Cumulet and its tools into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(READY)

demo: $(READY)
	@$(BIN)/python tools/demo.py

up: $(READY)
	@$(BIN)/cumulet up --detach

test: $(READY)
	@$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(READY)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

types: $(READY)
	@$(BIN)/mypy

api: $(READY)
	@$(BIN)/python tools/gen_api.py $(SERVICE)

docs: $(READY)
	@$(BIN)/python -m pytest tests/test_docs.py

bench: $(READY)
	@$(BIN)/python bench/compare.py --write

release: $(READY)
	@$(BIN)/python -m pip install --quiet build && $(BIN)/python -m build

clean:
	rm -rf $(VENV) build dist *.egg-info .cumulet
