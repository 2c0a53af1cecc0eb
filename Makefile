# Two commands do everything, each with its own set-up: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo test lint neo4j neo4j-stop clean

help:
	@echo "make demo    set up, then the whole job on MovieLens-100k"
	@echo "make test    set up, then lint, types and all tests (real Neo4j where a JDK and Maven are)"
	@echo "make lint    format, lint, types"
	@echo "make neo4j   start a real Neo4j Community server from Maven; make neo4j-stop stops it"

setup: $(READY)

# uv.lock pins every package; uv itself comes by pip, so nothing but Python is needed to begin with.
$(READY): pyproject.toml uv.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.8,<1"
	$(BIN)/uv sync --frozen --inexact
	touch $@

demo: $(READY)
	$(BIN)/kgrec demo

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest

neo4j: $(READY)
	$(BIN)/python scripts/neo4j_server.py start

neo4j-stop: $(READY)
	$(BIN)/python scripts/neo4j_server.py stop

clean:
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
