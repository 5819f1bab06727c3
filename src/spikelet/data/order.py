"""The one shuffle of data sets: a permutation that depends on its arguments alone.

    key[i] = mix(... mix(mix(a) + b) ... + i)        a, b, ...: the stream, such as (seed, epoch)
    order  = indices sorted by key

`mix` is the finaliser of splitmix64 (Steele, Lea and Flood 2014). The order is therefore the same on
every machine and under every version of torch and NumPy: a split made today is the split of a
published figure, and a resumed run sees the batches that the interrupted one would have seen.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def _mix(z: np.ndarray) -> np.ndarray:
    """uint64 -> uint64, a bijection that changes about half of the bits for every bit of its input."""
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _keys(counts: np.ndarray, stream: tuple[int, ...]) -> np.ndarray:
    state = np.zeros(1, np.uint64)
    for number in stream:
        state = _mix(state + np.array([number & 0xFFFFFFFFFFFFFFFF], np.uint64))
    return _mix(state + counts)


def permutation(n: int, *stream: int) -> Tensor:
    """0 .. n-1 in an order that is a function of `n` and the integers `stream` alone. int64 [n]."""
    keys = _keys(np.arange(n, dtype=np.uint64), stream)
    return torch.from_numpy(np.argsort(keys, kind="stable"))


def generator(*stream: int) -> torch.Generator:
    """A CPU generator whose seed is a function of the integers `stream` alone."""
    return torch.Generator().manual_seed(int(_keys(np.zeros(1, np.uint64), stream)[0] >> np.uint64(1)))
