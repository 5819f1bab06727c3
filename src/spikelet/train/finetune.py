"""Fine-tuning: more epochs for an existing network, at its own time steps."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import nn

from spikelet.base.numbers import instance
from spikelet.data.samples import DataSplits
from spikelet.neurons import time_steps_of
from spikelet.train.config import Training
from spikelet.train.distillation import Distillation
from spikelet.train.loop import Loop
from spikelet.train.phases import set_real_steps
from spikelet.train.progress import Reporter
from spikelet.train.settings import Phase


def further(training: Training, model: nn.Module, epochs: int) -> Training:
    """The settings of a fine-tuning: `training` with one phase of `epochs` at the model's T, without a teacher.

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
    """The epochs' metrics of training `model` further, in place, on its T time steps. It ends in evaluation mode.

    reporter: is told about steps and epochs; None shows them, `spikelet.train.Silent()` shows nothing.
    distillation: a teacher beside the labels.

    Raises:
        FloatingPointError: the loss, a weight or a statistic became NaN or infinite.
    """
    instance("train_further", nn.Module, model=model)
    history: list[dict[str, Any]] = []
    set_real_steps(model)
    loop = Loop(model, data, training, reporter)
    loop.run(history, before_epoch=lambda epoch: None, after_epoch=lambda: None, distillation=distillation)
    return history
