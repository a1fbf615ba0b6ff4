# The two promises of the README: `make demo` and `make test` need nothing but Python 3.11 and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO := outputs/demo/$(shell date +%Y-%m-%d/%H-%M-%S)

.PHONY: install demo test test-all lint
install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "Auscult needs Python 3.11 ($(PYTHON) is not on the PATH; PYTHON=... names another)."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt '.[dev,cluster,serve]'
	touch $@

demo: install
	$(BIN)/python train.py model=audionet task=sex hydra.run.dir=$(DEMO)/training
	$(BIN)/python explain.py checkpoint=$(DEMO)/training/checkpoints/best.ckpt hydra.run.dir=$(DEMO)/explanation

test: install
	$(BIN)/python -m pytest -m "not slow"

test-all: install
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
