# Every target prepares the environment it needs: Python 3.11 or newer with venv, a C compiler and make are enough.
#   make demo    train on digits, pack, run natively, compare spike for spike
#   make test    the test suite, a process for each core   (PYTEST_ARGS="-k lif -x" narrows it, -n0 uses one)
#   make device  install without torch in a new environment, and run a shipped model there
#   make lowest  test with the lowest versions that pyproject.toml allows, torch apart
#   make ecosystems  the exports for Arduino, PlatformIO, Zephyr, ESP-IDF and MicroPython, by their own packers
#   make docs    the pages of the documentation, in build/docs: README, tutorials, specifications, every module
#   make verify  exported C at length: 10,000 random graphs at -O0, -O3 and under the sanitizers, 200 of them and every
#                shipped model on each emulated processor   (hours; VERIFY_ARGS="-k wasm32" narrows it)
#   make lint    formatting, style, types, spelling
#   make bench   timings of the native runtime beside PyTorch, int8 twins and SpikingJelly, and a picture of them
#                in build/bench   (BENCH_ARGS=--small leaves the transformers out, --eager torch.compile)
#   make fuzz    100,000 damaged artifact files, 10,000 random graphs, 10 minutes of graphs in threads, 25,000 damaged
#                pictures, arrays and data sets
#   make clean   remove what was built, but for the environment; distclean removes that too

PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,\
	$(shell $(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

NATIVE_SOURCES := $(wildcard CMakeLists.txt) $(shell find csrc -type f 2>/dev/null)
C_SOURCES := $(filter %.c %.h,$(NATIVE_SOURCES))
# NeuroBench lists torchaudio among its needs; the metrics we compare with do not import it.
NEUROBENCH := neurobench==2.3.0
# SpikingJelly lists torchvision, torchaudio and plotting; its neurons and layers import none of them.
SPIKINGJELLY := spikingjelly==2.0.0

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test device verify lowest ecosystems docs lint bench fuzz clean distclean

help:
	@sed -n 's/^#   //p' Makefile

$(READY): pyproject.toml constraints.txt Makefile $(NATIVE_SOURCES)
	@test -n "$(PYTHON)" || { echo "spikelet needs Python 3.11 or newer: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[all,dev]'
	$(PY) -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --no-deps $(NEUROBENCH) $(SPIKINGJELLY)
	@touch $@

demo: $(READY)
	$(PY) examples/demo.py

# pip makes no bytecode here; without any, each of the many processes that tests start compiles torch's sources anew.
test: export PYTHONPYCACHEPREFIX = $(CURDIR)/build/bytecode
test: export PYTHONDONTWRITEBYTECODE =
test: $(READY)
	$(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

device: $(READY)
	$(PY) -m pytest tests/device -m index

verify: $(READY)
	$(PY) -m pytest -n auto tests/export -m "not index" $(VERIFY_ARGS)

# The lowest torch is no part of it: its wheels on the index bring gigabytes for other processors.
LOWEST := build/lowest
LOWEST_TESTS := tests/unit/test_public_names.py tests/data/test_idx.py tests/runtime/test_program.py tests/zoo tests/fitting
lowest: $(READY)
	$(PY) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	$(LOWEST)/bin/uv pip compile --quiet --resolution lowest-direct --python $(LOWEST)/bin/python --extra data \
		--extra fit --extra plot --output-file $(LOWEST)/lowest.txt pyproject.toml
	sed -i -E '/^(torch|triton|nvidia-[a-z0-9-]*)==/d' $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--requirement $(LOWEST)/lowest.txt pytest hypothesis .
	$(LOWEST)/bin/python -m pytest $(LOWEST_TESTS)

# PlatformIO's, Espressif's and Zephyr's tools bring dozens of packages: they get an environment of their own.
PACKERS := build/packers
ecosystems: $(READY)
	$(PY) -m venv --clear $(PACKERS)
	$(PACKERS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt 'platformio>=6.2,<7' \
		'idf-component-manager>=3.1,<4' 'kconfiglib>=14.1,<15'
	PATH="$$PATH:$(CURDIR)/$(PACKERS)/bin" PLATFORMIO_CORE_DIR=$(CURDIR)/$(PACKERS)/core \
		$(PY) -m pytest -n 0 tests/export/test_ecosystems.py

docs: $(READY)
	rm -rf build/api build/docs
	$(PY) -m sphinx --quiet --fail-on-warning --keep-going -c docs . build/docs
	@echo "build/docs/docs/index.html"

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright
	$(VENV)/bin/codespell
	$(if $(C_SOURCES),$(VENV)/bin/clang-format --dry-run --Werror $(C_SOURCES))

bench: $(READY)
	mkdir -p build/bench
	$(PY) -m benchmarks --out build/bench/latency.json --plot build/bench/latency.png $(BENCH_ARGS)

fuzz: $(READY)
	$(PY) -m tests.fuzz.fuzz_artifact --inputs 100000
	$(PY) -m tests.fuzz.fuzz_graphs --graphs 10000
	$(PY) -m tests.fuzz.soak --minutes 10
	HF_HUB_OFFLINE=1 $(PY) -m tests.fuzz.fuzz_data pictures --inputs 10000
	HF_HUB_OFFLINE=1 $(PY) -m tests.fuzz.fuzz_data arrays --inputs 10000
	HF_HUB_OFFLINE=1 $(PY) -m tests.fuzz.fuzz_data sets --inputs 5000

clean:
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis $(READY)
	find src tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean
	rm -rf $(VENV)
