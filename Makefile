# Everything one does with this repository; `make` lists it. Each target makes what it needs by itself.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.complete

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo test test-fast prove check tools bench bench-full bench-gateway lock contracts vendor clean

help: ## List what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## Make .venv with the locked packages (other targets do it when it is needed)

demo: $(STAMP) ## Export a sample project that is made by code, and verify the result
	@$(BIN)/export-service demo

# A test that hangs says where, and ends the run.
NO_HANG := -o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true
# One process has the tests on RabbitMQ, which mostly wait; another the rest meanwhile. PROCESSES=0 is all in one.
PROCESSES ?= 2
test: tools check ## Everything that must hold before a change may land
	@echo '== pytest'
	@$(BIN)/pytest $(NO_HANG) -n $(PROCESSES) --dist loadgroup --doctest-modules service contracts gateway cli demo tests

test-fast: $(STAMP) ## The pure tests only, in seconds
	@$(BIN)/pytest --doctest-modules service contracts tests/core tests/gateway/test_states.py

MINUTES ?= 10
SEED ?= 1
prove: $(STAMP) ## Kill, fail, fill and shuffle an export for MINUTES=10, in an order drawn from SEED=1 (docs/reliability.md)
	@$(BIN)/python -m tests.prove --minutes $(MINUTES) --seed $(SEED)

check: $(STAMP) ## Formatting, lint, layers and types
	@echo '== ruff format --check'
	@$(BIN)/ruff format --check --quiet
	@echo '== ruff check'
	@$(BIN)/ruff check --quiet
	@echo '== lint-imports'
	@$(BIN)/lint-imports --no-logo >.venv/layers.txt || { cat .venv/layers.txt; exit 1; }
	@echo '== mypy'
	@$(BIN)/mypy --no-error-summary

tools: ## Install the outside readers that the tests use (unzip, 7z, …), where they are missing
	@tests/tools/install

bench: $(STAMP) ## Measure copying, zipping, ranges and memory against cp, rsync, zip and others, in minutes
	@$(BIN)/python -m bench --rounds 2

bench-full: $(STAMP) ## The same in five rounds, with Node's zippers and RabbitMQ; writes docs/performance.md
	@$(BIN)/python -m bench --npm --write
	@$(BIN)/python -m bench texts --write
	@$(BIN)/python -m bench broker --write

bench-gateway: $(STAMP) ## Measure a gateway with ten thousand sockets, kills, and downloads
	@$(BIN)/python -m bench.gateway

contracts: $(STAMP) ## Write anew what is made from the code: schemas, examples, AsyncAPI, OpenAPI, broker definitions, settings
	@$(BIN)/python -m contracts.generate
	@mkdir -p build
	@$(BIN)/python -m service.asyncapi >build/asyncapi.yaml && mv build/asyncapi.yaml contracts/
	@$(BIN)/python -m gateway.openapi >build/openapi.json && mv build/openapi.json contracts/
	@$(BIN)/python -m gateway.settings >build/settings.md && mv build/settings.md docs/

vendor: $(STAMP) ## Fetch the page's two libraries anew (needs npm's registry), and write their hashes
	@$(BIN)/python -m tests.tools.vendor

# A pin stays while it fits; remove a file of requirements/ first to take the newest of everything.
COMPILE = uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 -q
lock: export PATH := $(CURDIR)/$(BIN):$(PATH)
lock: ## Resolve requirements/*.txt anew (needs uv)
	@command -v uv >/dev/null || { echo 'make lock needs uv: $(BIN)/python -m pip install uv' >&2; exit 1; }
	@new=$$(mktemp -d) && trap 'rm -rf "$$new"' EXIT && cp requirements/*.txt "$$new" && set -x && \
	$(COMPILE) pyproject.toml requirements/dev.in --all-extras -o "$$new/dev.txt" && \
	$(COMPILE) pyproject.toml --extra all -o "$$new/run.txt" && set +x && \
	if grep '://' "$$new"/*.txt >&2; then echo 'make lock: a lock must hold no address; kept the old one' >&2; exit 1; fi && \
	cp "$$new"/*.txt requirements/

clean: ## Remove caches and build leftovers; .venv stays and is looked over by the next `make`
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist $(STAMP)
	@find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# Redone only when the lock or the project changed: the stamp is written last.
TOO_OLD = $(PYTHON) is not Python 3.11 or newer. Debian: apt-get install python3 python3-venv; else: make PYTHON=python3.11
NO_VENV = $(PYTHON) cannot make a venv. Debian: apt-get install python3-venv
$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'make setup: $(TOO_OLD)' >&2; exit 1; }
	@echo '== setup: .venv with the packages of requirements/dev.txt, which takes about a minute'
	@if command -v uv >/dev/null; then \
	    uv venv --quiet --allow-existing --python $(PYTHON) .venv && \
	    uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt && \
	    uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	else \
	    { $(PYTHON) -c 'import ensurepip, venv' || { echo 'make setup: $(NO_VENV)' >&2; exit 1; }; } && \
	    $(PYTHON) -m venv .venv && \
	    $(BIN)/python -m pip install -qq --require-hashes -r requirements/dev.txt && \
	    $(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .; \
	fi
	@touch $@
