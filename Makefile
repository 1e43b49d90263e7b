# make setup   create .venv and install everything into it
# make test    lint, layers, types, tests
# make demo    from rendered music to an answered query, in three to five minutes
# make docs    the documentation as a site, in build/site
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# One stamp for each content of the two files: what is installed fits them, whatever git did to their times.
STAMP := $(VENV)/.installed-$(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1)

.PHONY: setup test demo docs clean

setup: $(STAMP)

# musicnn's wheel asks for TensorFlow, which unisono does not need: only its weights are read.
$(STAMP):
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo,dev]'
	$(BIN)/python -m pip install --quiet --no-deps musicnn==0.1.0
	rm -f $(VENV)/.installed*
	touch $@

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

demo: setup
	$(BIN)/python -m demo

# The variable leaves out a notice about another program.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "Written: build/site/index.html. To search it, too: $(BIN)/python -m http.server --directory build/site"

clean:
	rm -rf $(VENV) build data/demo
