"""Maps that are made twice as large by bilinear means: bit for bit what PyTorch gives, or refused with the way out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering import lower
from tests.support.user_modules import User, assert_exact, classifier, conv, images, neuron, user

Body = Callable[[User, Tensor], Tensor]


def twice(x: Tensor) -> Tensor:
    """Maps [T, B, C, H, W] of twice the size."""
    y = F.interpolate(x.flatten(0, 1), scale_factor=2, mode="bilinear", align_corners=False)
    return y.unflatten(0, x.shape[:2])


GOES: dict[str, tuple[Body, int]] = {
    "spikes": (lambda m, x: twice(m.lif(m.conv(x))), 576),
    "currents into a neuron": (lambda m, x: m.two(twice(m.conv(x)).expand(2, -1, -1, -1, -1)), 576),
    "a convolution behind": (lambda m, x: m.two(m.next(twice(m.lif(m.conv(x))))), 576),
    "twice, and then again": (lambda m, x: twice(twice(m.lif(m.conv(x))))[..., ::2, 1::2], 576),
    "by its size": (
        lambda m, x: F.interpolate(m.lif(m.conv(x)).flatten(0, 1), size=(12, 12), mode="bilinear").unflatten(
            0, (2, -1)
        ),
        576,
    ),
    "a factor that is worked out anew": (
        lambda m, x: F.interpolate(
            m.lif(m.conv(x)).flatten(0, 1), scale_factor=2.05, mode="bilinear", recompute_scale_factor=True
        ).unflatten(0, (2, -1)),
        576,
    ),
    "of one row": (lambda m, x: twice(m.lif(m.conv(x))[..., 2:3, :]), 96),
    "of one pixel": (lambda m, x: twice(m.lif(m.conv(x)).sum((3, 4), keepdim=True)), 16),
    "oblong": (lambda m, x: twice(m.lif(m.conv(x))[..., :3, :]), 288),
    "step by step": (
        lambda m, x: torch.stack([F.interpolate(s, scale_factor=2.0, mode="bilinear") for s in m.lif(m.conv(x))]),
        576,
    ),
    "joined to a skip": (lambda m, x: torch.cat([twice(m.lif(m.conv(x))[..., ::2, ::2]), m.lif(m.conv(x))], 2), 288),
    "a layer": (lambda m, x: m.up(m.lif(m.conv(x)).flatten(0, 1)).unflatten(0, (2, -1)), 576),
}


@pytest.mark.parametrize(("body", "features"), GOES.values(), ids=list(GOES))
def test_bilinear_means_are_exact(body: Body, features: int) -> None:
    torch.manual_seed(0)
    parts: dict[str, nn.Module] = {
        "fc": classifier(features), "two": neuron(0.125), "next": conv(4, 4), "up": nn.Upsample(None, 2, "bilinear"),
    }  # fmt: skip
    assert_exact(user(lambda m, x: m.fc(body(m, x).flatten(2)), **parts))


def test_a_step_of_the_network_is_one_convolution() -> None:
    graph = lower(user(lambda m, x: m.fc(torch.stack([twice(s[None])[0] for s in m.lif(m.conv(x))]).flatten(2)),
                       fc=classifier(576)), images())  # fmt: skip
    assert [node.weight.shape for node in graph.of_type(ir.Conv)] == [(4, 3, 3, 3), (4, 1, 3, 3)]


REFUSED: dict[str, Callable[[Tensor], Tensor]] = {
    "aligned corners": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
    "three times": lambda x: F.interpolate(x, scale_factor=3, mode="bilinear"),
    "a factor that is cut off": lambda x: F.interpolate(x, scale_factor=2.05, mode="bilinear"),
    "two factors": lambda x: F.interpolate(x, scale_factor=(2.0, 2.1), mode="bilinear"),
    "smaller": lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear"),
    "cubic": lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
}


@pytest.mark.parametrize("function", REFUSED.values(), ids=list(REFUSED))
def test_other_weights_are_refused_with_what_goes(function: Callable[[Tensor], Tensor]) -> None:
    model = user(lambda m, x: function(m.lif(m.conv(x)).flatten(0, 1)).flatten(1))
    with pytest.raises(LoweringError, match=r"whose weights integers don't have\. Use mode='nearest', or mode='bilin"):
        lower(model, images())
