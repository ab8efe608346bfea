# Every target prepares .venv if it is missing or older than the files it is made from, and then does its job.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
INSTALLED_BENCH := .venv/.installed-bench
BENCHMARKS := augmentation loss training_step kmeans linear_probe cluster_rule ingestion packing overhead growth side_by_side

.PHONY: run test test-slow fuzz lint format viz notebooks bench bench-smoke clean

run: $(INSTALLED)  ## Run everything on the embedded emoji pictures
	$(BIN)/kedro run --pipelines=full

test: $(INSTALLED)  ## Run the tests with branch coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses 2
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-slow: $(INSTALLED)  ## Run the tests that take more than about a minute each
	$(BIN)/pytest -m slow

fuzz: $(INSTALLED)  ## Fuzz the readers of users' files, each for SECONDS (300)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[fuzz]'
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),300)

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

bench: $(INSTALLED_BENCH)  ## Measure everything against its peers, which takes long (docs/benchmarks.md)
	set -e; for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py; done

bench-smoke: $(INSTALLED_BENCH)  ## See that the benchmarks run, on little data
	$(BIN)/python benchmarks/augmentation.py --sizes 32 --seconds 0.1 --rounds 1
	$(BIN)/python benchmarks/loss.py --anchors 512 --rounds 1 --largest 9
	$(BIN)/python benchmarks/training_step.py --sizes 32 --batch 16 --steps 2 --rounds 1
	$(BIN)/python benchmarks/kmeans.py --points 2000 --k 20 --rounds 1
	$(BIN)/python benchmarks/linear_probe.py --samples 1000 --dim 16 --classes 5 --costs 2
	$(BIN)/python benchmarks/cluster_rule.py --rows 20000 --rounds 1
	$(BIN)/python benchmarks/ingestion.py 2000
	$(BIN)/python benchmarks/overhead.py --rounds 1 --every 8
	$(BIN)/python benchmarks/growth.py --doublings 1 --seconds 0
	$(BIN)/python benchmarks/packing.py 256 32
	$(BIN)/python benchmarks/side_by_side.py --pictures 512 --rounds 1

clean:  ## Remove the virtual environment and caches; data stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(INSTALLED_BENCH): $(INSTALLED)
	$(BIN)/pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[bench]'
	touch $@

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[viz,dev]'
	touch $@
