"""Function calls inside of a network, each with a place, and modules that are called in their stead.

A place is the innermost module whose code makes the call, the function's name, and how many calls of both came before
in the pass:

    Place("layer1.0", "relu", 1)      the second relu in the code of layer1.0

The network's own code is kept as it is: a TorchFunctionMode sees its calls of torch's functions, forward hooks see
whose code runs. So an activation that is no module (`F.relu(x)`, `x.relu()`, a function that a module holds) can be
replaced as one that is; a module that is called several times in a pass (`SharedModule`) is replaced call by call.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, handle_torch_function, has_torch_function
from torch.utils.hooks import RemovableHandle

from spikelet.base.errors import ConversionError
from spikelet.conversion.wrapper import Wrapper
from spikelet.lowering.trace import tensors
from spikelet.nn.hooks import hooks

Function = Callable[..., Any]
READ = {"scaled_dot_product_attention": 3, "matmul": 2, "__matmul__": 2, "bmm": 2}  # tensors read, where not one


@dataclasses.dataclass(frozen=True, order=True)
class Place:
    """Where a network calls a function. See the module's description."""

    owner: str
    function: str
    number: int

    def __str__(self) -> str:
        which = f" (call {self.number + 1})" if self.number else ""
        return f"{self.owner or 'the model'}: {self.function}{which}"


Answer = Callable[[Place, Function, tuple[Any, ...], dict[str, Any]], Any]


class Calls(TorchFunctionMode):
    """Answers for calls of functions that the code of `net` makes.

    Args:
        net: whose modules' code is meant.
        functions: names of the functions.
        answer: takes a place, the function and its arguments, and returns what the call is to return.
    """

    def __init__(self, net: nn.Module, functions: Collection[str], answer: Answer) -> None:
        super().__init__()
        self.net, self.functions, self.answer = net, functions, answer
        self.owners: list[str] = [""]
        self.made: Counter[tuple[str, str]] = Counter()

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """One forward pass of the network."""
        handles = (h for name, m in self.net.named_modules() if name for h in self._watch(name, m))
        with hooks(handles), self:
            yield

    def _watch(self, name: str, module: nn.Module) -> tuple[RemovableHandle, RemovableHandle]:
        def enter(module: nn.Module, args: Any) -> None:
            self.owners.append(name)

        def leave(module: nn.Module, args: Any, output: Any) -> None:
            self.owners.pop()

        return module.register_forward_pre_hook(enter), module.register_forward_hook(leave, always_call=True)

    def __torch_function__(
        self, func: Function, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name not in self.functions:
            return func(*args, **kwargs)
        owner = self.owners[-1]
        place = Place(owner, name, self.made[owner, name])
        self.made[owner, name] += 1
        return self.answer(place, func, args, kwargs)


class SharedModule(Wrapper):
    """A module that is called several times in a pass: each call is one of the function `called_module`.

    Args:
        inner: the module.
    """

    inside = "inner"

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """What the inner module gives."""
        return called_module(x, self.inner)


def called_module(x: Tensor, module: nn.Module) -> Tensor:
    """module(x), in one call that a TorchFunctionMode sees."""
    if has_torch_function((x,)):
        return handle_torch_function(called_module, (x,), x, module)
    return module(x)


class Unseen(nn.Module):
    """What stays of a module all of whose calls have stand-ins."""

    def forward(self, x: Tensor) -> Tensor:
        """Raises ConversionError: this call was not there when the stand-ins were made."""
        raise ConversionError(
            "a shared activation is called more often in this pass than in those that calibrated it. Calibrate on "
            "batches that take every path of the network."
        )


class Substituted(nn.Module):
    """A network in which modules answer for some calls of functions.

    Args:
        net: the network, which is called with the same arguments and returns the same things.
        stand_ins: a module for each place; it is given the tensors that the function reads (the first, or as many as
            READ says).
    """

    def __init__(self, net: nn.Module, stand_ins: Mapping[Place, nn.Module]) -> None:
        super().__init__()
        self.net = net
        self.places = tuple(stand_ins)
        self.stand_ins = nn.ModuleList(stand_ins.values())

    def by_place(self) -> dict[Place, nn.Module]:
        """The stand-in of each place."""
        return dict(zip(self.places, self.stand_ins, strict=True))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the network returns."""
        return self.run(args, kwargs, (), plain_call)

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any], functions: Collection[str], otherwise: Answer) -> Any:
        """What the network returns where `otherwise` answers for calls of `functions` without a stand-in."""
        stand_ins = self.by_place()

        def answer(place: Place, function: Function, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
            if place not in stand_ins:
                return otherwise(place, function, given, named)
            return stand_ins[place](*list(tensors((given, named)))[: READ.get(place.function, 1)])

        with Calls(self.net, {*functions, *(p.function for p in self.places)}, answer).on():
            return self.net(*args, **kwargs)


def plain_call(place: Place, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the function itself returns: the answer that changes nothing."""
    return function(*args, **kwargs)


def substituted(model: nn.Module, stand_ins: Mapping[Place, nn.Module]) -> nn.Module:
    """`model` with more stand-ins; itself where it has none and gets none."""
    if isinstance(model, Substituted):
        made = Substituted(model.net, {**model.by_place(), **stand_ins})
    elif stand_ins:
        made = Substituted(model, stand_ins)
    else:
        return model
    made.training = model.training  # its modules have theirs, which train() would lose
    return made
