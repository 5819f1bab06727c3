"""A small network to fit, and random plans for it."""

from __future__ import annotations

import random

import torch

from spikelet.compression import find_channels
from spikelet.fitting.cost import CostModel
from spikelet.fitting.plan import Plan, Subject
from spikelet.fitting.sensitivity import Choices
from spikelet.models import create_model


def small_subject(seed: int = 0, weight_bits: int = 8, name: str = "qsnn_vgg_s") -> Subject:
    torch.manual_seed(seed)
    model = create_model(name, weight_bits=weight_bits, image_size=12, in_channels=1, widths=(8, 12, 16)).eval()
    example = torch.randint(0, 256, (2, 1, 12, 12), dtype=torch.uint8)
    channels = find_channels(model, example)
    orders = {g.name: g.units[torch.randperm(len(g.units))] for g in channels.groups}
    return Subject(model, example, channels, orders, first_and_last=("features.0.0", "classifier"))


def random_plan(subject: Subject, costs: CostModel, seed: int) -> Plan:
    rng, choices = random.Random(seed), Choices()
    bits = {n: rng.choice(choices.bits_of(n in subject.first_and_last)) for n in costs.weighted}
    return Plan(bits, {g: rng.choice(choices.ratios) for g in subject.orders})
