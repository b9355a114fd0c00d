# Everything starts here. Needs Python >= 3.11, git and make; the rest is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help setup setup-dev security programs run servers test test-slow lint soak drill load bench screenshots docs clean

help:
	@echo "make run         start the platform (servers included), stop with Ctrl-C"
	@echo "make servers     only the embedded servers: for a restore, which wants the platform stopped"
	@echo "make test        linters, types, tests"
	@echo "make security    what is known to be dangerous: in the code, in the packages, left lying about"
	@echo "make test-slow   what takes longer"
	@echo "make bench       benchmarks (ONLY=P1,P2 for some)"
	@echo "make soak        the fault suite with all its rounds"
	@echo "make docs        the documents as a site, in site/"
	@echo "make load        a fleet and its operators for a minute; the last line is the verdict (CURVE=1: rates and times by size of request)"
	@echo "make drill       the database is destroyed under load and restored from a backup"
	@echo "make screenshots the pictures of the README, made anew"
	@echo "make clean       remove .venv and caches; .run/ (the data) stays"

$(VENV)/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make run PYTHON=/path/to/python3")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

setup: $(VENV)/.installed
	@$(BIN)/python -m iotplatform.launcher.frontend
setup-dev: $(VENV)/.installed-dev
	@$(BIN)/python -m iotplatform.launcher.frontend

run: setup
	@exec $(BIN)/python -m iotplatform.launcher

servers: setup
	@exec $(BIN)/python -m iotplatform.launcher --servers

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# Django's plugin loads the settings, which want to know servers; none is spoken to.
	DATABASE_URL=postgresql://lint@/lint REDIS_URL=redis://lint RUN_DIR=$$(mktemp -d) $(BIN)/mypy .

# Its own tests, and those of what an attacker would try, are in tests/security and run with all the others.
security: setup-dev
	$(BIN)/bandit -q -c pyproject.toml -r . -ll
	$(BIN)/python -m tests.security.secret_scan
	$(BIN)/python -m tests.security.audit

# Programs that tests need: where one is missing, root installs it, and anybody else is told (tests say so too). A service
# that comes with one is not started: the tests start it themselves.
programs:
	@missing=""; found=""; \
	for name in "$$CHROMIUM" chromium chromium-browser google-chrome google-chrome-stable chrome; do \
		command -v "$$name" >/dev/null && found=1; \
	done; \
	[ -n "$$found" ] || missing="$$missing chromium fonts-dejavu-core"; \
	[ -x /usr/sbin/nginx ] || command -v nginx >/dev/null || missing="$$missing nginx"; \
	command -v promtool >/dev/null && command -v prometheus >/dev/null || missing="$$missing prometheus"; \
	command -v g++ >/dev/null || command -v c++ >/dev/null || missing="$$missing g++ libc6-dev"; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing for the tests:$$missing"; \
		policy=/usr/sbin/policy-rc.d; \
		if [ -e $$policy ]; then policy=; else printf '#!/bin/sh\nexit 101\n' >$$policy && chmod +x $$policy; fi; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			$$missing >/dev/null; status=$$?; \
		[ -z "$$policy" ] || rm -f $$policy; \
		exit $$status; \
	else \
		echo "missing here, so tests that need it are left out or fail: apt-get install$$missing"; \
	fi

test: lint security programs
	@# Each process of tests has servers of its own. What is timed, or needs the machine, comes after them.
	$(BIN)/python -m pytest -m "not slow and not alone" -n 2 --dist loadfile
	$(BIN)/python -m pytest -m "not slow and alone"

test-slow: setup-dev programs
	$(BIN)/python -m pytest -m slow

soak: setup-dev
	$(BIN)/python -m tests.soak

load: setup-dev
	$(BIN)/python -m benchmarks.traffic $(if $(CURVE),--curve)

# Back up under load, destroy the database, restore, count: its last line has RPO and RTO.
drill: setup-dev
	$(BIN)/python -m tests.iotplatform.backup.drill

bench: setup-dev
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(if $(STORED),--stored-rows $(STORED))

screenshots: setup-dev
	$(BIN)/python -m tests.journeys.screenshots

# Fails on any warning (strict, in mkdocs.yml). The variable silences the theme's advertisement of a successor.
docs: setup-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis static-root site
	rm -rf iotplatform/dashboard/assets/node_modules iotplatform/dashboard/static/dashboard/vendor
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
