"""A neuron that stands in several places of a loop: states of its own in each, learned constants once."""

from __future__ import annotations

import snntorch
import torch
from torch import nn

from spikelet.interop.places import Places
from spikelet.interop.snntorch import from_snntorch


class Shared(nn.Module):
    """One neuron with a learned beta behind two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(6, 12), nn.Linear(12, 4)
        self.lif = snntorch.Leaky(beta=0.5, learn_beta=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second, spikes = self.lif.init_leaky(), self.lif.init_leaky(), []
        for _ in range(3):
            fired, first = self.lif(self.fc1(x), first)
            fired, second = self.lif(self.fc2(fired), second)
            spikes.append(fired)
        return torch.stack(spikes)


def test_a_place_more_has_modules_of_its_own_and_parameters_of_the_first() -> None:
    places = Places(nn.PReLU())
    places.add()
    first, second = places.copies
    assert first is not second
    assert next(first.parameters()) is next(second.parameters())


def test_learned_constants_of_places_are_learned_once() -> None:
    model = from_snntorch(Shared(), time_steps=3, round_leak=True)
    count = sum(p.numel() for p in model.parameters())
    model(torch.randint(256, (5, 6), dtype=torch.uint8))
    assert any(isinstance(module, Places) for module in model.modules())
    assert sum(p.numel() for p in model.parameters()) == count
