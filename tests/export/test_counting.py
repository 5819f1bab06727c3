"""Instructions, cycles, flash, RAM and stack of a run on an emulated Cortex-M.

Each test skips where Zig's compiler or Unicorn is not installed (pip install 'spikelet[targets]').
"""

from __future__ import annotations

import dataclasses
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

import spikelet
from spikelet import Reference
from spikelet.base.errors import MissingLibrary, SpikeletError
from spikelet.export import Counted, count
from spikelet.export.c.project import written
from spikelet.export.c.report import UNCOUNTED, report
from spikelet.export.c.selftest import outputs_of
from spikelet.export.emulation.build import link
from spikelet.export.emulation.counting import Machine, emulated
from spikelet.export.emulation.thumb import DIVISION, REFILL, block_of
from tests.artifact_parts import small_graph
from tests.random_graphs import random_graph, random_input

LOOP = """int given(const unsigned char *x, int *y);
__attribute__((naked)) int given(const unsigned char *x, int *y) {
    __asm__("movs r2, #100\\n str r2, [r1]\\n 1: subs r2, #1\\n bne 1b\\n bx lr");
}
"""
INSTRUCTIONS = {
    "adds r0, r0, r1": ((0x1840,), 1),
    "ldr r0, [pc]": ((0x4800,), 2),
    "str r0, [r1, r2]": ((0x5088,), 1),
    "ldrh r0, [r1, r2]": ((0x5A88,), 2),
    "ldr r0, [r1]": ((0x6808,), 2),
    "push {r4-r7, lr}": ((0xB5F0,), 6),
    "pop {r4, pc}": ((0xBD10,), 3),
    "ldm r0!, {r1-r3}": ((0xC80E,), 4),
    "uxtb r0, r0": ((0xB2C0,), 1),
    "ldm.w r0, {r4-r11}": ((0xE890, 0x0FF0), 9),
    "ldrd r2, r3, [r0]": ((0xE9D0, 0x2300), 3),
    "tbb [pc, r0]": ((0xE8DF, 0xF000), 2),
    "ldr.w r0, [r1, #4]": ((0xF8D1, 0x0004), 2),
    "strb.w r0, [r1, #4]": ((0xF881, 0x0004), 1),
    "udiv r0, r1, r2": ((0xFBB1, 0xF0F2), DIVISION),
    "sdiv r0, r1, r2": ((0xFB91, 0xF0F2), DIVISION),
    "smull r0, r1, r2, r3": ((0xFB82, 0x0103), 1),
    "two loads": ((0x6808, 0x6808), 3),
    "a load behind a store": ((0x6008, 0x6808), 2),
}


@pytest.fixture(autouse=True)
def _targets() -> None:
    pytest.importorskip("unicorn")
    pytest.importorskip("ziglang")


@pytest.mark.parametrize("text", INSTRUCTIONS)
def test_cycles_are_those_of_the_table(text: str) -> None:
    words, cycles = INSTRUCTIONS[text]
    block = block_of(struct.pack(f"<{len(words)}H", *words))
    assert block.cycles == cycles
    assert block.instructions == (2 if "two" in text or "behind" in text else 1)


def test_a_loop_of_known_length_is_counted_exactly(tmp_path: Path) -> None:
    (tmp_path / "given.c").write_text(LOOP)
    machine = Machine(link(tmp_path, ["given.c"], "given", "cortex-m4"), "cortex-m4")
    out, stack = machine.call(machine.elf.entry, b"", 4)
    assert (out, stack) == (struct.pack("<i", 100), 0)
    assert machine.tally() == (2 + 2 * 100 + 1, 2 + 2 * 100 + 1 + REFILL * 100)
    assert machine.by_function() == {(0, "given"): 203}
    machine.call(machine.elf.entry, b"", 4, marks=[1000, 4])
    assert machine.by_function() == {(2, "given"): 2 * 99 + 1, (0, "given"): 2 + 2}


@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m3", "cortex-m4", "cortex-m33"])
@pytest.mark.parametrize("streams", [False, True], ids=["run", "stream"])
def test_what_is_counted_computes_what_the_reference_does(core: str, streams: bool, tmp_path: Path) -> None:
    graph = random_graph(34)
    model, x = written(graph), random_input(graph, 1, 7)
    x = x if x.ndim == 1 + len(graph.input.shape) else x[0]
    frames = np.repeat(x[None], graph.time_steps, axis=0)
    given = frames[:, 0] if streams else x[0]
    expected = outputs_of(model, Reference(graph).outputs(frames if streams else x), last=streams)
    machine, stack, found = emulated(model, given, core, tmp_path)
    assert np.array_equal(found, expected)
    assert 0 < stack <= report(model).stack
    assert machine.tally()[0] > 0


def test_a_count_is_the_same_every_time_and_grows_with_what_fires() -> None:
    graph = spikelet.load("qsnn-vgg-s-nmnist")
    dark = np.zeros(graph.input.shape, np.uint8)
    first, again, bright = count(graph, dark), count(graph, dark), count(graph)
    assert first == again
    assert bright.sample == "noise"
    assert 10_000 < first.instructions < bright.instructions < (bright.cycles or 0)
    assert count(small_graph(), core="cortex-m3").cycles is None, "the table is another core's"


SMALL = ("qsnn-vgg-s-nmnist", "qsnn-vgg-xs-cifar10", "stream-lif-fsdd", "stream-lif-hapt")  # built and run in seconds


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[] if n in SMALL else [pytest.mark.slow])
        for n in spikelet.zoo.names()
    ],
)  # fmt: skip
def test_flash_and_ram_of_the_arithmetic_are_those_of_the_linked_program(name: str, tmp_path: Path) -> None:
    graph = spikelet.load(name)
    found, counted = report(written(graph)), count(graph, np.zeros(graph.input.shape, np.uint8))
    assert counted.flash == pytest.approx(found.flash - found.sound, rel=0.05), "nothing is heard in a run"
    assert counted.ram == pytest.approx(found.ram, rel=0.05)
    assert counted.stack <= found.stack


def test_a_device_must_hold_the_program_as_it_was_linked() -> None:
    found = report(written(small_graph()))
    linked = Counted("cortex-m4", "noise", 1, None, found.flash + 300, found.ram, found.stack)
    found.require(found.flash, None)
    with pytest.raises(SpikeletError, match=r"needs [\d,]+ bytes of flash, and [\d,]+ are there"):
        dataclasses.replace(found, counted=linked).require(found.flash + 299, None)


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m3"])
def test_cifar10_takes_48_kilobytes_and_10_million_instructions_at_most(core: str) -> None:
    """Counted on noise, on which more fires than on pictures (results/README.md)."""
    found = count(spikelet.load("qsnn-vgg-xs-cifar10"), core=core)
    assert found.flash <= 48 * 1024
    assert found.instructions <= 10_000_000


def test_what_can_not_be_counted_is_refused() -> None:
    graph = small_graph()
    with pytest.raises(SpikeletError, match=r"core must be one of cortex-m0, .* got 'cortex-a53'"):
        count(graph, core="cortex-a53")
    shape = list(graph.input.shape)
    with pytest.raises(SpikeletError, match=rf"x must be one input, uint8 \[{shape[0]}.* got float64 \[1\]"):
        count(graph, np.zeros(1))  # type: ignore[arg-type]
    with pytest.raises(SpikeletError, match="got list"):
        count(graph, [1])  # type: ignore[arg-type]


@pytest.mark.parametrize("library", ["unicorn", "ziglang"])
def test_a_missing_library_is_named_with_its_extra(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingLibrary, match=r"spikelet\[targets\]"):
        count(small_graph())


def test_a_report_says_where_nothing_was_counted() -> None:
    found = report(written(small_graph()))
    assert found.counted is None
    assert UNCOUNTED in " ".join(str(found).split())
