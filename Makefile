# make setup   create .venv and install everything into it
# make test    lint, types, tests
# make demo    from rendered music to an answered query, in about five minutes
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup test demo clean

setup: $(VENV)/.installed

# musicnn's wheel asks for TensorFlow, which unisono does not need: only its weights are read.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo,dev]'
	$(BIN)/python -m pip install --quiet --no-deps musicnn==0.1.0
	touch $@

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

demo: setup
	$(BIN)/python -m demo

clean:
	rm -rf $(VENV) data/demo
