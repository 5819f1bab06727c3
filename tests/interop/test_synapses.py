"""Synapses that leak before the membrane does, membranes as answers, and neurons that never fire."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import ConversionError
from spikelet.graph import ir
from spikelet.nn import Linear
from spikelet.quant import Uniform

pytest.importorskip("snntorch", reason="needs snnTorch")
pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
import snntorch as snn
from spikingjelly.activation_based import functional, layer, neuron

T = 6


def dyadic(features: int = 8) -> nn.Linear:
    """Weights that integers hold, so that the grids change nothing."""
    made = nn.Linear(16, features)
    for values in made.parameters():
        nn.init.uniform_(values, -1, 1).data.mul_(16).round_().div_(16)
    return made


class Loop(nn.Module):
    """Steps of one neuron with a synapse; what `answer` makes of spikes, synapse and membrane is stacked."""

    def __init__(self, lif: nn.Module, answer: Any = lambda spk, syn, mem: spk, swapped: bool = False) -> None:
        super().__init__()
        self.fc, self.lif, self.answer, self.swapped = dyadic(), lif, answer, swapped

    def forward(self, x: Tensor) -> Tensor:
        syn, mem = self.lif.init_synaptic()
        answers = []
        for _ in range(T):
            states = (mem, syn) if self.swapped else (syn, mem)
            spk, syn, mem = self.lif(self.fc(x), *states)
            answers.append(self.answer(spk, syn, mem))
        return torch.stack(answers)


def images(batch: int = 6) -> Tensor:
    return torch.randint(0, 256, (batch, 16), dtype=torch.uint8)


def integers(model: nn.Module, x: Tensor) -> ir.IntGraph:
    for module in model.modules():
        if isinstance(module, Linear):
            module.quantizer = Uniform(6, per_channel=False)
    graph = spikelet.lower(model, x)
    result = spikelet.verify(graph, model, [(x, torch.zeros(len(x), dtype=torch.long))], spikelet.Program)
    assert result.mismatches == 0, str(result)
    return graph


@pytest.mark.parametrize("reset", ["subtract", "none"])
def test_synaptic_s_spikes_are_the_original_s(reset: str) -> None:
    torch.manual_seed(0)
    net, x = Loop(snn.Synaptic(alpha=0.5, beta=0.5, threshold=0.75, reset_mechanism=reset)), images()
    model = spikelet.from_snntorch(net, time_steps=T, scale=1 / 256)
    report = model.compare([(x, torch.zeros(6, dtype=torch.long))])
    assert report.different <= 0.01 * report.compared  # a leak of 1/2 of the grid's odd multiples is rounded twice
    assert report.layers[0].original > 0
    assert len(integers(model, x).of_type(ir.Charge)) == 1


def test_layers_that_keep_their_own_states_go_too() -> None:
    torch.manual_seed(0)
    net, x = nn.Sequential(dyadic(), snn.Synaptic(alpha=0.5, beta=0.5, threshold=0.75, init_hidden=True)), images()
    model = spikelet.from_snntorch(net, time_steps=T, scale=1 / 256)
    report = model.compare([(x, torch.zeros(6, dtype=torch.long))])
    assert report.different <= 0.01 * report.compared
    integers(model, x)


@pytest.mark.parametrize("which", ["syn", "mem"])
def test_states_as_answers_are_the_original_s(which: str) -> None:
    torch.manual_seed(0)
    net = Loop(snn.Synaptic(alpha=0.5, beta=0.5, threshold=1.5), lambda spk, syn, mem: {"syn": syn, "mem": mem}[which])
    x = images()
    model = spikelet.from_snntorch(net, time_steps=T, scale=1 / 256)
    assert torch.allclose(model.eval()(x), net(x.float() / 256), atol=2.0**-9)
    integers(model, x)


def test_states_that_change_places_are_refused() -> None:
    net = Loop(snn.Synaptic(alpha=0.5, beta=0.5), swapped=True)
    with pytest.raises(ConversionError, match=r"net\.lif: at step 1 of the loop is given another state"):
        spikelet.from_snntorch(net, time_steps=T)(images())


def test_a_reset_to_zero_is_refused() -> None:
    for made in (
        snn.Synaptic(0.5, 0.5, reset_mechanism="zero"),
        snn.RSynaptic(0.5, 0.5, linear_features=8, reset_mechanism="zero"),
    ):
        with pytest.raises(ConversionError, match=r'1: R?Synaptic with reset_mechanism="zero" also drops'):
            spikelet.from_snntorch(nn.Sequential(dyadic(), made), time_steps=T)


def test_alphas_of_their_own_are_refused() -> None:
    made = snn.Synaptic(torch.linspace(0, 1, 8), 0.5)
    with pytest.raises(ConversionError, match=r"1: alpha must be one number for all neurons where a sum leaks by it"):
        spikelet.from_snntorch(nn.Sequential(dyadic(), made), time_steps=T)


@pytest.mark.parametrize("threshold", [4096.0, 20000.0])
def test_a_neuron_that_never_fires_is_read_by_its_membrane(threshold: float) -> None:
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif, self.out = dyadic(16), snn.Leaky(0.5, init_hidden=True), dyadic(4)
            self.never = snn.Leaky(0.5, threshold=threshold, init_hidden=True, output=True)

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.never(self.out(self.lif(self.fc(x))))[1] for _ in range(T)])[-1]

    net, x = Net(), images()
    model = spikelet.from_snntorch(net, time_steps=T, scale=1 / 256)
    assert torch.allclose(model.eval()(x), net(x.float() / 256), atol=2.0**-9)
    assert len(integers(model, x).of_type(ir.Charge)) == 1


@pytest.mark.parametrize("decode", ["last_mem", "mean-mem", None])
@pytest.mark.parametrize("made", [neuron.NonSpikingLIFNode, neuron.NonSpikingIFNode])
def test_spikingjelly_s_readouts_are_the_original_s(made: Any, decode: str | None) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(layer.Linear(16, 16), neuron.IFNode(), layer.Linear(16, 4), made(decode=decode))
    for ours, theirs in ((0, dyadic(16)), (2, dyadic(4))):
        net[ours].load_state_dict(theirs.state_dict())
    functional.set_step_mode(net, "m")
    x = images()
    model = spikelet.from_spikingjelly(net, time_steps=T, scale=1 / 256)
    expected = net((x.float() / 256).expand(T, -1, -1))
    expected = torch.stack(expected) if isinstance(expected, list) else expected
    assert torch.allclose(model.eval()(x), expected, atol=2.0**-9)
    integers(model, x)


def test_the_largest_membrane_is_refused() -> None:
    net = nn.Sequential(
        layer.Linear(16, 4), neuron.IFNode(), layer.Linear(4, 4), neuron.NonSpikingLIFNode(decode="max-mem")
    )
    with pytest.raises(
        ConversionError, match=r"3: NonSpikingLIFNode with decode='max-mem' compares .* decode='last_mem'"
    ):
        spikelet.from_spikingjelly(functional_m(net), time_steps=T)


def functional_m(net: nn.Module) -> nn.Module:
    functional.set_step_mode(net, "m")
    return net


def test_a_forward_may_reset_the_network_first() -> None:
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(layer.Linear(16, 4), neuron.IFNode(v_threshold=0.5))

        def forward(self, x: Tensor) -> Tensor:
            functional.reset_net(self)
            return self.layers(x)

    net, x = functional_m(Net()), images()
    model = spikelet.from_spikingjelly(net, time_steps=T)
    assert model.compare([(x, torch.zeros(6, dtype=torch.long))]).compared == 6 * 4 * T
    integers(model, x)
