# Everything a developer runs. `make run` and `make test` work in a fresh clone.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PCAP   ?= sample.pcap
LISTEN ?= 127.0.0.1:33111
COUNT  ?= 10000

.DEFAULT_GOAL := help
.PHONY: help run install test check lint format fuzz bench docs lock test-containers clean

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

install: $(VENV)/installed ## the virtual environment, with the locked versions

$(VENV)/installed: requirements-dev.lock pyproject.toml shared/__init__.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "flowmate needs Python 3.11 or newer: make PYTHON=python3.13 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip' || { echo "the venv module is missing: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: install ## analyse a capture (PCAP=file, or a generated sample); API at LISTEN until Ctrl-C
	@test -e "$(PCAP)" || $(BIN)/flowmate sample -o "$(PCAP)"
	@if [ -t 0 ]; then exec $(BIN)/flowmate --pcap "$(PCAP)" --api-listen $(LISTEN); \
	else $(BIN)/flowmate --pcap "$(PCAP)" && \
	echo "look inside: $(BIN)/flowmate --pcap $(PCAP) --api-listen $(LISTEN), then http://$(LISTEN)/"; fi

test: install ## every test that needs no container engine
	@$(BIN)/flowmate warm
	$(BIN)/pytest -m "not containers"

check: lint ## what has to pass before a change goes in
	@$(BIN)/flowmate warm
	$(BIN)/pytest -m "not e2e and not containers"

lint: install ## format, rules, types, import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

fuzz: install ## property tests, many more examples; then mutated captures (COUNT=n)
	$(BIN)/pytest -m property --hypothesis-profile=fuzz
	$(BIN)/python -m tests.fuzz.mutate --count $(COUNT)

bench: install ## how fast each step is here (PCAP=file)
	@test -e "$(PCAP)" || $(BIN)/flowmate sample -o "$(PCAP)"
	$(BIN)/python -m bench.kernels "$(PCAP)"
	$(BIN)/python -m bench.pipeline "$(PCAP)"

test-containers: install ## images, compose, a run in containers
	$(BIN)/pytest -m containers

docs: install ## docs/settings.md from the declarations
	$(BIN)/python -m shared.settings_docs > docs/settings.md

lock: ## the lock files from pyproject.toml
	$(PYTHON) -m venv .cache/lock
	.cache/lock/bin/python -m pip install -qq --disable-pip-version-check uv
	.cache/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-header --no-annotate pyproject.toml -o requirements.lock
	.cache/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-header --no-annotate --constraint requirements.lock --extra dev pyproject.toml -o requirements-dev.lock

clean: ## everything that can be made again
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	rm -f sample.pcap sample.pcap.jsonl
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
