"""A SpikingJelly neuron whose threshold is infinite, which a network reads by its membrane: `lif.v`, or `lif.v_seq`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.neurons import Integrator


class NeverFires(nn.Module):
    """Membranes of a current, to be read until the network's forward ends, and no spikes.

    Args:
        integrator: gives the membranes.
        name: for errors.
        per_step: whether the code sees one step, so that `v` is the membrane of each where all of them run at once.
    """

    def __init__(self, integrator: Integrator, name: str, *, per_step: bool) -> None:
        super().__init__()
        self.integrator, self.name, self.per_step = integrator, name, per_step
        self.membranes: Tensor | None = None
        self.at: int | None = None  # the step that a loop has reached

    def forward(self, x: Tensor) -> Tensor:
        """Zeros for a current [T, B, ...]."""
        membranes: Tensor = self.integrator(x)
        self.membranes, self.at = membranes, None
        return torch.zeros_like(membranes)

    @property
    def v_seq(self) -> Tensor:
        """The membranes [T, B, ...]. Raises ConversionError before the neuron has run."""
        if self.membranes is None:
            raise ConversionError(f"{self.name}: its membrane is read before it has run in this forward pass.")
        return self.membranes

    @property
    def v(self) -> Tensor:
        """The membrane of the last step that has run, [B, ...]; of all steps where code of one step runs once."""
        if self.at is None and self.per_step:
            return self.v_seq
        return self.v_seq[-1 if self.at is None else self.at]

    def forget(self) -> None:
        """Drops the membranes: no neuron keeps a state between calls."""
        self.membranes = self.at = None

    def reset(self) -> None:
        """Nothing: it starts from zeros in every forward pass."""
