"""Many levels are found by a division that cannot miss: at every multiple of every step, and one beside it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from spikelet.graph import ir
from spikelet.runtime import plan_of
from spikelet.runtime.pointwise import NEURON_ROWS, neuron_constants
from tests.support.kernel_sets import assert_equal_everywhere

CHANNELS = 24
STEPS = (1, 2, 3, 5, 7, 8, 255, 256, 257, 1023, 12_345, 65_535, 2**20 + 1, 2**22 - 1, 8_421_504, 2**29, 2**30 - 1)


def _spikes(node: ir.Lif, h: NDArray[np.int64]) -> NDArray[np.int64]:
    """What the division makes of charges; every number on the way is one of 32 bits."""
    bits, table = neuron_constants(node, 1)
    floor, ceiling, shift, factor = (int(row[0]) for row in table[NEURON_ROWS:])
    u = np.clip(h, floor, ceiling) - floor
    product = (u >> shift) * factor + (1 << bits - 1)
    q = product >> bits
    assert max(int(u.max()), int(product.max())) < 2**31
    wrapped = (q * int(table[3, 0])).astype(np.int32)  # as 32-bit lanes multiply
    return q - (wrapped > u)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("levels", [3, 4, 7, 8, 15, 16, 31, 100, 254, 255])
def test_a_division_is_that_of_the_definition_around_every_multiple(step: int, levels: int) -> None:
    divided = 0
    for threshold in {1, max(1, step // 2), step, 3 * step + 1, 2**31 - 1 - (levels - 1) * step}:
        if not (1 <= threshold < 2**31 and levels * step < 2**31 and threshold + (levels - 1) * step < 2**31):
            continue
        node = ir.Lif(
            "s", ("x",), 0, 1, 0, threshold, "soft", None, levels=levels, step=None if step == threshold else step
        )
        around = threshold + np.arange(-2, levels + 3)[:, None] * step + np.array([-1, 0, 1, step // 2])
        h = np.clip(np.concatenate((around.ravel(), [-(2**31), 0, 2**31 - 1])), -(2**31), 2**31 - 1)
        assert (_spikes(node, h) == np.clip((h - threshold) // step + 1, 0, levels)).all()
        divided += 1
    assert divided or levels * step >= 2**31


def _graph(seed: int, levels: int) -> ir.IntGraph:
    """Neurons of many levels, each channel's charges around another cut of another step."""
    rng = np.random.default_rng([seed, levels])
    step = rng.integers(1, (2**31 - 2**10) // (2 * levels), CHANNELS) >> rng.integers(0, 24, CHANNELS)
    step = np.maximum(step, 1)
    threshold = rng.integers(1, 2**30, CHANNELS) >> rng.integers(0, 30, CHANNELS)
    threshold = np.maximum(threshold, 1)
    offset = np.maximum(threshold + rng.integers(-1, levels + 1, CHANNELS) * step - 128, -(2**31) + 256)
    current = ir.Affine("y", ("x",), np.ones(CHANNELS, np.int32), np.zeros(CHANNELS, np.uint8), offset.astype(np.int32))
    lif = ir.Lif(
        "s", ("y",), 0, 1, 0, threshold.astype(np.int32), "soft", None, levels=levels, step=step.astype(np.int32)
    )
    nodes = (ir.Input("x", (), (CHANNELS, 4, 8)), current, lif, ir.Flatten("f", ("s",)), ir.SumTime("out", ("f",)))
    return ir.IntGraph(nodes, 1, (ir.Output("out", 1.0), ir.Output("y", 1.0)))  # wanted, so that y is computed


@pytest.mark.parametrize("levels", [3, 16, 255])
def test_every_kernel_set_divides_as_the_reference(levels: int) -> None:
    for seed in range(6):
        graph = _graph(seed, levels)
        assert any(op.numbers.get("quotient_bits") for op in plan_of(graph, result="outputs").operations)
        assert_equal_everywhere(graph, np.random.default_rng(seed).integers(0, 256, (1, 5, CHANNELS, 4, 8), np.uint8))


def test_cuts_stay_where_a_division_could_leave_32_bits() -> None:
    far = ir.Lif("s", ("x",), 0, 1, 0, 2**30, "soft", None, levels=4, step=2**29)
    bits, table = neuron_constants(far, 1)
    assert bits == 0
    assert table[NEURON_ROWS:, 0].tolist() == [2**30 - 1, 2**30 + 2**29 - 1, 2**31 - 1, 2**31 - 1]
