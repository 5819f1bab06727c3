"""Answers that were silently wrong, from the original network to integers: each is right now, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.interop import ConversionError
from spikelet.interop.converted import Converted
from spikelet.nn import Conv2d, Linear
from spikelet.quant import Uniform

pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
from spikingjelly.activation_based import functional, layer, neuron

T = 4


class Net(nn.Module):
    """Frames [T, B, 2, 8, 8] to logits [T, B, 10]; `current` makes the first neurons' current from the image."""

    def __init__(self, current: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.other = layer.Conv2d(2, 2, 3, padding=1), layer.Conv2d(2, 2, 3, padding=1)
        self.pool, self.neuron = layer.AvgPool2d(2), neuron.IFNode(v_threshold=0.25, v_reset=None)
        self.fc, self.current = layer.Linear(2 * 16, 10), current
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        s = self.neuron(self.current(self, x))
        return self.fc((s if s.shape[-1] == 4 else self.pool(s)).flatten(2))


class BatchFirst(Net):
    """The same, from [B, T, ...] to the mean over time, [B, 10]."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(0, 1)).mean(0)


def skip(net: Any, x: Tensor) -> Tensor:
    return net.conv(x) + x


def two_scales(net: Any, x: Tensor) -> Tensor:
    return net.pool(net.conv(x)) + net.other(net.pool(x))


def plain(net: Any, x: Tensor) -> Tensor:
    return net.conv(x)


def counts(batch: int, time_axis: int = 0) -> Tensor:
    frames = torch.randint(0, 4, (T, batch, 2, 8, 8), dtype=torch.uint8)
    return frames if time_axis == 0 else frames.transpose(0, 1).contiguous()


def prepared(model: Converted) -> Converted:
    """`model` with 4-bit weights, 8 bits for the logits, in evaluation."""
    weighted = [m for m in model.modules() if isinstance(m, Conv2d | Linear)]
    for m in weighted:
        m.quantizer = Uniform(4)
    weighted[-1].quantizer = Uniform(8, per_channel=False)
    return model.eval()


def labelled(*batches: Tensor, time_axis: int = 0) -> list[tuple[Tensor, Tensor]]:
    return [(x, torch.zeros(x.shape[1 - time_axis], dtype=torch.long)) for x in batches]


@pytest.mark.parametrize(
    ("make", "current", "options"),
    [
        (Net, skip, {"scale": 1.0}),
        (Net, two_scales, {"scale": 1.0}),
        (Net, two_scales, {"scale": 0.75, "first": ("conv", "other")}),
        (Net, two_scales, {"scale": 0.75}),
        (Net, plain, {"scale": 1.0}),
        (Net, plain, {"scale": 1 / 255, "mean": (0.2, 0.4), "std": (0.25, 0.5)}),
        (BatchFirst, plain, {"scale": 1.0}),
    ],
    ids=[
        "a skip from the image",
        "a second convolution",
        "two folded",
        "two found",
        "counts",
        "normalised frames",
        "batch first",
    ],
)
def test_the_original_the_model_and_the_integers_agree(
    make: Callable[..., nn.Module], current: Callable, options: dict[str, Any]
) -> None:
    time_axis = int(make is BatchFirst)
    bytes_a_count = 85 if "mean" in options else 1
    net, batches = make(current).eval(), [bytes_a_count * counts(n, time_axis) for n in (1, T, 7)]
    model = spikelet.from_spikingjelly(net, time_steps=T, time_axis=time_axis, **options)
    report = model.compare(labelled(*batches, time_axis=time_axis))
    assert report.agreement >= 0.9  # on the grid, and before ties of few spikes
    assert report.different <= 0.002 * report.compared  # charges within 2^-12 of a threshold
    (spikes,) = report.layers
    assert 0.05 < spikes.original / spikes.compared < 0.95

    graph = spikelet.lower(prepared(model), batches[0], time_axis=time_axis)
    for backend in (spikelet.Reference, spikelet.Program):
        pairs = labelled(*batches, time_axis=time_axis)
        assert spikelet.verify(graph, model, pairs, backend, time_axis=time_axis).mismatches == 0
        integers = model.compare(pairs, program=backend(graph))
        assert integers.layers == model.compare(pairs).layers


def test_without_being_asked_a_sum_with_the_image_is_refused() -> None:
    model = spikelet.from_spikingjelly(Net(skip), time_steps=T, time_axis=0, scale=0.75)
    with pytest.raises(ConversionError, match=r"'(add|__add__)'"):
        model(counts(3))
    with pytest.raises(ConversionError, match=r"'(add|__add__)'"):
        spikelet.lower(prepared(model), counts(3), time_axis=0)
