# Every target sets up what it needs by itself, from a fresh clone, and leaves alone what is there.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -p tests.ci_plugin
export PYTHON

.PHONY: help demo test lint format bench bench-apply bench-health bench-status wheel lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## load balancing by NAT, DSR and tunnel on a real kernel, from the files in examples/
	@scripts/setup demo
	@$(BIN)/kernelbal lab demo $(ARGS)

test: ## all tests, on real IPVS (ARGS="-k name" selects; the first run builds the lab kernel)
	@scripts/setup test
	@$(PYTEST) $(ARGS)

lint: ## format, lint, import rules, types, shell scripts, style gates
	@scripts/setup lint
	@scripts/lint

format: ## write the files in the project's format
	@scripts/setup lint
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: bench-apply bench-health bench-status ## all benchmarks

bench-apply: ## apply and read back 10,000 services x 10 real servers, against keepalived and ipvsadm
	@scripts/setup test
	@$(BIN)/python -m bench apply $(ARGS)

bench-health: ## TCP checks of 1,000 and 5,000 targets every 5 s, against keepalived
	@scripts/setup test
	@$(BIN)/python -m bench health $(ARGS)

bench-status: ## status, metrics and reloads of 20,000 real servers: what they cost the event loop
	@scripts/setup test
	@$(BIN)/python -m bench status $(ARGS)

wheel: ## dist/: the wheel, and a requirements.txt that installs it with what was tested, by hash
	@scripts/setup lint
	@scripts/wheel

lock: ## write constraints.txt and requirements.txt anew (ARGS=--upgrade for the newest versions)
	@scripts/lock $(ARGS)

clean: ## remove what was built here; keeps ~/.cache/kernelbal
	@rm -rf .venv build dist .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
