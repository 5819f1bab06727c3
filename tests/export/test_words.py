"""Spikes written as words, and counted 32 outputs at a time: neurons of few bits and convolutions of spikes, over their
constants."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from spikelet.export.c import synapses
from spikelet.export.c.project import written
from spikelet.graph import ir
from tests.artifact_parts import conv, linear
from tests.export.compiled import SANITIZE, Batch, needs_compiler

pytestmark = needs_compiler


def neuron(rng: np.random.Generator, name: str, source: str, most: int) -> ir.Lif:
    """One whose charge meets its threshold and the halves between its units, and passes no upper end below it."""
    leak_bits, bits = int(rng.integers(0, 5)), int(rng.choice([2, 3, 4, 8]))
    threshold = int(rng.integers(1, most))
    shift = max(1, int(np.ceil(np.log2(threshold / 2 ** (bits - 1)))) + 1)
    leak = int(rng.integers(0, 2**leak_bits + 1))
    start = int(rng.integers(-2, 3)) << shift
    membrane = ir.Membrane(bits, shift)
    return ir.Lif(name, (source,), leak, 2**leak_bits, leak_bits, threshold, "hard", membrane, start=start,
                  rounding="half" if rng.integers(2) else "floor")  # fmt: skip


def graph(seed: int) -> ir.IntGraph:
    """Bytes to spikes, spikes to spikes through up to 576 weights of one or two bits, and a classifier."""
    rng = np.random.default_rng([seed, 17])
    channels, outputs, steps = int(rng.integers(4, 65)), int(rng.integers(4, 100)), int(rng.integers(1, 5))
    bits = int(rng.choice([1, 1, 2]))
    weight = rng.choice([-1, 1] if bits == 1 else [-1, 0, 1], (outputs, channels, 3, 3)).astype(np.int8)
    pixels = np.ones((channels, 1, 1, 1), np.int8)
    return ir.IntGraph.of_logits(
        nodes=(
            ir.Input("x", (), (1, 3, 3)),
            conv("c0", ("x",), pixels, 1, (1, 1), (0, 0), 1),
            neuron(rng, "s0", "c0", int(rng.choice([8, 256]))),
            conv("c1", ("s0",), weight, bits, (1, 1), (1, 1), 1),
            neuron(rng, "s1", "c1", 24),
            ir.Flatten("flat", ("s1",)),
            linear("fc", ("flat",), rng.choice([-1, 1], (3, 9 * outputs)).astype(np.int8), 1),
            ir.SumTime("logits", ("fc",)),
        ),
        time_steps=steps,
        logit_scale=1.0,
        labels=(),
        meta={},
    )


@pytest.mark.parametrize("flags", [("-O2",), SANITIZE], ids=["optimised", "sanitized"])
def test_neurons_of_few_bits_write_the_words_of_the_reference(flags: tuple[str, ...], tmp_path: Path) -> None:
    graphs = [graph(seed) for seed in range(40)]
    texts = ["".join(written(g).files.values()) for g in graphs]
    assert all(text.count("spk_lif_words(") >= 2 for text in texts), "two neurons"
    assert sum("spk_conv_bits(" in text for text in texts) > 20
    assert Batch(graphs).wrong(tmp_path, *flags) == {}


def test_there_is_room_for_as_many_rows_as_the_kernel_gathers() -> None:
    header = (Path(synapses.__file__).parent / "kernels" / "spk.h").read_text()
    assert re.findall(r"SPK_EVENTS = (\d+)", header) == [str(synapses.EVENTS)]
