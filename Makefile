VENV := .venv
PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3))
BIN := $(VENV)/bin
BIND ?= 127.0.0.1:8000
SIZE ?= 1000000
DATABASE ?= sqlite
FAILOVERS ?= 4
KILLS ?= 7
BENCH_TESTS := tests/system/test_bench.py tests/system/test_bench_writes.py
APART := $(BENCH_TESTS:%=--ignore %) --ignore tests/pages --ignore tests/senders --ignore tests/deploy --ignore tests/cluster

.DEFAULT_GOAL := help
.PHONY: help install serve test test-bench test-deploy test-senders test-cluster test-postgres test-fast test-long test-pages lint fmt types imports check migrate fixtures xsd fuzz bench bench-scale bench-testing bench-pages bench-writes clean

help: ## show these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

install: $(BIN)/.installed ## set up .venv with everything that serving and testing need

$(BIN)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	PYTHONWARNINGS='ignore:Editable installation' $(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

# The two published clients have environments of their own: they need old versions of what we use too.
.venv-rackspace/.installed: tests/clients/rackspace.txt
	$(PYTHON) -m venv .venv-rackspace
	.venv-rackspace/bin/python -m pip install --quiet 'setuptools==65.*' wheel
	.venv-rackspace/bin/python -m pip install --quiet --no-build-isolation -r $<
	@touch $@

.venv-cortex/.installed: tests/clients/cortex.txt
	$(PYTHON) -m venv .venv-cortex
	.venv-cortex/bin/python -m pip install --quiet -r $<
	@touch $@

serve: install ## serve the demo: the published examples and a lifelike history
	$(BIN)/notifhist serve --demo --bind $(BIND)

test: install .venv-rackspace/.installed .venv-cortex/.installed ## run all tests but the long ones and those of the other targets, on SQLite and PostgreSQL
	$(BIN)/python -m pytest -n 3 --dist worksteal -m 'not long' $(APART)

test-long: install .venv-cortex/.installed ## run the long ones: large files, kills, reloads under load, what a machine makes of the OpenAPI document
	$(BIN)/python -m pytest -n 3 --dist worksteal -m long $(APART)

test-pages: install ## run the tests of the pages in a browser; they need it (apt-get install chromium chromium-driver)
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
		{ echo 'The tests of the pages need a browser: apt-get install chromium chromium-driver'; exit 1; }
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/pages

test-bench: install ## run the tests of the benchmark; they need wrk (apt-get install wrk)
	$(BIN)/python -m pytest $(BENCH_TESTS)

test-senders: install ## let real alerting tools send; says which of Debian's packages are missing
	$(BIN)/python -m pytest tests/senders

$(BIN)/.installed-deploy: $(BIN)/.installed
	PYTHONWARNINGS='ignore:Editable installation' $(BIN)/python -m pip install --quiet --editable '.[deploy]'
	@touch $@

test-deploy: $(BIN)/.installed-deploy ## run what is in deploy/ in real systemd (as root), Prometheus and proxies; says which of Debian's packages are missing
	$(BIN)/python -m pytest -rs -n 2 --dist loadfile tests/deploy

test-cluster: install ## under load, lose the primary of a PostgreSQL FAILOVERS times, and kill the service or PostgreSQL KILLS times; two hosts, locks, clocks, a full disk; says what Patroni needs
	@NOTIFHIST_TEST_POSTGRES_PROGRAMS='$(PROGRAMS)' $(BIN)/python -m pytest -rs -s --failovers $(FAILOVERS) --kills $(KILLS) tests/cluster

test-postgres: install ## run the tests of the store on the PostgreSQL database URL, whose tables are dropped; refused if they have rows
	@test -n "$(URL)" || { echo 'Name a database that holds nothing: make test-postgres URL=postgresql://…'; exit 1; }
	@NOTIFHIST_TEST_POSTGRES_URL='$(URL)' $(BIN)/python -m pytest -m 'postgres and not long' -rs \
		--ignore tests/contract/test_schemathesis.py tests/unit tests/http tests/property tests/contract

test-fast: install ## run unit, http and contract tests on SQLite, without PostgreSQL and servers: a minute
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not postgres and not processes' \
		--ignore tests/contract/test_schemathesis.py tests/unit tests/http tests/contract

lint: install ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

fmt: install ## mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: install ## check types
	$(BIN)/mypy

imports: install ## check that imports point one way
	$(BIN)/lint-imports

check: lint types imports test test-long test-pages test-bench ## all that CI runs, without test-senders, test-deploy and test-cluster; needs wrk and a browser too

migrate: install ## create or upgrade the tables
	$(BIN)/notifhist migrate

fixtures: install ## write the lifelike fixtures anew
	$(BIN)/python fixtures/generate.py

xsd: install ## write the XML schema anew from the marshmallow schemas
	$(BIN)/python -m notifhist.schemas.xsd > schemas/notification_history.xsd.new
	mv schemas/notification_history.xsd.new schemas/notification_history.xsd

$(BIN)/.installed-fuzz: $(BIN)/.installed
	PYTHONWARNINGS='ignore:Editable installation' $(BIN)/python -m pip install --quiet --editable '.[fuzz]'
	@touch $@

fuzz: $(BIN)/.installed-fuzz ## fuzz the parsers of what clients send, a quarter of an hour each
	$(BIN)/python -m fuzz

bench: install ## compare the service with what one could run instead; needs wrk and a quarter of an hour
	$(BIN)/python -m bench run --output bench/results/latest.json

bench-scale: install ## measure cost against size, up to SIZE items
	$(BIN)/python -m bench scale --largest $(SIZE) --database $(DATABASE) --output bench/results/scale-$(DATABASE).json

bench-pages: install ## measure the pages for people at a million deliveries
	$(BIN)/python -m bench pages --output bench/results/pages.json

bench-writes: install ## measure recording, loading, purging, disk and memory; needs wrk
	$(BIN)/python -m bench writes --output bench/results/writes.json

bench-testing: install ## measure what a contract test waits for: start and reset of the pytest plugin's server
	$(BIN)/python -m bench testing --output bench/results/testing.json

clean: ## remove what the targets above have made
	rm -rf .venv .venv-rackspace .venv-cortex build *.egg-info notifhist-demo.db*
