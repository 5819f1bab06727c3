"""A stream whose neurons start as images ask for is nearer to its network after few steps, and the same integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import SpikeletError
from spikelet.conversion import IntegrateAndFire, Started
from spikelet.graph import ir
from spikelet.neurons import QCFS, Levels
from tests.contract.test_est import images, settled
from tests.conversion.networks import CNN, ViT, trained
from tests.conversion.test_stream_converges import gaps, rates


def est() -> tuple[nn.Module, Tensor]:
    return settled(depths=(1, 1)), images(16)


def plain(kind: Any) -> Callable[[], tuple[nn.Module, Tensor]]:
    return lambda: trained(kind)


NETWORKS = {"est": (est, {}), "cnn": (plain(CNN), {"mean": 0.5, "std": 0.25}),
            "vit": (plain(ViT), {"mean": 0.5, "std": 0.25})}  # fmt: skip


@pytest.mark.parametrize("steps", [4, 8, 16])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_stream_is_nearer_to_its_network_after_few_steps(name: str, steps: int):
    """On images that it was not measured on."""
    make, image = NETWORKS[name]
    net, x = make()
    seen, new = x[: len(x) // 2], x[len(x) // 2 :]
    with torch.no_grad():
        wanted = net(new)[0] if not image else net((new / 255 - 0.5) / 0.25)
    as_it_is = spikelet.convert(net, x, time_steps=steps, schedule="stream", **image)
    started = spikelet.convert(net, x, time_steps=steps, schedule=Started(seen), **image)
    before, after = (gaps(twin, new, wanted, (4,))[0] for twin in (as_it_is, started))
    assert after < before


def test_the_first_neurons_fire_at_the_rates_of_the_activations():
    """Exactly so on the images that were measured, where each starts by channel."""
    net, x = est()
    as_it_is = spikelet.convert(net, x, time_steps=8, schedule="stream")
    started = spikelet.convert(net, x, time_steps=8, schedule=Started([x[:4], x[4:]]))
    wanted = rates(net, Levels, x)
    errors = []
    for twin in (as_it_is, started):
        made = rates(twin, IntegrateAndFire, x)
        off = [
            (a - b).mean((0, 2, 3) if a.dim() == 4 else None).abs()
            for a, b in zip(made.values(), wanted.values(), strict=True)
        ]
        errors.append([float(one.mean()) for one in off])
    assert all(after <= before + 1e-3 for before, after in zip(*errors, strict=True))
    assert sum(errors[1]) < 0.5 * sum(errors[0])
    starts = {type(m.params.start) for m in started.modules() if isinstance(m, IntegrateAndFire)}
    assert starts == {tuple, float}, "a number for what has no channels"


class Named(nn.Module):
    """Activations by the names that their parts have in a twin, and one that nothing calls."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(64, 5)
        self.neuron, self.levels, self.unused = QCFS(8, 0.7), QCFS(8, 0.7), QCFS()
        self.held = nn.ModuleDict({"levels": Levels(8, 0.5)})

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.held["levels"](self.levels(self.second(self.neuron(self.first(x))))).flatten(1))


def test_every_activation_s_neuron_starts_whatever_its_name_is():
    torch.manual_seed(0)
    x = torch.randint(0, 256, (16, 3, 8, 8), dtype=torch.uint8)
    for steps in (4, 16):
        twin = spikelet.convert(Named().eval(), x, time_steps=steps, schedule=Started(x), scale=1 / 255)
        starts = [m.params.start for m in twin.modules() if isinstance(m, IntegrateAndFire)]
        by_channel = [start for start in starts if isinstance(start, tuple) and len(start) == 4]
        assert len(starts) == len(by_channel) == 3
        assert all(0 < value < 1 for start in by_channel for value in start), "near a half: the rates are nearly right"


@pytest.mark.parametrize("name", NETWORKS)
def test_its_integers_are_the_stream_s(name: str):
    make, image = NETWORKS[name]
    net, x = make()
    twin = spikelet.convert(net, x, time_steps=3, schedule=Started(x), **image).eval()
    assert any(isinstance(m.params.start, tuple) for m in twin.modules() if isinstance(m, IntegrateAndFire))
    for each in (twin, twin.every_step()):
        graph = spikelet.lower(each, x[:1])
        report = spikelet.verify(graph, each, [(x, torch.zeros(len(x), dtype=torch.long))])
        assert report.mismatches == 0
        assert any(isinstance(node.start, np.ndarray) for node in graph.of_type(ir.Lif))


def test_the_network_is_left_as_it_was_and_a_longer_or_shorter_stream_starts_the_same():
    net, x = est()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    eight, more, fewer = (spikelet.convert(net, x, time_steps=steps, schedule=Started(x)) for steps in (8, 24, 2))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not net._forward_hooks
    twins = eight, more, fewer
    starts = [[m.params.start for m in twin.modules() if isinstance(m, IntegrateAndFire)] for twin in twins]
    assert starts[0] == starts[1] == starts[2]
    assert [twin.time_steps for twin in twins] == [8, 24, 2]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "images holds no batch"),
        (images(2) / 255, "images must be uint8 .* got torch.float32"),
        ([images(2), images(2)[..., 1:]], "images must hold samples of one shape"),
    ],
)
def test_what_are_no_images_is_refused(given: Any, words: str):
    net, x = est()
    with pytest.raises(SpikeletError, match=words):
        spikelet.convert(net, x, time_steps=4, schedule=Started(given))
    with pytest.raises(TypeError):
        spikelet.convert(net, x, time_steps=4, schedule=Started(5))  # type: ignore[arg-type]
