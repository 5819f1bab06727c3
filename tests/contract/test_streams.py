"""What stands between attention and residual streams: averages, gains, fewer bits, constants, running sums."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from spikelet.base.errors import SpikeletError
from spikelet.nn import AddConstant, Average, Requantize, RunningSum, Saturate, Scale
from spikelet.nn.increments import Increments
from spikelet.quant.grid import round_to_grid, snap_gain, split_gain

ONE = 4096
STEP = 1 / ONE


def grid_currents(*shape: int, top: int = 2**20) -> Tensor:
    """Random multiples of 2^-12 below `top` of them."""
    return torch.randint(-top, top, shape).float() * STEP


# --- average ----------------------------------------------------------------------------------------


def test_an_average_rounds_halves_up_in_evaluation():
    a, b = grid_currents(2, 3, 50), grid_currents(2, 3, 50)
    units = ((a.double() + b.double()) * ONE).long()
    assert torch.equal((Average().eval()(a, b).double() * ONE).long(), (units + 1) >> 1)
    pair = torch.tensor([[[STEP, -STEP]]]), torch.tensor([[[0.0, 0.0]]])
    assert Average().eval()(*pair).flatten().tolist() == [STEP, 0.0]
    assert Average()(*pair).flatten().tolist() == [STEP / 2, -STEP / 2]


def test_an_average_keeps_a_coarser_grid():
    a, b = grid_currents(2, 3, 50), grid_currents(2, 3, 50)
    units = ((a.double() + b.double()) * ONE).long()
    assert torch.equal((Average(8).eval()(a, b).double() * 256).long(), (units + 16) >> 5)
    with pytest.raises(ValueError, match=r"Average\.fraction_bits must be 0 to 12, got 13"):
        Average(13)


def test_an_average_takes_two_of_one_shape():
    with pytest.raises(ValueError, match=r"Average takes two currents of one shape, got \(1, 2, 3\) and \(1, 2, 1\)"):
        Average()(torch.zeros(1, 2, 3), torch.zeros(1, 2, 1))


# --- scale ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [0.125, 1 / 196, -0.7, [0.1, 0.2, 0.3, 0.4], [[0.1, 0.5], [0.2, 1.7], [3.0, 0.0]]])
def test_a_scale_is_an_integer_multiplication_with_a_shift(gain: float | list):
    scale = Scale(torch.tensor(gain)).eval()
    x = grid_currents(3, 2, 4, 5, 6)
    m, e = split_gain(scale.gain)
    if m.dim():
        m, e = (v.repeat_interleave(4 // v.shape[-1], -1).view(-1, 1, 4, 1, 1) for v in (m, e))
    units = m * (x.double() * ONE).long()
    expected = torch.where(e > 0, (units + (1 << (e - 1).clamp(min=0))) >> e.clamp(min=0), units << (-e).clamp(min=0))
    assert torch.equal((scale(x).double() * ONE).long(), expected.expand(x.shape))


def test_a_scale_trains_its_gain_and_multiplies_plainly():
    scale = Scale([0.5, 0.3])
    x = torch.randn(3, 2, 4, 5)
    gain = scale.gain.repeat_interleave(2).view(4, 1)
    assert torch.equal(scale(x), gain * x)
    scale(x).sum().backward()
    assert scale.gain.grad is not None
    torch.testing.assert_close(scale.gain.grad, x.sum((0, 1, 3)).view(2, 2).sum(1))
    assert not list(Scale(0.5, learn=False).parameters())
    assert "gain" in Scale(0.5, learn=False).state_dict()


def test_a_gain_by_step_makes_steps_of_a_still_input():
    scale = Scale(torch.tensor([[1.0], [0.5]])).eval()
    assert scale(torch.ones(1, 1, 2, 1)).flatten().tolist() == [1, 1, 0.5, 0.5]


def test_a_scale_snaps_its_gain_to_15_bits():
    scale = Scale(1 / 3).eval()
    x = torch.tensor([[[1000.0]]])
    assert scale(x).item() == round_to_grid(snap_gain(scale.gain) * 1000.0).item() != round_to_grid(x / 3).item()


@pytest.mark.parametrize(("gain", "shape"), [([0.1, 0.2], (2, 1, 3)), ([[0.1], [0.2]], (3, 1, 3)), ([0.1], (2, 1))])
def test_a_gain_that_does_not_fit_is_refused(gain: list, shape: tuple[int, ...]):
    with pytest.raises(ValueError, match=r"Scale with a gain of shape .* axis 2 of"):
        Scale(torch.tensor(gain))(torch.zeros(shape))


@pytest.mark.parametrize("gain", [torch.zeros(1, 2, 3), math.nan, [1.0, math.inf]])
def test_other_gains_are_refused(gain: float | list | Tensor):
    with pytest.raises(ValueError, match=r"Scale\.gain must be"):
        Scale(gain)


# --- fewer bits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("training", [False, True])
def test_requantized_currents_are_integers_of_their_bits(bits: int, training: bool):
    layer = Requantize(bits).train(training)
    x = grid_currents(2, 3, 500, top=8 * ONE)
    unit = 2.0 ** -layer.exponent()
    integers = torch.floor(x.double() / unit + 0.5).clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    assert torch.equal(layer(x).double(), integers * unit)
    assert len(integers.unique()) == 2**bits


def test_saturated_currents_keep_the_grid_and_stop():
    assert Saturate().eval()(torch.tensor([[[300.0, -300.0, 0.001953125, 3.0]]])).flatten().tolist() == [
        127.99609375, -128.0, 0.00390625, 3.0,
    ]  # fmt: skip
    x = torch.tensor([[[100.0, -100.0, STEP * 0.5, -STEP * 0.5, 7.0, 8.0]]])
    assert Saturate(16, 12).eval()(x).flatten().tolist() == [8 - STEP, -8.0, STEP, 0.0, 7.0, 8 - STEP]


@pytest.mark.parametrize("layer", [Requantize(8, reach=2.0), Saturate(14, 12)])
def test_the_gradient_is_1_inside_the_range_and_0_outside(layer: Requantize | Saturate):
    x = torch.tensor([[[0.3, -1.9, 2.5, -2.5]]], requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [1, 1, 0, 0]


def test_the_gradient_of_the_unit_is_that_of_lsq():
    for value, slope in ((0.3, 0.0 - 0.3), (0.75, 1 - 0.75), (9.0, 1.0), (-9.0, -2.0)):
        layer = Requantize(2, reach=2.0)  # unit 1: integers -2..1
        layer(torch.tensor([[[value]]])).sum().backward()
        assert layer.log2_unit.grad is not None
        assert layer.log2_unit.grad.item() == pytest.approx(slope * math.log(2))


@pytest.mark.parametrize(("log2", "exponent"), [(-3.0, 3), (-3.5, 3), (-20.0, 12), (0.0, 0), (3.0, -3), (20.0, -8)])
def test_a_unit_is_a_power_of_two(log2: float, exponent: int):
    layer = Requantize(8)
    with torch.no_grad():
        layer.log2_unit.fill_(log2)
    assert layer.exponent() == exponent


def test_bits_and_reach_out_of_range_are_refused():
    for bits in (1, 9):
        with pytest.raises(ValueError, match=rf"Requantize\.bits must be 2 to 8, got {bits}"):
            Requantize(bits)
    with pytest.raises(ValueError, match=r"Saturate\.bits must be 2 to 31, got 32"):
        Saturate(32)
    with pytest.raises(ValueError, match=r"Saturate\.fraction_bits must be 0 to 12, got 13"):
        Saturate(16, 13)
    with pytest.raises(ValueError, match=r"Requantize\.reach must be a positive number, got 0"):
        Requantize(8, reach=0)


# --- constants and sums -----------------------------------------------------------------------------


def test_a_constant_is_rounded_to_the_grid_and_learns():
    layer = AddConstant(3, 1, 4, std=1.0)
    x = grid_currents(2, 5, 3, 6, 4, top=ONE)
    assert torch.equal(layer(x), x + round_to_grid(layer.value.detach()))
    layer(x).sum().backward()
    assert layer.value.grad is not None
    assert (layer.value.grad == 2 * 5 * 6).all()
    assert (AddConstant(2).value == 0).all()
    with pytest.raises(ValueError, match=r"AddConstant of shape \(3, 1, 4\) takes \[T, B, \.\.\.\] of 5 axes, got"):
        layer(torch.zeros(2, 3, 6, 4))


def test_a_running_sum_is_the_sum_so_far():
    x = torch.tensor([1.0, 2.0, -4.0]).view(3, 1, 1)
    assert RunningSum()(x).flatten().tolist() == [1, 3, -1]


def test_the_mean_of_increments_is_the_value():
    """Up to the grid, for a value that changes by no more than 2 largest / t in step t."""
    t = torch.arange(1.0, 51).view(-1, 1, 1)
    x = (1.5 + torch.sin(t) / t * torch.tensor([1.0, -0.5, 1 / 3])).mul(2**16).round() / 2**16
    y = Increments(50, 2.5).eval()(x)
    assert torch.equal(y.double().cumsum(0), round_to_grid(t.double() * x.double()))
    assert torch.allclose(Increments(50, 2.5)(x).cumsum(0), t * x, atol=1e-4)
    ones = Increments(3, 1.0).eval()(torch.ones(3, 1, 1))
    assert ones.flatten().tolist() == [1, 1, 1]


def test_increments_stop_at_their_bound():
    """Of what no product of running means is."""
    x = torch.tensor([1.0, -1.0, 1.0, -1.0]).view(4, 1, 1) * 3
    layer = Increments(4, 0.75).eval()
    assert layer.bound == 4
    assert layer(x).flatten().tolist() == [3, -4, 4 - 1 / ONE, -4]


def test_increments_refuse_other_steps():
    with pytest.raises(SpikeletError, match=r"Increments\.time_steps must be a whole number from 1 on, got 0"):
        Increments(0, 1.0)
    with pytest.raises(SpikeletError, match=r"Increments\.largest must be a number above 0, got 0"):
        Increments(4, 0)
    with pytest.raises(SpikeletError, match=r"Increments of time_steps=4 takes .* as many steps, got \(3, 2, 5\)"):
        Increments(4, 1.0)(torch.zeros(3, 2, 5))


@pytest.mark.parametrize(
    "layer", [Average(), Scale(0.5), Requantize(), Saturate(), Increments(1, 1.0)], ids=lambda m: type(m).__name__
)
def test_half_precision_is_refused_in_evaluation(layer: torch.nn.Module):
    x = torch.zeros(1, 1, 2, dtype=torch.bfloat16)
    with pytest.raises(SpikeletError, match=rf"{type(layer).__name__} evaluates in float32 or float64"):
        layer.eval()(*[x] * (2 if isinstance(layer, Average) else 1))
