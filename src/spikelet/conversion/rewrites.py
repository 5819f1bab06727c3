"""What a twin computes in the place of a tensor function that its network's Python code calls.

The code stays as it is. Arithmetic that integers can't do exactly, such as a mean over 49 or a factor of 32^-1/2, goes
into units (units.py), and these take its place.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.lowering.trace import tensors

Function = Callable[..., Any]


class Rewrite(nn.Module, abc.ABC):
    """Makes what `function(*args, **kwargs)` would make, in other units."""

    @abc.abstractmethod
    def forward(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...


class Left(Rewrite):
    """An operand as it is: the factor that it would be multiplied by is in its unit.

    Args:
        place: of the operand among the tensors that are passed.
    """

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place

    def forward(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        return list(tensors((args, kwargs)))[self.place]


class Summed(Rewrite):
    """A sum over axes, over a power of two, in the place of their mean.

    Args:
        axes, keepdim: of the mean.
        divisor: the power of two at or above the number of values.
    """

    def __init__(self, axes: tuple[int, ...], keepdim: bool, divisor: int) -> None:
        super().__init__()
        self.axes, self.keepdim, self.divisor = axes, keepdim, divisor

    def forward(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        (x,) = tensors((args, kwargs))
        return x.sum(self.axes, keepdim=self.keepdim) / self.divisor


class Pooled(Rewrite):
    """A sum over windows, over a power of two, in the place of their mean.

    Args:
        kernel: of the windows, which lie side by side.
        divisor: the power of two at or above the number of values.
    """

    def __init__(self, kernel: tuple[int, int], divisor: int) -> None:
        super().__init__()
        self.kernel, self.divisor = kernel, divisor

    def forward(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        (x,) = tensors((args, kwargs))
        return F.avg_pool2d(x, self.kernel, divisor_override=self.divisor)


class Replaced(Rewrite):
    """The function itself, of what modules make of its operands.

    Args:
        parts: by the place of an operand among the tensors that are passed.
        behind: takes what the function makes; None for nothing.
    """

    def __init__(self, parts: dict[int, nn.Module], behind: nn.Module | None = None) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({str(place): part for place, part in parts.items()})
        self.behind = behind

    def forward(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = list(tensors((args, kwargs)))
        made = [self.parts[str(i)](t) if str(i) in self.parts else t for i, t in enumerate(given)]
        args, kwargs = with_tensors((args, kwargs), iter(made))
        y = function(*args, **kwargs)
        return y if self.behind is None else self.behind(y)


def with_tensors(tree: Any, new: Any) -> Any:
    """Nested tuples, lists and dictionaries with their tensors, in order, replaced by those of an iterator."""
    if isinstance(tree, Tensor):
        return next(new)
    if isinstance(tree, tuple | list):
        return type(tree)(with_tensors(item, new) for item in tree)
    if isinstance(tree, dict):
        return {key: with_tensors(item, new) for key, item in tree.items()}
    return tree
