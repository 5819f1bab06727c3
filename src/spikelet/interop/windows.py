"""Pools that torch has and `spikelet.nn` has not, by torch's own functions of maps, which lowering knows.

    sequences [.., C, L]        maps of one row: windows of 1 x k
    oblong windows              MaxPool2d((1, 2))
    a number of windows         AdaptiveMaxPool2d, AdaptiveAvgPool1d, where all windows are of one size

Leading axes are all taken as samples, so it does not matter whether they are time and batch.
"""

from __future__ import annotations

import abc
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.interop.site import Site

Pair = tuple[int, int]


def pair(value: Any) -> tuple[Any, Any]:
    """(rows, columns) from a number or a pair."""
    return tuple(value) if isinstance(value, tuple | list) else (value, value)  # type: ignore[return-value]


class Windows(nn.Module, abc.ABC):
    """What windows of maps give.

    Args:
        kernel, stride, padding: rows and columns.
    """

    def __init__(self, kernel: Pair, stride: Pair, padding: Pair) -> None:
        super().__init__()
        self.window = kernel, stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """[.., C, H, W] -> [.., C, H', W']."""
        made = self.of_maps(x.reshape(-1, *x.shape[-3:]))
        return made.reshape(*x.shape[:-3], *made.shape[1:])

    @abc.abstractmethod
    def of_maps(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, H', W']."""

    def extra_repr(self) -> str:
        return "kernel={}, stride={}, padding={}".format(*self.window)


class Largest(Windows):
    """The largest value of each window."""

    def of_maps(self, x: Tensor) -> Tensor:
        """See Windows."""
        return F.max_pool2d(x, *self.window)


class Average2d(Windows):
    """The mean of each window, zeros around the map; a divisor other than a power of two is made exact by means.py."""

    def of_maps(self, x: Tensor) -> Tensor:
        """See Windows."""
        return F.avg_pool2d(x, *self.window)


class NumberOf(nn.Module):
    """A wanted number of windows, all of one size.

    Args:
        kind: of the windows.
        size: how many rows and columns of them; None for as many as the map has.
    """

    def __init__(self, kind: type[Windows], size: tuple[int | None, int | None]) -> None:
        super().__init__()
        self.kind, self.size = kind, size

    def forward(self, x: Tensor) -> Tensor:
        """[.., C, H, W] -> [.., C, *size]. Raises ConversionError where the windows differ in size."""
        sides = tuple(x.shape[-2:])
        wanted = tuple(have if want is None else want for want, have in zip(self.size, sides, strict=True))
        if any(have % want for want, have in zip(wanted, sides, strict=True)):
            raise ConversionError(
                f"adaptive pooling of {sides[0]} x {sides[1]} maps to {wanted[0]} x {wanted[1]} takes windows of "
                "different sizes. Choose sides that are multiples of the wanted ones."
            )
        window = sides[0] // wanted[0], sides[1] // wanted[1]
        return self.kind(window, window, (0, 0))(x)

    def extra_repr(self) -> str:
        return f"{self.kind.__name__}, size={self.size}"


class Voting(nn.Module):
    """The mean of each group of `size` neighbouring outputs; a rest smaller than a group is left out.

    Args:
        size: how many outputs vote for a class.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """[.., F] -> [.., F // size]."""
        whole = x.shape[-1] // self.size * self.size
        x = x if whole == x.shape[-1] else x[..., :whole]
        return x.unflatten(-1, (-1, self.size)).mean(-1)

    def extra_repr(self) -> str:
        return f"size={self.size}"


class OfSequences(nn.Module):
    """A pool of maps, on sequences as maps of one row."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """[.., C, L] -> [.., C, L']."""
        return self.pool(x.unsqueeze(-2)).squeeze(-2)


def largest(pool: nn.MaxPool2d | nn.MaxPool1d, site: Site) -> nn.Module:
    """The same max pool, with windows that end inside."""
    if pool.ceil_mode or pool.return_indices or set(pair(pool.dilation)) != {1}:
        raise ConversionError(
            f"{site.name}: max pooling must be without ceil_mode where it is oblong or of sequences, without dilation "
            f"and without return_indices; got {pool}."
        )
    return _of(Largest, pool)


def mean_of_sequences(pool: nn.AvgPool1d, site: Site) -> nn.Module:
    """The same average pool."""
    if pool.ceil_mode or (set(pair(pool.padding)) != {0} and not pool.count_include_pad):
        raise ConversionError(
            f"{site.name}: average pooling must be without ceil_mode, and count its padding as zeros; got {pool}."
        )
    kernel, stride, padding = map(_one, (pool.kernel_size, pool.stride, pool.padding))
    return Voting(kernel) if (stride, padding) == (kernel, 0) else _of(Average2d, pool)


def adaptive(kind: type[Windows]) -> Any:
    """The rule of adaptive pools of this kind."""

    def rule(pool: Any, site: Site) -> nn.Module:
        if isinstance(pool, nn.AdaptiveAvgPool1d | nn.AdaptiveMaxPool1d):
            return OfSequences(NumberOf(kind, (1, _one(pool.output_size))))
        return NumberOf(kind, pair(pool.output_size))

    return rule


def _of(kind: type[Windows], pool: Any) -> nn.Module:
    values = (pool.kernel_size, pool.stride, pool.padding)
    if not isinstance(pool, nn.MaxPool1d | nn.AvgPool1d):
        return kind(*map(pair, values))
    kernel, stride, padding = map(_one, values)
    return OfSequences(kind((1, kernel), (1, stride), (0, padding)))


def _one(value: Any) -> int:
    return value[0] if isinstance(value, tuple) else value
