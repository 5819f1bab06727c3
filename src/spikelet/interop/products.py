"""Products and sums of a network's own code with constants that integers don't hold, such as `q @ k * 0.15`,
`self.gain * x` or `x + self.position`.

A factor goes to the grid of gains and the product to that of currents, by `TimesConstant`, which lowering knows; what
is added goes to the grid of currents. Training has them as they are. Constants are what does not come from the image:
numbers, parameters, and whatever is computed of them alone. Powers of two, whole numbers and tensors of multiples of
2^-16 stay as they are, as integers hold them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from spikelet.interop.calls import called_through
from spikelet.interop.steps import tensors_in
from spikelet.neurons import OVER_TIME
from spikelet.nn.times_constant import TimesConstant
from spikelet.quant.grid import round_to_grid

WRITES = {
    "mul_", "__imul__", "multiply_", "div_", "__itruediv__", "divide_", "true_divide_", "add_", "__iadd__", "sub_",
    "__isub__",
}  # fmt: skip
TIMES = {"mul", "__mul__", "__rmul__", "multiply", "mul_", "__imul__", "multiply_"}
PLUS = {"add", "__add__", "__radd__", "sub", "__sub__", "__rsub__", "add_", "__iadd__", "sub_", "__isub__"}
OVER = {"div", "__truediv__", "divide", "true_divide", "div_", "__itruediv__", "divide_", "true_divide_"}
FINEST = 2.0**16
Call = Callable[..., Any]


class Products(TorchFunctionMode):
    """Takes the products of a run.

    Args:
        times: what makes them; None where they are only to be found.
    """

    def __init__(self, times: TimesConstant | None) -> None:
        super().__init__()
        self.times = times
        self.found = False
        self.inside = 0
        self.made = WeakTensorKeyDictionary()  # tensors that come from the image
        self.numbers: dict[float, Tensor] = {}
        self.rounded = WeakTensorKeyDictionary()  # constants on the grid, one for each

    def mark(self, tree: Any) -> None:
        """Notes that the tensors of `tree` come from the image."""
        self.made.update(dict.fromkeys(tensors_in(tree), True))

    def __torch_function__(
        self, func: Call, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self.inside or not any(t in self.made for t in tensors_in((args, kwargs))):
            return func(*args, **kwargs)
        target = args[0] if func.__name__ in WRITES else None
        if target is not None and target not in self.made:  # a constant, which may be read again before it is written
            args = (target.clone(), *args[1:])
        pair = self._pair(func.__name__, args, kwargs)
        added = args if pair is not None or func.__name__ not in PLUS else tuple(map(self._on_grid, args))
        self.found |= pair is not None or any(one is not other for one, other in zip(args, added, strict=True))
        if pair is None or self.times is None:
            output = func(*args, **kwargs) if self.times is None else func(*added, **kwargs)
        else:
            with self:  # a module's call is not taken by the mode that makes it, but by those around
                output = self.layer(self.times, self.times.__call__, pair, {})
        if target is not None and output is not target:
            target[...] = output
            output = target
        self.mark(output)
        return output

    def _on_grid(self, operand: Any) -> Any:
        """An operand of a sum, on the grid of currents where it is a constant that integers don't hold."""
        if self.times is not None and self.times.training:
            return operand
        if isinstance(operand, float):
            return operand if (operand * FINEST).is_integer() else float(round_to_grid(torch.tensor(operand)))
        constant = isinstance(operand, Tensor) and operand not in self.made and operand.is_floating_point()
        if not constant or _is_exact(operand):
            return operand
        if operand not in self.rounded:
            self.rounded[operand] = round_to_grid(operand.detach())
        return self.rounded[operand]

    def layer(self, module: nn.Module, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a layer gives, whose own code is not looked at."""
        self.inside += 1
        try:
            output = call(*args, **kwargs)
        finally:
            self.inside -= 1
        self.mark(output)
        return output

    def _pair(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, Tensor] | None:
        """A tensor of the image and the constant that it is multiplied by; None for any other function."""
        if len(args) != 2 or kwargs or name not in TIMES | OVER:
            return None
        left, right = args
        if name in TIMES and isinstance(right, Tensor) and right in self.made:
            left, right = right, left
        if not isinstance(left, Tensor) or left not in self.made or not left.is_floating_point():
            return None
        if isinstance(right, Tensor) and (right in self.made or not right.is_floating_point()):
            return None
        if isinstance(right, Tensor):
            constant = right if name in TIMES else 1 / right
            stays = _is_exact(constant) if name in TIMES else _is_power_of_two(constant)
            return None if stays or constant.dim() > left.dim() else (left, constant)
        number = self._number(name, right)
        return None if number is None else (left, number)

    def _number(self, name: str, right: Any) -> Tensor | None:
        if not isinstance(right, int | float) or right == 0 or float(right).is_integer() or not math.isfinite(right):
            return None
        factor = float(right) if name in TIMES else 1 / float(right)
        if abs(math.frexp(factor)[0]) == 0.5:
            return None
        return self.numbers.setdefault(factor, torch.tensor(factor, dtype=torch.float64))


def _is_exact(constant: Tensor) -> bool:
    """Whether integers hold it: multiples of 2^-16, or one power of two."""
    if _is_power_of_two(constant):
        return True
    values = constant.detach().double()
    scaled = values * FINEST
    return bool((scaled == scaled.round()).all()) and bool((values.abs() < 2**15).all())


def _is_power_of_two(constant: Tensor) -> bool:
    """Whether it is one number, and that a power of two or its negative."""
    return constant.numel() == 1 and abs(math.frexp(float(constant.detach()))[0]) == 0.5


def _is_ours(module: nn.Module) -> bool:
    """Whether a module computes on the grid by itself: a layer of ours, or a neuron, also one made for a conversion."""
    return type(module).__module__.startswith(("spikelet.nn.", "spikelet.neurons.")) or isinstance(module, OVER_TIME)


@contextmanager
def products(net: nn.Module, image: Tensor, times: TimesConstant | None) -> Iterator[Products]:
    """Inside, the products of what `net` does with `image` and constants are taken by `times`."""
    found = Products(times)
    found.mark(image)
    layers = {m: found.layer for m in net.modules() if _is_ours(m)}
    with called_through(layers), found:
        yield found
