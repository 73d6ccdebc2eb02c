# `make demo` shows it, `make test` checks it; both make .venv with the system's python3 where it is missing.

PYTHON ?= python3
# The versions of the dependencies with which .venv is made: the `newest`, the `lowest` of what the package itself
# needs, or those of constraints.txt (`locked`). To change them, `make clean` first.
DEPENDENCIES ?= newest

BIN := .venv/bin
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
# No Redis and no pseudo-terminals there: less is reached.
REACHED := --fail-under=0
endif
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check suite coverage test-hosts snapshots listings card picture corpus constraints bundle sbom bench profile clean

demo: .venv/.installed
	@$(BIN)/grok-mcp-server demo

# With the lowest versions only the tests run: types are checked against the newest.
test: $(if $(filter lowest,$(DEPENDENCIES)),suite,check suite)

# Format, lint, types and import layers.
check: .venv/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The tests; much of their time is waiting, so four run at once.
suite: .venv/.installed-dev
	$(BIN)/pytest --numprocesses 4 --dist loadfile

# The same with branch coverage over all processes that they start, which takes a quarter longer; before a release.
coverage: .venv/.installed-dev
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest --numprocesses 4 --dist loadfile
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report $(REACHED)

# Real hosts, which npm installs below .venv (or in GROK_HOSTS_DIR), driven by a fake model; writes docs/hosts.md.
test-hosts: .venv/.installed-dev
	$(BIN)/pytest -m hosts tests/hosts tests/packaging

# Accept the present tool definitions and answers as right; read the difference before you commit it.
snapshots: .venv/.installed-dev
	$(BIN)/python packaging/tool_schemas.py
	$(BIN)/python packaging/first_answers.py
	$(BIN)/python -m tests.reference
	$(BIN)/pytest --snapshot-update

# Write again what describes the server to registries and hosts, after a change of version, owner, tools or settings.
listings: .venv/.installed-dev
	$(BIN)/python packaging/listings.py
	$(BIN)/python packaging/first_answers.py

# Build the card that hosts show beside an answer, after a change of its sources.
card: .venv/.installed-dev
	$(BIN)/python packaging/card_page.py

# Draw the picture of the README again, after a change of what answers look like.
picture: .venv/.installed-dev
	$(BIN)/python packaging/picture.py

# Let each client read the corpus, which npm and PyPI bring below .venv; writes corpus/RESULTS.md.
corpus: .venv/.installed-dev
	$(BIN)/python packaging/corpus_table.py

# Write down what .venv has, after a green `make test`: exact versions, and hashes for all systems.
constraints: .venv/.installed-dev
	$(BIN)/python packaging/constraints.py

# The bundle for Claude Desktop, in dist/.
bundle: .venv/.installed-dev
	$(BIN)/python packaging/bundle.py

# What a release brings with it, as CycloneDX, in dist/.
sbom: .venv/.installed-dev
	$(BIN)/python packaging/sbom.py

# Beside peers that it fetches from npm and PyPI; `ARGS=--save` writes the history, docs/performance.md and its plot.
bench: .venv/.installed-dev
	$(BIN)/python -m benchmarks $(ARGS)

# Where the processor time of a call goes; writes into benchmarks/profiles/.
profile: .venv/.installed-dev
	$(BIN)/python -m benchmarks.profiles $(ARGS)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*

# `activate` has the same name on all systems, the interpreter has not.
$(BIN)/activate:
	@echo "Making a virtual environment in .venv."
	@$(PYTHON) -m venv .venv
	@$(INSTALL) --upgrade "pip>=25.1"

.venv/.installed: pyproject.toml | $(BIN)/activate
	@echo "Installing this program and what it needs into .venv: about a minute."
	@$(INSTALL) --editable .
	@echo "Installed."
	@touch $@

.venv/.installed-dev: pyproject.toml | $(BIN)/activate
	$(INSTALL_$(DEPENDENCIES))
	@touch $@ .venv/.installed

INSTALL_newest = $(INSTALL) --editable . --group dev
# pip leaves as it is what is there already and fits: so the tools are the newest here too.
INSTALL_lowest = $(INSTALL) uv && $(BIN)/uv pip install --quiet --python $(BIN)/python --resolution lowest-direct \
	--all-extras --requirements pyproject.toml && $(INSTALL_newest)
INSTALL_locked = $(INSTALL) --require-hashes --requirement constraints.txt && $(INSTALL) --no-deps --editable . \
	&& $(BIN)/python -m pip check
