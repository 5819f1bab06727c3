"""What latency is measured of: random networks of the catalogue that fire as often as they are told, and shipped ones.

    subject_of("spikformer_4_384:4", {"time_steps": 2}, firing=0.1)     a model of the catalogue, 4-bit hidden weights
    subject_of("qsnn-vgg-s-cifar10", {}, None)                          a shipped network

A random network's batch norms have the statistics of the benchmark's images. Its thresholds are those at which every
layer fires about as often as asked (firing.py); without, neurons fire 2 to 4 % of the time, or never: then a batch norm
behind them measures no variance, and its gain may take a residual stream out of the integers that float32 holds.
"""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

import spikelet
from benchmarks.firing import fire_at
from benchmarks.two_checkouts import smooth
from spikelet.compression import Snap, compress
from spikelet.compression.passes import recalibrate
from spikelet.graph import ir
from spikelet.lowering import lower
from spikelet.models import create_model
from spikelet.models.catalogue import MODELS
from spikelet.zoo import names

FIRING = 0.1  # of a neuron's steps


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """A network to be measured.

    options: what the model was made with.
    graph: the network in integers.
    model: in PyTorch; None where a shipped network is measured.
    firing: spikes of a neuron and step that it was told to have; None where it fires as it does.
    snapped: whether `compression.Snap` moved biases such that layers have cuts.
    pictures: uint8 [N, *input shape] that batches are taken from; None for random ones.
    """

    name: str
    options: dict[str, int]
    graph: ir.IntGraph
    model: nn.Module | None
    firing: float | None
    snapped: bool = False
    pictures: NDArray[np.uint8] | None = None

    def batch(self, size: int) -> Tensor:
        """So many images [B, C, H, W], or event frames [T, B, 2, H, W]."""
        if self.pictures is not None:
            return torch.tensor(np.resize(self.pictures, (size, *self.graph.input.shape)))
        if self.model is None:
            return torch.tensor(smooth(self.graph.input.shape, size))
        return images(self.name, size, torch.Generator().manual_seed(1), self.options.get("image_size"))


def subject_of(
    word: str, options: dict[str, int], firing: float | None, pictures: Path | None = None, *, snap: bool = False
) -> Subject:
    """What a case names: a model of the catalogue, with the bits behind its colon, or a shipped network, which fires as
    it does. `snap` moves biases of a model's batch norms by a grid step or so, as a user who wants speed would.

    Raises:
        SystemExit: there is no such case.
    """
    given = None if pictures is None else np.load(pictures, allow_pickle=False)
    if word in names():
        return Subject(word, {}, spikelet.load(word), None, None, pictures=given)
    name, bits = named(word)
    options = bits | options
    model = calibrated(name, options, firing)
    x = images(name, 1, torch.Generator().manual_seed(1), options.get("image_size"))
    axis = 0 if x.dim() == 5 else None
    graph = lower(model, x, time_axis=axis)
    if snap:
        model = compress(model, [Snap(graph.time_steps)], [x], time_axis=axis).model.eval()
        graph = lower(model, x, time_axis=axis)
    return Subject(name, options, graph, model, firing, snap, given)


def named(word: str) -> tuple[str, dict[str, int]]:
    """The model's name and its options, from "name" or "name:bits".

    Raises:
        SystemExit: there is no such model, or the bits are no number.
    """
    name, colon, bits = word.partition(":")
    if name not in MODELS or (colon and not bits.isdecimal()):
        raise SystemExit(
            f"a case must be a model's name, or a name and its weights' bits as in {name}:4, or a shipped network "
            f"({', '.join(names())}), got {word!r}"
        )
    return name, {"weight_bits": int(bits)} if colon else {}


def images(model: str, batch: int, generator: torch.Generator, side: int | None = None) -> Tensor:
    """What the model takes at its own size, or `side`: smooth images [B, 3, H, W], or sparse event frames
    [T, B, 2, H, W]."""
    options = inspect.signature(MODELS[model]).parameters
    channels, own, steps = (options[name].default for name in ("in_channels", "image_size", "time_steps"))
    side = int(own) if side is None else side
    if channels == 2:
        return torch.poisson(torch.full((steps, batch, 2, side, side), 0.1), generator).to(torch.uint8)
    coarse = torch.rand(batch, channels, 8, 8, generator=generator)
    return (F.interpolate(coarse, size=(side, side), mode="bilinear") * 255).to(torch.uint8)


def calibrated(name: str, options: dict[str, Any], firing: float | None) -> nn.Module:
    """A random model whose batch norms have seen some images, in evaluation mode; see the module."""
    torch.manual_seed(0)
    model = create_model(name, **options)
    if firing is not None:
        fire_at(model, images(name, 4, torch.Generator().manual_seed(0), options.get("image_size")), firing)
    return seen(name, model, options.get("image_size"))


def seen(name: str, model: nn.Module, side: int | None = None) -> nn.Module:
    """`model`, whose batch norms have now seen some images, in evaluation mode."""
    generator = torch.Generator().manual_seed(0)
    recalibrate(model, [images(name, 4, generator, side) for _ in range(20)])
    return model.eval()
