"""More epochs for a network that is there, at its own time steps: fine-tuning."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import nn

from spikelet.data.samples import DataSplits
from spikelet.neurons import time_steps_of
from spikelet.train.config import Training
from spikelet.train.distillation import Distillation
from spikelet.train.loop import Loop
from spikelet.train.parts import Phase
from spikelet.train.prepare import set_real_steps
from spikelet.train.progress import Reporter


def further(training: Training, model: nn.Module, epochs: int) -> Training:
    """`training` with one phase, `epochs` at the time steps that the model's neurons have, and without a teacher.

    Raises:
        SpikeletError: the model has no spiking neurons, or neurons of different time_steps.
    """
    return dataclasses.replace(training.plain(), phases=(Phase(epochs, time_steps_of(model)),))


def train_further(
    model: nn.Module,
    data: DataSplits,
    training: Training,
    reporter: Reporter | None = None,
    distillation: Distillation | None = None,
) -> list[dict[str, Any]]:
    """Trains `model` in place on real steps and returns the epochs' metrics. It ends in evaluation mode, its quantizers
    as they were.

    distillation: a teacher beside the labels.

    Raises:
        FloatingPointError: the loss, a weight or a statistic became NaN or infinite.
    """
    history: list[dict[str, Any]] = []
    set_real_steps(model)
    loop = Loop(model, data, training, reporter)
    loop.run(history, before_epoch=lambda epoch: None, after_epoch=lambda: None, distillation=distillation)
    return history
