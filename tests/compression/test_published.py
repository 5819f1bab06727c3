"""QP-SNN's published ratios, asked for by layer, cut the full network down to the published pruned one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spikelet.compression import Prune, Random, compress
from spikelet.models import create_model
from spikelet.models.qpsnn_pruning import RESNET20_RATIOS, VGG16_RATIOS, VGGSNN_RATIOS
from spikelet.nn import Conv2d

RESNET20 = [
    "features.0.0",
    *(f"features.{block}.conv" for block in (1, 4, 7)),  # a stage's outputs are one group: any of its layers names it
    *(f"features.{block}.first.0" for block in range(1, 10)),
]
PUBLISHED = [
    *(("qpsnn_vgg16", name, VGG16_RATIOS[10][name], 32, 3) for name in "AB"),
    *(("qpsnn_vggsnn", name, VGGSNN_RATIOS[name], 16, 2) for name in "ABC"),
    *(("qpsnn_resnet20", name, RESNET20_RATIOS[name], 4, 3) for name in "AB"),
]


@pytest.mark.parametrize(("name", "setting", "ratios", "side", "channels"), PUBLISHED, ids=lambda v: str(v)[:16])
def test_published_ratios_give_the_published_network(
    name: str, setting: str, ratios: tuple[float, ...], side: int, channels: int
):
    options = {"time_steps": 1, "image_size": side, "in_channels": channels}
    model = create_model(name, **options)
    order = RESNET20 if name == "qpsnn_resnet20" else [n for n, m in model.named_modules() if isinstance(m, Conv2d)]
    asked = {layer: ratio for layer, ratio in zip(order, ratios, strict=False) if ratio}
    x = torch.zeros(1, channels, side, side, dtype=torch.uint8)
    small, _ = compress(model, [Prune(asked, Random())], x)
    expected = create_model(name, **options, pruning=setting)
    assert repr(small) == repr(expected)
    assert shapes(small) == shapes(expected)
    expected.load_state_dict(small.state_dict())


def shapes(model: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in model.state_dict().items()}
