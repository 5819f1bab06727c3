"""Means over a number of values that is no power of two, made exact: a sum, and the rest in the weights that read it.

    W mean(x) = (W f) s,    s = sum(x) / d,    d = the power of two at or above n,    f = d / n

A mean over 7 x 7 positions or T = 10 steps divides by 49 or 10, which binary numbers can't do exactly; s is exact, and
f goes into the float weights of the layers that read the mean. Which means can be taken so, and which layers read them,
is seen in the first forward pass, as n depends on the image's size: a *kind* of mean (its function and axes) every use
of which goes through moves, sums and other means into weights. All others stay as they are. As the last of a network's
operations they are exact anyway, and elsewhere lowering refuses them by name. A layer's own number (scaler.py) goes
into the weights that read it in the same way, f being that number.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spikelet.base.python_values import BRANCHES, TAKES_NUMBERS
from spikelet.base.whole import power_of_two_from
from spikelet.interop.scaler import Scaler
from spikelet.interop.steps import tensors_in
from spikelet.interop.uses import ALIKE_AT_ANY_SCALE
from spikelet.neurons import OVER_TIME
from spikelet.nn import BatchNorm1d, BatchNorm2d, Conv1d, Conv2d, Linear
from spikelet.nn.hooks import hooks

READERS = (Conv1d, Conv2d, Linear)
LEAVES = (*READERS, BatchNorm1d, BatchNorm2d, Scaler, *OVER_TIME)
SCALER = "scaler"
POOLS: dict[str, dict[str, Any]] = {  # their arguments and what these are unless given
    "avg_pool2d": {
        "kernel_size": None, "stride": None, "padding": 0, "ceil_mode": False, "count_include_pad": True,
        "divisor_override": None,
    },
    "adaptive_avg_pool2d": {"output_size": None},
}  # fmt: skip
DIVISIONS = ("div", "__truediv__", "true_divide")
Call = Callable[..., Any]
Kind = tuple[str, str]
"""The function of a mean, and its axes, window or divisor; SCALER and its name for a layer's own number."""


@dataclasses.dataclass(frozen=True)
class Mean:
    """One mean that the network's code takes: its kind, and over how many values."""

    kind: Kind
    n: int


def mean_of(func: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mean | None:
    """The mean that a tensor function takes; None for any other, and for windows of several sizes."""
    name = getattr(func, "__name__", "")
    if not args or not isinstance(args[0], Tensor) or not args[0].is_floating_point():
        return None
    given = [*args[1:], *(value for key, value in kwargs.items() if key != "keepdim")]
    if name == "mean":
        dim = given[0] if given else None
        dims = range(args[0].dim()) if dim is None else (dim,) if isinstance(dim, int) else dim
        return Mean((name, str(dim)), math.prod(args[0].shape[d] for d in dims))
    if name in DIVISIONS and len(given) == 1 and isinstance(given[0], int | float) and _counts(given[0]):
        return Mean(("div", str(given[0])), int(given[0]))
    pool = _pool(name, args, kwargs)
    return None if pool is None else Mean((name, str(pool.given)), math.prod(pool.window))


def _counts(number: float) -> bool:
    return number >= 1 and float(number).is_integer()


@dataclasses.dataclass(frozen=True)
class _Pool:
    """A pool that takes means of windows of one size.

    given: what the network's code asks for.
    stride, padding: as avg_pool2d takes them.
    """

    given: tuple[Any, ...]
    window: tuple[int, int]
    stride: Any
    padding: Any


def _pool(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Pool | None:
    """The pool that a call takes; None for any other call, and for what is no mean of windows of one size."""
    if name not in POOLS or len(args) > 1 + len(POOLS[name]) or set(kwargs) - set(POOLS[name]):
        return None
    given = {**POOLS[name], **dict(zip(POOLS[name], args[1:], strict=False)), **kwargs}
    if name == "avg_pool2d":
        size, stride, padding, *rest = given.values()
        if rest != list(POOLS[name].values())[3:]:
            return None
        window = (size, size) if isinstance(size, int) else (size[0], size[-1])
        return _Pool((size, stride, padding), window, stride, padding)
    (sides,) = given.values()
    sides = (sides, sides) if isinstance(sides, int) else tuple(sides)
    size = args[0].shape[-2:]
    wanted = [have if want is None else want for have, want in zip(size, sides, strict=True)]
    if any(have % want for have, want in zip(size, wanted, strict=True)):
        return None
    window = size[0] // wanted[0], size[1] // wanted[1]
    return _Pool((sides,), window, window, 0)


class ExactMeans(TorchFunctionMode):
    """Takes means as sums over a power of two.

    Args:
        exact: n by the kinds of means that are taken so. Over another number of values, as in one pass of training or
            on images of another size, it is the mean times n over that power of two.
    """

    def __init__(self, exact: Mapping[Kind, int]) -> None:
        super().__init__()
        self.exact = exact

    def __torch_function__(
        self, func: Call, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        mean = mean_of(func, args, kwargs)
        n = None if mean is None else self.exact.get(mean.kind)
        if n is None or mean is None:
            return func(*args, **kwargs)
        if mean.n != n:
            return func(*args, **kwargs) * (n / power_of_two_from(n))
        if mean.kind[0] == "mean":
            return Tensor.sum(*args, **kwargs) / power_of_two_from(n)
        if mean.kind[0] == "div":
            return args[0] / power_of_two_from(n)
        pool = _pool(mean.kind[0], args, kwargs)
        assert pool is not None, "its mean was found"
        divisor = power_of_two_from(n)
        return F.avg_pool2d(args[0], pool.window, pool.stride, pool.padding, divisor_override=divisor)


@dataclasses.dataclass(frozen=True)
class _Scaled:
    """A tensor that holds means: their kinds, and the f that its readers would take."""

    tensor: Tensor
    kinds: frozenset[Kind]
    factor: float


class Watch(TorchFunctionMode):
    """Follows what becomes of every mean."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[int, _Scaled] = {}
        self.counts: dict[Kind, set[int]] = {}
        self.lost: set[Kind] = set()  # what something else than weights uses
        self.reads: list[tuple[str, frozenset[Kind], float]] = []
        self.branches = False  # whether the code looks at numbers, and may do something else with others
        self.inside = 0

    def __torch_function__(
        self, func: Call, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        self.branches |= not self.inside and getattr(func, "__name__", "") in BRANCHES | TAKES_NUMBERS
        output = func(*args, **kwargs)
        if not self.inside:
            self._follow(func, args, kwargs, tensors_in(output))
        return output

    def _follow(self, func: Call, args: Any, kwargs: Any, made: list[Tensor]) -> None:
        read, found, mean = tensors_in((args, kwargs)), self._found((args, kwargs)), mean_of(func, args, kwargs)
        if not made or not (found or mean):
            return
        if mean is not None:
            self.counts.setdefault(mean.kind, set()).add(mean.n)
        alike = len(found) in (0, len(read)) and len({s.factor for s in found}) < 2
        if not alike or (mean is None and func.__name__ not in ALIKE_AT_ANY_SCALE):
            self.lose(found, mean)
            return
        kinds = frozenset[Kind]().union(*(s.kinds for s in found), [mean.kind] if mean else [])
        factor = (found[0].factor if found else 1.0) * (power_of_two_from(mean.n) / mean.n if mean else 1.0)
        self.known.update({id(t): _Scaled(t, kinds, factor) for t in made})

    def _found(self, tree: Any) -> list[_Scaled]:
        return [self.known[id(t)] for t in tensors_in(tree) if id(t) in self.known]

    def lose(self, found: list[_Scaled], mean: Mean | None = None) -> None:
        """Notes means that are used otherwise than by weights."""
        self.lost.update(*(scaled.kinds for scaled in found), [mean.kind] if mean else [])

    def before(self, name: str, module: nn.Module, inputs: Any) -> None:
        """A layer is about to run."""
        found = self._found(inputs)
        if not self.inside and isinstance(module, READERS):
            self.reads.append((name, found[0].kinds, found[0].factor) if found else (name, frozenset(), 1.0))
        elif not self.inside and not (isinstance(module, Scaler) and module.gain > 0):
            self.lose(found)
        self.inside += 1

    def after(self, name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        """A layer has given `output`."""
        self.inside -= 1
        if self.inside or not (isinstance(module, Scaler) and module.gain > 0):
            return
        found, own = self._found(inputs), (SCALER, name)
        self.counts[own] = {1}
        kinds = frozenset[Kind]().union(*(s.kinds for s in found), [own])
        self.known[id(output)] = _Scaled(output, kinds, (found[0].factor if found else 1.0) * module.gain)

    def returned(self, output: Any) -> None:
        """The network has given `output`."""
        self.lose(self._found(output))

    def exact(self) -> tuple[dict[Kind, int], dict[str, float]]:
        """n of the kinds of means that can be sums, and what the weights of which layers are multiplied by."""
        if self.branches:
            return {}, {}
        lost = self.lost | {kind for kind, n in self.counts.items() if len(n) > 1}
        while True:
            factors: dict[str, set[float]] = {}
            for name, kinds, factor in self.reads:
                factors.setdefault(name, set()).add(1.0 if kinds & lost else factor)
            mixed = {kind for name, kinds, _ in self.reads if len(factors[name]) > 1 or kinds & lost for kind in kinds}
            if mixed <= lost:
                break
            lost |= mixed
        exact = {kind: n for kind, (n,) in ((k, tuple(v)) for k, v in self.counts.items() if k not in lost)}
        used = frozenset[Kind]().union(*(kinds for _, kinds, _ in self.reads))
        exact = {k: n for k, n in exact.items() if k in used and (k[0] == SCALER or n != power_of_two_from(n))}
        return exact, {name: next(iter(found)) for name, found in factors.items() if found != {1.0}}


@contextmanager
def watched_means(net: nn.Module) -> Iterator[Watch]:
    """Follows the means of what `net` does inside of the block."""
    watch = Watch()
    leaves = [(name, module) for name, module in net.named_modules() if isinstance(module, LEAVES)]
    with hooks(handle for name, module in leaves for handle in _hooks(watch, name, module)), watch:
        yield watch


def _hooks(watch: Watch, name: str, module: nn.Module) -> list[Any]:
    def after(m: nn.Module, args: Any, output: Any) -> None:
        watch.after(name, m, args, output)

    return [
        module.register_forward_pre_hook(lambda m, args: watch.before(name, m, args)),
        module.register_forward_hook(after),
    ]
