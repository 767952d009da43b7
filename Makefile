# Two commands for a newcomer: `make demo` and `make test`. Each sets itself up in .venv first.
# Nothing but Python 3.11+, git and make is expected on the machine.

SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
JOBS ?= 2
FUZZ_SECONDS ?= 600

.PHONY: help setup demo test test-full check format bench model fuzz soak system lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

setup: $(READY) ## virtual environment with every dependency, by hash

$(READY): requirements-dev.txt requirements-uv.txt pyproject.toml
	@started=$$(date +%s); \
	python=""; for candidate in python3 python3.13 python3.12 python3.11; do \
	  if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; break; fi; done; \
	if [ -z "$$python" ]; then echo "sealgate needs Python 3.11 or newer; found: $$(python3 --version 2>&1)" >&2; exit 2; fi; \
	[ -x $(PY) ] || $$python -m venv $(VENV) || { echo "the venv module is missing: on Debian, apt-get install python3-venv" >&2; exit 2; }; \
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt && \
	$(VENV)/bin/uv pip sync --quiet --python $(PY) --require-hashes requirements-dev.txt && \
	$(VENV)/bin/uv pip install --quiet --python $(PY) --no-deps --no-build-isolation --offline -e . && \
	touch $(READY) && \
	echo "environment: $$($(PY) --version), $$(grep -cE '^[a-z0-9].*==' requirements-dev.txt) packages locked by hash, $$(( $$(date +%s) - started )) s"

demo: $(READY) ## gateway, simulated guests, a released secret, refusals, real evidence
	@$(VENV)/bin/sealgate demo

test: $(READY) ## the whole suite
	$(PY) -m pytest -n $(JOBS) --dist loadfile

test-full: $(READY) ## the suite with every bit flipped, not a sample (longer)
	SEALGATE_FULL=1 $(PY) -m pytest -n $(JOBS) --dist loadfile

check: $(READY) ## format, lint, types, import rules
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(PY) -m pytest -q tests/unit/test_imports.py tests/unit/test_repository.py

format: $(READY) ## rewrite to the one format
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: $(READY) ## measure; prints a table, writes bench.json (BENCH_SHORT=1 for a quick look)
	$(PY) -m tests.bench --json bench.json $(if $(BENCH_SHORT),--short)

model: $(READY) ## the release protocol against an attacker: bound fields, and attacks without them (MODEL_SHORT=1)
	$(PY) -m tests.model $(if $(MODEL_SHORT),--short)

fuzz: $(READY) ## every fuzz target, FUZZ_SECONDS in all (default 600)
	$(PY) -m tests.fuzz --seconds $(FUZZ_SECONDS)

soak: $(READY) ## long runs: every bit flip, every vendor fault, an hour of fuzzing
	$(MAKE) test-full
	$(VENV)/bin/sealgate admin drill
	$(MAKE) fuzz FUZZ_SECONDS=3600

# PostgreSQL without a cluster of its own: tests make theirs, a gateway is told of a real one.
system: ## what Debian must provide (root)
	@missing=""; $$(command -v python3) -c 'import venv, ensurepip' 2>/dev/null || missing="python3-venv"; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { missing="$$missing postgresql"; \
	  mkdir -p /etc/postgresql-common; conf=/etc/postgresql-common/createcluster.conf; \
	  [ -e $$conf ] || echo "create_main_cluster = false" > $$conf; }; \
	if [ -n "$$missing" ]; then apt-get update -q && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -q -o Dpkg::Options::=--force-confold $$missing; else echo "nothing to install"; fi

lock: $(READY) ## lock files anew from pyproject.toml
	echo "uv==0.13.9" | $(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate - -o requirements-uv.txt
	$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements.txt
	$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --extra dev pyproject.toml -o requirements-dev.txt

clean: ## remove what make made
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info bench.json .work
