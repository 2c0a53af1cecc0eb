# Three commands do everything, each with its own set-up: `make demo`, `make test`, `make prove`.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
TOOLS := .venv/.tools
# Processes that tests run in side by side; a file's tests stay in one of them (tests/conftest.py).
WORKERS ?= 2
PYTEST := $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

# Every process of the tests would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test prove lint style types cases docs neo4j neo4j-stop clean

help:
	@echo "make demo    set up, then the whole job on MovieLens-100k"
	@echo "make test    set up, then lint, types and the tests (real Neo4j where a JDK and Maven are)"
	@echo "make prove   set up, then what takes long: many random kills, flipped bits, large inputs"
	@echo "make lint    format, lint, types"
	@echo "make docs    the documentation as a site, in site/"
	@echo "make neo4j   start a real Neo4j Community server from Maven; make neo4j-stop stops it"

setup: $(READY)

# uv.lock pins every package; uv itself comes by pip, so nothing but Python is needed to begin with.
$(READY): pyproject.toml uv.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.8,<1"
	$(BIN)/uv sync --frozen --inexact --no-dev
	touch $@

# What tests need besides.
$(TOOLS): $(READY)
	$(BIN)/uv sync --frozen --inexact
	touch $@

demo: $(READY)
	$(BIN)/kgrec demo

lint: style types

style: $(TOOLS)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(TOOLS)
	$(BIN)/mypy

# Types are checked beside the tests, whose processes wait for servers now and then.
test: style
	$(MAKE) --jobs 2 types cases

cases: $(TOOLS)
	$(PYTEST) -m "not prove"

prove: $(TOOLS)
	$(PYTEST) -m prove

# The note that its warning brings up is about a later major version, which is not asked for.
docs: $(READY)
	$(BIN)/uv sync --frozen --inexact --no-dev --group docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

neo4j: $(READY)
	$(BIN)/python scripts/neo4j_server.py start

neo4j-stop: $(READY)
	$(BIN)/python scripts/neo4j_server.py stop

clean:
	rm -rf .venv dist build site .mypy_cache .ruff_cache .pytest_cache .hypothesis
