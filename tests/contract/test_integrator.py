"""Sums that leak: their equation, step by step, and membranes of neurons as integers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.graph import ir
from spikelet.graph.file.artifact import dumps, loads
from spikelet.neurons import LIF, Hard, Integrator, LIFParams, Membranes, QuantizedMembrane, Soft, neurons_of
from spikelet.nn import Encode, Linear
from spikelet.quant import Uniform

T = 6
LEAKS = [(0.0, False), (0.5, False), (0.5, True), (0.9 // 2**-12 * 2**-12, False), (1.0, False)]


@pytest.mark.parametrize(("leak", "scale_input"), LEAKS)
def test_it_is_its_equation(leak: float, scale_input: bool) -> None:
    x = torch.randint(-4096, 4096, (T, 3, 5)).double() / 1024
    y, gain = torch.zeros(3, 5, dtype=torch.float64), 1 - leak if scale_input else 1.0
    integrator = Integrator(T, leak, scale_input=scale_input)
    trained, evaluated = integrator.train()(x), integrator.eval()(x)
    steps, state = [], None
    for t in range(T):
        y = leak * y + gain * x[t]
        assert torch.allclose(trained[t], y, atol=1e-12)
        assert torch.allclose(evaluated[t], y, atol=2.0**-11)
        state = integrator.step(x[t : t + 1], state)
        steps.append(state)
    assert torch.equal(torch.cat(steps), evaluated)
    assert torch.equal(evaluated * 4096, (evaluated * 4096).round())


def test_a_still_current_is_held() -> None:
    integrator = Integrator(3, 0.5).eval()
    assert integrator(torch.full((1, 1, 1), 8.0)).flatten().tolist() == [8.0, 12.0, 14.0]
    integrator.time_steps = 2
    assert integrator(torch.full((1, 1, 1), 8.0)).flatten().tolist() == [8.0, 12.0]


def test_its_gradient_is_that_of_a_sum() -> None:
    x = torch.ones(3, 1, 1, requires_grad=True)
    Integrator(3, 0.5).train()(x)[-1].sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [0.25, 0.5, 1.0]


@pytest.mark.parametrize("leak", [1.5, 0.3])
def test_a_leak_off_the_grid_is_refused(leak: float) -> None:
    with pytest.raises(ValueError, match=r"LIFParams\.leak must"):
        Integrator(T, leak)


class Readout(nn.Module):
    """Bytes, weights, and what membranes reach; with spikes as the first answer where it is asked for."""

    def __init__(self, reach: nn.Module, *spiking: nn.Module) -> None:
        super().__init__()
        self.encode, self.fc = Encode(1), Linear(7, 5, Uniform(4, per_channel=False))
        self.reach, self.spiking, self.held = reach, nn.ModuleList(spiking), LIF(T)

    def forward(self, x: Tensor) -> Tensor:
        current = self.fc(self.encode(x))
        answer = self.reach(current)
        for spiking in self.spiking:
            answer = answer + spiking(current)
        return answer + self.held(current)


NEURONS = {
    "hard": LIF(T, LIFParams(0.5, 0.25, reset=Hard())),
    "soft, leak of 12 bits": LIF(T, LIFParams(3686 / 4096, 0.25, reset=Soft())),
    "reset later": LIF(T, LIFParams(0.75, 0.25, reset=Soft(0.5))),
    "4 bits of membrane": LIF(T, LIFParams(0.5, 0.25), QuantizedMembrane(4)),
    "constants by channel": LIF(
        T, LIFParams((0.5, 1.0, 0.25, 0.75, 0.0), (0.1 // 2**-12 * 2**-12, 1.0, 0.5, 2.0, 1.0))
    ),
}
REACH = {name: (Membranes(lif), lif) for name, lif in NEURONS.items()} | {
    f"integrator {leak:.3g}": (Integrator(T, leak, scale_input=scaled),) for leak, scaled in LEAKS[:-1]
}


@pytest.mark.parametrize("name", REACH)
@pytest.mark.parametrize("frames", [False, True])
def test_membranes_as_integers_are_those_of_pytorch(name: str, frames: bool) -> None:
    torch.manual_seed(1)
    model, axis = Readout(*REACH[name]).eval(), 0 if frames else None
    nn.init.uniform_(model.fc.weight, -2, 2)
    x = torch.randint(0, 256, (T, 9, 7) if frames else (9, 7), dtype=torch.uint8)
    graph = loads(dumps(spikelet.lower(model, x, time_axis=axis)))
    assert len(graph.of_type(ir.Charge)) == 1
    for backend in (spikelet.Reference, spikelet.Program):
        result = spikelet.verify(graph, model, [(x, torch.zeros(9, dtype=torch.long))], backend, time_axis=axis)
        assert result.mismatches == 0, str(result)


def test_an_integrator_is_no_spiking_neuron() -> None:
    assert list(neurons_of(Readout(Integrator(T, 0.5)))) == ["held"]
