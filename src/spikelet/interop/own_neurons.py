"""A user's own neurons, which no library knows, converted by their parameters.

    from_spikingjelly(net, time_steps=4, neurons={MyLIF: LIFParams(leak=0.5, threshold=0.25)})
    from_snntorch(net, time_steps=4, neurons={MyLIF: lambda neuron: LIFParams(leak=1 - 1 / neuron.tau)})

Every module of the class becomes LIF with these constants. That this is what it computes nobody checks but
`model.compare(batches)`, which runs both. A neuron that is handed its states, `spikes, membrane = neuron(x, membrane)`,
may be handed them on from step to step; what they hold nobody may look at, as only the user knows what it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.base.strict_json import shown
from spikelet.interop.layers import Rule
from spikelet.interop.lockstep import LoopRefused
from spikelet.interop.membranes import Membrane, require_initial
from spikelet.interop.site import Site
from spikelet.interop.stateless import StatelessLIF
from spikelet.neurons import LIF, LIFParams
from spikelet.nn import Recurrent

Parameters = LIFParams | Callable[[Any], LIFParams]
OwnNeurons = Mapping[type[nn.Module], Parameters]
"""Constants by class: one set for all, or a function of the module."""


def own_neurons(neurons: OwnNeurons | None) -> dict[type[nn.Module], Parameters]:
    """The classes of `neurons` and their parameters; None has none.

    Raises:
        ConversionError: it does not map classes of modules to parameters.
    """
    if not isinstance(neurons, Mapping | None):
        raise ConversionError(
            "neurons must be a dictionary such as {MyLIF: LIFParams(leak=0.5, threshold=0.25)}, from a class of yours "
            f"to its constants, got {shown(neurons)}."
        )
    for cls, given in (neurons or {}).items():
        if not (isinstance(cls, type) and issubclass(cls, nn.Module)) or not (
            isinstance(given, LIFParams) or callable(given)
        ):
            raise ConversionError(
                "neurons must map a class of yours to LIFParams(...), or to a function that makes them of a module, "
                f"got {cls!r}: {given!r}."
            )
    return dict(neurons or {})


def rule_of(given: Parameters) -> Rule:
    """The rule of a class with these parameters."""

    def rule(module: nn.Module, site: Site) -> nn.Module:
        params = given if isinstance(given, LIFParams) else given(module)
        if not isinstance(params, LIFParams):
            raise ConversionError(
                f"{site.name}: neurons={{{type(module).__name__}: ...}} must give LIFParams, got {params!r}."
            )
        lif = StatelessLIF(site.time_steps, params)
        states = _states(module)
        return HandsOn(lif, site.name, states) if states else lif

    return rule


def _states(module: nn.Module) -> int:
    """How many tensors besides its current the module's forward may be handed."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds for p in inspect.signature(module.forward).parameters.values()) - 1


class HandsOn(nn.Module):
    """Neurons called as `spikes, state, ... = neuron(current, state, ...)`.

    Args:
        lif: the neurons.
        name: for errors.
        states: how many there are.
    """

    def __init__(self, lif: StatelessLIF, name: str, states: int) -> None:
        super().__init__()
        self.lif: nn.Module = lif
        self.name, self.states = name, states

    def forward(self, x: Tensor, *states: Any) -> tuple[Any, ...]:
        """Spikes of a current [T, B, ...], and states that can only be handed on.

        Raises:
            ConversionError: a state is not zero.
        """
        require_initial(*states, name=self.name)
        return self.lif(x), *(Membrane(self, self._refused, which=i) for i in range(self.states))

    def fed_back_by(self, synapses: nn.Module) -> None:
        """Gives the neurons feedback through these synapses."""
        assert isinstance(self.lif, LIF), "feedback is given once"
        self.lif = Recurrent(self.lif, synapses).train(self.training)

    def reset(self) -> None:
        """Nothing: no neuron keeps a state."""

    def _refused(self) -> Tensor:
        raise LoopRefused(
            f"{self.name}: the network returns or computes with a state of a neuron of its own, which a converted one "
            "does not give. Use its spikes."
        )
