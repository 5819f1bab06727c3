"""Neurons of other libraries in exact fractions, written from the equations of interop/dynamics.py."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import torch
from torch import Tensor

from spikelet.interop.dynamics import After, Dynamics


@dataclasses.dataclass(frozen=True)
class Run:
    """Spikes [T, N], and how far each charge was from the threshold."""

    spikes: Tensor
    margin: Tensor

    @property
    def ties(self) -> int:
        """Charges on the threshold."""
        return int((self.margin == 0).sum())

    def certain(self, within: float) -> Tensor:
        """[T, N]: no charge of the neuron came closer than `within` to its threshold up to now."""
        return (self.margin.abs() > within).cumprod(0).bool()


def run(neuron: Dynamics, currents: Tensor) -> Run:
    """What `neuron` does with currents [T, N], from a membrane of zero, without rounding anything."""
    columns = [_one(neuron, column) for column in currents.double().T.tolist()]
    spikes, margins = zip(*columns, strict=True)
    return Run(torch.tensor(spikes).T, torch.tensor([[float(m) for m in row] for row in margins]).T)


def _one(neuron: Dynamics, currents: list[float]) -> tuple[list[int], list[Fraction]]:
    leak, threshold = Fraction(neuron.leak), Fraction(neuron.threshold)
    gain = 1 - leak if neuron.scale_input else Fraction(1)
    v, late, spikes, margins = Fraction(0), Fraction(0), [], []
    for current in currents:
        h = leak * v + gain * Fraction(current) - late
        s = h > threshold if neuron.strictly_above else h >= threshold
        v = {After.HARD: Fraction(0), After.SOFT: h - threshold}.get(neuron.after, h) if s else h
        late = threshold if s and neuron.after is After.LATE else Fraction(0)
        spikes.append(int(s))
        margins.append(h - threshold)
    return spikes, margins
