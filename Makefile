# Two commands for a newcomer: make demo, make test. Each makes .venv if it is missing.
PYTHON ?= python3
BIN := .venv/bin
cpp := $(wildcard src/longhold/kernels/cpu/*.h src/longhold/kernels/cpu/*.cpp tests/kernels/*.cpp)

.PHONY: demo test check bench docs

demo: .venv/user
	$(BIN)/longhold demo

test: .venv/developer
	$(BIN)/pytest --numprocesses auto --dist loadfile

check: .venv/developer
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/clang-format --dry-run --Werror $(cpp)
	$(BIN)/mypy
	$(BIN)/pytest tests/test_architecture.py

.venv/user: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/developer: .venv/user
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[tensorboard,web]' --group dev
	touch $@

# Also what only a few tests need: Ray, a terminal to record, other people's frameworks.
.venv/ci: .venv/developer .venv-others
	$(BIN)/pip install --quiet --constraint constraints.txt --group ci
	touch $@

docs: .venv-docs
	.venv-docs/bin/zensical build --strict

bench: .venv/developer .venv-others
	$(BIN)/python -m benchmarks

# The site needs no torch: reference pages are read from the source.
.venv-docs: pyproject.toml
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	.venv-docs/bin/pip install --quiet --constraint constraints.txt --group docs
	touch $@

# Other people's frameworks, to be compared with; what cannot be installed is said in the table.
.venv-others: benchmarks/requirements.txt
	$(PYTHON) -m venv .venv-others
	-.venv-others/bin/pip install --quiet --requirement benchmarks/requirements.txt
	touch $@
