"""Neurons with several levels, an initial membrane, constants by channel, and leaks that round half up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from spikelet.neurons import LIF, Hard, LIFParams, QuantizedMembrane, Rectangle, Soft, Triangle
from spikelet.quant.grid import FRACTION_BITS
from tests.support.catalogue import BY_CHANNEL

ONE = 2**FRACTION_BITS
STEP = 1 / ONE
CASES = {
    "rounding": LIFParams.rounding(4),
    "levels": LIFParams(0.5, 0.5, levels=3, step=0.25, start=0.125),
    "levels-soft": LIFParams(0.75, 0.5, reset=Soft(), levels=7, step=0.125, start=-0.5),
    "levels-drop": LIFParams(1.0, 0.5, reset=Soft(0.3125), levels=2),
    "twelve-bits": LIFParams(4055 / 4096, 0.5, reset=Soft()),
    "scaled": LIFParams(253 / 256, 0.25, scale_input=True),
    "gain": LIFParams(1.0, 0.25, reset=Soft(), gain=3 / 8),
    **{f"channels-{name}": params for name, params in BY_CHANNEL.items()},
}
every_case = pytest.mark.parametrize("params", CASES.values(), ids=list(CASES))


def recurrence(lif: LIF, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Counts and membranes of spec O6 on the integers that `lowered` states, for grid currents x [T, B, C]."""
    n = lif.lowered()
    step = n.threshold if n.step is None else n.step
    drop = {"hard": None, "soft": step}.get(n.reset, n.reset) if isinstance(n.reset, str) else n.reset
    r = (1 << n.leak_bits) >> 1 if n.rounding == "half" else 0
    current = (x.double() * ONE).round().long().numpy()
    v, counts, membranes = np.broadcast_to(np.int64(n.start), x.shape[1:]), [], []
    for t in range(lif.time_steps):
        h = (n.leak * v + n.gain * current[t] + r) >> n.leak_bits
        s = np.clip((h - n.threshold) // step + 1, 0, n.levels)
        v = np.where(s > 0, 0, h) if drop is None else h - drop * s
        if n.membrane is not None:
            bits, shift = n.membrane
            top = 2 ** (bits - 1) - 1
            v = np.clip((v + (1 << shift >> 1)) >> shift, -top, top) << shift
        counts.append(s)
        membranes.append(v)
    return np.stack(counts), np.stack(membranes)


@every_case
@pytest.mark.parametrize("bits", [32, 2, 4])
def test_evaluation_is_the_recurrence_on_its_integers(params: LIFParams, bits: int):
    lif = LIF(20, params, None if bits == 32 else QuantizedMembrane(bits)).eval()
    x = torch.randint(-3 * ONE, 5 * ONE, (20, 200, 3), generator=torch.Generator().manual_seed(1)).float() * STEP
    leak, gain, threshold, start = map(torch.tensor, (params.leak, params.input_gain, params.threshold, params.start))
    x[0, 0] = torch.ceil((threshold - leak * start) / gain * ONE) * STEP  # ties
    counts, membranes = recurrence(lif, x)
    with torch.no_grad():
        trace = lif.trace(x)
    assert np.array_equal((trace.spikes / lif.value).numpy(), counts)
    assert np.array_equal((trace.membrane * ONE).numpy(), membranes)
    assert len(np.unique(counts)) == params.levels + 1
    assert bool((trace.charge == threshold).any())


@every_case
def test_channels_are_neurons_of_their_own(params: LIFParams):
    x = torch.randn(6, 4, 3, 5)
    whole = LIF(6, params)(x)
    for c in range(3):
        alone = LIF(6, params)
        alone.keep_channels([c])
        assert alone.params.channels in (None, 1)
        assert torch.equal(alone(x[:, :, c : c + 1]), whole[:, :, c : c + 1])


@pytest.mark.parametrize(("levels", "top"), [(1, 1.0), (4, 1.0), (16, 2.0), (2, 0.5)])
def test_a_rounding_neuron_is_quantized_relu_halves_up(levels: int, top: float):
    lif = LIF(1, LIFParams.rounding(levels, top))
    x = torch.linspace(-0.5 * top, 1.5 * top, 4001)
    x = torch.cat([x, (torch.arange(levels) + 0.5) * top / levels])[None, None]
    expected = torch.floor(x * levels / top + 0.5).clamp(0, levels) / levels
    assert torch.equal(lif(x), expected)
    grid = (x * ONE).round() / ONE
    assert torch.equal(lif.eval()(x), torch.floor(grid * levels / top + 0.5).clamp(0, levels) / levels)


def test_a_rounding_neuron_s_gradient_is_straight_through_on_its_range():
    lif = LIF(1, LIFParams.rounding(4, 2.0))
    x = torch.tensor([-0.1, 0.01, 0.3, 1.0, 1.99, 2.1])[None].requires_grad_()
    lif(x).sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [0.0, 0.5, 0.5, 0.5, 0.5, 0.0]  # the output rises by 1 over a range of 2


def test_the_gradient_of_a_count_is_the_sum_over_its_levels():
    params = LIFParams(0.5, 0.5, surrogate=Triangle(0.4), levels=3, step=0.25)
    x = torch.linspace(-0.5, 2, 41)[None].requires_grad_()
    LIF(1, params)(x).sum().backward()
    slopes = sum(Triangle(0.4).slope(x - 0.5 - 0.25 * d) for d in range(3)) / 4
    assert isinstance(slopes, Tensor)
    torch.testing.assert_close(x.grad, slopes.detach())


@pytest.mark.parametrize("reset", [Hard(), Soft(), Soft(0.125)])
def test_gradients_flow_through_time_and_by_channel(reset: Hard | Soft):
    params = LIFParams((0.5, 0.75), (0.5, 0.25), reset=reset, levels=3, step=0.25, start=(0.0, 0.125))
    x = torch.rand(4, 5, 2, 3).requires_grad_()
    LIF(4, params)(x)[-1].sum().backward()
    assert x.grad is not None
    assert (x.grad[0] != 0).any()
    assert torch.isfinite(x.grad).all()


def test_integrate_and_fire_from_half_a_threshold_by_hand():
    # charges 0.75, 1.0 (a tie), 0.25
    trace = LIF(3, LIFParams(1.0, reset=Soft(), start=0.5)).eval().trace(torch.full((1, 1), 0.25))
    assert trace.charge.flatten().tolist() == [0.75, 1.0, 0.25]
    assert trace.spikes.flatten().tolist() == [0, 1, 0]


def test_if_counts_from_half_a_threshold_are_those_of_quantized_relu():
    """The barrier schedule: T steps of a constant current x / T x T emit what one step of T levels emits."""
    x = torch.linspace(-0.5, 1.5, 2049)[None]
    spikes = LIF(16, LIFParams(1.0, reset=Soft(), start=0.5))
    assert torch.equal(spikes(x).sum(0, keepdim=True) / 16, LIF(1, LIFParams.rounding(16))(x))


@pytest.mark.parametrize("top", [1.0, 4.0])
@pytest.mark.parametrize("levels", [1, 2, 4, 8])
def test_a_count_is_the_spikes_of_as_many_binary_steps(levels: int, top: float):
    """IE-LIF (QSD-Transformer): a neuron with threshold top / D and soft reset, from x + top / 2D and without input."""
    threshold = top / levels
    x = torch.cat([torch.linspace(-0.5, 1.5, 4097) * top, (torch.arange(levels) + 0.5) * threshold])
    x = (x * ONE).round() / ONE
    membrane, planes = x + threshold / 2, []
    for _ in range(levels):
        planes.append((membrane >= threshold).float())
        membrane = membrane - threshold * planes[-1]
    spikes = torch.stack(planes)
    counted = LIF(1, LIFParams.rounding(levels, top)).eval()(x[None])
    assert torch.equal(counted[0] * levels, spikes.sum(0))
    assert bool((spikes[1:] <= spikes[:-1]).all())  # all at the front

    weight = torch.randint(-8, 8, (5, len(x)), generator=torch.Generator().manual_seed(0)).float()
    assert torch.equal(weight @ (counted[0] * levels), sum(weight @ plane for plane in planes))


# --- rounding ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("leak", [0.0, 1.0, 0.5, 2.0**-7, 2.0**-12])
def test_a_power_of_two_floors(leak: float):
    assert LIFParams(leak).charge_rounding == "floor"


@pytest.mark.parametrize("leak", [0.75, 253 / 256, 255 / 256, 3 / 8, 4095 / 4096])
def test_another_leak_rounds_half_up(leak: float):
    assert LIFParams(leak).charge_rounding == "half"
    assert LIFParams((0.5, leak)).charge_rounding == "half"


def test_a_gain_that_does_not_nest_rounds_half_up():
    assert LIFParams(0.5, scale_input=True).charge_rounding == "floor"
    assert LIFParams(0.5, gain=0.25).charge_rounding == "half"
    assert LIFParams(1.0, gain=0.5).charge_rounding == "half"
    assert LIFParams(0.0, gain=0.375).charge_rounding == "floor"


def spikes_of(x: np.ndarray, rounding: str) -> int:
    """Spikes of leak 253/256, hard reset, on grid currents [T, N]: "floor", "half", or "real" membranes."""
    v, count = np.zeros(x.shape[1]), 0
    for current in x:
        h = 253 / 256 * v + current
        h = {"floor": np.floor, "half": lambda z: np.floor(z + 0.5), "real": lambda z: z}[rounding](h)
        fired = h >= ONE
        count += int(fired.sum())
        v = np.where(fired, 0.0, h)
    return count


def test_half_up_does_not_drift_where_a_floor_would():
    """Seed 0: 1,000 steps of 3,000 neurons, currents of mean 0.0045 and deviation 0.1 thresholds."""
    x = np.floor(np.random.default_rng(0).normal(0.0045, 0.1, (1000, 3000)) * ONE + 0.5)
    real = spikes_of(x, "real")
    assert spikes_of(x, "floor") < 0.99 * real
    assert abs(spikes_of(x, "half") - real) < 0.001 * real
    lif = LIF(1000, LIFParams(253 / 256)).eval()
    assert lif(torch.from_numpy(x / ONE).float()[:, None]).sum() == spikes_of(x, "half")


def test_leaks_of_powers_of_two_give_the_spikes_of_real_membranes():
    rng = np.random.default_rng(0)
    x = np.floor(rng.normal(0.2, 0.5, (50, 4000)) * ONE + 0.5)
    for leak in (0.5, 0.25, 2.0**-5):
        v, spikes = np.zeros(4000), []
        for current in x:
            h = leak * v + current
            spikes.append(h >= ONE)
            v = np.where(spikes[-1], 0.0, h)
        made = LIF(50, LIFParams(leak)).eval()(torch.from_numpy(x / ONE).float()[:, None])[:, 0]
        assert np.array_equal(made.numpy() == 1, np.stack(spikes))


# --- its integers -----------------------------------------------------------------------------------


def test_integers_by_hand():
    n = LIF(1, LIFParams.rounding(4)).lowered()
    assert (n.leak, n.gain, n.leak_bits, n.threshold, n.step, n.levels) == (0, 1, 0, 512, 1024, 4)
    assert (n.reset, n.start, n.rounding, n.value) == ("hard", 0, "floor", 0.25)
    n = LIF(1, LIFParams((0.5, 0.75), 1.0, reset=Soft((1.0, 0.5)), start=(0.5, 0.5))).lowered()
    assert isinstance(n.leak, np.ndarray)
    assert isinstance(n.reset, np.ndarray)
    assert (n.leak.tolist(), n.leak.dtype, n.gain, n.leak_bits) == ([2, 3], np.int32, 4, 2)
    assert (n.reset.tolist(), n.start, n.step, n.rounding) == ([4096, 2048], 2048, None, "half")


def test_what_channels_agree_on_is_one_number():
    n = LIF(1, LIFParams((0.5, 0.5), (1.0, 1.0), reset=Soft((1.0, 1.0)), levels=2, step=(1.0, 1.0))).lowered()
    assert (n.leak, n.threshold, n.reset, n.step) == (1, 4096, "soft", None)


@pytest.mark.parametrize(("levels", "value"), [(1, 1.0), (2, 0.5), (3, 0.25), (4, 0.25), (5, 0.125), (255, 1 / 256)])
def test_a_spike_is_worth_one_over_a_power_of_two(levels: int, value: float):
    assert LIF(1, LIFParams(levels=levels)).value == value
    assert LIF(1, LIFParams(levels=levels)).lowered().value == value


# --- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"levels": 0}, r"LIFParams\.levels must be a whole number from 1 to 255, got 0"),
        ({"levels": 256}, r"from 1 to 255, got 256"),
        ({"levels": 2.0}, r"whole number from 1 to 255, got 2\.0"),
        ({"step": 0.5}, r"LIFParams\.step takes levels above 1, got step=0\.5"),
        ({"levels": 2, "step": 0.0}, r"LIFParams\.step must be a multiple of 2\^-12 above 0 and below 2048"),
        ({"start": 0.1}, r"LIFParams\.start must be a multiple of 2\^-12 between -2048 and 2048, got 0\.1"),
        ({"start": 2048.0}, r"LIFParams\.start must be"),
        ({"gain": 0.0}, r"LIFParams\.gain must be a multiple of 2\^-12 above 0 and at most 1, got 0\.0"),
        ({"gain": 0.1}, r"LIFParams\.gain must be"),
        ({"gain": 0.5, "scale_input": True}, r"takes scale_input or a gain, got both"),
        ({"leak": (0.5, 1.5)}, r"LIFParams\.leak must lie in \[0, 1\], got 1\.5"),
        ({"leak": (0.5, 1.0), "scale_input": True}, r"scale_input with leak = 1 multiplies"),
        ({"leak": ()}, r"LIFParams\.leak must be a number or one a channel, got an empty list"),
        ({"threshold": torch.ones(2, 2)}, r"LIFParams\.threshold must be a number or one a channel, got a tensor of"),
        ({"threshold": (1.0, 1.0), "start": (0.0,)}, r"one number of channels, got {'threshold': 2, 'start': 1}"),
    ],
)
def test_constants_out_of_range_are_refused(fields: dict, message: str):
    with pytest.raises(ValueError, match=message):
        LIFParams(**fields)


def test_a_current_with_other_channels_is_refused():
    lif = LIF(2, LIFParams((0.5, 0.25)))
    with pytest.raises(ValueError, match=r"constants for 2 channels got a current of shape \(4, 3\) a step"):
        lif(torch.zeros(2, 4, 3))


def test_tensors_and_lists_become_tuples():
    params = LIFParams(torch.tensor([0.5, 0.25]), [1.0, 2.0], reset=Soft(torch.tensor(0.5)))  # type: ignore[arg-type]
    assert (params.leak, params.threshold, params.reset) == ((0.5, 0.25), (1.0, 2.0), Soft(0.5))
    assert hash(params) == hash(LIFParams((0.5, 0.25), (1.0, 2.0), reset=Soft(0.5)))


def test_a_rounding_neuron_off_the_grid_is_refused():
    with pytest.raises(ValueError, match=r"LIFParams\.threshold must be a multiple of 2\^-12.* got 0\.1666"):
        LIFParams.rounding(3)
    assert LIFParams.rounding(3, 0.75).surrogate == Rectangle(0.25)


def test_levels_of_numpy_are_the_number_that_they_are():
    assert LIFParams(levels=np.int64(3)) == LIFParams(levels=3)
    assert type(LIFParams(levels=np.int64(3)).levels) is int
    for wrong in (np.float32(3), np.bool_(True), np.int64(256), "3"):
        with pytest.raises(ValueError, match=r"LIFParams\.levels must be a whole number from 1 to 255"):
            LIFParams(levels=wrong)
