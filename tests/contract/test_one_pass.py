"""Training in one pass: the rate function is what the neuron itself does with a current that does not change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from spikelet.models import create_model
from spikelet.neurons import (
    LIF,
    BatchMaxMembrane,
    Hard,
    LIFParams,
    OnePass,
    QuantizedMembrane,
    Soft,
    Triangle,
    one_pass_of,
)
from spikelet.quant.grid import round_to_grid
from spikelet.train import Phase
from spikelet.train.phases import set_phase
from tests.support.catalogue import NEURONS, PARAMS

T = 5
STEP = 2.0**-12
Make = Callable[[int], list[LIF]]
every_neuron = pytest.mark.parametrize("make", NEURONS.values(), ids=list(NEURONS))


def rates(lif: LIF, x: torch.Tensor) -> torch.Tensor:
    """In one pass, as training sees them."""
    lif.rate = one_pass_of(lif)
    return lif.train()(x)


@every_neuron
def test_every_theta_is_where_the_neuron_begins_to_fire_so_often(make: Make):
    for lif in make(T):
        lif.rate = one_pass_of(lif)
        assert isinstance(lif.rate, OnePass)
        assert lif.rate.time_steps == T
        assert sum(count for _, count in lif.rate.levels) == T * lif.params.levels
        thetas = [theta for theta, count in lif.rate.levels for _ in range(count)]
        assert thetas == sorted(thetas)
        theta = torch.tensor(thetas)
        counts = lif.eval()(torch.stack([theta - STEP, theta])[None]).sum(0) / lif.value
        n = torch.arange(1, T * lif.params.levels + 1)
        assert (counts[0] < n).all()
        assert (counts[1] >= n).all()


def counts_grow(p: LIFParams) -> bool:
    """Whether a larger constant current never gives fewer spikes, with a membrane in full."""
    return p.leak in (0, 1) or (p.reset == Hard() and p.levels == 1)


MONOTONE = {name: make for name, make in NEURONS.items() if counts_grow(PARAMS[name])}


@pytest.mark.parametrize("make", MONOTONE.values(), ids=list(MONOTONE))
def test_rates_are_those_of_a_constant_current_ties_included(make: Make):
    full = make(T)[0]
    x = round_to_grid(torch.cat([torch.randn(2000) * 2, torch.arange(-8, 64) / 16])[None])
    assert torch.equal(rates(full, x), full.eval()(x).mean(0, keepdim=True))


def test_the_levels_of_two_bits_and_two_steps():
    lif = LIF(2, LIFParams(leak=0.5), QuantizedMembrane(2))
    lif.rate = one_pass_of(lif)
    assert isinstance(lif.rate, OnePass)
    assert lif.rate.levels == ((0.5, 1), (1.0, 1))


def test_a_soft_reset_without_leak_is_a_quantized_relu():
    lif = LIF(4, LIFParams(leak=1.0, reset=Soft()))
    x = torch.linspace(-0.5, 1.5, 401)[None]
    assert torch.equal(rates(lif, x), (x * 4).floor().clamp(0, 4) / 4)


def test_the_gradient_is_the_mean_of_the_levels_surrogates():
    lif = LIF(2, LIFParams(leak=0.5, scale_input=True, surrogate=Triangle(0.8)), QuantizedMembrane(2))
    x = torch.linspace(-1, 4, 101)[None].requires_grad_()
    rates(lif, x).sum().backward()
    assert isinstance(lif.rate, OnePass)
    slope = Triangle(0.8).slope
    expected = sum(0.5 * count * 0.5 * slope(0.5 * (x - theta)) for theta, count in lif.rate.levels)
    assert isinstance(expected, torch.Tensor)
    torch.testing.assert_close(x.grad, expected.detach())


def test_evaluation_takes_the_real_steps():
    lif = LIF(3, LIFParams(leak=0.5)).eval()
    x = torch.randn(1, 50)
    before = lif(x)
    lif.rate = one_pass_of(lif)
    assert torch.equal(lif(x), before)


def test_a_phase_turns_it_on_and_the_next_one_off():
    model = create_model("qsnn_vgg_s", time_steps=2, widths=(4, 6), image_size=8).train()
    x = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    set_phase(model, Phase(1, 3, one_pass=True))
    assert model(x).shape == (1, 2, 10)
    assert model.eval()(x).shape == (3, 2, 10)
    set_phase(model.train(), Phase(1, 3))
    assert model(x).shape == (3, 2, 10)


@pytest.mark.parametrize("membrane", [BatchMaxMembrane(2), torch.nn.Identity()])
def test_a_membrane_without_one_rate_is_refused(membrane: torch.nn.Module):
    with pytest.raises(ValueError, match=rf"one pass takes LIF with .*, got {type(membrane).__name__}"):
        one_pass_of(LIF(2, membrane=membrane))


def test_constants_by_channel_have_no_one_rate():
    with pytest.raises(ValueError, match="one pass takes LIF whose constants are numbers, got constants by channel"):
        one_pass_of(LIF(2, LIFParams(leak=(0.5, 0.25))))


def test_bytes_are_refused():
    lif = LIF(2)
    lif.rate = one_pass_of(lif)
    with pytest.raises(TypeError, match=r"LIF takes a floating-point current, got torch\.uint8"):
        lif.train()(torch.zeros(1, 3, dtype=torch.uint8))


def test_frames_are_refused():
    lif = LIF(2)
    lif.rate = one_pass_of(lif)
    with pytest.raises(ValueError, match=r"trains in one pass on still images.*got a current of \(2, 3\)"):
        lif.train()(torch.zeros(2, 3))
