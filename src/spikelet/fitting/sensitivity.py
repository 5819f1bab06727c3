"""What each single choice costs in loss, measured: one layer at fewer bits, one group with fewer channels.

    loss increase(choice) = max(0, loss(network with that choice alone) - loss(network))

loss is the cross entropy of the mean logits over the calibration samples. Batch norms take their statistics anew from
the same samples first: a network whose sums have all changed is judged after what any fine-tuning does in its
first steps. Loss increases are taken to add up, which holds near the starting network; therefore
plans are trained and measured before one is chosen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import make_plain
from spikelet.base.strict_json import shown
from spikelet.compression.passes import recalibrate
from spikelet.fitting.plan import Changes, Plan, Subject
from spikelet.nn.evaluation import evaluation_mode
from spikelet.train.evaluate import predict

Samples = Sequence[tuple[Tensor, Tensor]]


@dataclasses.dataclass(frozen=True)
class Choices:
    """What may be chosen: bits of inner layers, bits of the first and the last, ratios of every group."""

    bits: tuple[int, ...] = (1, 2, 3, 4, 8)
    first_last_bits: tuple[int, ...] = (4, 8)
    ratios: tuple[float, ...] = (0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75)

    def __post_init__(self) -> None:
        make_plain(self)
        for field in dataclasses.fields(self):
            if isinstance(getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(getattr(self, field.name)))
        for name, bits, low in (("bits", self.bits, 1), ("first_last_bits", self.first_last_bits, 2)):
            if not isinstance(bits, tuple) or not bits or any(type(b) is not int or not low <= b <= 8 for b in bits):
                raise SpikeletError(f"Choices.{name} must be whole numbers from {low} to 8, got {shown(bits)}.")
        ratios = self.ratios
        if not isinstance(ratios, tuple) or 0 not in ratios or not all(map(_is_share, ratios)):
            raise SpikeletError(f"Choices.ratios must lie in [0, 1) and hold 0, got {shown(ratios)}.")

    def bits_of(self, first_or_last: bool) -> tuple[int, ...]:
        """Bits that a layer may have."""
        return self.first_last_bits if first_or_last else self.bits


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """Measured loss increases in nats, by layer and bits, by group and ratio."""

    bits: Mapping[str, Mapping[int, float]]
    ratios: Mapping[str, Mapping[float, float]]

    def of(self, plan: Plan) -> float:
        """Predicted loss increase of a plan: the sum over its choices."""
        by_bits = sum(self.bits[layer][bits] for layer, bits in plan.bits.items())
        return by_bits + sum(self.ratios[group][ratio] for group, ratio in plan.ratios.items())


def measure(
    subject: Subject, layers: Sequence[str], samples: Samples, choices: Choices, step: Callable[[], None]
) -> Sensitivity:
    """Returns the loss increase of every single choice.

    Args:
        subject: the network.
        layers: whose bits may change.
        samples: batches (x, y) to calibrate and judge with.
        choices: what to try.
        step: called after each.
    """
    # the bits that a layer has, and different ratios of a few heads, make no new network
    losses: dict[Changes, float] = {}

    def loss(plan: Plan) -> float:
        changes = subject.changes(plan)
        if changes not in losses:
            losses[changes] = _loss(subject.build(plan), samples)
        return losses[changes]

    base = loss(Plan())

    def increase(plan: Plan) -> float:
        value = loss(plan)
        step()
        return max(0.0, value - base)

    bits = {
        name: {b: increase(Plan(bits={name: b})) for b in choices.bits_of(name in subject.first_and_last)}
        for name in layers
    }
    ratios = {
        name: {r: increase(Plan(ratios={name: r})) if r else 0.0 for r in choices.ratios} for name in subject.orders
    }
    return Sensitivity(bits, ratios)


@torch.no_grad()
def _loss(model: nn.Module, samples: Samples) -> float:
    recalibrate(model, inputs_of(samples))
    total = count = 0.0
    with evaluation_mode(model):
        for x, y in samples:
            total += float(F.cross_entropy(predict(model, x), y, reduction="sum"))
            count += len(y)
    return total / count


def _is_share(ratio: Any) -> bool:
    return type(ratio) in (int, float) and 0 <= ratio < 1


def inputs_of(samples: Samples) -> Iterator[Tensor]:
    """The inputs of labelled batches."""
    return (x for x, _ in samples)
