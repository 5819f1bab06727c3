"""The C sources compile without a warning, and run clean under the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CC = shutil.which("cc") or shutil.which("gcc")
SOURCES = [ROOT / "csrc" / name for name in ("run.c", "sets.c", "threads.c", "scalar.c", "fast_portable.c")]
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror", "-fPIC", "-pthread"]
needs_compiler = pytest.mark.skipif(CC is None, reason="needs a C compiler")

DRIVER = """
import sys
import numpy as np
import spikelet.runtime
spikelet.runtime.__path__.insert(0, sys.argv[1])  # where the library is looked for first
from spikelet import Program, Reference
from tests.random_graphs import random_graph, random_input
for seed in range(25):
    graph = random_graph(seed)
    x = random_input(graph, 3, seed)
    for kernels in ("scalar", "portable"):
        program = Program(graph, threads=2, kernels=kernels)
        np.testing.assert_array_equal(program(x), Reference(graph)(x))
        program.spikes(x)
print("clean")
"""


def _run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@needs_compiler
@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.name)
def test_a_source_compiles_without_a_warning(source: Path, tmp_path: Path) -> None:
    built = _run([str(CC), *STRICT, "-O2", "-c", str(source), "-o", str(tmp_path / "out.o")])
    assert built.returncode == 0, built.stderr


@needs_compiler
def test_random_graphs_run_clean_under_the_sanitizers(tmp_path: Path) -> None:
    shared = tmp_path / "libspikelet_runtime.so"
    flags = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-shared"]
    built = _run([str(CC), *STRICT, *flags, *map(str, SOURCES), "-o", str(shared)])
    if built.returncode:
        pytest.skip(f"this compiler has no sanitizers: {built.stderr[-200:]}")
    preload = _run([str(CC), "-print-file-name=libasan.so"])
    environment = {**os.environ, "LD_PRELOAD": preload.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0"}
    run = _run([sys.executable, "-c", DRIVER, str(tmp_path)], cwd=ROOT, env=environment)
    assert run.stdout.endswith("clean\n"), run.stderr[-3000:]
