# Every target makes .venv by itself. PYTHON chooses the interpreter, RECIPE and SEEDS what `make reproduce` runs,
# BENCH the options of `make bench`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
RECIPE ?= sinkhorn-gan-digits
SEEDS ?= 0,1,2
BIN := .venv/bin

.PHONY: demo test test-kernels lint format reproduce tables bench clean

demo: .venv/installed  ## a generator that draws digits, in two minutes
	$(BIN)/monge train sinkhorn-gan-digits --run.out runs/demo

test: .venv/developer
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

test-kernels: .venv/cuda  ## the CUDA kernels, in Triton's interpreter
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/ot/test_triton.py

lint: .venv/developer
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/developer
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reproduce: .venv/developer  ## make reproduce RECIPE=ot-gan-25gaussians SEEDS=0,1,2
	$(BIN)/python -m benchmarks reproduce $(RECIPE) --seeds $(SEEDS)
	$(BIN)/python -m benchmarks tables

tables: .venv/developer
	$(BIN)/python -m benchmarks tables

bench: .venv/bench  ## our solvers beside their peers; make bench BENCH=--quick, or BENCH='--only monge'
	$(BIN)/python -m benchmarks solvers $(BENCH)

clean:
	rm -rf .venv build dist src/*.egg-info

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/developer: .venv/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

.venv/bench: .venv/developer
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[bench]'
	touch $@

.venv/cuda: .venv/developer
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[cuda]'
	touch $@
