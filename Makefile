# The README's promise: `make demo` and `make test` need nothing but Python and make.
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run-installed
DEV := $(VENV)/.dev-installed
DEMO := outputs/demo/$(shell date +%Y-%m-%d/%H-%M-%S)

# The first of these that is new enough and can make virtual environments, which is a package of its own on Debian.
PYTHONS := python3.11 python3.12 python3.13 python3 python3.14 python
FITS := -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
PYTHON ?= $(firstword $(foreach name,$(PYTHONS),$(shell $(name) $(FITS) && echo $(name))))
NEEDED = { echo "Auscult needs Python 3.11 or newer with its module venv (Debian: apt install python3-venv). PYTHON=... names one. Found:"; \
	for name in $(PYTHONS); do version=$$($$name --version 2>/dev/null) && echo "  $$name is $$version"; done; exit 1; }

# pip installs only files whose hashes are in the lock. It builds one package, which comes as source only, with the
# setuptools of the lock rather than with one that it fetches by itself.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCKED := $(PIP) --require-hashes --no-build-isolation --only-binary :all: --no-binary antlr4-python3-runtime
RUN_LOCK := requirements/run.txt

# TORCH_INDEX=... names an index of PyTorch's CPU wheels. PyTorch's three packages come from there in the versions of the
# lock, but without a check of their hashes. The packages that CUDA needs are left out.
ifdef TORCH_INDEX
RUN_LOCK := $(VENV)/run-without-torch.txt
TORCH := ^(torch|torchaudio|torchvision)==[0-9.]+
CUDA := ^(triton|cuda-[a-z-]+|nvidia-[a-z0-9-]+)==
endif

# What is misspelt, or is no target, is said; folders of the same name would pass for made.
TARGETS := install install-dev demo test test-all lint lock licences
.PHONY: $(TARGETS)
ifneq ($(filter-out PYTHON=% PYTHONS=% TORCH_INDEX=% UPGRADE=% VENV=% BIN=%,$(MAKEOVERRIDES)),)
$(error make takes no $(firstword $(MAKEOVERRIDES)); python train.py and python explain.py take options, and \
	$(BIN)/python -m pytest -k NAME runs some of the tests)
endif
ifneq ($(findstring /,$(MAKECMDGOALS)),)
$(error make takes no files or folders; $(BIN)/python -m pytest $(firstword $(foreach goal,$(MAKECMDGOALS),$(if $(findstring /,$(goal)),$(goal)))) runs those tests)
endif
UNKNOWN := $(filter-out $(TARGETS),$(MAKECMDGOALS))
ifneq ($(UNKNOWN),)
$(error make has no $(firstword $(UNKNOWN)); it has: $(TARGETS). python train.py trains, python explain.py explains, \
	$(BIN)/python -m pytest -k NAME runs some of the tests)
endif
ifeq ($(origin PYTHON),command line)
ifneq ($(wildcard $(BIN)/python),)
ifneq ($(shell $(PYTHON) $(FITS) && echo fits),fits)
$(error PYTHON=$(PYTHON) cannot be started, or is older than 3.11; leave it out: $(VENV) is there already)
endif
ifneq ($(shell $(BIN)/python --version 2>&1),$(shell $(PYTHON) --version 2>&1))
$(error PYTHON=$(PYTHON) is for a new environment, and $(VENV) is there already, with another Python; remove it first)
endif
endif
endif
ifdef TORCH_INDEX
ifeq ($(findstring /,$(TORCH_INDEX)),)
$(error TORCH_INDEX=$(TORCH_INDEX) is no address; say TORCH_INDEX=https://..., as PyTorch's page on installing names it)
endif
endif

install: $(RUN)
install-dev: $(DEV)

$(RUN): requirements/build.txt requirements/run.txt
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) $(FITS) || $(NEEDED)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@echo "Installing the packages into $(VENV), up to 5 GB; this takes some minutes, and says nothing meanwhile."
	$(LOCKED) -r requirements/build.txt
ifdef TORCH_INDEX
	$(PIP) --no-deps --index-url "$(TORCH_INDEX)" $$(grep -oE '$(TORCH)' requirements/run.txt)
	awk '/^[a-z]/ {kept = !/$(TORCH)/ && !/$(CUDA)/} kept' requirements/run.txt > $(RUN_LOCK)
endif
	$(LOCKED) -r $(RUN_LOCK)
	touch $@

$(DEV): $(RUN) requirements/dev.txt
	$(LOCKED) -r requirements/dev.txt
	touch $@

demo: install
	$(BIN)/python train.py model=audionet task=sex hydra.run.dir=$(DEMO)/training
	$(BIN)/python explain.py checkpoint=$(DEMO)/training/checkpoints/best.ckpt hydra.run.dir=$(DEMO)/explanation

# Each process of the tests has a core, and threads of their own would only be in each other's way. The programs that
# tests start find modules compiled by the first, even where Python was told to write no bytecode.
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal
test: install-dev
	$(PYTEST) -m "not slow"

test-all: install-dev
	$(PYTEST)

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# After a change in pyproject.toml; `make lock UPGRADE=--upgrade` moves on to the newest versions within its bounds.
# uv prefers the versions of a lock that is there already: so run.txt and build.txt take those of dev.txt.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --annotation-style line \
	--custom-compile-command "make lock"
lock: install-dev
	$(LOCK) $(UPGRADE) pyproject.toml --all-extras --output-file requirements/dev.txt
	cp requirements/dev.txt requirements/run.txt
	$(LOCK) pyproject.toml --extra serve --extra cluster --output-file requirements/run.txt
	cp requirements/run.txt requirements/build.txt
	$(LOCK) --group build --output-file requirements/build.txt

licences: install-dev
	$(BIN)/python docs/licences.py
