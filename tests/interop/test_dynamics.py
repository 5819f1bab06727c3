"""A neuron of another library is exactly one of ours, ties included; what is not is refused by name."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from spikelet.interop import ConversionError
from spikelet.interop.dynamics import After, Dynamics, to_lif
from spikelet.neurons import ATan, Hard, Soft
from spikelet.neurons.constants import LEAK_BITS
from tests.interop import theirs

STEP = 2.0**-12
T = 4


def dynamics(leak: float = 0.5, **constants: object) -> Dynamics:
    """A neuron with `constants` changed."""
    plain = {"threshold": 1.0, "strictly_above": False, "after": After.HARD, "scale_input": False}
    return Dynamics(leak, f"leak = {leak}", surrogate=ATan(), **{**plain, **constants})  # type: ignore[arg-type]


EVERY = {
    f"{leak}-{threshold:.3g}-{'above' if strict else 'at'}-{after.name}{'-scaled' if scaled else ''}": dynamics(
        leak, threshold=threshold, strictly_above=strict, after=after, scale_input=scaled
    )
    for (leak, threshold, scaled), strict, after in itertools.product(
        (
            *((leak, threshold, False) for leak in (0.0, 0.25, 0.5, 0.75, 1.0) for threshold in (1.0, 0.75)),
            *((leak, 1.0, True) for leak in (0.5, 0.75)),
            (0.5, 1 / 3, False),  # off the grid
        ),
        (False, True),
        After,
    )
    if not (leak == 0 and after is After.LATE)
}
every = pytest.mark.parametrize("neuron", EVERY.values(), ids=list(EVERY))


def coarse_currents(neuron: Dynamics) -> Tensor:
    """[T, N] multiples of 1/8, after the gain, around the threshold: T leaks of quarters stay on the grid 2^-12."""
    rng = torch.Generator().manual_seed(0)
    return torch.randint(-4, 17, (T, 60), generator=rng) / 8 / (1 - neuron.leak if neuron.scale_input else 1)


@every
def test_where_their_arithmetic_stays_on_the_grid_every_spike_is_the_same(neuron: Dynamics) -> None:
    x = coarse_currents(neuron)
    expected = theirs.run(neuron, x)
    spikes = to_lif("n", neuron, T, round_leak=False).eval()(x[:, None])[:, 0].long()
    if neuron.threshold % STEP == 0 or neuron.after in (After.HARD, After.NEVER):
        assert torch.equal(spikes, expected.spikes)
    else:
        certain = expected.certain(T * 2 * STEP)
        assert torch.equal(spikes[certain], expected.spikes[certain])
        assert certain.float().mean() > 0.95
    assert expected.ties > 0 or neuron.threshold == 1 / 3


@pytest.mark.parametrize("after", After)
@pytest.mark.parametrize("strict", [False, True], ids=["at", "above"])
def test_a_charge_on_the_threshold_fires_or_not_as_it_does_there(after: After, strict: bool) -> None:
    neuron = dynamics(strictly_above=strict, after=after)
    lif = to_lif("n", neuron, 1, round_leak=False).eval()
    assert lif(torch.tensor([[1 - STEP, 1.0, 1 + STEP]])).tolist() == [[0, int(not strict), 1]]


@pytest.mark.parametrize("leak", [0.125, 0.25, 0.5, 0.75, 230 / 256, 255 / 256, 1.0])
def test_a_late_reset_is_a_drop_of_threshold_over_leak_rounded_as_the_charge_is(leak: float) -> None:
    lif = to_lif("n", dynamics(leak, after=After.LATE), T, round_leak=False)
    assert isinstance(lif.params.reset, Soft)
    assert isinstance(lif.params.reset.drop, float)
    low, high = {"floor": (0, STEP), "half": (-STEP / 2, STEP / 2)}[lif.params.charge_rounding]
    assert low <= 1 / leak - lif.params.reset.drop < high or 1 / leak == lif.params.reset.drop


@pytest.mark.parametrize("leak", [230 / 256, 243 / 256, 205 / 256, 3 / 256])
def test_a_late_reset_is_the_same_away_from_ties_for_every_leak(leak: float) -> None:
    neuron = dynamics(leak, after=After.LATE, strictly_above=True)
    x = torch.randint(-4096, 12288, (T, 200), generator=torch.Generator().manual_seed(1)) * STEP
    expected = theirs.run(neuron, x)
    certain = expected.certain(T * 2 * STEP)
    ours = to_lif("n", neuron, T, round_leak=False).eval()(x[:, None])[:, 0].long()
    assert torch.equal(ours[certain], expected.spikes[certain])
    assert certain.float().mean() > 0.95


def test_each_way_to_reset_has_its_own() -> None:
    resets = {after: to_lif("n", dynamics(after=after), T, False).params.reset for after in After}
    assert resets == {After.HARD: Hard(), After.SOFT: Soft(), After.LATE: Soft(2.0), After.NEVER: Soft(0.0)}
    strict = to_lif("n", dynamics(after=After.SOFT, strictly_above=True), T, False).params
    assert (strict.threshold, strict.reset) == (1 + STEP, Soft(1.0))


@pytest.mark.parametrize("leak", [0.9, 0.95, 1 - 1 / 3, 0.0001, 0.9999])
def test_a_leak_between_two_multiples_is_refused_or_rounded_when_asked(leak: float) -> None:
    nearest = round(leak * 2**LEAK_BITS)
    said = rf"n: leak = {leak} is a leak of .*round_leak=True.*= {nearest}/{2**LEAK_BITS}"
    with pytest.raises(ConversionError, match=said):
        to_lif("n", dynamics(leak), T, round_leak=False)
    assert to_lif("n", dynamics(leak), T, round_leak=True).params.leak == nearest / 2**LEAK_BITS


def test_a_leak_that_float32_can_only_nearly_say_is_the_one_meant() -> None:
    leak = torch.tensor(171 / 256 + 2e-8).item()
    assert to_lif("n", dynamics(leak), T, round_leak=False).params.leak == 171 / 256


@pytest.mark.parametrize(
    ("neuron", "said"),
    [
        (dynamics(0.0, after=After.LATE), r"n: subtracts its threshold a step late, which a leak of 0 .*can't pass on"),
        (dynamics(float("nan")), "n: its leak must be a number, got nan"),
        (dynamics(threshold=float("inf")), "n: its threshold must be a number, got inf. A neuron that never fires"),
        (dynamics(threshold=-1.0), "n: its neuron can't become a LIF: LIFParams.threshold must be .* got -1"),
        (dynamics(threshold=4000.0), "n: its neuron can't become a LIF: LIFParams.threshold"),
        (dynamics(1.5), r"n: its neuron can't become a LIF: LIFParams.leak must lie in \[0, 1\], got 1.5"),
        (dynamics(1.0, scale_input=True), "n: its neuron can't become a LIF: LIFParams.scale_input with leak = 1"),
        (dynamics(1 / 256, threshold=100.0, after=After.LATE), "n: its neuron can't become a LIF: Soft.drop"),
    ],
)
def test_a_constant_without_a_place_on_the_grids_is_refused_by_name(neuron: Dynamics, said: str) -> None:
    with pytest.raises(ConversionError, match=said):
        to_lif("n", neuron, T, round_leak=False)


def test_time_steps_are_checked_by_the_neuron() -> None:
    with pytest.raises(ConversionError, match=r"n: its neuron can't become a LIF: LIF.time_steps must"):
        to_lif("n", dynamics(), 0, round_leak=False)
