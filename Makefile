# Every target prepares .venv if it is missing or older than the files it is made from, and then does its job.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: run test test-slow lint format viz notebooks clean

run: $(INSTALLED)  ## Run everything on the embedded emoji pictures
	$(BIN)/kedro run --pipelines=full

test: $(INSTALLED)  ## Run the tests with branch coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses 2
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-slow: $(INSTALLED)  ## Run the tests that take more than about a minute each
	$(BIN)/pytest -m slow

lint: $(INSTALLED)  ## Check style, types and the order of the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

viz: $(INSTALLED)  ## Show the lineage in the browser
	$(BIN)/kedro viz run

notebooks: $(INSTALLED)  ## Open the notebooks
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[notebooks]'
	$(BIN)/jupyter lab notebooks

clean:  ## Remove the virtual environment and caches; data stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[viz,dev]'
	touch $@
