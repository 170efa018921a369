# Each of these installs what it needs first. With git, make and a Python on the machine, start with: make demo

CRM ?= hubspot
ARGS ?=
BIN := .venv/bin

.PHONY: help prepare demo up test bench torture lint style types imports format

help:
	@echo "make demo   a simulated CRM and a signed-in account: press Connect CRM and watch leads arrive"
	@echo "make up     web, worker, scheduler and database, with your own data"
	@echo "make test   the whole suite (ARGS='-k word' for a part)"
	@echo "make bench  how fast it is, beside the numbers it should reach"
	@echo "make torture  kills, faults and crowds, and whether every promise is kept through them"
	@echo "make lint   style, types and import rules"

prepare:
	@.ci/prepare

demo: prepare
	@LEADLOOM_DATA_DIR="$${LEADLOOM_DATA_DIR:-$(CURDIR)/.leadloom}" $(BIN)/leadloom demo --crm $(CRM) $(ARGS)

up: prepare
	@$(BIN)/leadloom up $(ARGS)

test: prepare
	@.ci/chromium
	@$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

bench: prepare
	@$(BIN)/python -m bench $(ARGS)

torture: prepare
	@$(BIN)/python -m torture $(ARGS)

lint: style types imports

style: prepare
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: prepare
	@$(BIN)/mypy

imports: prepare
	@$(BIN)/lint-imports

format: prepare
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format
