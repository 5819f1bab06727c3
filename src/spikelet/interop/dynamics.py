"""Neurons of other libraries as LIF, exactly.

Theirs, in their own numbers:

    h[t] = leak * v[t-1] + gain * x[t]                gain = 1, or 1 - leak
    s[t] = 1 where h[t] >= threshold, or h[t] > threshold                          at least, or strictly above
    v[t] = 0 where s[t], else h[t]                                                 HARD
           h[t] - threshold * s[t]                                                 SOFT
           h[t], and h[t+1] = leak * v[t] + gain * x[t+1] - threshold * s[t]       LATE
           h[t]                                                                    NEVER

Ours has h >= threshold', and takes drop * s at once. In evaluation h lies on the grid 2^-12, g = 2^-12, where

    h >= threshold  is  h >= g ceil(threshold / g)          h > threshold  is  h >= g (floor(threshold / g) + 1)

exactly, for every threshold. LATE is a drop of threshold / leak, as leak * (h - threshold / leak * s) = leak * h -
threshold * s. The quotient goes to the grid as the charge does: floored where the charge is floored, to the nearest
where it is rounded. Either way it moves the charge by less than what rounding takes back, so nothing is lost where
leak * h lies on the grid itself, and less than one grid step elsewhere. It needs a leak above 0. NEVER is a drop of 0.
A neuron whose own spikes add V to its current a step later, with LATE, takes threshold - V late: a drop of that / leak.
A leak off the grid of leaks is refused, or rounded to its nearest multiple where that is asked for.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable

from spikelet.base.errors import ConversionError
from spikelet.neurons import LIF, Hard, LIFParams, Soft, Surrogate
from spikelet.neurons.constants import LEAK_BITS, Real, numbers
from spikelet.neurons.reset import Reset
from spikelet.quant.grid import FRACTION_BITS

GRID = 2.0**-FRACTION_BITS


class After(enum.Enum):
    """The four ways in which a spike changes the membrane; the module's equations."""

    HARD = "zero"
    SOFT = "threshold"
    LATE = "threshold a step later"
    NEVER = "nothing"


@dataclasses.dataclass(frozen=True)
class Dynamics:
    """A neuron of another library. leak, threshold and fed_back are one number each, or a tuple [C] of one a channel.

    leak_from: what the leak comes from, in the user's words: "tau = 3.0".
    fed_back: what a spike of the step before adds to the neuron's own current, where its threshold is subtracted LATE.
    """

    leak: Real
    leak_from: str
    threshold: Real
    strictly_above: bool
    after: After
    scale_input: bool
    surrogate: Surrogate
    fed_back: Real = 0.0


def to_lif(name: str, neuron: Dynamics, time_steps: int, round_leak: bool) -> LIF:
    """The LIF that gives the spikes of `neuron`.

    Raises:
        ConversionError: a constant has no place on the grids; names the module, the constant and the way out.
    """
    leak = _each(lambda value: leak_on_grid(name, value, neuron.leak_from, round_leak), neuron.leak)
    for value in numbers(neuron.threshold):
        if not math.isfinite(value):
            raise ConversionError(
                f"{name}: its threshold must be a number, got {value}. A neuron that never fires is read by its "
                'membrane: NonSpikingLIFNode(decode="last_mem"), or Leaky with output=True.'
            )
    try:
        reset = _reset(name, neuron, leak)
        threshold = _each(lambda value: _threshold(value, neuron.strictly_above), neuron.threshold)
        params = LIFParams(leak, threshold, neuron.scale_input, reset, neuron.surrogate)
        return LIF(time_steps, params)
    except ConversionError:
        raise  # a ValueError too, and clear already
    except ValueError as e:
        raise ConversionError(f"{name}: its neuron can't become a LIF: {e}") from e


def _each(change: Callable[[float], float], value: Real) -> Real:
    return tuple(change(v) for v in value) if isinstance(value, tuple) else change(value)


def _threshold(threshold: float, strictly_above: bool) -> float:
    steps = threshold / GRID
    return (math.floor(steps) + 1 if strictly_above else math.ceil(steps)) * GRID


def leak_on_grid(name: str, leak: float, leak_from: str, round_leak: bool) -> float:
    """The multiple of 2^-12 at `leak`, or with `round_leak` next to it. Raises ConversionError where there is none."""
    if not math.isfinite(leak):
        raise ConversionError(f"{name}: its leak must be a number, got {leak} ({leak_from}).")
    nearest = round(leak * 2**LEAK_BITS)
    on_grid = nearest / 2**LEAK_BITS
    if abs(leak - on_grid) > 2.0**-22 and not round_leak:  # what float32 can't say is meant to be on the grid
        raise ConversionError(
            f"{name}: {leak_from} is a leak of {leak:.6g}, and integers need a multiple of "
            f"2^-{LEAK_BITS}. Pass round_leak=True to take the nearest, {on_grid} = {nearest}/{2**LEAK_BITS} "
            "(fine-tuning makes up for it), or train with that one."
        )
    return on_grid


def _reset(name: str, neuron: Dynamics, leak: Real) -> Reset:
    match neuron.after:
        case After.HARD:
            return Hard()
        case After.NEVER:
            return Soft(0.0)
        case After.LATE if 0 in numbers(leak):
            raise ConversionError(
                f"{name}: subtracts its threshold a step late, which a leak of 0 ({neuron.leak_from}) can't pass on. "
                'Use reset_mechanism="zero", or a leak above 0.'
            )
        case After.LATE:
            rounding = LIFParams(leak, scale_input=neuron.scale_input).charge_rounding
            return Soft(_late_drop(neuron.threshold, neuron.fed_back, leak, rounding))
    if neuron.strictly_above:
        return Soft(_each(lambda threshold: math.floor(threshold / GRID) * GRID, neuron.threshold))
    return Soft()


def _late_drop(threshold: Real, fed_back: Real, leak: Real, rounding: str) -> Real:
    """(threshold - fed_back) / leak on the grid, rounded as the neuron's charge is: down, or to the nearest."""
    given = threshold, fed_back, leak
    count = max(len(numbers(v)) for v in given)
    each = zip(*(v if isinstance(v, tuple) else (v,) * count for v in given), strict=True)
    half = 0.5 if rounding == "half" else 0.0
    drops = tuple(math.floor((t - v) / GRID / k + half) * GRID for t, v, k in each)
    return drops if any(isinstance(v, tuple) for v in given) else drops[0]
