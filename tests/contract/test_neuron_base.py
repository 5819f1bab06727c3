"""What every neuron shares: three functions of one step, run over time, traced, and stated as integers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from spikelet.base.errors import LoweringError, SpikeletError
from spikelet.neurons import (
    LIF,
    IntegerNeuron,
    LIFParams,
    Neuron,
    QuantizedMembrane,
    Soft,
    neurons_of,
    one_pass_of,
    time_steps_of,
)
from tests.support.catalogue import NEURONS

T, B, SHAPE = 5, 6, (3, 2)
Make = Callable[[int], list[LIF]]
every_neuron = pytest.mark.parametrize("make", NEURONS.values(), ids=list(NEURONS))


def currents() -> Tensor:
    """Currents around the thresholds, half of them multiples of 1/16 so that ties occur."""
    x = torch.randn(T, B, *SHAPE) * 1.2 + 0.4
    return torch.where(torch.rand_like(x) < 0.5, (x * 16).round() / 16, x)


def neurons(make: Make) -> Iterator[LIF]:
    """The neuron with each membrane, in evaluation and in training."""
    yield from (lif.eval() for lif in make(T))
    yield from (lif.train() for lif in make(T))


def test_one_step_is_three_pure_functions():
    lif = LIF(1, LIFParams(leak=0.5, threshold=0.75, scale_input=True, reset=Soft())).eval()
    h = lif.charge(torch.tensor([1.0, 0.5]), torch.tensor([0.5, 0.0]))
    s = lif.fire(h)
    assert h.tolist() == [0.75, 0.25]
    assert s.tolist() == [1, 0]
    assert lif.reset(h, s).tolist() == [0.0, 0.25]


@every_neuron
def test_a_trace_is_charge_spikes_and_membrane_of_every_step(make: Make):
    for lif in neurons(make):
        x = currents()
        trace = lif.trace(x)
        assert torch.equal(trace.spikes, lif(x))
        assert trace.charge.shape == trace.membrane.shape == x.shape
        assert torch.equal(trace.spikes > 0, trace.charge >= lif.params.threshold)
        v = None
        for t in range(T):
            s, v = LIF(1, lif.params, lif.membrane).train(lif.training).run(x[t : t + 1], v)
            assert torch.equal(s[0], trace.spikes[t])
            assert torch.equal(v, trace.membrane[t])


def test_a_trace_by_hand():
    trace = LIF(3, LIFParams(reset=Soft())).eval().trace(torch.tensor([1.5, 0.75, -1.0])[:, None])
    assert trace.charge.flatten().tolist() == [1.5, 1.0, -1.0]
    assert trace.spikes.flatten().tolist() == [1, 1, 0]
    assert trace.membrane.flatten().tolist() == [0.5, 0.0, -1.0]
    assert (trace.spikes.dtype, trace.membrane.dtype) == (torch.float32, torch.float64)


def test_a_trace_takes_the_steps_where_training_takes_one_pass():
    lif = LIF(3, LIFParams()).train()
    x = torch.rand(1, 40) * 2
    before = lif.trace(x)
    lif.rate = one_pass_of(lif)
    assert lif(x).shape == (1, 40)
    assert torch.equal(lif.trace(x).charge, before.charge)


# --- a neuron of one's own --------------------------------------------------------------------------


class Toggle(Neuron):
    """Fires where the current changes its sign: the membrane is the last current."""

    def charge(self, x: Tensor, v: Tensor) -> Tensor:
        return -x * v

    def fire(self, h: Tensor) -> Tensor:
        return (h >= 1).to(h.dtype)

    def reset(self, h: Tensor, s: Tensor) -> Tensor:
        return h - s

    def lowered(self) -> IntegerNeuron:
        raise LoweringError("Toggle has no integer form.")

    def initial(self, current: Tensor) -> Tensor:
        return torch.full_like(current, -1.0)


def test_another_neuron_states_one_step_and_runs_over_time():
    toggle = Toggle(3).eval()
    x = torch.tensor([2.0, -1.5, 0.5])[:, None]
    trace = toggle.trace(x)  # charges 2, 1.5 * 1, -0.5 * 0.5
    assert trace.charge.flatten().tolist() == [2.0, 1.5, -0.25]
    assert trace.spikes.flatten().tolist() == [1, 1, 0]
    assert torch.equal(toggle(x), trace.spikes)
    assert torch.equal(toggle.run(x, None)[1], trace.membrane[-1])


def test_a_neuron_without_its_integers_is_incomplete():
    with pytest.raises(TypeError, match="abstract"):
        type("Half", (Neuron,), {"charge": Toggle.charge, "fire": Toggle.fire, "reset": Toggle.reset})(2)


def test_a_model_s_time_steps_are_those_of_all_its_neurons():
    model = torch.nn.Sequential(LIF(3), torch.nn.Sequential(Toggle(3)))
    assert time_steps_of(model) == 3
    assert list(neurons_of(model)) == ["0", "1.0"]
    with pytest.raises(SpikeletError, match=r"all neurons must have the same time_steps, got \{'0': 2, '1': 3\}"):
        time_steps_of(torch.nn.Sequential(LIF(2), Toggle(3)))
    with pytest.raises(SpikeletError, match="the model has no spiking neurons"):
        time_steps_of(torch.nn.Identity())


# --- its integers -----------------------------------------------------------------------------------


def test_the_integers_of_a_neuron_by_hand():
    n = LIF(2, LIFParams(0.75, 0.5, True, Soft(0.25)), QuantizedMembrane(2)).lowered()
    assert (n.leak, n.gain, n.leak_bits, n.threshold, n.reset) == (3, 1, 2, 2048, 1024)
    assert n.membrane == (2, 12)
    assert (n.levels, n.start, n.value) == (1, 0, 1.0)
    assert LIF(2, LIFParams(reset=Soft(1.0))).lowered().reset == "soft"
    assert LIF(2).lowered().membrane is None


@pytest.mark.parametrize("step", ["charge", "fire", "reset", "initial"])
def test_a_neuron_that_changes_a_step_has_no_integers_of_lif(step: str):
    changed = type("Changed", (LIF,), {step: lambda self, *args: args[0]})
    with pytest.raises(LoweringError, match="Changed changes LIF's steps and has no integer form of its own"):
        changed(2).lowered()
