"""Windows that move over a map: how many there are, and the values under each."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from spikelet.graph.edge import Int64, Shape

Pair = tuple[int, int]


def span(kernel: int, dilation: int) -> int:
    """Positions from the first tap of a kernel to its last."""
    return (kernel - 1) * dilation + 1


def positions(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    """Windows along one axis; a stride of 0, which `check` refuses, counts as 1."""
    return max((size + 2 * padding - kernel) // max(stride, 1) + 1, 0)


def space_of(space: Shape, kernel: Pair, stride: Pair, padding: Pair) -> Shape:
    """(H', W'): windows along both axes."""
    return tuple(positions(*window) for window in zip(space, kernel, stride, padding, strict=False))


def windows(x: Int64, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Int64:
    """[..., H, W] -> [..., H', W', kh, kw]."""
    spans = span(kernel[0], dilation[0]), span(kernel[1], dilation[1])
    every = sliding_window_view(x, spans, axis=(-2, -1))
    return every[..., :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def pad(x: Int64, padding: Pair, value: int = 0) -> Int64:
    """[..., H, W] with `value` around it."""
    widths = ((0, 0),) * (x.ndim - 2) + ((padding[0],) * 2, (padding[1],) * 2)
    return np.pad(x, widths, constant_values=value)
