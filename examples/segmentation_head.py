"""A dense head of your own on a transformer of the catalogue: a class for every pixel, in integers.

    python examples/segmentation_head.py

`forward_features` of a catalogue's network gives its maps at several strides. The head below is an ordinary nn.Module
that reads all four, brings them to one side, adds them, and classifies every pixel (a small feature pyramid: Lin et
al., CVPR 2017, arXiv:1612.03144). Nothing in spikelet knows of it; the whole lowers, packs and runs as any network. A
graph's first output is a vector, so that the pixels' logits leave the network in one. The task is made up: find
rectangles and discs in noise. Well under a minute on one core.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import spikelet
from spikelet.lowering.verify import Verification
from spikelet.neurons import LIF, LIFParams
from spikelet.nn import BatchNorm2d, Conv2d
from spikelet.quant import LearnedStep, Uniform

SIDE, CLASSES = 16, ("background", "rectangle", "disc")


def counting() -> LIF:
    """A neuron that gives a count 0..4 in one step, as the backbone's do."""
    return LIF(1, LIFParams.rounding(4))


def enlarged(x: Tensor, factor: int) -> Tensor:
    """[T, B, C, H, W] -> the same with every position `factor` times in both directions."""
    return x.repeat_interleave(factor, -2).repeat_interleave(factor, -1)


class DenseHead(nn.Module):
    """Maps of a backbone -> logits [T, B, K, H, W] at the side of the largest map."""

    def __init__(self, widths: list[int], channels: int, classes: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(
            nn.Sequential(counting(), Conv2d(width, channels, 1, LearnedStep(4)), BatchNorm2d(channels))
            for width in widths
        )
        self.last = nn.Sequential(
            *(counting(), Conv2d(channels, channels, 3, LearnedStep(4), padding=1), BatchNorm2d(channels)),
            *(counting(), Conv2d(channels, classes, 1, Uniform(8, per_channel=False), bias=True)),
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Logits of every pixel and time step."""
        side = maps[0].shape[-1]
        currents = [enlarged(f(x), side // x.shape[-1]) for f, x in zip(self.lateral, maps, strict=True)]
        return self.last(sum(currents[1:], start=currents[0]))


class Segmenter(nn.Module):
    """uint8 images [B, 3, 16, 16] -> logits of all pixels [T, B, K 16 16]."""

    def __init__(self) -> None:
        super().__init__()
        sizes = {"widths": (8, 16, 16, 16), "strides": (1, 1, 2, 2, 1), "heads": 2, "image_size": SIDE}
        self.backbone = spikelet.create_model("qsd_transformer_cifar", **sizes)
        with torch.no_grad():
            maps = self.backbone.eval().forward_features(torch.zeros((1, 3, SIDE, SIDE), dtype=torch.uint8))
        self.head = DenseHead([x.shape[2] for x in maps], 16, len(CLASSES))
        self.train()

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every pixel and time step."""
        return self.head(self.backbone.forward_features(x)).flatten(2)


def by_pixel(logits: Tensor) -> Tensor:
    """Logits [B, K 16 16] as a map, [B, K, 16, 16]."""
    return logits.unflatten(1, (len(CLASSES), SIDE, SIDE))


class Result(NamedTuple):
    """What differed, and shares of all pixels of new images: those that are right, and those of the background."""

    verification: Verification
    float_accuracy: float
    integer_accuracy: float
    background: float


def drawn(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images uint8 [B, 3, 16, 16] and classes int64 [B, 16, 16]: a rectangle and a disc of random colours in noise."""
    place = torch.arange(SIDE)
    row, column = place.view(1, -1, 1), place.view(1, 1, -1)

    def number(low: int, high: int) -> Tensor:
        return torch.randint(low, high, (count, 1, 1), generator=generator)

    top, left = number(0, SIDE - 5), number(0, SIDE - 5)
    inside = (row >= top) & (row < top + number(4, 8)) & (column >= left) & (column < left + number(4, 8))
    disc = (row - number(3, SIDE - 3)) ** 2 + (column - number(3, SIDE - 3)) ** 2 <= number(6, 13)
    classes = torch.where(disc, 2, torch.where(inside, 1, 0))
    colours = torch.randint(90, 256, (2, count, 3, 1, 1), generator=generator)
    x = torch.randint(0, 90, (count, 3, SIDE, SIDE), generator=generator)
    for kind, colour in enumerate(colours, 1):
        x = torch.where((classes == kind)[:, None], colour - x // 2, x)
    return x.to(torch.uint8), classes


def trained(steps: int, generator: torch.Generator) -> Segmenter:
    """A network after `steps` batches of new images; prints the loss now and then."""
    model = Segmenter()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    for step in range(steps):
        x, y = drawn(32, generator)
        loss = F.cross_entropy(by_pixel(model(x).mean(0)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % 20 == 0:
            print(f"step {step + 1}/{steps}  loss {loss.item():.3f}", flush=True)
    return model.eval()


def main(folder: Path, steps: int = 160) -> Result:
    """Trains, lowers, verifies, saves, runs; prints each step."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = trained(steps, generator)
    x, y = drawn(100, generator)

    graph = spikelet.lower(model, x[:1])
    unused = torch.zeros(len(x), dtype=torch.int64)  # verify asks for a class of every image; here pixels have them
    verification = spikelet.verify(graph, model, [(x, unused)], spikelet.Program)
    differing = sum(verification.spike_mismatches.values())
    print(f"spikes that differ: {differing} of {verification.spikes:,}")
    print(f"logits of pixels that differ: {verification.logit_mismatches} of {verification.logits:,}")

    path = folder / "segmenter.safetensors"
    spikelet.save(graph, path)
    print(f"{path.name}: {path.stat().st_size:,} bytes")
    logits = torch.from_numpy(spikelet.Program(spikelet.load(path))(x.numpy()))  # int32
    with torch.no_grad():
        accuracies = [float((by_pixel(k).argmax(1) == y).double().mean()) for k in (model(x).mean(0), logits)]
    background = float((y == 0).double().mean())
    print(f"pixels right: PyTorch {accuracies[0]:.2%}, integers {accuracies[1]:.2%}; background alone {background:.2%}")
    return Result(verification, *accuracies, background)


if __name__ == "__main__":
    torch.set_num_threads(1)  # tensors as small as these only lose by being shared
    out = Path("demo")
    out.mkdir(exist_ok=True)
    main(out)
