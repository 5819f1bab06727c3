"""Threshold forms: for every sum that a layer can have, the spikes that affine step and neuron give."""

from __future__ import annotations

import itertools
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from spikelet.graph import ir
from spikelet.graph.edge import Edge
from spikelet.graph.threshold_forms import Form, sums_up, threshold_form, uncertain

CHANNELS, REACH = 40, 12
Reset = Literal["hard", "soft"] | int


def layer(seed: int, shift: int, clip: tuple[int, int] | None = None) -> tuple[ir.Affine, Edge]:
    """Random gains of either sign, 0 among them, on sums of -12 to 12 at most."""
    rng = np.random.default_rng([seed, shift])
    m = rng.integers(-30 << shift >> 2, 30 << shift >> 2, CHANNELS).astype(np.int32)
    m[:2] = 0
    d = rng.integers(-60, 100, CHANNELS).astype(np.int32)
    low, high = -rng.integers(0, REACH + 1, CHANNELS), rng.integers(0, REACH + 1, CHANNELS)
    return ir.Affine("a", ("n",), m, np.full(CHANNELS, shift, np.uint8), d, clip), Edge((CHANNELS,), low, high, True)


def scaling(m: Any, s: Any, d: Any) -> ir.Affine:
    return ir.Affine("a", ("n",), np.array(m, np.int32), np.array(s, np.uint8), np.array(d, np.int32))


def neuron(*fields: Any, **more: Any) -> ir.Lif:
    return ir.Lif("l", ("a",), *fields, **more)


def by_reference(affine: ir.Affine, lif: ir.Lif, n: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Spikes [T, B, C] of sums n."""
    steps = range(len(n))
    return lif.advance(affine.run(n, steps=steps), steps=steps, state=None)[0] > 0


def by_form(form: Form, lif: ir.Lif, n: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The same from the cuts alone."""
    n = np.where(form.turned, -n, n)
    if form.transitions is None:
        return by_sums(form, n)
    spikes, channel = [], np.arange(n.shape[2])
    states = len(form.transitions)
    state = np.full(n.shape[1:], states // 2)
    for x in n:
        row = form.transitions[state]  # [B, C, entries]
        reached = x[..., None] >= form.cuts[row, channel[:, None]]
        fires = reached[..., 0]
        quiet, fired = reached[..., 1:states].sum(-1), reached[..., states:].sum(-1)
        state = np.where(fires, states // 2 if lif.drop is None else fired, quiet)
        spikes.append(fires)
    return np.stack(spikes)


def by_sums(form: Form, n: NDArray[np.int64]) -> NDArray[np.bool_]:
    spikes = []
    total, since = np.zeros(n.shape[1:], np.int64), np.zeros(n.shape[1:], np.int64)
    for x in n:
        total, since = total + (x << since), since + 1
        fires = total >= form.cuts[since - 1, np.arange(n.shape[2])]
        total, since = np.where(fires, 0, total), np.where(fires, 0, since)
        spikes.append(fires)
    return np.stack(spikes)


def every_sum(edge: Edge, steps: int, few: int = 2 * REACH + 1) -> NDArray[np.int64]:
    """All sequences [T, B, C] of `steps` sums, of up to `few` values in each channel's interval."""
    places = np.array(list(itertools.product(range(few), repeat=steps))).T[..., None]
    return edge.low + places * (edge.high - edge.low) // max(few - 1, 1)


@pytest.mark.parametrize("shift", [0, 1, 4])
@pytest.mark.parametrize("clip", [None, (-20, 75)])
@pytest.mark.parametrize(
    "lif",
    [
        neuron(1, 2, 1, 60, "hard", None), neuron(1, 1, 0, 31, "soft", ir.Membrane(4, 3), rounding="half"),
        neuron(1, 2, 1, 30, "hard", None, start=-17),
        neuron(3, 4, 2, np.arange(1, 1 + CHANNELS, dtype=np.int32), 7, None),
    ],
)  # fmt: skip
def test_one_step_is_one_cut(lif: ir.Lif, shift: int, clip: tuple[int, int] | None) -> None:
    affine, edge = layer(0, shift, clip)
    form = threshold_form(affine, lif, edge, 1)
    assert form is not None and form.cuts.shape == (1, CHANNELS) and form.turned.any()
    n = every_sum(edge, 1)
    expected = by_reference(affine, lif, n)
    assert expected.any() and not expected.all()
    np.testing.assert_array_equal(by_form(form, lif, n), expected)


def test_a_neuron_that_forgets_is_one_cut_at_every_step() -> None:
    affine, edge = layer(1, 2)
    lif = neuron(0, 3, 2, 20, "soft", ir.Membrane(3, 2))
    form, n = threshold_form(affine, lif, edge, 3), every_sum(edge, 3, 7)
    assert form is not None and len(form.cuts) == 1
    np.testing.assert_array_equal(by_form(form, lif, n), by_reference(affine, lif, n))


@pytest.mark.parametrize("reset", ["hard", "soft", 0, 23])
@pytest.mark.parametrize("bits", [2, 3])
@pytest.mark.parametrize(("leak", "gain", "leak_bits"), [(1, 2, 1), (2, 2, 1), (3, 5, 3), (7, 1, 3)])
@pytest.mark.parametrize("rounding", ["floor", "half"])
def test_a_membrane_of_few_bits_is_an_automaton(
    reset: Reset, bits: int, leak: int, gain: int, leak_bits: int, rounding: Literal["floor", "half"]
) -> None:
    """All values of two steps, and every third or so of three, reach every state from every state."""
    affine, edge = layer(bits, 2, (-90, 90))
    for threshold in (np.arange(1, 1 + CHANNELS, dtype=np.int32), 40):
        lif = neuron(leak, gain, leak_bits, threshold, reset, ir.Membrane(bits, 4), rounding=rounding)
        form = threshold_form(affine, lif, edge, 3)
        assert form is not None and form.transitions is not None
        assert len(form.transitions) == 2**bits - 1 and len(form.cuts) <= lif.most_cuts
        for n in (every_sum(edge, 2), every_sum(edge, 3, 9)):
            np.testing.assert_array_equal(by_form(form, lif, n), by_reference(affine, lif, n))


def test_states_that_fire_alike_share_cuts() -> None:
    """With leak 1/2 and a threshold of one unit every cut is a multiple of half a unit."""
    edge = Edge((1,), np.array([-999]), np.array([999]), True)
    form = threshold_form(scaling([9], [0], [0]), neuron(1, 2, 1, 2**10, "hard", ir.Membrane(2, 10)), edge, 4)
    assert form is not None and len(form.cuts) == 6


@pytest.mark.parametrize("shift", [0, 1, 3, 6])
@pytest.mark.parametrize("steps", [2, 3, 4])
@pytest.mark.parametrize("lif", [neuron(1, 2, 1, 80, "hard", None), neuron(4, 4, 3, 40, "hard", None)])
def test_a_full_membrane_is_sums_where_roundings_never_decide(lif: ir.Lif, shift: int, steps: int) -> None:
    """Channel by channel: those that are certified are exact; with a whole gain all of them are, else some are not."""
    certified = differs = 0
    for seed in range(3):
        affine, edge = layer(seed, shift)
        bad = uncertain(affine, lif, edge, steps)
        n = every_sum(edge, steps, 25 if steps == 2 else 9)
        for c in range(CHANNELS):
            one = scaling(*(a[:, c : c + 1] for a in (affine.multiplier, affine.shift, affine.offset)))
            mine = Edge((1,), edge.low[c : c + 1], edge.high[c : c + 1], True)
            form = threshold_form(one, lif, mine, steps)
            assert (form is None) == bad[c]
            if form is not None:
                np.testing.assert_array_equal(
                    by_form(form, lif, n[:, :, c : c + 1]), by_reference(one, lif, n[:, :, c : c + 1])
                )
                certified += 1
        differs += int(bad.sum())
        assert (threshold_form(affine, lif, edge, steps) is None) == bad.any()
    assert certified and (differs > 0) == (shift > 0)


def test_large_numbers_do_not_wrap() -> None:
    """2^62 times a threshold of 31 bits, far beyond int64."""
    lif, edge = neuron(1, 2, 1, 2**31 - 1, "hard", None), Edge((1,), np.array([-5]), np.array([5]), True)
    form = threshold_form(scaling([2**31 - 1], [62], [2**30]), lif, edge, 4)
    assert form is not None and (form.cuts == [[6], [16], [36], [76]]).all(), "2^31 - 2^-j is as far as it gets"


@pytest.mark.parametrize(
    "lif",
    [
        neuron(1, 4, 2, 9, "hard", None), neuron(1, 1, 2, 9, "hard", None), neuron(1, 2, 1, 9, "soft", None),
        neuron(1, 2, 1, 9, "hard", None, rounding="half"), neuron(1, 2, 1, 9, "hard", None, start=1),
        neuron(1, 2, 1, 9, "hard", ir.Membrane(4, 2)), neuron(1, 2, 1, 9, "hard", ir.Membrane(2, 2), start=4),
        neuron(0, 1, 0, 9, "hard", None, levels=2),
    ],
)  # fmt: skip
def test_other_neurons_have_no_form(lif: ir.Lif) -> None:
    affine, edge = layer(0, 0)
    assert threshold_form(affine, lif, edge, 4) is None
    assert not sums_up(lif, 4)


def test_sums_have_few_steps_and_no_clip_that_matters() -> None:
    lif = neuron(1, 2, 1, 80, "hard", None)
    affine, edge = layer(0, 0)
    assert threshold_form(affine, lif, edge, 8) is not None
    assert threshold_form(affine, lif, edge, 9) is None
    assert threshold_form(layer(0, 0, (-10, 10))[0], lif, edge, 4) is None
    assert threshold_form(layer(0, 0, (-(10**6), 10**6))[0], lif, edge, 4) is not None
    assert threshold_form(None, lif, edge, 4) is not None


def test_constants_by_step_have_no_form() -> None:
    affine, edge = layer(0, 0)
    rows = (np.concatenate([a, a + 1]) for a in (affine.multiplier, affine.shift, affine.offset))
    assert threshold_form(scaling(*rows), neuron(0, 1, 0, 9, "hard", None), edge, 2) is None
