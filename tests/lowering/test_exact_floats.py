"""Every tensor's values are proved to be whole numbers that its type holds, or the model is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from spikelet.base.errors import OverflowRefused
from spikelet.graph.analysis import analyse
from spikelet.lowering import lower, verify
from spikelet.neurons import LIF, LIFParams, Soft
from spikelet.nn import BatchNorm2d, Conv2d, Linear, SumPool2d
from spikelet.quant import Uniform
from tests.support.user_modules import User, assert_exact, classifier, conv, images, neuron, user

WAY_OUT = r"float32, in which PyTorch evaluates, holds whole numbers up to 2\^24 only\. Try float64, model\.double\(\);"


def like(m: User, x: Tensor) -> Tensor:
    """`x` at the precision of the model's weights."""
    return x.to(m.fc.weight.dtype)


def in_float64(model: nn.Module, x: Tensor, time_axis: int | None = None) -> None:
    """Lowers and verifies a float64 copy."""
    assert_exact(model.double(), x, time_axis)


def pooled_currents() -> User:
    """A convolution, sums of 4 x 4 and a neuron of soft reset (issue 11: 6 of 98,304 spikes differed)."""
    torch.manual_seed(0)
    model = user(
        lambda m, x: m.fc(m.lif(m.pool(m.wide(like(m, x)))).flatten(2)), wide=Conv2d(3, 32, 7, Uniform(8), padding=3),
        pool=SumPool2d(4), lif=LIF(2, LIFParams(threshold=1.0, reset=Soft())), fc=classifier(32 * 16),
    )  # fmt: skip
    with torch.no_grad():
        model.wide.weight.mul_(20)
    return model


def mean_of_a_map() -> User:
    """A mean over a map of 8 x 8 currents (issue 11: 62 of 200 logits differed)."""
    torch.manual_seed(0)
    return user(
        lambda m, x: m.wide(m.norm(m.lif(m.conv(like(m, x))) + m.two(m.conv(like(m, x))))).mean((3, 4)),
        norm=BatchNorm2d(4), wide=Conv2d(4, 5, 3, Uniform(8, per_channel=False), padding=1), two=neuron(0.5),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("make", "side", "place"), [(pooled_currents, 16, "pool"), (mean_of_a_map, 8, "mean")], ids=["sum pool", "mean"]
)
def test_a_sum_that_float32_rounds_is_refused_and_float64_is_exact(make: Callable[[], User], side: int, place: str):
    x = torch.randint(0, 256, (4, 3, side, side), dtype=torch.uint8)
    with pytest.raises(OverflowRefused, match=rf"^{place}: its values may reach \d+, and {WAY_OUT}"):
        lower(make(), x)
    in_float64(make(), x)


def test_float32_really_rounds_what_is_refused():
    """The same network with positive weights, lowered in float64, is not what float32 evaluates."""
    model, x = pooled_currents(), torch.randint(128, 256, (8, 3, 16, 16), dtype=torch.uint8)
    with torch.no_grad():
        model.wide.weight.abs_()
    pooled = model.float().pool(model.wide(model.encode(x).float()))
    exact = model.double().pool(model.wide(model.encode(x).double()))
    assert (pooled.double() != exact).any()
    graph = lower(model, x)
    assert verify(graph, model, [(x, torch.zeros(8, dtype=torch.long))]).mismatches == 0


def test_half_precision_holds_less():
    def body(m: User, x: Tensor) -> Tensor:
        s = m.lif(m.conv(x)).to(torch.bfloat16)
        return m.fc((s + s * 300).float().flatten(2))

    with pytest.raises(OverflowRefused, match=r"may reach \d+, and bfloat16, .* up to 2\^8 only"):
        lower(user(body), images())


@pytest.mark.parametrize("cast", [lambda y: y.bfloat16().float(), lambda y: y.to(torch.float16).double().float()])
def test_a_cast_that_rounds_is_refused(cast: Callable[[Tensor], Tensor]):
    with pytest.raises(OverflowRefused, match=r"^conv: its values may reach \d+, and b?float16, .* only"):
        lower(user(lambda m, x: m.fc(m.lif(cast(m.conv(x))).flatten(2))), images())


def test_a_mean_over_49_positions_is_held_to_a_quarter():
    def model(channels: int, weight: float) -> User:
        fc = Linear(channels, 5, Uniform(8, per_channel=False))
        made = user(lambda m, x: m.fc(m.lif(m.conv(x)).mean((3, 4))), conv=conv(3, channels), fc=fc)
        with torch.no_grad():
            made.fc.weight.fill_(weight)
        return made

    x = torch.randint(0, 256, (3, 3, 7, 7), dtype=torch.uint8)
    assert_exact(model(8, 1 / 64), x)
    with pytest.raises(OverflowRefused, match=r"^fc: its values may reach \d+, and float32, .* up to 2\^22 only"):
        lower(model(900, 127 / 64), x)


def test_the_error_names_the_type_and_the_layer():
    wide = Linear(1600, 4, Uniform(8, per_channel=False))
    model = user(lambda m, x: m.fc(m.lif(m.wide(like(m, x).flatten(2)))), fc=classifier(4), wide=wide)
    with torch.no_grad():
        model.wide.weight.fill_(127 / 64)
    x = torch.zeros(1, 1, 1600, 1, dtype=torch.uint8)
    with pytest.raises(OverflowRefused, match=rf"^wide: its values may reach 51816000, and {WAY_OUT}"):
        lower(model, x)
    lower(model.double(), x)


def test_a_float64_sum_that_is_turned_into_float32_is_held_to_float32():
    def body(m: User, x: Tensor) -> Tensor:
        wide = m.conv(x).double()
        for _ in range(14):
            wide = wide + wide
        return m.fc(m.lif(wide.float()).flatten(2))

    with pytest.raises(OverflowRefused, match=r"and float32, in which PyTorch evaluates, .* up to 2\^24 only"):
        lower(user(body), images())


def test_a_neuron_takes_counts_beyond_2_to_the_24_of_its_own_units():
    """Attention over many tokens: whole numbers to PyTorch, 4,096 units each to the neuron, which rounds none."""

    def mixed(m: User, x: Tensor) -> Tensor:
        s = m.first(m.conv(x)).flatten(3)  # [T, B, 16 channels, 256 tokens]
        y = (s @ s.transpose(-2, -1)) @ s
        return m.fc(m.lif(y.unflatten(3, (16, 16))).flatten(2))

    torch.manual_seed(0)
    model = user(mixed, conv=conv(3, 16), first=neuron(), lif=neuron(150.0), fc=classifier(16 * 256))
    graph = assert_exact(model, torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8))
    assert analyse(graph)["lif.grid"].reach >= 2**24
