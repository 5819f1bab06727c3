"""Into which tensors a function writes, and where tensors lie in memory, of which views share parts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from spikelet.interop.steps import tensors_in
from spikelet.nn.storage import storage

Call = Callable[..., Any]
FRESH = {f"{name}_like" for name in ("zeros", "ones", "full", "empty")} | {
    f"new_{name}" for name in ("zeros", "ones", "full", "empty", "tensor")
} | {"clone"}  # each call gives a tensor to be written into  # fmt: skip
ZEROS = {"zeros_like", "new_zeros"}
ZEROS_STAY = {
    "__getitem__",
    "to",
    "float",
    "double",
    "clone",
    "detach",
    "expand",
    "repeat",
    "view",
    "reshape",
    "unsqueeze",
}
RESHAPES = {"unsqueeze_": torch.unsqueeze, "squeeze_": torch.squeeze}  # they write no numbers
DATA = getattr(Tensor.data, "__set__")  # noqa: B009  # x.data = ...
DRAWS = {
    "bernoulli",
    "poisson",
    "normal",
    "binomial",
    "multinomial",
    "rand_like",
    "randn_like",
    "randint_like",
    "rand",
    "randn",
}
IN_PLACE = {"__iadd__", "__isub__", "__imul__", "__itruediv__", "__iand__", "__ior__", "__setitem__"}
TWINS: dict[str, Call] = {
    "__iadd__": torch.add, "add_": torch.add, "__isub__": torch.sub, "sub_": torch.sub, "__imul__": torch.mul,
    "mul_": torch.mul, "__itruediv__": torch.div, "div_": torch.div, "relu_": torch.relu,
}  # what makes a new tensor of what these write into their first argument  # fmt: skip


def written(func: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors that a function writes into."""
    name = getattr(func, "__name__", "")
    by_name = name not in RESHAPES and ((name.endswith("_") and not name.endswith("__")) or name in IN_PLACE)
    in_place = by_name or func == DATA or _given(func, "inplace", args, kwargs)
    return tensors_in([args[:1] if in_place else (), kwargs.get("out")])


def _given(func: Call, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The argument `name` of a call of `func`, or None."""
    if name in kwargs:
        return kwargs[name]
    at = _position(func, name)
    return args[at] if at is not None and at < len(args) else None


@functools.cache
def _position(func: Call, name: str) -> int | None:
    code = getattr(func, "__code__", None)  # of a function of Python, as those with inplace= are
    return code.co_varnames.index(name) if code and name in code.co_varnames[: code.co_argcount] else None


class Zeros:
    """Tensors of zeros that code makes in the shape of others, whose numbers nobody has to look at."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[Tensor, int]] = {}  # the tensors themselves, so that their ids stay theirs

    def made(self, func: Call, read: list[Tensor], output: Any) -> None:
        """Notes what `func` gave for the tensors `read`, if it is of zeros."""
        name = getattr(func, "__name__", "")
        if isinstance(output, Tensor) and (name in ZEROS or (name in ZEROS_STAY and all(t in self for t in read))):
            self.known[id(output)] = output, version_of(output)

    def __contains__(self, tensor: Any) -> bool:
        return isinstance(tensor, Tensor) and self.known.get(id(tensor), (None, -1))[1] == version_of(tensor)


def version_of(tensor: Tensor) -> int:
    """How often a tensor was written into; 0 in inference mode, where nobody counts."""
    return 0 if tensor.is_inference() else tensor._version


def memory(tensor: Tensor) -> Any:
    """What two tensors have alike that are the same view of the same numbers."""
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride()


def extent(tensor: Tensor) -> tuple[int, int]:
    """The first byte of a tensor, and the one behind its last."""
    size = tensor.element_size()
    first = int(tensor.storage_offset()) * size
    if not tensor.numel():
        return first, first
    steps = sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return first, first + (steps + 1) * size


def overlap(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors share an element, as steps of a tensor whose last axis is time do not."""
    if storage(one) != storage(other):
        return False
    seen = torch.zeros(one.untyped_storage().nbytes() // one.element_size(), dtype=torch.bool)
    seen.as_strided(one.shape, one.stride(), int(one.storage_offset())).fill_(True)
    return bool(seen.as_strided(other.shape, other.stride(), int(other.storage_offset())).any())
