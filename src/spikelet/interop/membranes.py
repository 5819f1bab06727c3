"""The membrane that a converted neuron hands back beside its spikes: computed when the code looks at it.

A loop hands it on from step to step, which needs no numbers. Where the network's code computes with it or returns it,
it is the membrane before the step's reset, h of dynamics.py, as snnTorch gives it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.interop.steps import replaced


class Membrane:
    """The membrane of a neuron after one step of a loop, [B, ...], or after all steps, [T, B, ...].

    Args:
        unit: the module that the neuron is in.
        compute: gives the numbers.
        step: of the loop; None for all steps.
        which: of the states that the module hands back, counted from 0: a synapse's current, then the membrane.
    """

    def __init__(
        self, unit: nn.Module, compute: Callable[[], Tensor], step: int | None = None, *, which: int = 0
    ) -> None:
        self.unit, self.tensor, self.step, self.which = unit, compute, step, which

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return func(*computed(args), **computed(kwargs or {}))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.tensor(), name)

    def __getitem__(self, index: Any) -> Tensor:
        return self.tensor()[index]

    def __add__(self, other: Any) -> Tensor:
        return self.tensor() + other

    __radd__ = __add__

    def __mul__(self, other: Any) -> Tensor:
        return self.tensor() * other

    __rmul__ = __mul__

    def __sub__(self, other: Any) -> Tensor:
        return self.tensor() - other

    def __truediv__(self, other: Any) -> Tensor:
        return self.tensor() / other

    def detach(self) -> Membrane:
        """Itself: training cut short through time is still the same forward pass."""
        return self

    detach_ = detach


def computed(tree: Any) -> Any:
    """`tree`, with the numbers of every membrane in its tuples, lists and dictionaries."""
    if isinstance(tree, Membrane):
        return tree.tensor()
    if isinstance(tree, tuple | list):
        return type(tree)(map(computed, tree))
    return {k: computed(v) for k, v in tree.items()} if isinstance(tree, dict) else tree


def holds_membranes(tree: Any) -> bool:
    """Whether there is a membrane in the tuples, lists and dictionaries of `tree`."""
    found: list[Membrane] = []
    replaced(tree, Membrane, found.append)
    return bool(found)


def is_initial(membrane: Any) -> bool:
    """Whether a membrane that the code hands to a neuron's first step is one of zeros: none, no numbers, or all 0."""
    if membrane is None:
        return True
    return isinstance(membrane, Tensor) and (not membrane.numel() or not bool(membrane.detach().any()))


def require_initial(*states: Any, name: str = "") -> None:
    """Raises ConversionError unless each state that a converted neuron is given is one of zeros, or handed on."""
    if not all(isinstance(given, Membrane) or is_initial(given) for given in states):
        place = f"{name}: " if name else ""
        raise ConversionError(f"{place}a converted neuron starts from a membrane of zero, and got another one.")


def no_membrane(self: Any = None) -> Tensor:
    """What `init_leaky` and `reset_mem` give: a converted neuron starts from zeros in every forward pass."""
    return torch.zeros(0)
