"""Records what a module does to an example: leaf modules and tensor functions, in order.

The model runs once, eagerly, on the example. A forward hook sees every leaf module (a layer that
lowering knows); a TorchFunctionMode sees every tensor function outside leaf modules. Python composition,
control flow on shapes, residual adds and reshapes need no special care: only what really ran is recorded.
A function that makes a tensor from one that came from the input is an operation; anything else, such as
a look at a shape, is plain Python. A write by index, `record[t] = x`, is an operation that makes the tensor anew. Three
things leave no call behind and are noted in words: a tensor written after it was made through a view or `.data` and
read again, a constant changed after it was used, and a branch on a tensor's value.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spikelet.base.errors import RunError, names_its_place
from spikelet.base.python_values import BRANCHES, TAKES_NUMBERS
from spikelet.nn.evaluation import evaluation_mode
from spikelet.nn.hooks import hooks
from spikelet.nn.storage import storage

READY_MADE = ("torch.nn.", "spikelet.nn.", "spikelet.neurons.")  # where layers live
HOLDERS = (nn.ParameterList, nn.ParameterDict)  # ready-made too, but called by nobody
IN_PLACE = {"__iadd__", "__isub__", "__imul__", "__itruediv__", "__setitem__"}


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """One recorded operation.

    target: the leaf module, or the function's name ("add", "flatten", ...).
    where: the module's full name, for errors.
    inputs: values read, as numbers of earlier calls (0 is the input).
    args, kwargs: everything passed, tensors included.
    output: the tensor made.
    function: what ran, for a function; None for a module.
    index: which of the tensors it made, as `chunk` makes several.
    traced: for each tensor of `read`, whether it came from the input; the others are constants.
    """

    target: nn.Module | str
    where: str
    inputs: tuple[int, ...]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Tensor
    function: Callable[..., Any] | None = None
    index: int = 0
    traced: tuple[bool, ...] = ()

    @property
    def read(self) -> list[Tensor]:
        """Every tensor passed, constants among them, in order."""
        return list(tensors((self.args, self.kwargs)))

    def named(self, what: str) -> str:
        """A name for a node of this call that is not the module itself: `block.add`."""
        return f"{self.where}.{what}" if self.where else what

    @property
    def place(self) -> str:
        """The call in an error's words, such as "features.0 (Conv2d)"."""
        what = self.target if isinstance(self.target, str) else type(self.target).__name__
        return f"{self.where or 'the model'} ({what})"


def leaves(types: Container[type[nn.Module]]) -> Callable[[nn.Module], bool]:
    """Which modules to record as one call: layers of `types`, and unknown ones (is_unknown_layer).

    All others are looked into: what they do must be made of such layers and of tensor functions.
    """
    return lambda module: type(module) in types or is_unknown_layer(module)


def is_unknown_layer(module: nn.Module) -> bool:
    """Whether a module has parameters, no children, and a ready-made layer among its bases.

    One that is a plain nn.Module is its author's code, whose parameters are constants as those of a network are, and
    so are those of a ParameterList.
    """
    if isinstance(module, HOLDERS):
        return False
    ready_made = (base for base in type(module).__mro__ if base.__module__.startswith(READY_MADE))
    is_layer = any(base is not nn.Module for base in ready_made)
    return is_layer and not list(module.children()) and next(module.parameters(), None) is not None


@dataclasses.dataclass(frozen=True, eq=False)
class Trace:
    """What a module did: the calls in order, what it returned, and what calls can't show, each with its place.

    number: of the call that made a tensor, by the tensor's id; 0 is the input.
    """

    calls: list[Call]
    output: Any
    unseen: list[str]
    number: dict[int, int]
    is_open: bool = False  # whether numbers were taken out of tensors or drawn at random, on which calls may depend


class _Recorder(TorchFunctionMode):
    def __init__(self, example: Tensor) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.unseen: list[str] = []
        self.number = {id(example): 0}
        self.version = {id(example): _version(example)}  # of each numbered tensor; it counts writes, views' too
        self.keep: list[Tensor] = [example]  # ids stay unique while the tensors live
        self.constants: list[tuple[Tensor, int, str]] = []  # read beside numbered tensors: version then, and where
        self.written: set[int] = set()  # memory of constants that the forward wrote into, and that may have views
        self.stack: list[str] = [""]
        self.is_open = False
        self.inside_leaf = 0

    def record(
        self,
        target: nn.Module | str,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        output: Any,
        function: Callable[..., Any] | None = None,
    ) -> None:
        read = list(tensors((args, kwargs)))
        traced = tuple(id(a) in self.number for a in read)
        inputs = tuple(self.number[id(a)] for a in read if id(a) in self.number)
        if not inputs:
            return
        constants = [a for a in read if id(a) not in self.number]
        self.constants += [(a, _version(a), self.stack[-1]) for a in constants]
        if any(storage(a) in self.written for a in constants):
            self.note("a tensor is written after it was made, by index or through a view, and read through another")
        for index, tensor in enumerate(tensors(output)):
            if id(tensor) in self.number and isinstance(target, nn.Module):
                continue  # an identity-like leaf returned its input
            call = Call(target, self.stack[-1], inputs, tuple(args), kwargs, tensor, function, index, traced)
            self.calls.append(call)
            if self._is_written(target, tensor):
                self.written.add(storage(tensor))
            self.keep.append(tensor)
            self.number[id(tensor)] = len(self.calls)
            self.version[id(tensor)] = _version(tensor)

    def _is_written(self, target: nn.Module | str, tensor: Tensor) -> bool:
        """Whether a function has just written into a constant."""
        return isinstance(target, str) and _in_place(target) and id(tensor) not in self.number

    def check(self, *read: Any) -> None:
        """Notes every tensor of `read` that was written after it was made."""
        for tensor in tensors(read):
            if self.version.get(id(tensor), _version(tensor)) != _version(tensor):
                self.note("a tensor is written after it was made, by index or through a view, and read again")
                self.version[id(tensor)] = _version(tensor)

    def check_constants(self) -> None:
        """Notes every constant that was written after a call had read it."""
        for tensor, version, where in self.constants:
            if _version(tensor) != version:
                self.unseen.append(
                    f"{where or 'the model'}: a constant tensor is changed after it was used; use a copy"
                )

    def note(self, what: str) -> None:
        """Records `what` with the name of the running module; lowering refuses the model with this sentence."""
        self.unseen.append(f"{self.stack[-1] or 'the model'}: {what}")

    def watch(self, func: Callable[..., Any], name: str, args: Sequence[Any]) -> None:
        """Notes what makes no call: a branch, and the way around the count of writes."""
        if not any(id(tensor) in self.number for tensor in tensors(args)):
            return
        self.is_open |= name in TAKES_NUMBERS
        if name in BRANCHES:
            self.note("a branch depends on a tensor's value, and integers can't follow the other one")
        if name in ("__get__", "__set__") and getattr(func, "__self__", None) is torch.Tensor.data:  # type: ignore[comparison-overlap]
            self.note("`.data` of a tensor is used, through which it may change unseen; use .detach()")

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", str(func))
        if self.inside_leaf:
            return func(*args, **kwargs)
        by_index = name == "__setitem__"
        self.check(args[1:] if by_index and self._ends_a_write(args) else args, kwargs)
        self.watch(func, name, args)
        known = self._as_it_was(name, args)
        output = func(*args, **kwargs)
        self.record(name, known, kwargs, args[0] if by_index else output, func)
        return output

    def _ends_a_write(self, args: tuple[Any, ...]) -> bool:
        """Whether `record[i] = part` puts back a view of `record` that was written last, as `record[i] += x` does."""
        record, part = args[0], args[-1]
        if not (isinstance(part, Tensor) and id(part) in self.number and id(record) in self.number):
            return False
        return storage(part) == storage(record) and self.version[id(part)] == _version(record)

    def _as_it_was(self, name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """`args`, with a copy of a constant that the function is about to write into."""
        if not (_in_place(name) and args and isinstance(args[0], Tensor)) or id(args[0]) in self.number:
            return args
        return (args[0].clone(), *args[1:])


def _in_place(name: str) -> bool:
    return (name.endswith("_") and not name.endswith("__")) or name in IN_PLACE


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


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
def trace(
    model: nn.Module,
    example: Tensor,
    is_leaf: Callable[[nn.Module], bool],
    mode: Callable[[nn.Module], AbstractContextManager[None]] = evaluation_mode,
) -> Trace:
    """Runs `model(example)` and records it, inside of `mode(model)`: in evaluation, and the model's modes are put back
    after.

    Raises:
        RunError: the forward fails; names the layer.
    """
    recorder, generator = _Recorder(example), torch.get_rng_state()
    handles = (h for name, m in model.named_modules() for h in _watch(name, m, recorder, is_leaf(m)))
    with hooks(handles), mode(model), recorder:
        try:
            output = model(example)
        except torch.OutOfMemoryError:
            raise
        except Exception as e:
            if names_its_place(e):
                raise
            raise RunError(f"{recorder.stack[-1] or type(model).__name__}: {e}{_of_five_axes(e)}") from e
        recorder.check(output)
        recorder.check_constants()
    drawn = not torch.equal(generator, torch.get_rng_state())
    return Trace(recorder.calls, output, recorder.unseen, recorder.number, recorder.is_open or drawn)


def _of_five_axes(error: Exception) -> str:
    """The way out where a layer of torch for maps [B, C, H, W] refused the axis of time."""
    if not re.search(r"[Ee]xpected 3D or 4D|3D or 4D \(batch mode\) tensor expected", str(error)):
        return ""
    return (
        " (Layers of torch take maps without an axis of time: x.flatten(0, 1) before it and .unflatten(0, (T, -1)) "
        "behind; spikelet.nn.MaxPool2d and SumPool2d take it.)"
    )


def _watch(name: str, module: nn.Module, recorder: _Recorder, leaf: bool) -> list[Any]:
    def before(m: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        recorder.stack.append(name)
        recorder.check(args, kwargs)
        recorder.inside_leaf += leaf

    def after(m: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        recorder.inside_leaf -= leaf
        # Code that no torch function shows, such as an autograd.Function: the module that holds it takes the blame.
        hidden = bool(name) and any(id(t) not in recorder.number for t in tensors(output))
        if (leaf or hidden) and not recorder.inside_leaf:
            recorder.record(m, args, kwargs, output)
        recorder.stack.pop()

    return [
        module.register_forward_pre_hook(before, with_kwargs=True),
        module.register_forward_hook(after, with_kwargs=True, prepend=True),  # a user's hook is no part of the layer
    ]
