"""What is out of range is said all at once, and each of the three ways out that an error names is one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import OverflowRefused
from spikelet.lowering import lower
from spikelet.lowering.ranges import OTHERWISE, WAYS
from spikelet.neurons import LIF, LIFParams, QuantizedMembrane, Soft
from spikelet.nn import Average, BatchNorm2d, Conv2d, Encode, Linear, Requantize, Saturate, SumPool2d
from spikelet.quant import Uniform
from tests.support.user_modules import User, assert_exact, classifier, images, neuron, user


def of_currents(bits: int = 8, before: nn.Module | None = None) -> User:
    """Two convolutions, one on the currents of the other."""
    torch.manual_seed(0)
    model = user(
        lambda m, x: m.fc(m.lif(m.second(m.before(m.first(x)))).flatten(2)), before=before or nn.Identity(),
        first=Conv2d(3, 16, 3, Uniform(bits, per_channel=False), padding=1),
        second=Conv2d(16, 4, 3, Uniform(bits), padding=1),
    )  # fmt: skip
    for layer in (model.first, model.second):
        nn.init.uniform_(layer.weight, 0.5, 1.0)
    return model


def test_a_convolution_of_currents_says_three_ways_that_work() -> None:
    x = images()
    (overflow,) = spikelet.check(of_currents(), x).refusals
    assert (overflow.module, overflow.reason[:16]) == ("second", "output may reach")
    assert overflow.reason.endswith("beyond 32 bits.")
    assert overflow.way_out == (
        "Try fewer weight bits for it, Quantize(4); spikelet.nn.Requantize(8) before it; a neuron before it, so that "
        "it reads spikes; or levels=, the largest byte of the data if it is below 255, of from_snntorch, "
        "from_spikingjelly or spikelet.nn.Encode."
    )
    assert_exact(of_currents(4).double(), x)
    assert_exact(of_currents(before=Requantize(8)), x)
    assert_exact(of_currents(before=neuron()), x)


def counts(bits: int = 8, levels: int | None = None, before: nn.Module | None = None) -> User:
    """A wide layer that reads counts, unevenly weighted."""
    torch.manual_seed(0)
    model = user(
        lambda m, x: m.fc(m.lif(m.wide(m.before(x.flatten(2))))), fc=classifier(4),
        wide=Linear(1600, 4, Uniform(bits, per_channel=False)), lif=neuron(10.0), before=before or nn.Identity(),
    )  # fmt: skip
    model.encode = Encode(levels=levels)
    nn.init.uniform_(model.wide.weight, 0.5, 1.0)
    return model


def test_counts_say_three_ways_that_work() -> None:
    x = torch.randint(0, 5, (4, 1, 1600, 1), dtype=torch.uint8)
    (overflow,) = spikelet.check(counts(), x).refusals
    assert overflow.module == "wide"
    assert overflow.way_out == (
        "Try float64, model.double(); fewer weight bits for it, Quantize(4); spikelet.nn.Requantize(8) before it; or "
        "levels=, the largest byte of the data if it is below 255, of from_snntorch, from_spikingjelly or "
        "spikelet.nn.Encode."
    )
    for model in (counts().double(), counts(bits=4), counts(before=Requantize(8, reach=1.0)), counts(levels=4)):
        assert spikelet.check(model, x)
        assert_exact(model, x)


def test_a_neuron_says_three_ways_that_work() -> None:
    def model(time_steps: int = 16, before: nn.Module | None = None, membrane: nn.Module | None = None) -> User:
        params = LIFParams(leak=1.0, threshold=1.0, reset=Soft())
        made = user(
            lambda m, x: m.fc(m.lif(m.before(m.wide(x.flatten(2) * 2.0**15)))), before=before or nn.Identity(),
            wide=Linear(8, 2, Uniform(8, per_channel=False)), lif=LIF(time_steps, params, membrane), fc=classifier(2),
        )  # fmt: skip
        nn.init.constant_(made.wide.weight[:1], -1.0)
        nn.init.constant_(made.wide.weight[1:], 1.0)
        return made.double()

    x = torch.randint(0, 256, (4, 8, 1, 1), dtype=torch.uint8)
    (overflow,) = spikelet.check(model(), x).refusals
    assert (overflow.module, overflow.reason[:10]) == ("lif", "the charge")
    assert "; fewer time steps; or levels=, the largest" in overflow.way_out
    assert WAYS[spikelet.graph.ir.Lif] == (
        "spikelet.nn.Saturate() before it", "a membrane of few bits, spikelet.neurons.QuantizedMembrane(8)",
        "fewer time steps",
    )  # fmt: skip
    for made in (model(before=Saturate()), model(membrane=QuantizedMembrane(8)), model(2)):
        assert spikelet.check(made, x)
        assert_exact(made, x)


class Sum(nn.Module):
    """a + b, then `last`."""

    def __init__(self, last: nn.Module | None = None) -> None:
        super().__init__()
        self.last = last or nn.Identity()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.last(a + b)


def stream(join: nn.Module, first: nn.Module | None = None) -> User:
    def body(m: User, x: Tensor) -> Tensor:
        y = m.first(m.conv(x))
        for _ in range(17):
            y = m.join(y, y)
        return m.fc(m.lif(y).flatten(2))

    model = user(body, join=join, first=first or nn.Identity())
    nn.init.uniform_(model.conv.weight, 0.5, 1.0)
    return model.double()


def test_a_stream_says_three_ways_that_work() -> None:
    x = images()
    refusals = spikelet.check(stream(Sum()), x).refusals
    assert {refusal.module.partition("#")[0] for refusal in refusals} == {"join.add"}
    assert all("; spikelet.nn.Average in place of the sum; a neuron before it" in r.way_out for r in refusals)
    with pytest.raises(OverflowRefused, match=r"^join.add#\d+: .* beyond 32 bits\. Try spikelet\.nn\.Saturate\(\)"):
        lower(stream(Sum()), x)
    for join, first in ((Sum(Saturate()), Saturate()), (Average(), None), (Sum(), neuron())):
        assert_exact(stream(join, first), x)


def pooled(*parts: nn.Module, side: int = 16) -> User:
    torch.manual_seed(0)
    return user(
        lambda m, x: m.fc(m.lif(m.inner(m.wide(x) * 1024)).flatten(2)), inner=nn.Sequential(*parts, SumPool2d(side)),
        wide=Conv2d(3, 8, 7, Uniform(8, per_channel=False), padding=3), fc=classifier(8 * (16 // side) ** 2),
    ).double()  # fmt: skip


def test_other_sums_say_three_ways_that_work() -> None:
    x = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    model = pooled(BatchNorm2d(8))
    nn.init.constant_(model.inner[0].weight, 500.0)
    refusals = spikelet.check(model, x).refusals
    assert OTHERWISE[0] == "spikelet.nn.Requantize(8) before it"
    for model in (pooled(Requantize(8)), pooled(neuron()), pooled(side=2)):
        assert spikelet.check(model, x)
    assert [(r.module, r.way_out.count(";")) for r in refusals] == [("inner.0", 3)]


def test_all_that_is_out_of_range_is_in_one_error() -> None:
    def body(m: User, x: Tensor) -> Tensor:
        y = m.wide(x.flatten(2))
        return m.fc(m.two(m.other(y * 64))) + m.fc(m.lif(y))

    model = user(
        body, wide=Linear(1600, 4, Uniform(8, per_channel=False)), other=Linear(4, 4, Uniform(8, per_channel=False)),
        two=neuron(), fc=classifier(4),
    )  # fmt: skip
    for layer in (model.wide, model.other):
        nn.init.constant_(layer.weight, 1.0)
    x = torch.zeros(2, 1, 1600, 1, dtype=torch.uint8)
    with pytest.raises(OverflowRefused) as refused:
        lower(model, x)
    text = str(refused.value)
    assert text.startswith("wide: its values may reach 26112000, and float32, in which PyTorch evaluates, holds")
    assert "So is another: other: output may reach [" in text
    assert text.endswith("spikelet.check(model, example) lists the ways out of each.")
    assert [r.module for r in spikelet.check(model, x).refusals] == ["wide", "other"]
