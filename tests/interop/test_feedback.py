"""Feedback that a loop adds up by hand becomes a part of its neurons, or is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import ConversionError
from spikelet.nn import Recurrent

pytest.importorskip("snntorch", reason="needs snnTorch")
from tests.interop.networks.loops import fed_back, fed_back_in_place, with_feedback
from tests.interop.networks.network import Code
from tests.interop.networks.tutorials import leaky

T = 4


def loop(step: Callable[[Any, Tensor, Tensor], Tensor], first: Callable[[Tensor], Tensor] = torch.zeros_like) -> Any:
    """Spikes of T steps whose current is `step(net, image, spikes of the step before)`."""

    def run(net: Any, x: Tensor) -> Tensor:
        spikes, mem, out = first(torch.empty(len(x), 24)), net.lif.init_leaky(), []
        for _ in range(T):
            spikes, mem = net.lif(step(net, x.flatten(1), spikes), mem)
            out.append(net.classes(spikes))
        return torch.stack(out).mean(0)

    return run


def read_by_the_classes(net: Any, x: Tensor) -> Tensor:
    """The sum of current and feedback is used a second time."""
    spikes, mem, out = torch.zeros(len(x), 24), net.lif.init_leaky(), []
    for _ in range(T):
        current = net.fc(x.flatten(1)) + net.back(spikes)
        spikes, mem = net.lif(current, mem)
        out.append(net.classes(current))
    return torch.stack(out)


def membranes(net: Any, x: Tensor) -> Tensor:
    """Membranes of the neurons that are fed back."""
    spikes, mem, out = torch.zeros(len(x), 24), net.lif.init_leaky(), []
    for _ in range(T):
        spikes, mem = net.lif(net.fc(x.flatten(1)) + net.back(spikes), mem)
        out.append(mem)
    return torch.stack(out)


REFUSED = {
    "a current used twice": (read_by_the_classes, r"net\.lif: its feedback is read by net\.classes, and may only be"),
    "membranes": (membranes, r"membrane of a neuron that its loop feeds back to.*Use its spikes"),
    "ones at first": (
        loop(lambda net, x, s: net.fc(x) + net.back(s), torch.ones_like),
        r"net\.back: feeds back to net\.lif, and reads something else than its spikes",
    ),
    "twice, by two factors": (
        loop(lambda net, x, s: net.fc(x) + 0.5 * net.back(s) + net.back(s)),
        r"net\.lif: its feedback is read by add, and may only be added",
    ),
    "a sum that is subtracted": (
        loop(lambda net, x, s: net.fc(x) - (net.fc(x) + net.back(s))),
        r"net\.lif: its feedback is read by \w+",
    ),
    "times a mask": (
        loop(lambda net, x, s: net.fc(x) + net.back(s) + torch.sigmoid(net.back(s))),
        r"net\.lif: its feedback is read by sigmoid, and may only be added",
    ),
}


def converted(run: Any) -> Any:
    torch.manual_seed(0)
    return spikelet.from_snntorch(with_feedback(run)(1).eval(), time_steps=T, round_leak=True)


def images() -> Tensor:
    return torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)


def test_the_layer_becomes_a_part_of_its_neurons() -> None:
    model = converted(fed_back)
    model(images())
    assert type(model.net.lif.lif) is Recurrent
    assert isinstance(model.net.lif.lif.synapses, spikelet.nn.Linear)
    assert not list(model.net.back.parameters())


def test_it_trains_the_feedback() -> None:
    model = converted(fed_back).train()
    model(images()).square().sum().backward()
    assert model.net.lif.lif.synapses.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("name", REFUSED)
def test_feedback_to_anything_else_is_refused_by_name(name: str) -> None:
    run, words = REFUSED[name]
    with pytest.raises(ConversionError, match=words):
        converted(run)(images())


def test_a_bias_that_the_first_step_lacks_is_refused() -> None:
    net = with_feedback(fed_back_in_place, 128)(1)
    model = spikelet.from_snntorch(net, time_steps=T, round_leak=True, scale=1.0, time_axis=0)
    with pytest.raises(ConversionError, match=r"added to its current at some steps and not at others.* no bias"):
        model(torch.zeros((T, 2, 2, 8, 8), dtype=torch.uint8))


def test_two_layers_of_feedback_are_refused() -> None:
    net = Code(
        loop(lambda net, x, s: net.fc(x) + net.back(s) + net.more(s)), fc=nn.Linear(192, 24), back=nn.Linear(24, 24),
        more=nn.Linear(24, 24), lif=leaky(), classes=nn.Linear(24, 10),
    )  # fmt: skip
    with pytest.raises(ConversionError, match=r"net\.lif: reads its own spikes .* Use one for all that is fed back"):
        spikelet.from_snntorch(net, time_steps=T, round_leak=True)(images())


@torch.no_grad()
@pytest.mark.parametrize(
    "step",
    [
        lambda net, x, s: net.fc(x) - net.back(s),
        lambda net, x, s: net.back(s) - net.fc(x),
        lambda net, x, s: net.fc(x) - net.back(s) / 3,
        lambda net, x, s: -net.back(s) + net.fc(x) * 0.5,
        lambda net, x, s: 0.5 * (net.fc(x) * 2) + 2 * (0.25 * net.back(s)),
    ],
)
def test_signs_and_factors_are_those_of_the_code(step: Any) -> None:
    net, x = with_feedback(loop(step))(1).eval(), images()
    model = spikelet.from_snntorch(net, time_steps=T, round_leak=True)
    assert torch.allclose(model(x), net(x / 255), atol=2e-2)


@pytest.mark.parametrize("factor", [0.5, -1.0, 0.3])
def test_its_weights_hold_the_factor_that_the_code_multiplies_it_by(factor: float) -> None:
    model = converted(loop(lambda net, x, s: net.fc(x) + factor * net.back(s)))
    before = model.net.back.weight.detach().clone()
    model(images())
    assert torch.allclose(model.net.lif.lif.synapses.weight, factor * before)


def test_a_factor_that_changes_from_step_to_step_is_refused() -> None:
    factors = iter([0.5, 0.5, 0.25, 0.5] * 100)
    with pytest.raises(ConversionError, match=r"its feedback is read by|at step \d of the loop reads something else"):
        converted(loop(lambda net, x, s: net.fc(x) + next(factors) * net.back(s)))(images())


JOINED = loop(lambda net, x, s: net.fc(torch.cat([x, s], 1)))


def joined(run: Any, **options: Any) -> Any:
    torch.manual_seed(0)
    return spikelet.from_snntorch(with_feedback(run, 216)(1).eval(), time_steps=T, round_leak=True, **options)


def test_a_joined_layer_s_weights_are_parted() -> None:
    model = joined(JOINED)
    before = model.net.fc.weight.detach().clone()
    model(images())
    assert torch.equal(model.net.lif.lif.synapses.weight, before[:, 192:])
    assert model.net.lif.lif.synapses.bias is None
    assert model.net.fc.weight.shape == (24, 192)
    assert model.net.fc.in_features == 192


def test_a_joined_layer_keeps_no_mean_of_the_image_for_spikes() -> None:
    with pytest.raises(ConversionError, match=r"net\.fc: reads the image and spikes .* first=\(\)"):
        joined(JOINED, mean=0.5, std=0.5)(images())
    assert joined(JOINED, mean=0.5, std=0.5, first=())(images()).shape == (3, 10)


def test_what_stands_beside_spikes_is_read_by_its_layer_alone() -> None:
    def doubled(net: Any, x: Tensor, s: Tensor) -> Tensor:
        both = torch.cat([x, s], 1)
        return net.fc(both) + net.fc(2 * both)

    with pytest.raises(ConversionError, match=r"net\.(fc|lif): "):
        joined(loop(doubled))(images())
