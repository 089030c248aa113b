# Two commands for a newcomer: make demo, make test. Each makes .venv if it is missing.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check bench

demo: .venv/user
	$(BIN)/longhold demo

test: .venv/developer
	$(BIN)/pytest --numprocesses auto --dist loadfile

check: .venv/developer
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/pytest tests/test_architecture.py

.venv/user: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/developer: .venv/user
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[tensorboard]' --group dev
	touch $@

bench: .venv/developer
	$(BIN)/python benchmarks/run.py
