# `make` lists the targets. Everything runs inside .venv, which the first target that needs it makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= 2
# One file, or several in quotes: later ones lie over earlier ones.
CONFIG ?= config/config.yaml
SETUP ?= $(VENV)/.done

.DEFAULT_GOAL := help

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.done: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("reidflow needs Python 3.11 or later") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

setup: $(VENV)/.done  ## make .venv from the pinned and hashed lock

tables: $(SETUP)  ## make all tables of the demo (CONFIG=..., CORES=...)
	$(BIN)/snakemake --configfile $(CONFIG) --cores $(CORES) --resources gpu=1 -- all_tables

test: $(SETUP)  ## run the tests
	$(BIN)/python -m pytest -n $(CORES)

test-kills: $(SETUP)  ## kill the tiny config with a search 50 times at random moments and compare its tables
	$(BIN)/python tests/workflow/kills.py 50

test-kills-demo: $(SETUP)  ## kill one whole run of CONFIG once a minute and compare its tables (REFERENCE=its results, if you have them)
	$(BIN)/python tests/workflow/kills.py --every 60 --configfile $(CONFIG) $(addprefix --reference ,$(REFERENCE))

test-cluster: $(SETUP)  ## run the tiny config through a SLURM of one node, with faults (says what to install)
	$(BIN)/python -m pytest -x tests/cluster

test-browser: $(SETUP)  ## look at pages and report of the tiny config in a headless Chromium
	$(BIN)/python -m pytest tests/browser

packages:  ## install what the tests of cluster and browser need beside Python (Debian, as root)
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium chromium-driver \
		$$(PYTHONPATH=tests/cluster $(PYTHON) -c 'from settings import PACKAGES; print(*PACKAGES)')

lint: $(SETUP)  ## check style: ruff, snakefmt, snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile rules
	$(BIN)/snakemake --lint

docs: $(SETUP)  ## write the documentation as a site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

interpretations: $(SETUP)  ## check each interpretation against its table
	$(BIN)/reidflow $(addprefix --configfile ,$(CONFIG)) interpretations

times: $(SETUP)  ## record how long jobs of the demo took here, for the first estimate elsewhere (after `make tables`)
	$(BIN)/python -m reidflow.commands.times $(CONFIG)

lock:  ## resolve the dependencies again, pinned and hashed (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --all-extras --no-header --no-annotate \
		pyproject.toml -o requirements.lock

docs-figures: $(SETUP)  ## put pictures from results/ into README and docs
	$(BIN)/python docs/update.py

generated: $(SETUP)  ## write the generated files: config schema and defaults, reference pages, conda environment
	$(BIN)/python -m reidflow.commands.generate

clean:  ## remove the results (asks first; the images and configs stay)
	@printf 'Remove results/ and all finished runs in it? [y/N] '; read answer; [ "$$answer" = y ] && rm -rf results .snakemake || true

.PHONY: help setup tables test test-kills test-kills-demo test-cluster test-browser packages lint docs interpretations times lock docs-figures generated clean
