"""How many synaptic operations one input causes, exactly and without running the layer again.

    fan_out[c, i, j] = weights w[o, c, u, v] not zero with  i = y s + u d - p  for an output row y,  j likewise
    operations       = sum over c, i, j of events[c, i, j] * fan_out[c, i, j]

which is NeuroBench's count (every weight and input binarised to zero or not, padding excluded) in integers,
where NeuroBench adds 32-bit floats.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Window:
    """How a convolution moves: stride, zero padding, groups and dilation."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int
    dilation: tuple[int, int] = (1, 1)


def fan_out(present: NDArray[np.bool_], in_shape: tuple[int, ...], window: Window | None) -> Int64:
    """Operations per event of each input, int64 of shape `in_shape`.

    Args:
        present: weights that are not zero, [O, I / groups, kh, kw], or [O, I] for a linear layer.
        in_shape: (C, H, W), or (I,).
        window: None for a linear layer.
    """
    if window is None:
        return present.sum(0, dtype=np.int64)
    outputs, inputs, kh, kw = present.shape
    # channels of one group have taps to that group's outputs only
    taps = present.reshape(window.groups, outputs // window.groups, inputs, kh, kw).sum(1, dtype=np.int64)
    taps = taps.reshape(-1, kh, kw)
    rows = _reached(in_shape[1], kh, window, 0)
    columns = _reached(in_shape[2], kw, window, 1)
    return np.einsum("iu,cuv,jv->cij", rows, taps, columns, optimize=True)


def _reached(size: int, kernel: int, window: Window, axis: int) -> Int64:
    """[size, kernel]: 1 where input position i meets tap u of some window."""
    stride, padding, dilation = window.stride[axis], window.padding[axis], window.dilation[axis]
    windows = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    reached = np.zeros((size, kernel), np.int64)
    for u in range(kernel):
        i = np.arange(windows) * stride + u * dilation - padding
        reached[i[(i >= 0) & (i < size)], u] = 1
    return reached


def dense_macs(weight_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> int:
    """Multiply-accumulates of one step, padding included."""
    return math.prod(weight_shape[1:]) * math.prod(out_shape)
