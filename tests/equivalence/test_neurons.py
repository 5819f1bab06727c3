"""The chain over every neuron of the catalogue: PyTorch = reference = native, whole and as a stream."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikelet.graph.file.artifact import dumps, loads
from spikelet.graph.reference import Reference
from spikelet.lowering import lower
from spikelet.neurons import LIF, LIFParams
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear
from spikelet.quant import Uniform
from spikelet.runtime import Program, kernel_sets
from tests.support.catalogue import BY_CHANNEL, MEMBRANES, PARAMS

T, B, SIDE = 7, 4, 5
SETS = [one.name for one in kernel_sets()]
ALL = PARAMS | {f"channels-{name}": params for name, params in BY_CHANNEL.items()}


class Network(nn.Module):
    """Bytes, a convolution and batch norm to three channels of currents around the thresholds, the neuron, a head."""

    def __init__(self, neuron: LIF) -> None:
        super().__init__()
        self.currents = nn.Sequential(Encode(), Conv2d(2, 3, 3, Uniform(8), padding=1), BatchNorm2d(3))
        self.neuron = neuron
        self.head = Linear(3 * SIDE * SIDE, 4, Uniform(8, per_channel=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.neuron(self.currents(x)).flatten(2)).mean(0)


def frames(seed: int) -> Tensor:
    """Random bytes [T, B, 2, H, W]."""
    return torch.randint(0, 256, (T, B, 2, SIDE, SIDE), generator=torch.Generator().manual_seed(seed)).byte()


@torch.no_grad()
def network(params: LIFParams, membrane: str) -> tuple[Network, Tensor]:
    """The network in evaluation mode, and the frames that its batch norm has the statistics of."""
    torch.manual_seed(3)
    model, x = Network(LIF(T, params, MEMBRANES[membrane]())), frames(0)
    norm = model.currents[2]
    norm.momentum = 1.0  # type: ignore[assignment]
    nn.init.uniform_(norm.bias, 0.0, 0.6)  # type: ignore[arg-type]
    model.currents(x)
    return model.eval(), x


@pytest.mark.parametrize("membrane", ["full", "2-bit", "4-bit", "8-bit"])
@pytest.mark.parametrize("name", ALL)
def test_every_neuron_runs_as_it_evaluates(name: str, membrane: str):
    model, x = network(ALL[name], membrane)
    graph = lower(model, x, time_axis=0)
    graph = loads(dumps(graph))
    with torch.no_grad():
        counts = (model.neuron(model.currents(x)) / model.neuron.value).numpy()
        logits = model(x).double().numpy() / graph.logit_scale
    assert len(np.unique(counts)) > 1
    for backend in (Reference(graph), *(Program(graph, kernels=kernels) for kernels in SETS)):
        assert np.array_equal(backend.spikes(x.numpy())["neuron"], counts)
        assert np.array_equal(backend(x.numpy()), np.round(logits))
        stream = backend.stream()
        state, at = stream.start(B), 0
        for steps in (2, 1, 4):
            y, state = stream(x[at : at + steps].numpy(), state)
            at += steps
        assert np.array_equal(y, np.round(logits))
