"""A layer of neurons that reads its own spikes of the step before.

    I[t] = x[t] + norm(synapses(s[t-1])),   s[-1] = 0
    s[t] = neuron(I[t]),   or neuron(integrator(I[t])) where the synapses leak

With a linear layer it is the recurrent LIF of speech and gesture networks (RLeaky of snnTorch; Cramer et al., "The
Heidelberg Spiking Data Sets", 2020, doi:10.1109/TNNLS.2020.3044364). In the integer graph: delay, linear, affine, add,
lif; only the spikes go round. With an integrator, a charge before the lif, it is RSynaptic.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.neurons.integrator import Integrator
from spikelet.neurons.neuron import Neuron


class Recurrent(nn.Module):
    """Neurons with feedback. See the module's equations.

    Args:
        neuron: the neurons; their T is the layer's.
        synapses: from spikes [1, B, ...] to currents of the same shape: Linear(F, F, quantizer), or a convolution that
            keeps its map's size.
        norm: behind the synapses; None is nothing.
        integrator: what sums up the currents before the neurons; None is nothing.
    """

    def __init__(
        self,
        neuron: Neuron,
        synapses: nn.Module,
        norm: nn.Module | None = None,
        integrator: Integrator | None = None,
    ) -> None:
        super().__init__()
        self.neuron = neuron
        self.synapses = synapses
        self.norm = nn.Identity() if norm is None else norm
        self.integrator = integrator

    def forward(self, x: Tensor) -> Tensor:
        """Current [T or 1, B, ...] -> spikes [T, B, ...]. Raises SpikeletError as the neuron does, and where the
        feedback has another shape."""
        spikes, s = [], None
        v: Tensor | None = None
        summed: Tensor | None = None
        self.neuron.check(x)
        for t in range(self.neuron.time_steps):
            current = x[t : t + 1] if x.shape[0] > 1 else x
            feedback = self.norm(self.synapses(torch.zeros_like(current) if s is None else s))
            if feedback.shape != current.shape:
                raise SpikeletError(
                    f"Recurrent's synapses must keep the shape of its current, {tuple(current.shape)} a step, "
                    f"got {tuple(feedback.shape)}."
                )
            current = current + feedback
            if self.integrator is not None:
                summed = self.integrator.step(current, summed)
                current = summed.to(x.dtype)
            s, v = self.neuron.step(current, v)
            spikes.append(s)
        return torch.cat(spikes)

    def currents(self, x: Tensor, spikes: Tensor) -> Tensor:
        """Currents I [T, B, ...] that the neurons received, from the layer's input and the spikes that it gave.

        It calls the layers' `forward`, so that no hook sees the feedback a second time.
        """
        before = torch.cat([torch.zeros_like(spikes[:1]), spikes[:-1]])
        current = x + self.norm.forward(self.synapses.forward(before))
        return current if self.integrator is None else self.integrator.forward(current)


def spiking_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that make spikes by their full names, as `named_modules` has them: neurons, and those with feedback
    as a whole."""
    modules = dict(model.named_modules())
    inside = {id(part) for loop in modules.values() if isinstance(loop, Recurrent) for part in loop.modules()}
    return {
        name: module
        for name, module in modules.items()
        if isinstance(module, Recurrent) or (isinstance(module, Neuron) and id(module) not in inside)
    }
