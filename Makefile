# Every target makes the checkout ready by itself: it needs python3 (3.11 or newer), make and git, and nothing else.
PYTHON ?= python3
READY := $(PYTHON) hack/ready.py
ARGS ?=
# Tests wait more than they compute, so there are more workers than cores; each has a cluster of its own.
# tests/conftest.py says which tests are first and which ones stay together.
WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: bench mutate help demo demo-stop test faults realnode check lint types contract generated format clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## A really worse model is rolled back on a real API server; KEEP=1 leaves all of it up
	@$(READY) --tools --times python -m hack.demo $(if $(KEEP),--keep)

demo-stop: ## End and remove what `make demo KEEP=1` left up
	@hack/localcluster/localcluster down demo

test: ## Run the tests on a real API server and Prometheus; ARGS="-k name" is passed to pytest
	@PYTHONHASHSEED=0 $(READY) --tools --times pytest --numprocesses=$(WORKERS) --dist=loadscope --no-loadscope-reorder $(ARGS)

realnode: ## The tests that need containers: as root on Debian; docs/how-to/run-on-a-real-node.md
	@hack/localcluster/localcluster check
	@hack/localcluster/localcluster build --tools realnode >/dev/null
	@$(READY) --tools --times pytest -m realnode $(ARGS)

faults: ## Kill the operator at random moments, up to three times in a run; FAULTS=1000 runs instead of 100
	@$(READY) --tools --times pytest tests/kills/random_kills.py $(ARGS)

mutate: ## Take each guard and gate away in turn and show its tests turning red; ARGS="word" picks some
	@PYTHONPATH=.:operator $(READY) python -m hack.mutate $(ARGS)

check: lint types contract generated ## Everything that needs no cluster: the four targets below

lint: ## Style and format
	@$(READY) ruff check .
	@$(READY) ruff format --check .

types: ## Static types
	@$(READY) mypy

contract: ## Who may import whom
	@$(READY) lint-imports --no-logo

generated: ## Generated files are up to date
	@$(READY) uv lock --check
	@$(READY) python -m model_rollback.api.crd --check
	@$(READY) python hack/docs/generate.py --check

bench: ## Measure latency, storms and fleets at rest on clusters of their own; ARGS="latency --trials 20"
	@PYTHONPATH=.:operator $(READY) --tools python -m bench $(ARGS)

format: ## Mend style and format
	@$(READY) ruff check --fix .
	@$(READY) ruff format .

clean: ## Remove what the targets made in this checkout (the cache outside of it stays)
	rm -rf .venv .pytest-kind .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
