"""One neuron in several places of a loop, with states of its own in each, as snnTorch's `self.lif` behind every layer.

    spk1, mem1 = self.lif(self.fc1(x), mem1)
    spk2, mem2 = self.lif(self.fc2(spk1), mem2)

Each place gets neurons of its own with states of their own; constants that are learned stay one and the same. That
there are several places is found in the first pass, where the neuron is handed states of zeros once more. From then on
a call belongs to the place whose states it hands on.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from spikelet.interop.lockstep import LoopRefused
from spikelet.interop.membranes import Membrane
from spikelet.interop.swap import put


class SeveralPlaces(LoopRefused):
    """Raised where a neuron, `neurons` by name, stands in one more place of the loop."""

    def __init__(self, neurons: str) -> None:
        super().__init__(
            f"net.{neurons}: stands in several places of the loop. Make a neuron for each of them, or hand it a "
            "membrane for each."
        )
        self.neurons = neurons


class Places(nn.Module):
    """Neurons for each place in which the same neuron stands; only a loop calls them.

    Args:
        neurons: those of the first place.
    """

    def __init__(self, neurons: nn.Module) -> None:
        super().__init__()
        self.copies = nn.ModuleList([neurons])
        self.order: list[int] = []  # the places of the last run, call by call

    def add(self) -> None:
        """Makes one more place, whose parameters are those of the first."""
        first = self.copies[0]
        self.copies.append(copy.deepcopy(first, {id(p): p for p in first.parameters()}))

    def __getattr__(self, name: str) -> Any:
        """What the neuron has, such as `init_leaky`."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            copies: Any = super().__getattr__("copies")
            return getattr(copies[0], name)

    def chosen(self, states: list[Any], has_run: Callable[[nn.Module], bool]) -> int | None:
        """The place whose states are handed on, or the first that has not run; None where all have."""
        if not any(map(has_run, self.copies)):
            self.order = []
        units = [given.unit for given in states if isinstance(given, Membrane)]
        fits = (lambda neurons: neurons is units[0]) if units else (lambda neurons: not has_run(neurons))
        found = next((i for i, neurons in enumerate(self.copies) if fits(neurons)), None)
        if found is not None:
            self.order.append(found)
        return found

    def forward(self, x: Tensor, *states: Any) -> Any:
        """Raises LoopRefused: outside of a loop nothing says which place it is."""
        raise LoopRefused("a neuron of several places is called outside of a loop over time.", has_no_loop=True)


def spread(net: nn.Module, name: str) -> None:
    """Gives the neuron of `net` called `name` one more place."""
    neurons = net.get_submodule(name)
    places = neurons if isinstance(neurons, Places) else Places(neurons)
    places.add()
    put(net, neurons, places)
