"""A small network to fit, with weights and statistics that are not those of a fresh one."""

from __future__ import annotations

import torch

from spikelet.compress import find_channels
from spikelet.fitting.plan import Subject
from spikelet.models import create_model


def small_subject(seed: int = 0) -> Subject:
    torch.manual_seed(seed)
    model = create_model("qsnn_vgg_s", weight_bits=8, image_size=12, in_channels=1, widths=(8, 12, 16)).eval()
    example = torch.randint(0, 256, (2, 1, 12, 12), dtype=torch.uint8)
    channels = find_channels(model, example)
    orders = {g.name: g.units[torch.randperm(len(g.units))] for g in channels.groups}
    return Subject(model, example, channels, orders, edges=("features.0.0", "classifier"))
