"""Records what a module does to an example: leaf modules and tensor functions, in order.

The model runs once, eagerly, on the example. A forward hook sees every leaf module (a layer that
lowering knows); a TorchFunctionMode sees every tensor function outside leaf modules. Python composition,
control flow on shapes, residual adds and reshapes need no special care: only what really ran is recorded.
A function that makes a tensor from one that came from the input is an operation; anything else, such as
a look at a shape, is plain Python.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spikelet.nn.evaluation import evaluation_mode


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """One recorded operation.

    target: the leaf module, or the function's name ("add", "flatten", ...).
    where: the module's full name, for errors.
    inputs: values read, as numbers of earlier calls (0 is the input).
    args, kwargs: everything passed, tensors included.
    output: the tensor made.
    """

    target: nn.Module | str
    where: str
    inputs: tuple[int, ...]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Tensor


class _Recorder(TorchFunctionMode):
    def __init__(self, example: Tensor) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.number = {id(example): 0}
        self.keep: list[Tensor] = [example]  # ids stay unique while the tensors live
        self.stack: list[str] = [""]
        self.inside_leaf = 0

    def record(self, target: nn.Module | str, args: Sequence[Any], kwargs: dict[str, Any], output: Any) -> None:
        inputs = tuple(self.number[id(a)] for a in tensors((args, kwargs)) if id(a) in self.number)
        if not inputs:
            return
        for tensor in tensors(output):
            if id(tensor) in self.number and isinstance(target, nn.Module):
                continue  # an identity-like leaf returned its input
            self.calls.append(Call(target, self.stack[-1], inputs, tuple(args), kwargs, tensor))
            self.keep.append(tensor)
            self.number[id(tensor)] = len(self.calls)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        name = getattr(func, "__name__", str(func))
        if not self.inside_leaf:
            self.record(name, args, kwargs, output)
        return output


def tensors(tree: Any) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists and dictionaries, in order."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, (tuple, list)):
        for item in tree:
            yield from tensors(item)
    elif isinstance(tree, dict):
        yield from tensors(list(tree.values()))


@torch.no_grad()
def trace(model: nn.Module, example: Tensor, is_leaf: Callable[[nn.Module], bool]) -> tuple[list[Call], Tensor]:
    """Runs `model(example)` and returns the calls and the output tensor. The model's modes are put back after."""
    recorder = _Recorder(example)
    hooks = [h for name, m in model.named_modules() for h in _watch(name, m, recorder, is_leaf(m))]
    try:
        with evaluation_mode(model), recorder:
            output = model(example)
    finally:
        for hook in hooks:
            hook.remove()
    return recorder.calls, output


def _watch(name: str, module: nn.Module, recorder: _Recorder, leaf: bool) -> list[Any]:
    def before(m: nn.Module, args: tuple[Any, ...]) -> None:
        recorder.stack.append(name)
        recorder.inside_leaf += leaf

    def after(m: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        recorder.inside_leaf -= leaf
        # Code that no torch function shows, such as an autograd.Function: the module that holds it takes the blame.
        hidden = bool(name) and any(id(t) not in recorder.number for t in tensors(output))
        if (leaf or hidden) and not recorder.inside_leaf:
            recorder.record(m, args, kwargs, output)
        recorder.stack.pop()

    return [
        module.register_forward_pre_hook(before),
        module.register_forward_hook(after, with_kwargs=True),
    ]
