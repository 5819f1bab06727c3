"""Accuracy of a network and of its spiking twins, over time steps and by schedule."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.base.page import Displayed, Page
from spikelet.base.strict_json import shown
from spikelet.base.table import Table
from spikelet.base.whole import wholes
from spikelet.conversion.convert import Fed, convert, fed_to
from spikelet.conversion.copying import require_batches
from spikelet.conversion.schedules import Barrier, Stream
from spikelet.conversion.starts import Started
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
    started: after t steps of a stream whose neurons start as images ask for; empty where none was asked for.
    """

    samples: int
    network: float
    barrier: dict[int, float]
    stream: dict[int, float]
    started: dict[int, float] = dataclasses.field(default_factory=dict)

    def curves(self) -> dict[str, dict[int, float]]:
        """Accuracy by steps, of each schedule that was evaluated."""
        both = {"barrier": self.barrier, Stream.name: self.stream}
        return {**both, Started.name: self.started} if self.started else both

    def table(self) -> Table:
        """A row for each number of steps."""
        curves = self.curves()
        rows = [(str(t), *(_percent(by.get(t)) for by in curves.values())) for t in self.stream]
        last = ("network", _percent(self.network), *[""] * (len(curves) - 1))
        return Table(("steps", *curves), tuple(rows), (last,))

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
    started: Started | None = None,
    **image: Unpack[Fed],
) -> AccuracyOverSteps:
    """Accuracy of `model`, and of its conversion after each of `steps`, under both schedules.

    Args:
        model: as `spikelet.convert` takes it; left as it is.
        batches: pairs of uint8 images [B, ...] and labels [B]; read once.
        steps: numbers of steps in ascending order. The barrier has those that are powers of two to 128.
        weight_bits: as `spikelet.convert` takes them.
        image: scale, mean and std, likewise.
        calibration: some hundred images of the training set, uint8 [B, ...], in one batch or several. Each twin then
            comes from the network with its levels, whose norms are measured on them (with_levels.py); None leaves the
            norms as they are.
        started: Started(images) evaluates a third schedule, the stream whose neurons start as the images ask for.
    Raises:
        ConversionError: what converting raises; no samples; steps that are no ascending whole numbers from 1; a
            `started` that is no Started.
        SpikeletError: batches that are no pairs, or labels that are not one class a sample.
    """
    counts = wholes(steps, "steps", 1, MOST_STEPS, ConversionError)
    if list(counts) != sorted(set(counts)):
        raise ConversionError(f"steps must ascend, got {list(counts)}.")
    if started is not None and not isinstance(started, Started):
        raise ConversionError(f"started must be Started(images) or None, got {shown(started)}.")
    images = [] if calibration is None else require_batches(model, calibration, "calibration")
    fed = [fed_to(model, batch, **image) for batch in images]
    hits, samples = Counter[str](), 0
    twins: dict[str, Twin] = {}
    for x, y in pairs_by_name(batches, class_names_of(model)):
        if not twins:
            twins = _twins(model, x, counts, fed, started, {"weight_bits": weight_bits, **image})
        x, y = x.to(device_of(model)), y.to(device_of(model))
        with evaluation_mode(model):
            logits = first_of(model(fed_to(model, x, **image)))
        logits = mean_over_time(logits)
        require_classes(logits, y)
        samples += len(y)
        hits["network"] += _hits(logits, y)
        for name, twin in twins.items():
            with evaluation_mode(twin):
                made = twin(x)
            if name.startswith(Barrier.name):
                hits[name] += _hits(made[0], y)
                continue
            sums = made.cumsum(0)
            hits.update({f"{name} {n}": _hits(sums[n - 1], y) for n in counts})
    if not samples:
        raise ConversionError("accuracy_over_steps needs at least one sample, got no batches.")
    return _curve(hits, samples, counts, [] if started is None else counts)


def _curve(hits: Counter[str], samples: int, counts: Sequence[int], started: Sequence[int]) -> AccuracyOverSteps:
    barrier = {t: hits[f"{Barrier.name} {t}"] / samples for t in counts if _has_barrier(t)}
    stream = {t: hits[f"{Stream.name} {t}"] / samples for t in counts}
    by_start = {t: hits[f"{Started.name} {t}"] / samples for t in started}
    return AccuracyOverSteps(samples, hits["network"] / samples, barrier, stream, by_start)


def _twins(
    model: nn.Module, x: Tensor, counts: Sequence[int], fed: list[Tensor], started: Started | None, options: Any
) -> dict[str, Twin]:
    """A barrier of each number of steps that has one, and streams of the most."""

    def of(levels: int) -> nn.Module:
        return with_levels(model, levels, fed) if fed else model

    twins = {f"{Barrier.name} {t}": convert(of(t), x, time_steps=t, **options) for t in counts if _has_barrier(t)}
    finest, schedules = of(Barrier.most), [Stream.name, *([] if started is None else [started])]
    for schedule in schedules:
        name = Started.name if isinstance(schedule, Started) else schedule
        twins[name] = convert(finest, x, time_steps=counts[-1], schedule=schedule, **options)
    return twins


def _has_barrier(steps: int) -> bool:
    return steps <= Barrier.most and steps & (steps - 1) == 0


def _hits(logits: Tensor, labels: Tensor) -> int:
    return int((logits.argmax(1) == labels).sum())
