"""Constants of affine steps and neurons as the kernels read them.

An affine step ((m x + half) >> s) + d is split into two 32-bit products wherever the interval of x
proves that they fit (spikelet.h: SPK_AFFINE_SPLIT); with m = high * 2^k + low, 0 <= low < 2^k < 2^s,

    (m x + half) >> s  =  (high x + ((low x) >> k) + (half >> k)) >> (s - k),

because floors nest and 2^k divides half.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from spikelet.graph import ir
from spikelet.graph.edge import INT32
from spikelet.graph.ops.affine import affine
from spikelet.runtime.layout import by_channel
from spikelet.runtime.plan.kinds import AffineMode

NEURON_ROWS = 6  # of a neuron's table before what finds its spikes
DIVIDED = 3  # levels from which on a division is quicker than cuts


@dataclasses.dataclass(frozen=True, eq=False)
class AffineConstants:
    """What the kernels read of an Affine; every array int32, one entry a channel, or a row of them for every step,
    padded to 8 with 0."""

    mode: AffineMode
    split: int
    arrays: dict[str, NDArray[np.int32]]


def affine_constants(node: ir.Affine, low: NDArray[np.int64], high: NDArray[np.int64]) -> AffineConstants:
    """Constants for x inside [low, high], interval per channel."""
    ends, channels = node.unclipped(low, high), len(low)
    long = int(ends[0].min()) < INT32[0] or int(ends[1].max()) > INT32[1]
    constants = {"multiplier": node.multiplier, "shift": node.shift, "offset": node.offset}
    if len(node.shift) > 1 or long:
        mode = AffineMode.LONG if long else AffineMode.WIDE
        return AffineConstants(mode, 0, {name: by_channel(a, channels) for name, a in constants.items()})
    m, s = (constants[name][0].astype(np.int64) for name in ("multiplier", "shift"))
    reach = np.maximum(np.abs(low), np.abs(high))
    reach = reach.max(keepdims=True) if len(m) == 1 else reach
    split, parts = next(((k, p) for k in range(24) if (p := _split(m, s, reach, k)) is not None), (0, None))
    mode = AffineMode.WIDE if parts is None else AffineMode.SPLIT
    made = {name: a[0] for name, a in constants.items()} | (parts or {})
    return AffineConstants(mode, split, {name: by_channel(a, channels) for name, a in made.items()})


@dataclasses.dataclass(frozen=True, eq=False)
class Levels:
    """The two values that an Affine makes of spikes; int32, one entry a channel, padded to 8 with 0."""

    zero: NDArray[np.int32]
    one: NDArray[np.int32]


def levels(node: ir.Affine | None, channels: int) -> Levels:
    """The levels of `node`, or of the spikes themselves."""
    silent, fired = np.zeros(channels, np.int64), np.ones(channels, np.int64)
    if node is not None:
        m, s, d = (v[0].astype(np.int64) for v in (node.multiplier, node.shift, node.offset))
        silent, fired = affine(silent, m, s, d), affine(fired, m, s, d)
        if node.clip is not None:
            silent, fired = np.clip(silent, *node.clip), np.clip(fired, *node.clip)
    return Levels(by_channel(silent, channels), by_channel(fired, channels))


def clip_constants(clip: tuple[int, int], channels: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Lowest and highest value by channel; pads stay 0."""
    low, high = (by_channel(np.array([end]), channels) for end in clip)
    return low, high


def neuron_constants(node: ir.Neuron, channels: int) -> tuple[int, NDArray[np.int32]]:
    """spk_op.quotient_bits and spk_op.neuron: leak, gain, threshold, step, drop and start by channel, then what finds
    the spikes: of many levels a division, else cuts."""
    drop = 0 if node.drop is None else node.drop
    rows = np.zeros((NEURON_ROWS, channels), np.int64)
    for i, row in enumerate((node.leak, node.gain, node.threshold, node.spacing, drop, node.start)):
        rows[i] = row
    bits, found = _division(rows[2], rows[3], node.levels)
    return bits, by_channel(np.concatenate((rows, found)), channels)


def _division(threshold: NDArray[np.int64], step: NDArray[np.int64], levels: int) -> tuple[int, NDArray[np.int64]]:
    """b, and floor, ceiling, shift a and factor m by channel (spk_quotient_row), or 0 and cuts.

    q = ((u >> a) m + 2^(b - 1)) >> b is u / step within a half, 0 <= u <= levels * step, before it is floored: with
    levels < 2^l and b = 30 - l, a is the least that lets m = 2^(a + b) / step, rounded, be 2^(l + 2) or more. Rounding
    m is worth levels / 2m <= 1/8 then, what the shift drops 2^a / step < 1/8, and no number on the way leaves 31 bits.
    """
    floor, ceiling = threshold - step, threshold + (levels - 1) * step
    if levels < DIVIDED or max(ceiling.max(), (levels * step).max()) > INT32[1]:
        return 0, _cuts(threshold, step, levels)
    length = levels.bit_length()
    b = 30 - length
    steps = [int(s) for s in step]
    shift = [max(0, s.bit_length() + 2 * length - 28) for s in steps]
    factor = [((2 << (a + b)) // s + 1) // 2 for a, s in zip(shift, steps, strict=True)]
    return b, np.array([floor, ceiling, shift, factor], np.int64)


def _cuts(threshold: NDArray[np.int64], step: NDArray[np.int64], levels: int) -> NDArray[np.int64]:
    """threshold + j * step - 1, j < levels; one beyond int32 is its largest value, which nothing passes."""
    return np.minimum(threshold + np.arange(levels)[:, None] * step - 1, INT32[1])


def _split(
    m: NDArray[np.int64], s: NDArray[np.int64], reach: NDArray[np.int64], k: int
) -> dict[str, NDArray[np.int64]] | None:
    """high, low, half, rest for a split at bit k, or None where a product could leave int32.

    Processors of few instructions shift all lanes by one count: `rest` is the same for all channels where that fits.
    """
    own = np.where(m == 0, k + 1, np.maximum(s, k + 1))
    shared = np.full_like(own, own[m != 0].max(initial=k + 1))
    return _raised(m, s, shared, reach, k) or _raised(m, s, own, reach, k)


def _raised(
    m: NDArray[np.int64], s: NDArray[np.int64], to: NDArray[np.int64], reach: NDArray[np.int64], k: int
) -> dict[str, NDArray[np.int64]] | None:
    """The same with shifts `to`: (m 2^j, s + j) means the same as (m, s)."""
    by = np.where(m == 0, 0, to - s)
    if by.max() > 31 or (np.abs(m) << by).max() >= 2**40:
        return None
    m, s = m << by, to
    high, low = m >> k, m & (2**k - 1)
    rest = s - k
    half = np.where(m == 0, 0, np.int64(1) << np.minimum(rest - 1, 40))
    sums = np.minimum(np.abs(high), 2**31) * reach + ((low * reach) >> k) + 1 + half  # below 2^63, as reach <= 2^31
    held = bool((np.abs(high) < 2**31).all() and (rest <= 31).all())
    fits = held and bool((low * reach < 2**31).all() and (sums < 2**31).all())
    return {"high": high, "low": low, "half": half, "rest": rest} if fits else None
