"""Every neuron: spikes of 0 and 1 that depend on the sample's own past alone, and sums worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from spikelet.base.errors import SpikeletError
from spikelet.neurons import (
    LIF,
    FullMembrane,
    Hard,
    LIFParams,
    QuantizedMembrane,
    Soft,
    membrane_of,
)
from spikelet.neurons.membrane import BatchMaxMembrane
from spikelet.neurons.reset import Reset
from spikelet.quant.grid import round_to_grid
from tests.support.catalogue import BATCH_MEMBRANES, NEURONS, RESETS

T, B, SHAPE = 5, 6, (3, 2)
STEP = 2.0**-12
Make = Callable[[int], list[LIF]]
every_neuron = pytest.mark.parametrize("make", NEURONS.values(), ids=list(NEURONS))
every_reset = pytest.mark.parametrize("reset", RESETS.values(), ids=list(RESETS))
both_modes = pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])


def currents(steps: int = T) -> Tensor:
    """Currents around the thresholds, half of them multiples of 1/16 so that ties occur."""
    x = torch.randn(steps, B, *SHAPE) * 1.2 + 0.4
    return torch.where(torch.rand_like(x) < 0.5, (x * 16).round() / 16, x)


def neurons(make: Make) -> Iterator[LIF]:
    """The neuron with each membrane, in evaluation and in training."""
    yield from (lif.eval() for lif in make(T))
    yield from (lif.train() for lif in make(T))


# --- what holds for all -----------------------------------------------------------------------------


@every_neuron
def test_spikes_are_counts_up_to_the_levels_of_the_current_s_shape_and_dtype(make: Make):
    for lif in neurons(make):
        x = currents()
        spikes = lif(x)
        assert spikes.shape == x.shape
        assert spikes.dtype == x.dtype
        counts = set((spikes / lif.value).unique().tolist())
        assert counts <= set(range(lif.params.levels + 1))
        assert len(counts) > 1


@every_neuron
def test_a_sample_does_not_depend_on_its_neighbours(make: Make):
    for lif in neurons(make):
        x = currents()
        spikes = lif(x)
        order = torch.randperm(B)
        assert torch.equal(lif(x[:, order]), spikes[:, order])
        split = torch.cat([lif(part) for part in x.split([1, 2, 3], dim=1)], dim=1)
        assert torch.equal(split, spikes)


@every_neuron
def test_a_spike_does_not_depend_on_later_currents(make: Make):
    for lif in neurons(make):
        x = currents()
        spikes = lif(x)
        for t in range(1, T):
            later = x.clone()
            later[t:] = torch.randn_like(later[t:]) * 3
            assert torch.equal(lif(later)[:t], spikes[:t])


@every_neuron
def test_a_sequence_is_its_single_steps_folded_through_run(make: Make):
    for whole in neurons(make):
        x = currents()
        spikes, last = whole.run(x, None)
        assert torch.equal(spikes, whole(x))
        single = LIF(1, whole.params, whole.membrane).train(whole.training)
        v, steps = None, []
        for t in range(T):
            s, v = single.run(x[t : t + 1], v)
            steps.append(s)
        assert v is not None
        assert torch.equal(torch.cat(steps), spikes)
        assert torch.equal(v, last)


@every_neuron
def test_nothing_is_kept_between_calls(make: Make):
    for lif in neurons(make):
        x = currents()
        first = lif(x)
        lif(currents() + 5)
        assert torch.equal(lif(x), first)
        assert not list(lif.buffers())


@every_neuron
def test_a_still_current_is_held_for_every_step(make: Make):
    for lif in neurons(make):
        x = currents(1)
        assert torch.equal(lif(x), lif(x.expand(T, *x.shape[1:])))


@every_neuron
def test_gradients_reach_the_current_and_the_membrane_s_step(make: Make):
    for lif in neurons(make):
        x = (torch.rand(T, B, *SHAPE) * 0.8).requires_grad_()
        lif(x).sum().backward()
        assert x.grad is not None
        assert torch.isfinite(x.grad).all()
        assert (x.grad != 0).any()
        for parameter in lif.parameters():
            assert parameter.grad is not None
            assert torch.isfinite(parameter.grad)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_learned_step_gets_a_gradient_that_is_not_zero(bits: int):
    lif = LIF(4, LIFParams(0.75), QuantizedMembrane(bits))
    lif(torch.rand(4, 50) * 0.9).sum().backward()
    assert isinstance(lif.membrane, QuantizedMembrane)
    assert lif.membrane.log2_step.grad is not None
    assert lif.membrane.log2_step.grad != 0


@pytest.mark.parametrize("make", BATCH_MEMBRANES.values(), ids=list(BATCH_MEMBRANES))
def test_the_authors_membrane_makes_a_sample_depend_on_its_neighbours(make: Callable[[], BatchMaxMembrane]):
    membrane, v = make(), torch.tensor([[0.3], [0.9]])
    assert not torch.equal(membrane(v)[:1], membrane(v[:1]))


# --- by hand ----------------------------------------------------------------------------------------


def run(params: LIFParams, x: list[float], membrane: FullMembrane | QuantizedMembrane | None = None) -> tuple:
    """Spikes and every step's membrane of one neuron in evaluation."""
    lif = LIF(1, params, membrane).eval()
    v, spikes, membranes = None, [], []
    for current in x:
        s, v = lif.run(torch.tensor([[current]]), v)
        spikes.append(int(s.item()))
        membranes.append(v.item())
    return spikes, membranes


def test_hard_reset_by_hand():
    # charges: 1 (a tie), 0.5, 0.25 + 0.75 = 1 (a tie), -2, -1 + 1.5 = 0.5
    spikes, membranes = run(LIFParams(reset=Hard()), [1.0, 0.5, 0.75, -2.0, 1.5])
    assert spikes == [1, 0, 1, 0, 0]
    assert membranes == [0.0, 0.5, 0.0, -2.0, 0.5]


def test_soft_reset_by_hand():
    # charges: 1.5, 0.25 + 0.75 = 1 (a tie), 3, 1 + 0 = 1 (a tie), -1
    spikes, membranes = run(LIFParams(reset=Soft()), [1.5, 0.75, 3.0, 0.0, -1.0])
    assert spikes == [1, 1, 1, 1, 0]
    assert membranes == [0.5, 0.0, 2.0, 0.0, -1.0]


def test_a_drop_of_its_own_by_hand():
    # charges: 1.5, -0.25 + 1.5 = 1.25, -0.375 + 0.5 = 0.125, 0.0625 + 0.9375 = 1 (a tie)
    spikes, membranes = run(LIFParams(reset=Soft(2.0)), [1.5, 1.5, 0.5, 0.9375])
    assert spikes == [1, 1, 0, 1]
    assert membranes == [-0.5, -0.75, 0.125, -1.0]
    # a drop of 0 never resets: charges 1.5, 0.75, 1.375
    assert run(LIFParams(reset=Soft(0.0)), [1.5, 0.0, 1.0]) == ([1, 0, 1], [1.5, 0.75, 1.375])


@pytest.mark.parametrize("drop", [-1.0, 2048.0, 0.1, float("nan"), float("inf")])
def test_a_drop_off_the_grid_is_refused(drop: float):
    with pytest.raises(ValueError, match=r"Soft.drop must be a multiple of 2\^-12 from 0 to below 2048.*got"):
        Soft(drop)


def test_integrate_and_fire_by_hand():
    spikes, membranes = run(LIFParams(leak=1.0, threshold=2.0, reset=Soft()), [0.75, 0.75, 0.5, 4.5, 0.0])
    assert spikes == [0, 0, 1, 1, 1]
    assert membranes == [0.75, 1.5, 0.0, 2.5, 0.5]


def test_scaled_input_by_hand():
    # gain 1/4: charges 0.5, 0.375 + 0.125 = 0.5 (a tie at 1/2 with leak 3/4)
    spikes, membranes = run(LIFParams(leak=0.75, threshold=0.5, scale_input=True), [1.9375, 0.5, 2.0])
    # 0.484375; 0.36328125 + 0.125 = 0.48828125; round((0.3662109375 + 0.5) * 4096) / 4096 = 0.8662109375: fires
    assert spikes == [0, 0, 1]
    assert membranes == [0.484375, 0.48828125, 0.0]


def test_leak_zero_forgets_everything():
    spikes, membranes = run(LIFParams(leak=0.0), [0.999, 0.999, 1.0])
    assert spikes == [0, 0, 1]
    assert membranes[:2] == [round(0.999 * 4096) / 4096] * 2


def test_the_charge_floors_to_the_grid_and_the_current_rounds_to_it():
    _, membranes = run(LIFParams(leak=0.5), [-STEP, 0.0, 0.0])
    assert membranes == [-STEP, -STEP, -STEP]  # -1/2 floors to -1 and never dies
    _, membranes = run(LIFParams(leak=0.5), [STEP, 0.0])
    assert membranes == [STEP, 0.0]
    _, membranes = run(LIFParams(), [STEP / 2])
    assert membranes == [STEP]  # half up


def test_training_leaves_the_grid_out():
    lif = LIF(1, LIFParams()).train()
    _, v = lif.run(torch.tensor([[STEP / 4]]), None)
    assert v.item() == STEP / 4


@every_reset
@pytest.mark.parametrize("leak", [0.25, 0.75, 255 / 256])
def test_evaluation_is_the_integer_recurrence_up_to_large_membranes(leak: float, reset: Reset):
    rng = torch.Generator().manual_seed(3)
    x = torch.randint(-(2**20), 2**20, (8, 200), generator=rng)  # currents up to 256 thresholds
    lif = LIF(8, LIFParams(leak=leak, threshold=3.0, reset=reset)).eval()
    spikes, last = lif.run(x[:, None].float() * STEP, None)
    for i in range(x.shape[1]):
        v, expected = 0, []
        for t in range(8):
            h = (round(leak * 256) * v + 256 * int(x[t, i]) + (0 if leak == 0.25 else 128)) >> 8
            s = int(h >= 3 * 4096)
            drop = h if isinstance(reset, Hard) else round((3.0 if reset.drop is None else reset.drop) * 4096)
            v = h - drop * s
            expected.append(s)
        assert spikes[:, 0, i].tolist() == expected
        assert last[0, i].item() == v * STEP


def test_spikes_and_gradients_of_channels_last_currents_stay_channels_last():
    """In C order the layers before and after are much slower (see LIF)."""
    x = torch.randn(T * B, 4, 3, 2).to(memory_format=torch.channels_last).requires_grad_()
    x.register_hook(lambda gradient: came.append(gradient))
    came: list[Tensor] = []
    spikes = LIF(T)(x.unflatten(0, (T, B))).flatten(0, 1)
    spikes.backward(torch.randn_like(spikes))
    assert spikes.is_contiguous(memory_format=torch.channels_last)
    assert came[0].is_contiguous(memory_format=torch.channels_last)


# --- the quantized membrane -------------------------------------------------------------------------


@pytest.mark.parametrize("bits", range(2, 9))
def test_a_quantized_membrane_holds_its_levels_and_no_others(bits: int):
    membrane = QuantizedMembrane(bits)
    top = 2 ** (bits - 1) - 1
    v = round_to_grid(torch.linspace(-4, 4, 5001))
    step = 2.0 ** -float(membrane.exponent())
    levels = membrane(v).detach() / step
    assert torch.equal(levels, levels.round())
    assert sorted(set(levels.int().tolist())) == list(range(-top, top + 1))
    nearest = torch.floor(v / step + 0.5).clamp(-top, top)
    assert torch.equal(levels, nearest)


def test_a_new_membrane_s_top_level_is_near_the_threshold():
    for bits in range(2, 9):
        membrane = QuantizedMembrane(bits)
        reach = membrane.top * 2.0 ** -float(membrane.exponent())
        assert 0.5 < reach < 2


def test_a_half_level_rounds_up():
    membrane = QuantizedMembrane(2)  # levels -1, 0, 1
    assert membrane(torch.tensor([0.5, -0.5, 0.4375, -0.5625])).tolist() == [1, 0, 0, -1]


def test_the_stored_membrane_by_hand():
    # 2 bits, step 1; charges 0.75 -> stored 1; 0.5 + 0.25 = 0.75 -> 1; 0.5 - 0.25 = 0.25 -> 0; 0 - 3 -> -1
    spikes, membranes = run(LIFParams(), [0.75, 0.25, -0.25, -3.0], QuantizedMembrane(2))
    assert spikes == [0, 0, 0, 0]
    assert membranes == [1, 1, 0, -1]


def test_the_neuron_fires_before_its_membrane_is_quantized():
    spikes, membranes = run(LIFParams(), [0.9375, 1.0, 0.0], QuantizedMembrane(2))
    assert spikes == [0, 1, 0]  # 0.9375 is stored as 1, which would fire; as a charge it does not
    assert membranes == [1, 0, 0]


@pytest.mark.parametrize(
    ("log2_step", "exponent"), [(0.0, 0), (-0.5, 0), (-0.51, 1), (-1.5, 1), (-3.2, 3), (5.0, 0), (-30.0, 11)]
)
def test_the_step_is_a_power_of_two_between_the_grid_and_the_threshold(log2_step: float, exponent: int):
    membrane = QuantizedMembrane(4)
    with torch.no_grad():
        membrane.log2_step.fill_(log2_step)
    assert membrane.exponent().item() == exponent
    assert membrane(torch.tensor([100.0])).item() == 7 * 2.0**-exponent


def test_the_step_does_not_depend_on_what_the_membrane_sees():
    membrane = QuantizedMembrane(4)
    before = membrane.log2_step.item()
    membrane(torch.randn(100) * 1000)
    membrane.eval()(torch.zeros(3))
    assert membrane.log2_step.item() == before


def test_the_gradient_of_the_step_is_that_of_lsq():
    membrane = QuantizedMembrane(2)  # step 1, log2_step 0: d step / d log2_step = ln 2
    for value, slope in ((0.25, 0 - 0.25), (0.75, 1 - 0.75), (-0.75, -1 + 0.75), (5.0, 1.0), (-5.0, -1.0)):
        v = torch.tensor([value], requires_grad=True)
        membrane.zero_grad()
        membrane(v).backward()
        assert membrane.log2_step.grad is not None
        assert membrane.log2_step.grad.item() == pytest.approx(slope * math.log(2))
        assert v.grad is not None
        assert v.grad.item() == (1 if abs(value) < 1 else 0)


def test_an_optimizer_moves_the_step():
    lif = LIF(3, LIFParams(0.75), QuantizedMembrane(4))
    assert isinstance(lif.membrane, QuantizedMembrane)
    before = lif.membrane.log2_step.item()
    optimizer = torch.optim.SGD(lif.parameters(), lr=0.1)
    lif(torch.rand(3, 50) * 0.8).sum().backward()
    optimizer.step()
    assert lif.membrane.log2_step.item() != before


def test_membrane_of_names_every_number_of_bits():
    assert isinstance(membrane_of(32), FullMembrane)
    for bits in range(2, 9):
        membrane = membrane_of(bits)
        assert isinstance(membrane, QuantizedMembrane)
        assert membrane.bits == bits


# --- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [-1, 0, 1, 9, 16, 64])
def test_other_membrane_bits_are_refused(bits: int):
    with pytest.raises(ValueError, match=f"membrane_bits must be 2 to 8, or 32 for full precision, got {bits}"):
        membrane_of(bits)


@pytest.mark.parametrize("steps", [0, -1, 1025, 2.0, None])
def test_time_steps_out_of_range_are_refused(steps: object):
    with pytest.raises(ValueError, match=r"LIF\.time_steps must be a whole number from 1 to 1024, got"):
        LIF(steps)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("leak", [-0.5, 1.5, math.nan])
def test_a_leak_outside_of_0_to_1_is_refused(leak: float):
    with pytest.raises(ValueError, match=rf"LIFParams\.leak must lie in \[0, 1\], got {leak}"):
        LIFParams(leak=leak)


def test_a_leak_off_its_grid_is_refused_and_told_the_nearest():
    with pytest.raises(ValueError, match=r"must be a multiple of 2\^-12, got 0\.9; the nearest is 0\.89990234375"):
        LIFParams(leak=0.9)  # 0.9 * 4096 = 3686.4


@pytest.mark.parametrize("threshold", [0.0, -1.0, 0.1, 2048.0, math.nan, math.inf])
def test_a_threshold_off_its_grid_is_refused(threshold: float):
    with pytest.raises(ValueError, match=rf"LIFParams\.threshold must be a multiple .* got {threshold}"):
        LIFParams(threshold=threshold)


def test_a_gain_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"scale_input with leak = 1 multiplies every current by 0"):
        LIFParams(leak=1.0, scale_input=True)


@both_modes
def test_a_current_of_another_length_in_time_is_refused(training: bool):
    with pytest.raises(ValueError, match=r"time_steps=5 got a current of shape \(3, 2\); the first axis is time"):
        LIF(5).train(training)(torch.zeros(3, 2))


def test_a_current_without_a_batch_is_refused():
    with pytest.raises(ValueError, match=r"got a current of shape \(5,\); .+ the second the batch"):
        LIF(T)(torch.zeros(T))


@both_modes
def test_bytes_are_refused_as_a_current(training: bool):
    with pytest.raises(TypeError, match=r"LIF takes a floating-point current, got torch\.uint8"):
        LIF(2).train(training)(torch.zeros(2, 3, dtype=torch.uint8))


def test_constants_that_are_no_params_are_refused():
    with pytest.raises(TypeError, match=r"LIF\.params must be LIFParams\(\.\.\.\), got 3"):
        LIF(2, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"leak": "half"}, r"LIFParams\.leak must be a number or one a channel, got 'half'"),
        ({"threshold": [1.0, None]}, r"LIFParams\.threshold must be a number or one a channel, got None"),
        ({"reset": "soft"}, r"LIFParams\.reset must be Hard\(\) or Soft\(drop\), got 'soft'"),
        ({"surrogate": 1.0}, r"LIFParams\.surrogate must be a Surrogate such as Triangle\(1\.0\), got 1\.0"),
    ],
)
def test_a_constant_of_another_kind_is_refused_by_name(wrong: dict[str, Any], said: str):
    with pytest.raises(SpikeletError, match=said):
        LIFParams(**wrong)
