"""Accuracy of a network and of its spiking twins, over time steps and by schedule."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.base.page import Displayed, Page
from spikelet.base.table import Table
from spikelet.base.whole import wholes
from spikelet.conversion.convert import convert, fed_to
from spikelet.conversion.copying import require_batches
from spikelet.conversion.schedules import Barrier, Stream
from spikelet.conversion.twin import Twin, first_of
from spikelet.conversion.with_levels import with_levels
from spikelet.data.batches import pairs_by_name
from spikelet.data.classes import class_names_of
from spikelet.nn.device import device_of
from spikelet.nn.evaluation import evaluation_mode
from spikelet.train.compare import require_classes
from spikelet.train.losses import mean_over_time

MOST_STEPS = Stream.most
NONE = "-"


@dataclasses.dataclass(frozen=True, repr=False)
class AccuracyOverSteps(Displayed):
    """Shares of samples that are classified right. Its text is a table.

    network: of the network itself.
    barrier: by T, where T is a power of two.
    stream: after t steps.
    """

    samples: int
    network: float
    barrier: dict[int, float]
    stream: dict[int, float]

    def table(self) -> Table:
        """A row for each number of steps."""
        rows = [(str(t), *(_percent(by.get(t)) for by in (self.barrier, self.stream))) for t in self.stream]
        last = ("network", _percent(self.network), "")
        return Table(("steps", "barrier", "stream"), tuple(rows), (last,))

    def page(self) -> Page:
        """The table."""
        return Page((self.table(),))

    def in_short(self) -> str:
        """Samples, the network's accuracy, and the most steps."""
        most = f"up to {max(self.stream)} steps" if self.stream else "no steps"
        return f"{self.samples:,} samples, the network {_percent(self.network)}, {most}"


def _percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.2f} %"


@torch.no_grad()
def accuracy_over_steps(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    steps: Sequence[int] = (1, 2, 4, 8, 16),
    *,
    weight_bits: int = 8,
    calibration: Tensor | Iterable[Any] | None = None,
    scale: float | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> AccuracyOverSteps:
    """Accuracy of `model`, and of its conversion after each of `steps`, under both schedules.

    Args:
        model: as `spikelet.convert` takes it; left as it is.
        batches: pairs of uint8 images [B, ...] and labels [B]; read once.
        steps: numbers of steps in ascending order. The barrier has those that are powers of two to 128.
        weight_bits, scale, mean, std: as `spikelet.convert` takes them.
        calibration: some hundred images of the training set, uint8 [B, ...], in one batch or several. Each twin then
            comes from the network with its levels, whose norms are measured on them (with_levels.py); None leaves the
            norms as they are.
    Raises:
        ConversionError: what converting raises; no samples; steps that are no ascending whole numbers from 1.
        SpikeletError: batches that are no pairs, or labels that are not one class a sample.
    """
    counts = wholes(steps, "steps", 1, MOST_STEPS, ConversionError)
    if list(counts) != sorted(set(counts)):
        raise ConversionError(f"steps must ascend, got {list(counts)}.")
    image = {"scale": scale, "mean": mean, "std": std}
    images = [] if calibration is None else require_batches(model, calibration, "calibration")
    fed = [fed_to(model, batch, **image) for batch in images]
    hits, samples = Counter[str](), 0
    twins: dict[int, Twin] = {}
    for x, y in pairs_by_name(batches, class_names_of(model)):
        if not twins:
            twins = _twins(model, x, counts, fed, {"weight_bits": weight_bits, **image})
        x, y = x.to(device_of(model)), y.to(device_of(model))
        with evaluation_mode(model):
            logits = first_of(model(fed_to(model, x, **image)))
        logits = mean_over_time(logits)
        require_classes(logits, y)
        samples += len(y)
        hits["network"] += _hits(logits, y)
        for t, twin in twins.items():
            with evaluation_mode(twin):
                made = twin(x)
            if t:
                hits[f"barrier {t}"] += _hits(made[0], y)
                continue
            sums = made.cumsum(0)
            hits.update({f"stream {n}": _hits(sums[n - 1], y) for n in counts})
    if not samples:
        raise ConversionError("accuracy_over_steps needs at least one sample, got no batches.")
    barrier = {t: hits[f"barrier {t}"] / samples for t in counts if _has_barrier(t)}
    stream = {t: hits[f"stream {t}"] / samples for t in counts}
    return AccuracyOverSteps(samples, hits["network"] / samples, barrier, stream)


def _twins(model: nn.Module, x: Tensor, counts: Sequence[int], fed: list[Tensor], options: Any) -> dict[int, Twin]:
    """A barrier of each number of steps that has one, and the stream of the most as number 0."""

    def of(levels: int) -> nn.Module:
        return with_levels(model, levels, fed) if fed else model

    twins = {t: convert(of(t), x, time_steps=t, **options) for t in counts if _has_barrier(t)}
    return {**twins, 0: convert(of(Barrier.most), x, time_steps=counts[-1], schedule="stream", **options)}


def _has_barrier(steps: int) -> bool:
    return steps <= Barrier.most and steps & (steps - 1) == 0


def _hits(logits: Tensor, labels: Tensor) -> int:
    return int((logits.argmax(1) == labels).sum())
