# `make demo` shows it, `make test` checks it; both make .venv with the system's python3 where it is missing.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check suite test-hosts snapshots listings bundle bench clean

demo: .venv/.installed
	@$(BIN)/grok-mcp demo

test: check suite

# Format, lint, types and import layers.
check: .venv/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The tests, with branch coverage over all processes that they start; most of their time is waiting, so three run at once.
suite: .venv/.installed-dev
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest --numprocesses 3 --dist loadfile
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# Real hosts, which npm installs below .venv (or in GROK_HOSTS_DIR), driven by a fake model; writes docs/hosts.md.
test-hosts: .venv/.installed-dev
	$(BIN)/pytest -m hosts tests/hosts tests/packaging

# Accept the present tool definitions and answers as right; read the difference before you commit it.
snapshots: .venv/.installed-dev
	$(BIN)/python -m grok_mcp.tools.schemas
	$(BIN)/python -m tests.reference
	$(BIN)/pytest --snapshot-update

# Write again what describes the server to registries and hosts, after a change of version, owner, tools or settings.
listings: .venv/.installed-dev
	$(BIN)/python packaging/listings.py

# The bundle for Claude Desktop, in dist/.
bundle: .venv/.installed-dev
	$(BIN)/python packaging/bundle.py

bench: .venv/.installed-dev
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"

.venv/.installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.installed-dev: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@ .venv/.installed
