"""The kernel sets of AArch64, emulated: they give what the reference gives, as those of this machine do.

Zig's compiler builds the library, Unicorn runs it (benchmarks/on_aarch64.py); without them these tests skip.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import spikelet
from benchmarks.on_aarch64 import DOT_PRODUCTS, SOURCES, Library, Machine, build, install
from spikelet import Program, Reference
from spikelet.base.errors import RuntimeUnavailable
from spikelet.export.emulation.build import zig
from spikelet.lowering import lower
from spikelet.runtime import kernel_sets, library
from tests.support.called_kernels import CALLED
from tests.support.catalogue import DISTINCT, model_input, small_model

ROOT = Path(__file__).resolve().parents[2]
CROSS, QEMU = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64-static")
OTHERS = [name for name in ("neon", "dotprod") if name not in {one.name for one in kernel_sets()}]
# A part of every kernel's own tests: sizes that fill no vector, values and codes at their ends.
KERNELS = {
    "test_at_once": "shape2 and product",
    "test_blocks": "values_and_codes or (windows_strides and window1) or (read_in_planes and 33)",
    "test_choices": "(pooled_layer and 1-65-) or (however_many_spikes and 100-17-)",
    "test_cuts": "sums_of_every_width and 111",
    "test_depthwise": "channels_of_every_width and 33",
    "test_matrices": "end_of_its_lanes or (spikes_by_spikes and 129) or (values_by_values and 17-23-7)",
    "test_one_affine": "none_fits or (every_count and 300-3--1152-16)",
    "test_operations": "its_examples or brings_64_bits or own_runs",
    "test_places": "(as_many_steps and 3-17) or (neighbours and window1-kernel1) or (every_width and 65-65)",
    "test_planes": "sums_of_every_width and 33",
    "test_quads": "never_overflow and -5-",
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("ziglang", "unicorn"):
        pytest.importorskip(package)
    if sys.platform != "linux":
        pytest.skip("memory is shared with the emulated processor as Linux does it")
    return build(tmp_path_factory.mktemp("aarch64"), more=[CALLED])


@pytest.fixture(scope="module")
def machine(program: Path) -> Machine:
    return Machine(program)


@contextmanager
def running_on(opened: Library) -> Iterator[None]:
    """The emulated library for a while."""
    before = library.opened_at
    install(opened)
    try:
        yield
    finally:
        library.opened_at = before
        library.library.cache_clear()
        library.kernel_sets.cache_clear()


def assert_equal_on(machine: Machine, graph: spikelet.graph.ir.IntGraph, x: np.ndarray) -> None:
    """Both sets give the logits and spikes of this machine's own library."""
    here = Program(graph)
    logits, spikes = here(x), here.spikes(x)
    with running_on(Library(machine)):
        for kernels in ("neon", "dotprod"):
            there = Program(graph, threads=2, kernels=kernels)
            np.testing.assert_array_equal(there(x), logits, err_msg=kernels)
            found = there.spikes(x)
            assert found.keys() == spikes.keys()
            for name, made in spikes.items():
                np.testing.assert_array_equal(found[name], made, err_msg=f"{kernels} {name}")


@pytest.mark.parametrize("name", spikelet.zoo.names())
def test_every_shipped_model_gives_the_same_spikes_and_logits(name: str, machine: Machine) -> None:
    graph = spikelet.load(name)
    assert_equal_on(machine, graph, np.random.default_rng(0).integers(0, 256, (1, *graph.input.shape), np.uint8))


@pytest.mark.parametrize("name", DISTINCT)
def test_every_small_model_of_the_catalogue_gives_the_same_spikes_and_logits(name: str, machine: Machine) -> None:
    x, bits = model_input(name, 2), 1 + 3 * (len(name) % 2)
    assert_equal_on(machine, lower(small_model(name, weight_bits=bits).eval(), x), x.numpy())


def test_the_emulated_library_gives_what_the_reference_gives(machine: Machine) -> None:
    graph = spikelet.load("stream-lif-hapt")
    x = np.random.default_rng(1).integers(0, 256, (2, *graph.input.shape), np.uint8)
    with running_on(Library(machine, ("portable",))):
        np.testing.assert_array_equal(Program(graph)(x), Reference(graph)(x))


def test_dot_products_are_offered_where_the_processor_says_that_it_has_them(machine: Machine) -> None:
    says = ctypes.c_uint64.from_address(machine.table[-1])
    offered = []
    for says.value in (0, DOT_PRODUCTS):
        with running_on(Library(machine)):
            offered.append([one.name for one in kernel_sets()])
    assert offered == [["neon"], ["neon", "dotprod"]]


def test_kernels_pass_their_own_tests(program: Path) -> None:
    """The tests of every kernel that sets of this machine pass, in a process whose library is the emulated one."""
    files = [str(ROOT / "tests/runtime" / f"{name}.py") for name in KERNELS]
    chosen = " or ".join(f"({name} and ({words}))" for name, words in KERNELS.items())
    command = [
        sys.executable,
        "-m",
        "benchmarks.on_aarch64",
        "--program",
        str(program),
        "-m",
        "pytest",
        "-n",
        "0",
        "-q",
    ]
    done = subprocess.run([*command, "-k", chosen, *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 100 and "skipped" not in done.stdout


@pytest.mark.parametrize("kernels", OTHERS)
def test_a_set_of_another_processor_is_refused_by_name(kernels: str) -> None:
    graph = spikelet.load("stream-lif-hapt")
    with pytest.raises(RuntimeUnavailable, match=rf"one that this machine has \('scalar', .*\), got '{kernels}'"):
        Program(graph, kernels=kernels)
    assert spikelet.runtime.plan_of(graph, kernels).kernels == kernels  # a plan needs no such machine


PRINTS_SETS = """
#include <stdio.h>
#include "spikelet.h"
int main(void) {
    for (int32_t i = 0; i < spk_set_count(); i++)
        if (spk_set_available(i)) printf("%s ", spk_set_name(i));
    return 0;
}
"""


@pytest.mark.skipif(QEMU is None, reason="needs qemu-aarch64-static")
@pytest.mark.parametrize(("cpu", "sets"), [("cortex-a72", ["neon"]), ("max", ["neon", "dotprod"])])
def test_linux_says_whether_there_are_dot_products(cpu: str, sets: list[str], program: Path) -> None:
    """A program of Linux, whose kernel is asked what the processor can."""
    source, made = program.with_name("sets.c"), program.with_name("sets")
    source.write_text(PRINTS_SETS)
    objects = [str(program.with_name(f"{name}.o")) for name in SOURCES]
    compiler = [*zig(), "cc", "-target", "aarch64-linux-musl", "-static", f"-I{ROOT / 'csrc'}"]
    built = subprocess.run([*compiler, str(source), *objects, "-o", str(made)], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([str(QEMU), "-cpu", cpu, str(made)], capture_output=True, text=True)
    assert ran.stdout.split() == ["scalar", "portable", *sets], ran.stderr


@pytest.mark.skipif(shutil.which("cmake") is None or CROSS is None, reason="needs cmake and aarch64-linux-gnu-gcc")
def test_cmake_takes_the_sets_of_the_processor_that_it_builds_for(tmp_path: Path) -> None:
    options = ["-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64", f"-DCMAKE_C_COMPILER={CROSS}"]
    command = ["cmake", "-S", str(ROOT), "-B", str(tmp_path), *options, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"CC": str(CROSS)})
    assert done.returncode == 0, done.stderr
    commands = (tmp_path / "compile_commands.json").read_text()
    assert "-DSPK_WITH_NEON" in commands and "-DSPK_WITH_DOTPROD" in commands
    assert set(re.findall(r"fast_(\w+)\.c\"", commands)) == {"portable", "neon", "dotprod"}
