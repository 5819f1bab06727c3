"""Charges whose products leave 32 bits before they are shifted: every kernel set gives what the reference gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikelet.base.errors import OverflowRefused
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from tests.support.kernel_sets import assert_equal_everywhere

CHANNELS, T = 11, 6
Rng = np.random.Generator


def _constants(rng: Rng, by_channel: bool, **bounds: tuple[int, int]) -> dict[str, Any]:
    """Numbers, or arrays by channel, each from low to high."""
    if not by_channel:
        return {name: int(rng.integers(low, high + 1)) for name, (low, high) in bounds.items()}
    return {name: rng.integers(low, high + 1, CHANNELS).astype(np.int32) for name, (low, high) in bounds.items()}


def _graph(seed: int, by_channel: bool, levels: int) -> ir.IntGraph:
    """A neuron over currents that take up most of the 32 bits, in every channel others."""
    rng = np.random.default_rng([seed, by_channel, levels])
    bits = int(rng.integers(4, 16))
    one, reach = 1 << bits, 2 ** int(rng.integers(24, 31))
    low = rng.integers(-reach, 1, CHANNELS)
    step = rng.integers(0, (reach - low) // 255 + 1, CHANNELS)
    shift = np.zeros(CHANNELS, np.uint8)
    current = ir.Affine("y", ("x",), step.astype(np.int32), shift, low.astype(np.int32))
    numbers = _constants(rng, by_channel, leak=(0, one - 1), gain=(1, one), threshold=(1, reach // 2))
    reset = ("hard", "soft", int(numbers["threshold"] if not by_channel else reach) // 3)[seed % 3]
    more: dict[str, Any] = {"levels": levels, "step": reach // 9} if levels > 1 else {}
    if levels > 1 and seed % 3 == 2:
        reset = reach // 11
    membrane = ir.Membrane(8, 20) if seed % 4 == 0 else None
    rounding = ("floor", "half")[seed % 2]
    lif = ir.Lif("s", ("y",), numbers["leak"], numbers["gain"], bits, numbers["threshold"], reset, membrane,
                 rounding=rounding, **more)  # type: ignore[arg-type]  # fmt: skip
    nodes = (
        ir.Input("x", (), (CHANNELS, 2, 3)),
        current,
        lif,
        ir.Flatten("flat", ("s",)),
        ir.SumTime("out", ("flat",)),
    )
    return ir.IntGraph(nodes, T, (ir.Output("out", 1.0),))


@pytest.mark.parametrize("levels", [1, 5])
@pytest.mark.parametrize("by_channel", [False, True])
def test_a_wide_charge_is_that_of_the_reference_on_every_kernel_set(by_channel: bool, levels: int) -> None:
    wide = 0
    for seed in range(24):
        graph = _graph(seed, by_channel, levels)
        try:
            edges = analyse(graph)
        except OverflowRefused:  # what is left after the shift leaves 32 bits too
            continue
        (lif,) = graph.of_type(ir.Lif)
        wide += lif.charge_is_wide(edges["y"], T=T)
        x = np.random.default_rng(seed).choice(np.array([0, 1, 128, 254, 255], np.uint8), (T, 2, CHANNELS, 2, 3))
        assert_equal_everywhere(graph, x)
    assert wide >= 12


def test_a_charge_within_32_bits_is_not_wide() -> None:
    """The last current whose charge fits, and the next."""
    for current, wide in ((2**23 - 1, False), (2**23, True)):
        constants = np.zeros(1, np.int32), np.zeros(1, np.uint8), np.full(1, current, np.int32)
        lif = ir.Lif("s", ("y",), 0, 256, 8, 5, "hard", None)
        nodes = (ir.Input("x", (), (1,)), ir.Affine("y", ("x",), *constants), lif, ir.SumTime("out", ("s",)))
        edges = analyse(ir.IntGraph(nodes, 1, (ir.Output("out", 1.0),)))
        assert lif.charge_is_wide(edges["y"], T=1) is wide
