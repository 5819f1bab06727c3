"""Charges and affine steps that shifts alone can do: every kernel set gives what the reference gives."""

from __future__ import annotations

import numpy as np
import pytest

from spikelet.graph import ir
from spikelet.runtime.plan.kinds import AffineMode
from spikelet.runtime.pointwise import affine_constants
from tests.support.kernel_sets import assert_equal_everywhere

T = 5


def _graph(lif: ir.Lif, current: ir.Affine, channels: int) -> ir.IntGraph:
    nodes = (
        ir.Input("x", (), (channels, 2, 3)),
        current,
        lif,
        ir.Flatten("flat", ("s",)),
        ir.SumTime("out", ("flat",)),
    )
    return ir.IntGraph(nodes, T, (ir.Output("out", 1.0),))


def _affine(m: list[int], s: list[int], d: list[int]) -> ir.Affine:
    return ir.Affine("y", ("x",), np.array(m, np.int32), np.array(s, np.uint8), np.array(d, np.int32))


@pytest.mark.parametrize("channels", [1, 9, 65])
@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("rounding", ["floor", "half"])
@pytest.mark.parametrize("bits", [1, 3])
def test_a_mean_of_membrane_and_current_is_that_of_the_reference(
    bits: int, rounding: str, reset: str, channels: int
) -> None:
    """Ties among the charges, and membranes of few bits."""
    rng = np.random.default_rng([bits, channels])
    for membrane in (None, ir.Membrane(4, 2)):
        lif = ir.Lif("s", ("y",), 1, 1, bits, 7, reset, membrane, rounding=rounding)  # type: ignore[arg-type]
        numbers = rng.integers(-9, 10, channels), rng.integers(0, 4, channels), rng.integers(-40, 41, channels)
        current = ir.Affine("y", ("x",), *(a.astype(t) for a, t in zip(numbers, ("i4", "u1", "i4"), strict=True)))
        x = rng.choice(np.array([0, 1, 2, 7, 8, 254, 255], np.uint8), (T, 2, channels, 2, 3))
        assert_equal_everywhere(_graph(lif, current, channels), x)


def test_channels_share_a_shift_where_their_products_stay_within_32_bits() -> None:
    """(m 2^j, s + j) means the same as (m, s); a channel of 0 fits every shift."""
    node = _affine([3, 0, -32767, 5], [0, 0, 6, 2], [1, 2, 3, 4])
    made = affine_constants(node, np.full(4, -400), np.full(4, 500))
    assert (made.mode, made.split) == (AffineMode.SPLIT, 0)
    assert made.arrays["rest"].tolist()[:4] == [6, 6, 6, 6]
    assert made.arrays["high"].tolist()[:4] == [192, 0, -32767, 80]
    assert made.arrays["half"].tolist()[:4] == [32, 0, 32, 32]


def test_channels_keep_their_shifts_where_a_shared_one_would_leave_32_bits() -> None:
    node = _affine([32767, 32767], [1, 20], [0, 0])
    made = affine_constants(node, np.full(2, -400), np.full(2, 500))
    assert (made.mode, made.split) == (AffineMode.SPLIT, 0)
    assert made.arrays["rest"].tolist()[:2] == [1, 20]


@pytest.mark.parametrize("shifts", [[0, 6, 2, 1, 3, 6, 5, 4, 2], [1, 20, 3, 9, 0, 20, 7, 2, 11], [4] * 9])
def test_affine_steps_with_and_without_a_shared_shift_are_those_of_the_reference(shifts: list[int]) -> None:
    m = [3, -32767, 32767, 0, 255, -1, 77, -4096, 20001]
    lif = ir.Lif("s", ("y",), 1, 2, 1, 7, "hard", None)
    x = np.random.default_rng(0).integers(0, 256, (T, 2, 9, 2, 3), np.uint8)
    assert_equal_everywhere(_graph(lif, _affine(m, shifts, list(range(-4, 5))), 9), x)
