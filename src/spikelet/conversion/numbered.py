"""Numbers the arithmetic that a network's own Python code calls, the same in the network and in its twin.

The functions inside of a layer are not counted: the twin has other layers in their places. What stays is the code
between layers, which both run. Functions without arithmetic are not counted either, as hooks look at tensors too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode

from spikelet.nn.hooks import hooks

ADDS = frozenset(
    {
        "add", "__add__", "__radd__", "__iadd__", "add_", "sub", "__sub__", "__isub__", "sub_", "subtract", "__rsub__",
        "rsub",
    }
)  # fmt: skip
TIMES = frozenset({"mul", "__mul__", "__rmul__", "__imul__", "mul_", "multiply"})
OVER = frozenset({"div", "__truediv__", "__itruediv__", "div_", "divide", "true_divide"})
PRODUCTS = frozenset({"matmul", "__matmul__", "__rmatmul__", "bmm", "mm", "einsum"})
JOINS = frozenset({"cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack"})
MEANS = frozenset({"mean", "avg_pool2d", "adaptive_avg_pool2d"})
MAXIMA = frozenset({"max_pool2d", "boolean_dispatch"})
COUNTED = ADDS | TIMES | OVER | PRODUCTS | JOINS | MEANS | MAXIMA

Act = Callable[[int, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


class InPlace(nn.Module):
    """A module of a twin that stands in the place of a layer; the functions of its code are not counted."""


class _Numbered(TorchFunctionMode):
    def __init__(self, act: Act) -> None:
        super().__init__()
        self.act, self.count, self.inside = act, 0, 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self.inside or getattr(func, "__name__", "") not in COUNTED:
            return func(*args, **(kwargs or {}))
        self.count += 1
        return self.act(self.count, func, args, kwargs or {})


@contextmanager
def numbered(net: nn.Module, is_whole: Callable[[nn.Module], bool], act: Act) -> Iterator[None]:
    """Lets `act(number, function, args, kwargs)` make what each counted function of the block makes, outside of the
    layers of `net` for which `is_whole` holds, and of what stands in a layer's place."""
    mode = _Numbered(act)

    def enter(*_: Any) -> None:
        mode.inside += 1

    def leave(*_: Any) -> None:
        mode.inside -= 1

    def handles() -> Iterator[Any]:
        for module in net.modules():
            if isinstance(module, InPlace) or is_whole(module):
                yield module.register_forward_pre_hook(enter, prepend=True)
                yield module.register_forward_hook(leave, always_call=True)

    with hooks(handles()), mode:
        yield
