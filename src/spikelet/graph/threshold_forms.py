"""Neurons behind weights as comparisons of the weighted sum n itself: cuts by channel, where that is exact.

    y = affine(n), spikes = lif(y)      the graph's own operations; the graph keeps them

A cut c of a channel is an integer, and what is said of it is n >= c. Three forms, each the same spikes bit for bit:

    one step     a step starts from the same membrane always (T = 1, or leak 0): it fires where n >= c.
    automaton    a k-bit membrane has 2^k - 1 values. From each of them, when it fires and which value comes next are
                 step functions of n.
    sums         a full membrane, hard reset, leak 1/2: h = y + floor(v / 2), or floor((y + v) / 2) at a gain of 1/2.
                 Floors nest, so j steps after a spike it fires where the sum of 2^(i-1) y_i, i = 1 .. j, reaches
                 2^(j-1) threshold, or twice that. y is m n / 2^s + d, rounded; so it fires where M = sum of
                 2^(i-1) n_i reaches a cut for that j, if there is no M for which the roundings decide. `uncertain`
                 says of which channels that can't be proved.

Cuts of the first two are found by bisection with the reference's own step, those of the third in integers of any size.
An affine step with a negative gain falls with n; a channel of that kind is turned: n and m become -n and -m.
Source: this project. Floors nest by Graham, Knuth, Patashnik, Concrete Mathematics, (3.11).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.graph import ir
from spikelet.graph.edge import Edge, Int64
from spikelet.graph.ops.lif import AUTOMATON_BITS, SUMMED_STEPS

Whole = NDArray[Any]  # of Python's integers


@dataclasses.dataclass(frozen=True, eq=False)
class Form:
    """A neuron behind weights, by cuts.

    turned: by channel, whether n is the negative of the weighted sum.
    cuts: int64 [cuts, channels].
    transitions: int32 [states, entries] of cuts' numbers, or None for sums, which have a cut for each number of steps
        since the last spike. A state's row: the cut from which on it fires; those from which on its next state is
        beyond 0, 1, ... where it doesn't; and with soft reset those where it does. A hard reset is to the state in the
        middle, the first.
    """

    turned: NDArray[np.bool_]
    cuts: Int64
    transitions: NDArray[np.int32] | None


@dataclasses.dataclass(frozen=True, eq=False)
class Current:
    """y of n, turned so that it never falls: n's interval, and m, s, d of an affine step of one row, by channel."""

    node: ir.Affine | None
    low: Int64
    high: Int64
    turned: NDArray[np.bool_]

    @classmethod
    def of(cls, node: ir.Affine | None, source: Edge) -> Current:
        """The current that `node`, or nothing, makes of `source`."""
        turned = np.zeros(len(source.low), bool)
        if node is not None:
            turned |= (node.multiplier < 0).reshape(-1)
        return cls(node, np.where(turned, -source.high, source.low), np.where(turned, -source.low, source.high), turned)

    def __call__(self, n: Int64) -> Int64:
        """y of n, [channels], int64."""
        x = np.where(self.turned, -n, n)
        return x if self.node is None else self.node.run(x[None, None], steps=range(1))[0, 0]

    def numbers(self) -> tuple[Whole, Whole, Whole]:
        """m >= 0, 2^s and d, in integers of any size."""
        channels = len(self.low)
        if self.node is None:
            return np.full(channels, 1, object), np.full(channels, 1, object), np.full(channels, 0, object)
        m, s, d = (
            np.broadcast_to(a.reshape(-1), channels).astype(object)
            for a in (self.node.multiplier, self.node.shift, self.node.offset)
        )
        return np.abs(m), 2**s, d

    def clips(self) -> bool:
        """Whether a clip changes y anywhere."""
        if self.node is None or self.node.clip is None:
            return False
        low, high = self.node.unclipped(np.minimum(self.low, -self.high), np.maximum(self.high, -self.low))
        return bool(low.min() < self.node.clip[0] or high.max() > self.node.clip[1])


def threshold_form(node: ir.Affine | None, neuron: ir.Lif, source: Edge, time_steps: int) -> Form | None:
    """The form of `neuron` behind `node`, which reads sums in `source`; None unless an exact one is known."""
    if neuron.levels > 1 or (node is not None and len(node.shift) > 1):
        return None
    current = Current.of(node, source)
    if time_steps == 1 or not np.any(neuron.leak):
        return _one_step(neuron, current)
    if np.any(neuron.start):
        return None
    if neuron.membrane is not None:
        return _automaton(neuron, current) if neuron.membrane.bits <= AUTOMATON_BITS else None
    if not sums_up(neuron, time_steps) or current.clips() or _uncertain(neuron, current, time_steps).any():
        return None
    cuts = np.stack([_reached(neuron, current, j, surely=False) for j in range(1, time_steps + 1)])
    return Form(current.turned, cuts, None)


def sums_up(neuron: ir.Lif, time_steps: int) -> bool:
    """Whether a neuron's spikes are those of sums since the last spike, roundings of its current apart."""
    one = 1 << neuron.leak_bits
    halves = not isinstance(neuron.gain, np.ndarray) and neuron.gain in (one, one // 2)
    halves &= not np.any(2 * np.asarray(neuron.leak) != one)
    plain = neuron.membrane is None and neuron.drop is None and neuron.levels == 1 and not np.any(neuron.start)
    return plain and halves and neuron.half == 0 and 2 <= time_steps <= SUMMED_STEPS


def uncertain(node: ir.Affine, neuron: ir.Lif, source: Edge, time_steps: int) -> NDArray[np.bool_]:
    """By channel, whether roundings of the current can decide over a spike of a neuron that `sums_up`."""
    return _uncertain(neuron, Current.of(node, source), time_steps)


def _uncertain(neuron: ir.Lif, current: Current, time_steps: int) -> NDArray[np.bool_]:
    found = np.zeros(len(current.low), bool)
    for j in range(2, time_steps + 1):  # one step is one rounding, which the cut knows
        found |= _reached(neuron, current, j, surely=False) != _reached(neuron, current, j, surely=True)
    return found


def _reached(neuron: ir.Lif, current: Current, j: int, *, surely: bool) -> Int64:
    """By channel the smallest M of j steps that fires whatever the roundings (`surely`), or that fires for some; one
    above the largest possible M if nothing reaches it.

    Rounding m n / 2^s to the nearest, halves up, adds r 2^-s with 1 - half <= r <= half, half = 2^(s-1), and 0 where s
    is 0; so the condition is m M + R >= 2^s (2^(j-1) threshold - (2^j - 1) d) with R of (2^j - 1) times that interval.
    At a gain of 1/2 the threshold counts twice.
    """
    m, one, d = current.numbers()
    all_steps = 2**j - 1
    half = one // 2
    rounding = np.where(half > 0, 1 - half, 0) if surely else half
    threshold = np.broadcast_to(np.asarray(neuron.threshold), m.shape).astype(object)
    threshold = 2 ** (j - 1) * threshold * ((1 << neuron.leak_bits) // int(neuron.gain))
    wanted = one * (threshold - all_steps * d) - all_steps * rounding
    low, high = current.low.astype(object) * all_steps, current.high.astype(object) * all_steps
    still = all_steps * d >= threshold  # where m is 0
    cut = np.where(m == 0, np.where(still, low, high + 1), -(-wanted // np.where(m == 0, 1, m)))
    return np.clip(cut, low, high + 1).astype(np.int64)


def _one_step(neuron: ir.Lif, current: Current) -> Form:
    def fires(n: Int64) -> NDArray[np.bool_]:
        return _step(neuron, current, n, None)[0]

    return Form(current.turned, from_when_on(fires, current.low, current.high)[None], np.zeros((1, 1), np.int32))


def _automaton(neuron: ir.Lif, current: Current) -> Form:
    assert neuron.membrane is not None
    top, unit = neuron.membrane.top, 1 << neuron.membrane.shift
    numbers: dict[bytes, int] = {}
    cuts: list[Int64] = []

    def number(cut: Int64) -> int:
        if numbers.setdefault(cut.tobytes(), len(cuts)) == len(cuts):
            cuts.append(cut)
        return numbers[cut.tobytes()]

    rows = []
    for state in range(-top, top + 1):
        v = np.int64(state * unit)
        fire = from_when_on(lambda n, v=v: _step(neuron, current, n, v)[0], current.low, current.high)
        ranges = [(current.low, fire - 1)] + ([] if neuron.drop is None else [(fire, current.high)])
        beyond = [
            from_when_on(lambda n, v=v, i=i: _step(neuron, current, n, v)[1] >= i * unit, *ends)
            for ends in ranges
            for i in range(1 - top, top + 1)
        ]
        rows.append([number(cut) for cut in (fire, *beyond)])
    return Form(current.turned, np.stack(cuts), np.array(rows, np.int32))


def _step(neuron: ir.Lif, current: Current, n: Int64, v: np.int64 | None) -> tuple[NDArray[np.bool_], Int64]:
    """Where the reference fires on sums n by channel, and its membrane after; from membranes of v, or its start."""
    x = current(n)[None, None]
    state = None if v is None else np.broadcast_to(v, x[0].shape)
    _, spikes, after = next(neuron.stepped(x, range(1), state))
    return spikes[0] > 0, after[0]


def from_when_on(holds: Callable[[Int64], NDArray[np.bool_]], low: Int64, high: Int64) -> Int64:
    """By channel the smallest n of low .. high from which on `holds`; high + 1 where it never does."""
    below, above = low - 1, high + 1
    while (open_ := above - below > 1).any():
        middle = np.where(open_, (below + above) // 2, low)
        true = holds(middle)
        above, below = np.where(open_ & true, middle, above), np.where(open_ & ~true, middle, below)
    return above
