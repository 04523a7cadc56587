# Every target first sets up a virtual environment in .venv with the versions of constraints.txt.
#
# TORCH_INDEX: the URL of a package index with the CPU build of torch. pip's own index has the CUDA build for Linux on
# x86-64, which is several times as large.
PYTHON ?= python3
TORCH_INDEX ?=
BIN := .venv/bin

.PHONY: setup run test test-page test-containers test-all soak check bench clean

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' || { echo "airtoll needs Python 3.11 or newer: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) --editable '.[dev]'
	@touch $@

run: setup
	$(BIN)/airtoll run examples/d2d-maac.yaml

# One test process per core.
test: setup
	$(BIN)/python -m pytest -n auto --dist worksteal

# In Debian's browser: apt-get install chromium chromium-driver
test-page: setup
	$(BIN)/python -m pytest tests/browser --timeout 300

# Real containers, as root: needs docker and docker-compose (1.29) or Compose v2.
test-containers: setup
	$(BIN)/python -m pytest tests/containers --timeout 600

test-all: export TEST_TIER = all
test-all: test test-page test-containers

# Kills, mutated frames, a fault campaign on both stores: an hour and a half; see the programs' arguments. The campaign
# needs PostgreSQL (apt-get install postgresql) for its second half; as root it also fills disks and mounts read-only.
soak: setup
	$(BIN)/python -m tests.soak.chaos --kills 60
	$(BIN)/python -m tests.soak.campaign --minutes 30 --store sqlite
	$(BIN)/python -m tests.soak.campaign --minutes 30 --store postgresql
	$(BIN)/python -m tests.soak.fuzz
	$(BIN)/python -m tests.soak.endurance

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.replicas
	$(BIN)/python -m benchmarks.traffic_cells
	$(BIN)/python -m benchmarks.allocation
	$(BIN)/python -m benchmarks.decision_times
	$(BIN)/python -m benchmarks.footprint
	$(BIN)/python -m benchmarks.random_allocation
	$(BIN)/python -m benchmarks.learner
	$(BIN)/python -m benchmarks.paced
	$(BIN)/python -m benchmarks.environments

clean:
	rm -rf .venv runs .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
