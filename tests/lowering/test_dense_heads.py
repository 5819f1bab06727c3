"""`forward_features` is enough for a head of one's own: a class and a box for every token, in the same integers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from spikelet.compression.passes import recalibrate
from spikelet.lowering import lower, verify
from spikelet.neurons import LIF, LIFParams
from spikelet.nn import BatchNorm2d, Conv2d, Linear, MaxPool2d
from spikelet.quant import LearnedStep, Uniform
from spikelet.runtime import Program
from tests.support.catalogue import model_input, small_model

CLASSES, T = 3, 2


class Detector(nn.Module):
    """Two maps of a backbone as tokens -> scores [T, B, 3 N], class by class, and boxes [T, B, N, 4]."""

    def __init__(self, backbone: nn.Module, example: Tensor) -> None:
        super().__init__()
        self.backbone = backbone
        with torch.no_grad():
            self.widths = [x.shape[2] for x in self.two(example)]
        self.necks = nn.ModuleList(
            nn.Sequential(
                LIF(T, LIFParams.rounding(4)),
                MaxPool2d(2),
                Conv2d(width, 12, 1, LearnedStep(4)),
                BatchNorm2d(12),
                LIF(T),
            )
            for width in self.widths
        )
        self.scores = Linear(12, CLASSES, Uniform(8, per_channel=False), bias=True)
        self.boxes = Linear(12, 4, Uniform(8, per_channel=False), bias=True)

    def two(self, x: Tensor) -> list[Tensor]:
        """The first and the last map, [T or 1, B, C, H, W]."""
        maps = self.backbone.forward_features(x)  # type: ignore[operator]
        return [maps[0], maps[-1]]

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """What every token says, those of the larger map first."""
        tokens = [neck(y).flatten(3).transpose(2, 3) for neck, y in zip(self.necks, self.two(x), strict=True)]
        s = torch.cat(tokens, 2)
        return {"scores": self.scores(s).transpose(2, 3).flatten(2), "boxes": self.boxes(s)}


@pytest.mark.parametrize(
    "name", ["qsd_transformer_cifar", "bestformer_4_384", "spikformer_4_384", "spikingformer_4_384"]
)
def test_boxes_of_every_token_lower_without_a_difference(name: str):
    torch.manual_seed(0)
    x = model_input(name, 8)
    model = Detector(small_model(name, time_steps=T, weight_bits=4), x)
    recalibrate(model.train(), [x])
    model.eval()
    graph = lower(model, x[:1])
    assert len(graph.outputs) == 2
    found = verify(graph, model, [(x, torch.zeros(8, dtype=torch.int64))], Program)
    tokens = found.other_outputs // (8 * T * 4)
    assert found.logits == 8 * tokens * CLASSES
    assert tokens > 1
    assert found.mismatches == 0
    assert not found.not_compared
    spikes = Program(graph).spikes(x.numpy())
    assert all(s.any() for n, s in spikes.items() if n.startswith("necks"))


def test_a_map_alone_is_a_vector_of_its_elements():
    model = small_model("qsd_transformer_cifar").eval()
    model.forward = lambda x: model.forward_features(x)[-1]  # type: ignore[operator, method-assign]
    x = model_input("qsd_transformer_cifar", 2)
    graph = lower(model, x[:1])
    assert verify(graph, model, [(x, torch.zeros(2, dtype=torch.long))]).mismatches == 0
    assert Program(graph)(x.numpy()).shape == (2, 16 * 2 * 2)


def test_the_head_and_the_backbone_learn_together():
    torch.manual_seed(1)
    x = model_input("qsd_transformer_cifar", 4)
    model = Detector(small_model("qsd_transformer_cifar", time_steps=T), x).train()
    answer = model(x)
    (answer["scores"].square().mean() + answer["boxes"].square().mean()).backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.boxes.parameters())
    first = next(model.backbone.parameters())
    assert first.grad is not None
    assert bool(first.grad.any())
