"""What a stream says after t steps tends to what its network says, attention's products of spike trains included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import SpikeletError
from spikelet.conversion import IntegrateAndFire, accuracy_over_steps, with_levels
from spikelet.neurons import QCFS, Levels
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear, evaluation_mode
from spikelet.nn.hooks import hooks
from spikelet.nn.increments import Increments
from spikelet.quant import Uniform
from tests.contract.test_est import images, settled
from tests.conversion.networks import CNN, ViT, trained


def gaps(twin: nn.Module, x: Tensor, wanted: Tensor, steps: tuple[int, ...]) -> list[float]:
    """How far a stream's logits after these steps are from those wanted, over their size."""
    with torch.no_grad(), evaluation_mode(twin):
        sums = twin(x).cumsum(0)
    return [float((sums[t - 1] / t - wanted).norm() / wanted.norm()) for t in steps]


def est() -> tuple[nn.Module, Tensor]:
    return settled(depths=(1, 1)), images(4)


def vit() -> tuple[nn.Module, Tensor]:
    net, x = trained(ViT)
    return net, x[:8]


@pytest.mark.parametrize(("make", "image"), [(est, {}), (vit, {"mean": 0.5, "std": 0.25})], ids=["est", "vit"])
def test_a_stream_of_attention_tends_to_its_network(make: Callable[[], Any], image: dict[str, Any]):
    """The distance falls as 1 / t does; behind means of products of means so far it hardly fell."""
    net, x = make()
    fed = x if not image else (x / 255 - 0.5) / 0.25
    finest = with_levels(net, 128, fed)
    with torch.no_grad():
        wanted = finest(fed)[0] if not image else finest(fed)
    twin = spikelet.convert(finest, x, time_steps=64, schedule="stream", **image)
    first, second, third = gaps(twin, x, wanted, (4, 16, 64))
    assert second < 0.6 * first
    assert third < 0.6 * second
    assert third < 0.25


@torch.no_grad()
def rates(net: nn.Module, kind: type[nn.Module], x: Tensor) -> dict[str, Tensor]:
    """The mean over time of what each neuron of this kind gives."""
    made: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: made.update({name: output.mean(0)})

    handles = (m.register_forward_hook(keep(name)) for name, m in net.named_modules() if isinstance(m, kind))
    with hooks(handles), evaluation_mode(net):
        net(x)
    return made


def test_a_stream_s_neurons_fire_at_the_rates_of_the_network():
    """Layer by layer, the first ones closest."""
    net, x = est()
    finest = with_levels(net, 128, x)
    twin = spikelet.convert(finest, x, time_steps=64, schedule="stream")
    wanted, made = rates(finest, Levels, x), rates(twin, IntegrateAndFire, x)
    assert [name.removeprefix("net.") for name in made] == list(wanted)
    errors = [float((a - b).abs().mean()) for a, b in zip(made.values(), wanted.values(), strict=True)]
    assert errors[0] < 1 / 64
    assert max(errors) < 0.06


class Linearly(nn.Module):
    """Attention without a neuron between its products, which is linear in the scores."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.conv, self.norm = Encode(), Conv2d(3, 8, 1, Uniform(4)), BatchNorm2d(8)
        self.q, self.k, self.v = (Levels(8, t) for t in (0.8, 1.2, 1.0))
        self.mixed, self.fc = Levels(8, 8.0), Linear(512, 5, Uniform(8, per_channel=False), bias=True)

    def forward(self, x: Tensor) -> Tensor:
        s = self.norm(self.conv(self.encode(x))).flatten(3)
        q, k, v = self.q(s), self.k(s), self.v(s)
        return self.fc(self.mixed(v @ (k.transpose(-2, -1) @ q / 2)).flatten(2))


def test_a_product_of_products_is_one_of_means():
    """Only the last of them gives its increments."""
    torch.manual_seed(0)
    net, x = Linearly(), images(4)
    net(x)
    net.eval()
    twin = spikelet.convert(net, x, time_steps=64, schedule="stream")
    assert sum(isinstance(m, Increments) for m in twin.modules()) == 1
    finest = with_levels(net, 128, x)
    finest.load_state_dict(net.state_dict())
    with torch.no_grad():
        wanted = finest(x)[0]
    first, last = gaps(twin, x, wanted, (8, 64))
    assert last < 0.3 * first


# --- other levels --------------------------------------------------------------------------------------


def test_norms_are_those_of_the_levels_that_are_given():
    """What each norm gives has its own mean and size again, and the model is left as it was."""
    net, x = settled(depths=(1, 1)), images(8)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    coarse = with_levels(net, 2, [(x, torch.zeros(8))])
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert {m.levels for m in coarse.modules() if isinstance(m, Levels)} == {2}
    unmeasured = with_levels(net, 2, x)
    unmeasured.load_state_dict(before)
    assert off(coarse, x) < 0.2 * off(unmeasured, x)


@torch.no_grad()
def off(net: nn.Module, x: Tensor) -> float:
    """How far from its bias the mean of what a norm gives is, at most."""
    found: list[float] = []

    def keep(norm: Any, inputs: tuple[Tensor, ...], y: Tensor) -> None:
        found.append(float((y.mean((0, 1, 3, 4)) - norm.bias).abs().max()))

    with hooks(m.register_forward_hook(keep) for m in net.modules() if isinstance(m, BatchNorm2d)):
        net(x)
    return max(found)


def test_norms_stay_where_the_levels_are_there_already():
    net, x = est()
    same = with_levels(net, 16, images(4, seed=2))
    assert all(torch.equal(value, same.state_dict()[name]) for name, value in net.state_dict().items())
    twin = spikelet.convert(same, x, time_steps=16).eval()
    with torch.no_grad():
        assert torch.equal(twin(x), net(x))


@pytest.mark.parametrize(
    ("levels", "batches", "words"),
    [
        (12, torch.zeros(2, 3, 8, 8), r"levels must be a power of two from 1 to 128, got 12"),
        (256, torch.zeros(2, 3, 8, 8), r"levels must be a power of two from 1 to 128, got 256"),
        (8, [], r"batches holds no batch"),
        (8, [torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 9, 9)], r"samples of one shape"),
    ],
)
def test_other_levels_and_batches_are_refused(levels: Any, batches: Any, words: str):
    with pytest.raises(SpikeletError, match=words):
        with_levels(CNN(), levels, batches)


def test_a_network_without_levels_is_refused():
    with pytest.raises(SpikeletError, match=r"has no activation that spikes can count"):
        with_levels(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), 8, torch.zeros(2, 3, 2, 2))


def test_accuracies_over_steps_take_images_for_the_norms():
    """A barrier of the network's own levels has its accuracy with them too."""
    net, x = trained(CNN)
    pairs = [(x, torch.arange(24) % 5)]
    given = accuracy_over_steps(net, pairs, (1, 8), mean=0.5, std=0.25, calibration=x, weight_bits=32)
    without = accuracy_over_steps(net, pairs, (1, 8), mean=0.5, std=0.25, weight_bits=32)
    assert given.barrier[8] == without.barrier[8]
    assert isinstance(net.features[1], QCFS)
    assert net.features[1].levels.levels == 8, "it was left as it was"
