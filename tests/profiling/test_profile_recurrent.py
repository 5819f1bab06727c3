"""Neurons with feedback: a module's profile counts the spikes and updates that its integer graph has."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import spikelet
from spikelet.neurons import LIF, LIFParams
from spikelet.nn import Conv2d, Encode, Linear, Recurrent
from spikelet.profiling import profile, profile_graph
from spikelet.quant import Uniform

T = 4


class Speech(nn.Module):
    """Pixels, neurons that read their own spikes, a readout."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = Encode()
        self.conv = Conv2d(1, 3, 3, quantizer=Uniform(4), padding=1)
        self.loop = Recurrent(LIF(T, LIFParams(threshold=0.25)), Conv2d(3, 3, 3, quantizer=Uniform(4), padding=1))
        self.fc = Linear(3 * 25, 2, quantizer=Uniform(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.loop(self.conv(self.encode(x))).flatten(2)).mean(0)


def test_neurons_with_feedback_are_counted_as_their_graph_counts_them():
    torch.manual_seed(0)
    model = Speech().eval()
    x = torch.randint(0, 256, (6, 1, 5, 5), dtype=torch.uint8)
    graph = spikelet.lower(model, x[:1])
    assert spikelet.verify(graph, model, [(x, torch.zeros(6, dtype=torch.long))]).mismatches == 0
    (ours,) = profile(model, [x]).neurons
    (theirs,) = profile_graph(graph, x.numpy()).neurons
    assert ours.name == "loop.neuron"
    assert (ours.shape, ours.time_steps, ours.spikes) == (theirs.shape, T, theirs.spikes)
    assert 0.02 < ours.spikes / (T * 75) < 0.9
    with torch.no_grad():
        current = model.conv(model.encode(x))
        spikes = model.loop(current)
        assert torch.equal(model.loop.neuron.trace(model.loop.currents(current, spikes)).spikes, spikes)
    assert ours.membrane_updates is not None
    assert 0 < ours.membrane_updates <= T * 75
