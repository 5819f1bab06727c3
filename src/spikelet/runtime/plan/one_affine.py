"""Counts of several levels within one time step as one affine step: of a neuron behind an affine step, both monotone.

    y = ((m x + half) >> s) + d        the affine step, O4
    n = clip((y + v - threshold) div step + 1, 0, L)        the neuron, O6, from v with a gain of one
      = clip((M x + B) >> S, 0, L)        for every x within the interval that the analysis proves

n reaches j where x passes an integer x_j (from below where m > 0, from above where m < 0), so M, B and S are right
where (M x + B) >> S reaches every j there and not one integer before. M is the slope in units of 2^-S; what is then
left for B is an interval, and where no S leaves one, or a product could leave 32 bits, the two are computed one after
the other.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from spikelet.graph import ir
from spikelet.graph.edge import Edge, Int64

LARGEST = 2**31
WIDEST = 2**61  # what int64 holds with room for a sum
MOST_SHIFT = 30


@dataclasses.dataclass(frozen=True, eq=False)
class OneAffine:
    """M, B and S by channel."""

    multiplier: Int64
    addend: Int64
    shift: Int64


def one_affine(affine: ir.Affine, neuron: ir.Neuron, source: Edge) -> OneAffine | None:
    """The one affine step that gives what `neuron` counts behind `affine`, for every value of `source`; None where 32
    bits hold none."""
    channels = source.shape[0]
    if affine.clip is not None or len(affine.shift) > 1 or np.any(neuron.gain != 1 << neuron.leak_bits):
        return None
    m, s, d = (_by_channel(a[0], channels) for a in (affine.multiplier, affine.shift, affine.offset))
    leaked = (
        _by_channel(neuron.leak, channels) * _by_channel(neuron.start, channels) + neuron.half
    ) >> neuron.leak_bits
    threshold, step = (_by_channel(a, channels) for a in (neuron.threshold, neuron.spacing))
    first, last = (_by_channel(a, channels) for a in (source.low, source.high))
    levels = np.arange(1, neuron.levels + 1)[:, None]
    wanted = threshold + (levels - 1) * step - leaked - d  # of the shifted product, for each level
    if (m == 0).any() or np.abs(wanted).max() >= WIDEST >> int(s.max()):
        return None
    mirror = np.where(m < 0, -1, 1)  # as if the step rose: x is -x where it falls
    m, ends = np.abs(m), (np.where(mirror < 0, -last, first), np.where(mirror < 0, -first, last))
    reached = -((((np.int64(1) << s) >> 1) - (wanted << s)) // m)  # x_j: the first whose product is as large as wanted
    found = _fitted(m / (2.0**s * step), reached, ends, levels)
    return None if found is None else OneAffine(mirror * found.multiplier, found.addend, found.shift)


def _by_channel(values: int | NDArray[np.integer], channels: int) -> Int64:
    return np.broadcast_to(np.asarray(values, np.int64), (channels,)).copy()


def _fitted(slope: NDArray[np.float64], reached: Int64, ends: tuple[Int64, Int64], levels: Int64) -> OneAffine | None:
    """M, B and S of steps that rise by `slope`, and reach each of `levels` at `reached`, [L, C]."""
    first, last = ends
    reach = np.maximum(np.abs(first), np.abs(last))
    made = OneAffine(*(np.full(len(slope), -1, np.int64) for _ in range(3)))
    at_least, below = np.minimum(reached, last + 1), np.maximum(reached - 1, first - 1)
    for shift in range(MOST_SHIFT, -1, -1):
        m = np.floor(slope * 2.0**shift + 0.5).clip(0, LARGEST).astype(np.int64)
        goal = levels << shift
        low = np.where(reached <= last, goal - m * np.maximum(at_least, first), -LARGEST).max(0)
        high = np.where(reached > first, goal - 1 - m * np.minimum(below, last), LARGEST).min(0)
        b = low + (high - low) // 2
        b = np.where(low <= -LARGEST, np.minimum(high, 0), np.where(high >= LARGEST, np.maximum(low, 0), b))
        fits = (made.shift < 0) & (m > 0) & (low <= b) & (b <= high) & (m * reach + np.abs(b) < LARGEST)
        made.multiplier[fits], made.addend[fits], made.shift[fits] = m[fits], b[fits], shift
        if (made.shift >= 0).all():
            return made
    return None
