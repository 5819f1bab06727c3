"""The C sources compile without a warning, and run clean under sanitizers of memory, arithmetic and threads."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Collection
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

import spikelet
from spikelet.runtime import RuntimeUnavailable, kernel_sets, library
from spikelet.runtime.library import opened_at
from spikelet.runtime.plan.sets import SETS
from tests.support.called_kernels import CALLED

ROOT = Path(__file__).resolve().parents[2]
CC = shutil.which("cc") or shutil.which("gcc")
CSRC = ROOT / "csrc"
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror", "-fPIC", "-pthread"]
X86 = platform.machine() in ("x86_64", "AMD64", "amd64")
ARM = platform.machine() in ("aarch64", "arm64", "ARM64")
AVX2 = ["-mavx2", "-mbmi", "-mpopcnt"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vbmi2", "-mavx512vnni"]
OF_X86 = {"avx2": AVX2, "avx512": AVX512, "amx": [*AVX512, "-mamx-tile", "-mamx-int8"]}
OF_ARM = {"neon": [], "dotprod": ["-march=armv8.2-a+dotprod"]}
OWN_FLAGS = OF_X86 if X86 else OF_ARM if ARM else {}  # of the kernel sets that this processor may run and others can't
ANY_MACHINE = [path for path in sorted(CSRC.glob("*.c")) if path.stem.removeprefix("fast_") not in {*OF_X86, *OF_ARM}]
needs_compiler = pytest.mark.skipif(CC is None, reason="needs a C compiler")

DRIVER = """
import sys
import spikelet.runtime
spikelet.runtime.__path__.insert(0, sys.argv[1])  # where the library is looked for first
from spikelet import Program
from spikelet.graph import ir
from spikelet.runtime import kernel_sets
from tests.example_graphs import example_graph
from tests.fuzz.fuzz_graphs import differences
from tests.random_graphs import random_graph, random_input
from tests.runtime import test_choices, test_matrices, test_places, test_together
for operation in ir.OPERATIONS[1:]:
    for example in operation.examples():
        graph, x, name = example_graph(example)
        for kernels in kernel_sets():
            Program(graph, kernels=kernels.name).outputs(x)
for transpose in test_matrices.TRANSPOSES:
    for rows, inner, columns in ((1, 1, 1), (33, 63, 3), (63, 65, 8), (7, 129, 65), (5, 257, 3)):
        test_matrices.test_spikes_by_spikes(rows, inner, columns, transpose)
for low, high, planes in ((0, 9, 4), (-8, 7, 4)):
    for reach in (1, 2000, 1000000):
        test_matrices.test_values_by_values_of_few_bits(low, high, planes, reach)
for width, steps in ((7, 3), (17, 5), (33, 17), (64, 2)):
    test_places.test_maps_of_every_width_and_as_many_steps(width, steps)
test_places.test_taps_paddings_and_the_largest_of_neighbours((4, 8), (3, 7), (3, 4))
test_places.test_layers_of_every_width(65, 17)
for steps, outputs in ((2, 130), (3, 16), (4, 520)):
    test_together.test_blocks_of_every_length_and_rows_of_every_width(steps, outputs)
test_together.test_strides_pads_planes_and_largest_neighbours({"terms": 3}, 6)
for kernels in kernel_sets():
    for outputs in (1, 33, 65, 129, 513):
        test_choices.test_every_legal_choice_gives_the_same_for_a_pooled_layer(kernels.name, outputs, 1)
    for seed in range(4):
        graph = random_graph(seed)
        test_choices.assert_all_choices_agree(graph, random_input(graph, 2, seed), kernels.name)
found = [line for seed in range(20) for line in differences(seed)]
assert not found, found
print(*(kernels.name for kernels in kernel_sets()), "clean")
"""

IN_THREADS = """
import sys
import spikelet.runtime
spikelet.runtime.__path__.insert(0, sys.argv[1])  # where the library is looked for first
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from spikelet import Program, Reference
from spikelet.runtime import kernel_sets
from tests.fuzz.fuzz_graphs import streamed
from tests.random_graphs import random_graph, random_input
def call(way):
    if way:
        return streamed(program, frames, np.random.default_rng(way))
    return program(x)
for seed in (0, 2, 3, 4):  # small ones
    graph = random_graph(seed)
    x = random_input(graph, 5, seed)
    frames = np.broadcast_to(x, (graph.time_steps, *x.shape[-1 - len(graph.input.shape):]))
    for kernels in kernel_sets():
        program = Program(graph, threads=3, kernels=kernels.name)
        with ThreadPoolExecutor(3) as callers:
            for found in callers.map(call, [0, 1, 2] * 3):
                np.testing.assert_array_equal(found, Reference(graph)(x))
print(*(kernels.name for kernels in kernel_sets()), "clean")
"""


def _run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def _compiled(folder: Path, sets: Collection[str], *flags: str) -> list[str]:
    """Objects of the sources that any machine has and of `sets`, with `flags`; warnings are errors."""
    own = {CSRC / f"fast_{name}.c": OWN_FLAGS[name] for name in sets}
    chosen, made = [f"-DSPK_WITH_{name.upper()}" for name in sets], []
    for source in [*ANY_MACHINE, *own]:
        made.append(str(folder / f"{source.stem}.o"))
        built = _run([str(CC), *STRICT, *chosen, *own.get(source, []), *flags, "-c", str(source), "-o", made[-1]])
        assert built.returncode == 0, built.stderr
    return made


@needs_compiler
@pytest.mark.parametrize("flag", ["-fsyntax-only", pytest.param("-O2", marks=pytest.mark.slow)])
def test_every_source_compiles_without_a_warning(flag: str, tmp_path: Path) -> None:
    """What the optimiser warns of comes with -O2, which CI asks for (.ci/run)."""
    assert _compiled(tmp_path, OWN_FLAGS, flag)


def _instrumented(folder: Path, sets: Collection[str], *sanitize: str) -> Path:
    """The folder of a library of `sets`, compiled to be watched; skips where the compiler can't."""
    empty = folder / "empty.c"
    empty.write_text("int nothing(void);\nint nothing(void) { return 0; }\n")
    if _run([str(CC), *sanitize, "-fPIC", "-shared", str(empty), "-o", str(folder / "empty.so")]).returncode:
        pytest.skip("this compiler has no such sanitizer")
    fast = ["-O0", "-g1", CALLED]
    objects = _compiled(folder, [name for name in sets if name in OWN_FLAGS], *fast, *sanitize)
    built = _run([str(CC), *sanitize, "-shared", *objects, "-o", str(folder / "libspikelet_runtime.so")])
    assert built.returncode == 0, built.stderr
    return folder


def _printed(script: str, preload: str, folder: Path, **options: str) -> str:
    """What `script` prints in a process whose library is that of `folder`."""
    watcher = _run([str(CC), f"-print-file-name={preload}"]).stdout.strip()
    run = _run(
        [sys.executable, "-c", script, str(folder)], cwd=ROOT, env=os.environ | {"LD_PRELOAD": watcher} | options
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return run.stdout


@needs_compiler
def test_random_graphs_run_clean_under_the_sanitizers(tmp_path: Path) -> None:
    """The portable set counts in vectors of 64 bytes there, and of 32 where it is installed: any machine runs both."""
    sets = [s.name for s in kernel_sets()]
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DSPK_WIDE=64"]
    found = _printed(DRIVER, "libasan.so", _instrumented(tmp_path, sets, *sanitize), ASAN_OPTIONS="detect_leaks=0")
    assert found.split() == [*sets, "clean"]


@needs_compiler
def test_calls_and_streams_at_once_run_clean_under_the_thread_sanitizer(tmp_path: Path) -> None:
    """The portable set goes lane by lane there, as for compilers without vectors; installed, it has vectors."""
    sets = [s.name for s in kernel_sets()]
    folder = _instrumented(tmp_path, sets, "-fsanitize=thread", "-DSPK_BY_LANES")
    assert _printed(IN_THREADS, "libtsan.so", folder, OPENBLAS_NUM_THREADS="1").split() == [*sets, "clean"]


def test_a_library_with_a_kernel_set_that_plans_do_not_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(spikelet.runtime.__path__[0])
    path = next(folder / name for name in library.NAMES if (folder / name).is_file())
    monkeypatch.setattr(library, "SETS", {name: one for name, one in SETS.items() if name != "portable"})
    sentence = "its kernel set 'portable' has other operations than it has here"
    with pytest.raises(RuntimeUnavailable, match=re.escape(f"was built from other sources than these ({sentence})")):
        opened_at(path)


@pytest.fixture(scope="module")
def unswapped(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Objects of everything but the tables of names, as quickly as they can be had."""
    objects = _compiled(tmp_path_factory.mktemp("objects"), (), "-O0")
    return [path for path in objects if Path(path).name != "sets.o"]


@needs_compiler
@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("out_c", "out_h"), "field 7 of Op is out_h at byte 28, 4 long in the library, out_c at byte 28, 4 long here"),
        (("threads", "set"), "field 10 of Call is set at byte 80, 4 long in the library, threads at byte 80"),
        (("MAXPOOL_SPIKES", "MAXPOOL_VALUES"), "kind 9 is MAXPOOL_VALUES in the library, MAXPOOL_SPIKES here"),
    ],
)
def test_a_library_with_two_names_swapped_is_refused(
    names: tuple[str, str], sentence: str, unswapped: list[str], tmp_path: Path
) -> None:
    for name in ("sets.c", "spikelet.h"):
        shutil.copy(CSRC / name, tmp_path)
    header = tmp_path / "spikelet.h"
    text = header.read_text()
    places = [next(re.finditer(rf"\b{name}\)", text)).start() for name in names]
    first, second = sorted(zip(places, names, strict=True))
    swapped = text[: first[0]] + second[1] + text[first[0] + len(first[1]) : second[0]]
    header.write_text(swapped + first[1] + text[second[0] + len(second[1]) :])
    assert sorted(header.read_text()) == sorted(text) and header.read_text() != text
    shared = tmp_path / "other.so"
    words = ["-std=c11", "-fPIC", "-pthread", "-shared", str(tmp_path / "sets.c"), *unswapped]
    built = _run([str(CC), *words, "-o", str(shared)])
    assert built.returncode == 0, built.stderr
    with pytest.raises(RuntimeUnavailable, match=re.escape(f"was built from other sources than these ({sentence}")):
        opened_at(shared)


@needs_compiler
def test_a_library_that_knows_no_fields_is_refused(tmp_path: Path) -> None:
    source, shared = tmp_path / "old.c", tmp_path / "old.so"
    source.write_text("long spk_sizeof_op(void);\nlong spk_sizeof_op(void) { return 8; }\n")
    assert _run([str(CC), "-fPIC", "-shared", str(source), "-o", str(shared)]).returncode == 0
    with pytest.raises(RuntimeUnavailable, match="was built from other sources than these"):
        opened_at(shared)


def test_no_header_includes_itself_by_way_of_others() -> None:
    includes = {path.name: re.findall(r'#include "(.+)"', path.read_text()) for path in CSRC.iterdir()}
    assert {name for names in includes.values() for name in names} <= includes.keys()
    with pytest.raises(CycleError):
        tuple(TopologicalSorter({"a.h": ["b.h"], "b.h": ["a.h"]}).static_order())
    assert len(tuple(TopologicalSorter(includes).static_order())) == len(includes)
