"""A few epochs of training after a network lost channels or bits: the one training loop, on the given module."""

from __future__ import annotations

import dataclasses

from torch import nn

from spikelet.base.errors import CompressionError, SpikeletError
from spikelet.compression.passes.base import Context, Row
from spikelet.neurons import neurons_of
from spikelet.train.config import Training
from spikelet.train.distillation import Distillation
from spikelet.train.finetune import further, train_further
from spikelet.train.progress import Reporter
from spikelet.train.settings import DualRegulation, Optimizer, Phase


@dataclasses.dataclass(frozen=True)
class Finetune:
    """Trains the model for some epochs, at its own time steps and with its own quantizers.

    Args:
        epochs: from 1 on.
        optimizer: its learning rate is the peak, after warm-up and before a cosine to 0.
        batch_size, augment, loss, label_smoothing, seed, mixed_precision, compile: as in `spikelet.train.Training`.
        spike: lambda of the loss on firing rates.
        norm_lr: learning rate of batch norms and biases, in units of `lr`.
        reporter: is told about steps and epochs; None shows them, `spikelet.train.Silent()` shows nothing.
        teacher: teaches beside the labels, such as `Distillation(model, SoftLogits(0.9))` of the network before
            compression.
    Raises:
        SpikeletError: a setting is out of range.
    """

    epochs: int
    lr: float = 1e-3
    optimizer: str = "adamw"
    weight_decay: float = 0.0
    batch_size: int = 128
    augment: str = "none"
    loss: str = "steps"
    label_smoothing: float = 0.0
    spike: float = 0.0
    seed: int = 0
    mixed_precision: str = "no"
    compile: bool = False
    reporter: Reporter | None = dataclasses.field(default=None, compare=False)
    norm_lr: float = 1.0
    teacher: Distillation | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        _ = self.training  # checks every setting
        if not isinstance(self.teacher, Distillation | None):
            raise SpikeletError(
                f"Finetune.teacher must be a spikelet.train.Distillation or None, got {type(self.teacher).__name__}."
            )

    @property
    def training(self) -> Training:
        """How it trains, with one phase at T = 1 in the place of the model's own time steps."""
        return Training(
            augment=self.augment,
            phases=(Phase(self.epochs, 1),),  # checks the epochs; `further` puts the model's time steps in
            batch_size=self.batch_size,
            optimizer=Optimizer(self.optimizer, self.lr, self.weight_decay, norm_lr=self.norm_lr),
            regulation=DualRegulation(spike=self.spike),
            loss=self.loss,
            label_smoothing=self.label_smoothing,
            seed=self.seed,
            mixed_precision=self.mixed_precision,
            compile=self.compile,
        )

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, list[Row]]:
        """Raises CompressionError without samples or neurons, FloatingPointError where training diverges."""
        data = context.splits("Finetune")
        if not neurons_of(model):
            raise CompressionError("Finetune trains spiking networks, and the model has no spiking neurons.")
        training = further(self.training, model, self.epochs)
        history = train_further(model, data, training, self.reporter, self.teacher)
        for parameter in model.parameters():
            parameter.grad = None
        rows = [Row("", "fine-tuning loss", f"{history[0]['loss']:.4f}", f"{history[-1]['loss']:.4f}")]
        if "validation_accuracy" in history[-1]:
            first, last = (f"{100 * h['validation_accuracy']:.2f} %" for h in (history[0], history[-1]))
            rows.append(Row("", "validation accuracy after the first and the last epoch", first, last))
        return model, rows
