"""How far the membrane of a neuron of O6 can go (C5): at once by a bound that holds at every step, or step by step.

Let c = gain * x + r for x in [low, high], and k = 2^leak_bits - leak. A step without a spike makes of v

    (leak * v + c) >> leak_bits,

so that a v below 0 falls by -(c >> leak_bits) at most and never below c div k, and likewise upwards. What a spike
leaves lies between numbers that don't depend on v. That bounds v for T steps: where one step from anywhere in the bound
fits 32 bits, every step does. Where it doesn't, the interval grows step by step from start.

leak * v + c itself, before the shift, may have more bits: a backend asks `is_wide` whether it has.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from spikelet.base.errors import OverflowRefused
from spikelet.graph.edge import INT32, Edge
from spikelet.graph.ops.operation import require_int32

STEP_OF_NUMBERS = 2**8  # values that an analysis could look at while a membrane's interval grows by one step
STEP_OF_ARRAYS, STEP_OF_CHANNEL = 2**12, 2**4


@dataclasses.dataclass(frozen=True)
class _Pick:
    """What picks among numbers, or among arrays element by element."""

    lesser: Callable[[Any, Any], Any]
    greater: Callable[[Any, Any], Any]
    where: Callable[[Any, Any, Any], Any]
    same: Callable[[Any, Any], bool]


_NUMBERS = _Pick(min, max, lambda condition, yes, no: yes if condition else no, operator.eq)
_ARRAYS = _Pick(np.minimum, np.maximum, np.where, np.array_equal)


class Growth:
    """The membrane's interval of the neurons `node` for currents of the edge `x`.

    Numbers where no constant goes by channel, arrays [C] otherwise: a graph of thousands of neurons has to be analysed
    in seconds.
    """

    def __init__(self, node: Any, x: Edge) -> None:
        self.name, self.bits, self.levels, self.membrane = node.name, node.leak_bits, node.levels, node.membrane
        self._pick = _ARRAYS if node.by_channel else _NUMBERS
        low, high = (x.low, x.high) if node.by_channel else (int(x.low.min()), int(x.high.max()))
        gain = _wide(node.gain)
        self._current = gain * low + node.half, gain * high + node.half
        self._leak, self._threshold, self._spacing = _wide(node.leak), _wide(node.threshold), _wide(node.spacing)
        self._drop: Any = None if node.drop is None else _wide(node.drop)
        self._start = low * 0 + _wide(node.start)
        self.step_work = STEP_OF_ARRAYS + STEP_OF_CHANNEL * x.shape[0] if node.by_channel else STEP_OF_NUMBERS

    def settles(self, T: int) -> bool:
        """Whether the interval, grown for T steps, has stopped growing.

        Raises:
            OverflowRefused: names what could leave 32 bits.
        """
        return self._grown(T)[1]

    def charge(self, T: int) -> tuple[Any, Any]:
        """An interval that no charge of T steps leaves.

        Raises:
            OverflowRefused: names what could leave 32 bits.
        """
        low, high = self._charge(*(self.bound(T) if self.fits_always(T) else self._grown(T)[0]))
        return low >> self.bits, high >> self.bits

    def _grown(self, T: int) -> tuple[tuple[Any, Any], bool]:
        """The interval of the membranes before all of T steps, and whether it has stopped growing."""
        low = high = self._start
        before = low, high
        for _ in range(T):
            before = low, high
            after = self._after(low, high)
            low, high = self._pick.lesser(low, after[0]), self._pick.greater(high, after[1])
            if self._pick.same(low, before[0]) and self._pick.same(high, before[1]):
                return before, True
        return before, False

    def fits_always(self, T: int) -> bool:
        """Whether a bound of the membrane at all of T steps shows that every value fits 32 bits."""
        try:
            self._after(*self.bound(T))
        except OverflowRefused:
            return False
        return True

    def is_wide(self, T: int) -> bool:
        """Whether leak * v + c could leave 32 bits in T steps, for all that `bound` knows."""
        ends = self._charge(*self.bound(T))
        return bool(np.min(ends[0]) < INT32[0] or np.max(ends[1]) > INT32[1])

    def bound(self, T: int) -> tuple[Any, Any]:
        """An interval that no membrane leaves before step T."""
        least, most = self._pick.lesser, self._pick.greater
        floor, ceiling = least(self._start, 0), most(self._start, 0)
        if self.membrane is not None:
            top = self.membrane.top << self.membrane.shift
            return least(floor, -top), most(ceiling, top)
        threshold = self._threshold
        if self._drop is not None:
            floor = least(floor, least(self._least_left(1), self._least_left(self.levels)))
            few, many = min(1, self.levels - 1), self.levels - 1
            ceiling = most(ceiling, most(self._most_left(few), self._most_left(many)))
        low, high = self._current
        k = (1 << self.bits) - self._leak
        down, up = floor + (T - 1) * least(low >> self.bits, 0), ceiling + (T - 1) * most(high >> self.bits, 0)
        lowest = most(down, self._pick.where(k > 0, least(floor, low // most(k, 1)), down))
        highest = least(up, self._pick.where(k > 0, most(ceiling, high // most(k, 1)), up))
        return lowest, highest if self._drop is not None else least(highest, most(ceiling, threshold - 1))

    def _least_left(self, spikes: int) -> Any:
        """What so many spikes leave of the lowest charge that makes them."""
        return self._threshold + (spikes - 1) * self._spacing - spikes * self._drop

    def _most_left(self, spikes: int) -> Any:
        """What so many spikes leave of the highest charge that makes no more."""
        return self._threshold - 1 + spikes * (self._spacing - self._drop)

    def _charge(self, v_low: Any, v_high: Any) -> tuple[Any, Any]:
        """The interval of leak * v + c, in Python's integers or in int64: T * 2^31 * 2^15 at most."""
        low, high = self._current
        return self._leak * v_low + low, self._leak * v_high + high

    def _after(self, v_low: Any, v_high: Any) -> tuple[Any, Any]:
        """The interval of the membrane one step after [v_low, v_high].

        Raises:
            OverflowRefused: a value on the way could leave 32 bits.
        """
        low, high = (end >> self.bits for end in self._charge(v_low, v_high))
        require_int32(self.name, "the charge", low, high)
        after = self._after_reset(low, high)
        require_int32(self.name, "the membrane", *after)
        if self.membrane is None:
            return after
        require_int32(self.name, "the rounded membrane", after[0], after[1] + (1 << self.membrane.shift))
        return self.membrane.store(after[0]), self.membrane.store(after[1])

    def _after_reset(self, low: Any, high: Any) -> tuple[Any, Any]:
        """The interval of h after the reset, 0 included, for h in [low, high]."""
        pick, threshold, step, drop = self._pick, self._threshold, self._spacing, self._drop
        silent = pick.lesser(low, 0), pick.greater(pick.lesser(high, threshold - 1), 0)
        if drop is None:
            return silent
        if self.levels > 1:
            require_int32(self.name, "the distance to the threshold", low - threshold, high - threshold)
        top = pick.lesser((high - threshold) // step + 1, self.levels)  # the highest level that can be reached
        lowest = pick.lesser(threshold - drop, threshold + (top - 1) * step - drop * top)
        below_top = pick.greater(threshold + step - 1 - drop, threshold + (top - 1) * step - 1 - drop * (top - 1))
        highest = pick.where(top > 1, pick.greater(high - drop * top, below_top), high - drop * top)
        fires = high >= threshold
        return (
            pick.where(fires, pick.lesser(silent[0], lowest), silent[0]),
            pick.where(fires, pick.greater(silent[1], highest), silent[1]),
        )


def _wide(value: Any) -> Any:
    """A number as it is; an array in int64, in which bounds can't wrap."""
    return value.astype(np.int64) if isinstance(value, np.ndarray) else value
