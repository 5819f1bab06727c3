"""The meaning of each operation, against numbers worked out by hand and against loops written from the statement."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.reference import Reference
from tests.meaning import meaning
from tests.nodes import conv, linear
from tests.random_graphs import random_graph, random_input


def run(node: ir.Operation, *xs: Any, T: int = 1) -> list:
    """The operation on values of one sample at one step (still); its values at the steps it gives."""
    arrays = (np.asarray(x, np.int64)[None, None] for x in xs)
    out = meaning(node, *arrays, T=T)[:, 0]
    return out[0].tolist() if len(out) == 1 else out.tolist()


def kernel(
    weight: Any, stride: tuple[int, int] = (1, 1), padding: tuple[int, int] = (0, 0), groups: int = 1
) -> ir.Conv:
    return conv("c", ("x",), weight, 8, stride, padding, groups)


def affine(multiplier: list[int], shift: list[int], offset: list[int]) -> ir.Affine:
    m, s, d = np.array(multiplier, np.int32), np.array(shift, np.uint8), np.array(offset, np.int32)
    return ir.Affine("a", ("x",), m, s, d)


def lif(
    threshold: int, reset: str | int = "hard", leak: int = 1, gain: int = 2, leak_bits: int = 1, membrane: Any = None
) -> ir.Lif:
    assert reset in ("hard", "soft") or isinstance(reset, int)
    return ir.Lif("s", ("x",), leak, gain, leak_bits, threshold, reset, membrane)


# --- O2 conv, O3 linear -----------------------------------------------------------------------------


def test_a_window_of_ones_with_padding_sums_what_lies_inside() -> None:
    assert run(kernel(np.ones((1, 1, 3, 3)), padding=(1, 1)), [[[1, 2], [3, 4]]]) == [[[10, 10], [10, 10]]]
    assert run(kernel(np.ones((1, 1, 3, 3)), padding=(1, 1)), [[[1, 2, 3]]]) == [[[3, 6, 5]]]


def test_the_kernel_is_not_turned_round() -> None:
    assert run(kernel([[[[1, -1]]]]), [[[1, 2, 4]]]) == [[[-1, -2]]]
    assert run(kernel([[[[1], [-3]]]]), [[[1], [2], [4]]]) == [[[-5], [-10]]]


def test_stride_and_padding_are_per_axis_rows_first() -> None:
    x = [[[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]]
    assert run(kernel([[[[1]]]], stride=(2, 3)), x) == [[[1, 4], [9, 12]]]
    assert run(kernel([[[[1, 1]]]], stride=(1, 2), padding=(0, 1)), x) == [[[1, 5, 4], [5, 13, 8], [9, 21, 12]]]
    assert run(kernel([[[[1], [1]]]], stride=(2, 1), padding=(1, 0)), x) == [[[1, 2, 3, 4], [14, 16, 18, 20]]]


def test_what_the_stride_does_not_reach_is_left_out() -> None:
    assert run(kernel([[[[1, 1]]]], stride=(1, 2)), [[[1, 2, 3, 4, 50]]]) == [[[3, 7]]]


def test_input_channels_add_up_and_groups_keep_them_apart() -> None:
    x = [[[1]], [[10]], [[100]], [[1000]]]
    assert run(kernel([[[[1]], [[-2]], [[3]], [[0]]]]), x) == [[[281]]]
    assert run(kernel([[[[1]], [[2]]], [[[3]], [[-4]]]], groups=2), x) == [[[21]], [[-3700]]]
    assert run(kernel([[[[5]]], [[[6]]], [[[7]]], [[[8]]]], groups=4), x) == [[[5]], [[60]], [[700]], [[8000]]]
    assert run(kernel([[[[1]]], [[[2]]], [[[3]]], [[[4]]], [[[5]]], [[[6]]], [[[7]]], [[[8]]]], groups=4), x) == [
        [[1]], [[2]], [[30]], [[40]], [[500]], [[600]], [[7000]], [[8000]],
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_conv_is_the_sum_of_its_statement(seed: int) -> None:
    rng = np.random.default_rng(seed)
    g, kh, kw = rng.integers(1, 4, 3)
    c, o = g * rng.integers(1, 4), g * rng.integers(1, 4)
    ph, pw, (sh, sw) = rng.integers(0, kh), rng.integers(0, kw), rng.integers(1, 4, 2)
    h, w = rng.integers(3, 8, 2)
    x, weight = rng.integers(-300, 300, (c, h, w)), rng.integers(-127, 128, (o, c // g, kh, kw))
    rows, columns = (h + 2 * ph - kh) // sh + 1, (w + 2 * pw - kw) // sw + 1
    expected = np.zeros((o, rows, columns), int)
    for k, i, j in itertools.product(range(o), range(rows), range(columns)):
        for ci, u, v in itertools.product(range(c // g), range(kh), range(kw)):
            y, z = i * sh + u - ph, j * sw + v - pw
            if 0 <= y < h and 0 <= z < w:
                expected[k, i, j] += weight[k, ci, u, v] * x[k // (o // g) * (c // g) + ci, y, z]
    assert run(kernel(weight, (sh, sw), (ph, pw), g), x) == expected.tolist()


def test_conv_is_exact_where_float32_is_not() -> None:
    x = np.full((512, 1, 1), 2**22 + 1)
    assert run(kernel(np.full((1, 512, 1, 1), 127)), x) == [[[512 * 127 * (2**22 + 1)]]]


def test_linear_is_rows_times_input() -> None:
    node = linear("fc", ("x",), np.array([[1, -2, 3], [0, 0, -7], [-127, 127, 1]], np.int8), 8)
    assert run(node, [10, 20, 30]) == [60, -210, 1300]
    assert run(node, [0, 0, 0]) == [0, 0, 0]


# --- O4 affine (Q4: halves go up) -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "y"), [(-4, -2), (-3, -1), (-2, -1), (-1, 0), (0, 0), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3)]
)
def test_halves_go_up_also_below_zero(x: int, y: int) -> None:
    assert run(affine([1], [1], [0]), [x]) == [y]


@pytest.mark.parametrize(("x", "y"), [(-6, -1), (-5, -1), (-3, -1), (-2, 0), (2, 1), (1, 0), (5, 1), (6, 2), (7, 2)])
def test_quarters_go_to_the_nearest(x: int, y: int) -> None:
    assert run(affine([1], [2], [0]), [x]) == [y]


def test_a_shift_of_zero_rounds_nothing() -> None:
    assert run(affine([-3], [0], [7]), [5]) == [-8]


def test_the_offset_is_added_after_the_shift() -> None:
    assert run(affine([1], [4], [100]), [8]) == [101]
    assert run(affine([1], [4], [100]), [7]) == [100]


def test_each_channel_has_its_own_constants() -> None:
    node = affine([3, -1, 0], [1, 0, 5], [0, 10, -9])
    assert run(node, [[[1, 3]], [[5, -5]], [[9, 100]]]) == [[[2, 5]], [[5, 15]], [[-9, -9]]]
    assert run(node, [1, 5, 9]) == [2, 5, -9]


def test_the_product_has_64_bits() -> None:
    top = 2**31 - 1
    assert run(affine([top], [31], [0]), [top]) == [2**31 - 2]
    assert run(affine([-(2**31)], [62], [0]), [-(2**31)]) == [1]
    assert run(affine([2**30], [62], [0]), [2**31]) == [1]  # one half
    assert run(affine([2**30], [62], [0]), [-(2**31)]) == [0]  # minus one half
    assert run(affine([2**30], [62], [0]), [-(2**31) - 1]) == [-1]


# --- O5 add -----------------------------------------------------------------------------------------


def test_add_sums_all_its_inputs() -> None:
    node = ir.Add("a", ("x", "y", "z"))
    assert run(node, [[[1, -2]]], [[[10, 20]]], [[[-100, 300]]]) == [[[-89, 318]]]


def test_a_still_edge_is_added_to_every_step() -> None:
    still, moving = np.array([[[5]]]), np.array([[[1]], [[2]], [[3]]])
    assert meaning(ir.Add("a", ("x", "y")), still, moving, T=3)[:, 0, 0].tolist() == [6, 7, 8]


# --- O6 lif (N1: a tie fires; N2: the leak floors) --------------------------------------------------


@pytest.mark.parametrize("reset", ["hard", "soft", 0, 16])
@pytest.mark.parametrize(("x", "fires"), [(7, 0), (8, 1), (9, 1), (-8, 0)])
def test_a_charge_on_the_threshold_fires(reset: str | int, x: int, fires: int) -> None:
    assert run(lif(8, reset), [x]) == [fires]


def test_hard_reset_forgets_and_soft_reset_keeps_the_rest() -> None:
    # leak 1/2, gain 1:  hard  h = 5, 7, 8, 5, 7, 8          soft  h = 5, 7, 8, 5, 7, 8 (rest 0: a tie)
    assert run(lif(8, "hard"), [5], T=6) == [[0], [0], [1], [0], [0], [1]]
    assert run(lif(8, "soft"), [5], T=6) == [[0], [0], [1], [0], [0], [1]]
    # x = 7:  hard  h = 7, 10*, 7, 10*      soft  h = 7, 10* (rest 2), 8* (rest 0), 7, 10*
    assert run(lif(8, "hard"), [7], T=5) == [[0], [1], [0], [1], [0]]
    assert run(lif(8, "soft"), [7], T=5) == [[0], [1], [1], [0], [1]]


def test_a_soft_reset_takes_one_threshold_off_however_high_the_charge() -> None:
    # integrate and fire, x = 20 once, then 0:  h = 20, 12, 4, 4
    frames = np.array([20, 0, 0, 0])[:, None, None]
    node = lif(8, "soft", leak=1, gain=1, leak_bits=0)
    assert meaning(node, frames, T=4)[:, 0, 0].tolist() == [1, 1, 0, 0]


def test_a_reset_by_a_number_takes_that_much() -> None:
    # x = 7, leak 1/2:  16 at once is 8 a step later: h = 7, 10* (rest -6), 4, 9* (rest -7), 3;  0: h = 7, 10*, 12*, ...
    assert run(lif(8, 16), [7], T=5) == [[0], [1], [0], [1], [0]]
    assert run(lif(8, 0), [7], T=5) == [[0], [1], [1], [1], [1]]
    # x = 7, threshold 9, reset 8: h = 7, 10* (rest 2), 8, 11*
    assert run(lif(9, 8), [7], T=4) == [[0], [1], [0], [1]]


@pytest.mark.parametrize("seed", range(20))
def test_a_drop_of_threshold_over_leak_is_a_reset_one_step_late(seed: int) -> None:
    """h[t+1] = leak h[t] + x - threshold s[t], exactly where the leaked membrane is a whole number."""
    rng = np.random.default_rng(seed)
    k, T = int(rng.integers(0, 4)), 6
    leak = int(rng.integers(1, 2**k + 1))
    threshold = leak * int(rng.integers(1, 20))
    node = lif(threshold, threshold * 2**k // leak if leak < 2**k else "soft", leak, 2**k, k)
    x = rng.integers(-20, 60, (T, 9)) * 2 ** (k * T)
    expected, h, s = [], np.zeros(9), np.zeros(9)
    for current in x:
        h = leak / 2**k * h + current - threshold * s
        s = h >= threshold
        expected.append(s.astype(int).tolist())
    assert meaning(node, x[:, None], T=T)[:, 0].tolist() == expected


def test_the_leak_floors_below_zero() -> None:
    # leak 1/2:  h = -1, then -1/2 floors to -1 for ever, so that x = 1 gives 1/2, floored to 0: below the threshold 1
    frames = np.array([-1, 0, 0, 1, 2])[:, None, None]
    assert meaning(lif(1), frames, T=5)[:, 0, 0].tolist() == [0, 0, 0, 0, 1]
    # the same upwards: v = 1, then 1/2 floors to 0
    frames = np.array([1, 1, 1])[:, None, None]
    assert meaning(lif(2), frames, T=3)[:, 0, 0].tolist() == [0, 0, 0]


def test_leak_and_gain_share_one_floor() -> None:
    # (3 v + 3 x) >> 2 with x = 1:  3/4 -> 0;  x = 2:  6/4 -> 1, then (3 + 6)/4 -> 2
    node = lif(2, leak=3, gain=3, leak_bits=2)
    assert run(node, [1], T=3) == [[0], [0], [0]]
    assert run(node, [2], T=3) == [[0], [1], [0]]


def test_without_leak_bits_the_neuron_integrates() -> None:
    assert run(lif(6, "hard", leak=1, gain=1, leak_bits=0), [2], T=7) == [[0], [0], [1], [0], [0], [1], [0]]
    assert run(lif(6, "hard", leak=0, gain=1, leak_bits=0), [5], T=3) == [[0], [0], [0]]


@pytest.mark.parametrize(
    ("r", "v"),
    [(-9, -4), (-7, -4), (-6, -4), (-5, -4), (-3, -4), (-2, 0), (-1, 0), (0, 0), (1, 0), (2, 4), (5, 4), (99, 4)],
)
def test_a_2_bit_membrane_keeps_the_nearest_of_three_values_halves_up(r: int, v: int) -> None:
    """Step 4, so v is -4, 0 or 4. It shows in the next charge, v + 100, and that in which thresholds it reaches."""
    for threshold, fires in ((100 + v, 1), (101 + v, 0)):
        frames = np.array([r, 100])[:, None, None]
        node = lif(threshold, leak=1, gain=1, leak_bits=0, membrane=ir.Membrane(2, 2))
        assert meaning(node, frames, T=2)[1, 0, 0] == fires


def test_the_membrane_is_stored_after_the_reset() -> None:
    # x = 5, threshold 6, soft, step 4:  h = 5 -> 4;  h = 9* rest 3 -> 4;  h = 9* ...
    node = lif(6, "soft", leak=1, gain=1, leak_bits=0, membrane=ir.Membrane(4, 2))
    assert run(node, [5], T=4) == [[0], [1], [1], [1]]


@pytest.mark.parametrize("seed", range(30))
def test_lif_is_the_recurrence_of_its_statement(seed: int) -> None:
    rng = np.random.default_rng(seed)
    k, T = int(rng.integers(0, 9)), int(rng.integers(1, 9))
    leak, gain = int(rng.integers(0, 2**k + 1)), int(rng.integers(1, 2**k + 1))
    membrane = ir.Membrane(int(rng.integers(2, 9)), int(rng.integers(1, 6))) if seed % 2 else None
    node = lif(int(rng.integers(1, 60)), ("hard", "soft", 0, 75)[seed // 2 % 4], leak, gain, k, membrane)
    x = rng.integers(-80, 160, (T, 7))
    expected = []
    for column in x.T.tolist():
        v, spikes = 0, []
        for current in column:
            h = (leak * v + gain * current) // 2**k
            spikes.append(int(h >= node.threshold))
            v = h - spikes[-1] * (h if node.reset == "hard" else node.threshold if node.reset == "soft" else node.reset)
            if membrane is not None:
                step, top = 2**membrane.shift, 2 ** (membrane.bits - 1) - 1
                v = min(max((v + step // 2) // step, -top), top) * step
        expected.append(spikes)
    assert meaning(node, x[:, None], T=T)[:, 0].T.tolist() == expected


# --- O7 maxpool, O8 sumpool, O9 flatten, O10 sumtime ------------------------------------------------


def test_padding_never_wins_a_maximum() -> None:
    assert run(ir.MaxPool("p", ("x",), 3, 2, 1), [[[-5, -7], [-9, -6]]]) == [[[-5]]]
    assert run(ir.MaxPool("p", ("x",), 2, 2, 1), [[[-5, -7], [-9, -6]]]) == [[[-5, -7], [-9, -6]]]


def test_maxpool_slides_by_its_stride_and_leaves_the_rest() -> None:
    assert run(ir.MaxPool("p", ("x",), 2, 2, 0), [[[1, 5, 9], [2, 3, 9], [9, 9, 9]]]) == [[[5]]]
    assert run(ir.MaxPool("p", ("x",), 2, 1, 0), [[[1, 5, 4], [2, 3, 0]]]) == [[[5, 5]]]


def test_maxpool_of_spikes_is_or() -> None:
    assert run(ir.MaxPool("p", ("x",), 2, 2, 0), [[[0, 0, 1, 0], [0, 0, 0, 1]]]) == [[[0, 1]]]


def test_sumpool_adds_whole_windows_and_leaves_the_rest() -> None:
    x = [[[1, -2, 30], [3, 4, 30], [50, 50, 50]], [[0, 0, 0], [0, -7, 0], [0, 0, 0]]]
    assert run(ir.SumPool("p", ("x",), 2), x) == [[[6]], [[-7]]]
    assert run(ir.SumPool("p", ("x",), 1), x) == x
    assert run(ir.SumPool("p", ("x",), 3), x) == [[[216]], [[-7]]]


def test_flatten_runs_through_columns_then_rows_then_channels() -> None:
    assert run(ir.Flatten("f", ("x",)), [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert run(ir.Flatten("f", ("x",)), [1, 2]) == [1, 2]


def test_sumtime_counts_a_still_edge_at_every_step() -> None:
    assert run(ir.SumTime("y", ("x",)), [3, -4], T=5) == [15, -20]
    moving = np.array([[[1, 2]], [[3, -4]], [[5, 6]]])
    assert meaning(ir.SumTime("y", ("x",)), moving, T=3)[:, 0].tolist() == [[9, 4]]


# --- whole graphs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_a_still_image_is_the_same_frame_at_every_step(seed: int) -> None:
    graph = random_graph(seed)
    x = np.random.default_rng(seed).integers(0, 256, (2, *graph.input.shape), dtype=np.uint8)
    frames = np.repeat(x[None], graph.time_steps, axis=0)
    np.testing.assert_array_equal(Reference(graph)(x), Reference(graph)(frames))


@pytest.mark.parametrize("seed", range(20))
def test_a_sample_does_not_depend_on_its_neighbours(seed: int) -> None:
    graph = random_graph(seed)
    x = random_input(graph, batch=4, seed=seed)
    axis = x.ndim - len(graph.input.shape) - 1
    order = [2, 0, 3, 1]
    np.testing.assert_array_equal(Reference(graph)(np.take(x, order, axis)), Reference(graph)(x)[order])
    np.testing.assert_array_equal(Reference(graph)(np.take(x, [1], axis)), Reference(graph)(x)[[1]])


def test_spikes_are_those_of_the_neurons() -> None:
    graph = random_graph(3)
    x = random_input(graph, batch=2, seed=0)
    spikes = Reference(graph).spikes(x)
    assert list(spikes) == [n.name for n in graph.of_type(ir.Lif)]
    for values in spikes.values():
        assert values.dtype == np.uint8
        assert values.shape[:2] == (graph.time_steps, 2)
        assert set(np.unique(values)) <= {0, 1}


TINY = ir.IntGraph.of_logits((ir.Input("x", (), (2, 1, 1)), ir.Flatten("f", ("x",)), ir.SumTime("y", ("f",))), 3, 1.0)


def test_logits_are_int32() -> None:
    logits = Reference(TINY)(np.array([[[[1]], [[255]]]], np.uint8))
    assert logits.dtype == np.int32
    assert logits.tolist() == [[3, 765]]


def test_an_input_that_is_not_uint8_is_refused() -> None:
    with pytest.raises(GraphError, match=r"x must be uint8, got float32\. \(Pixels 0\.\.255 or event counts"):
        Reference(TINY)(np.zeros((1, 2, 1, 1), np.float32))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(2, 1, 1), (1, 3, 1, 1), (2, 4, 2, 1, 1), (3, 4, 2, 1), ()])
def test_an_input_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(GraphError, match=r"x must have shape \[B, 2, 1, 1\] or \[3, B, 2, 1, 1\], got \("):
        Reference(TINY)(np.zeros(shape, np.uint8))


def test_a_graph_without_meaning_is_refused_before_it_runs() -> None:
    with pytest.raises(GraphError, match="the first output must be one vector of logits"):
        Reference(ir.IntGraph.of_logits((TINY.nodes[0], ir.SumTime("t", ("x",))), 3, 1.0))
