"""The one training loop, on Hugging Face Accelerate: CPU or GPU, one process or several, mixed precision.

Each epoch: shuffled batches -> augmentation -> forward over T steps -> loss -> step; then validation in
evaluation mode, one line of metrics, one atomic checkpoint. The test set is not touched here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from spikelet.data.batches import Batches, Epoch, Share, batches
from spikelet.data.samples import DataSplits
from spikelet.train.augment import AUGMENTATIONS
from spikelet.train.checkpoint import (
    CheckpointError,
    build,
    load_checkpoint,
    load_config,
    save_checkpoint,
    save_config,
    save_weights,
)
from spikelet.train.config import TrainConfig
from spikelet.train.evaluate import evaluate
from spikelet.train.objective import firing_rates, rate_loss, step_cross_entropy
from spikelet.train.prepare import set_binary, set_time_steps
from spikelet.train.progress import Reporter, Silent
from spikelet.train.schedule import learning_rate, optimizer_of

if TYPE_CHECKING:
    from accelerate import Accelerator


class Objective(nn.Module):
    """Model and loss in one module, so that one compiled graph holds both.

    Returns (loss, mean firing rate of the hidden layers).
    """

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        super().__init__()
        self.model = model
        self.spike = config.regulation.spike
        self.label_smoothing = config.label_smoothing

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """x uint8 [B, ...] or [T, B, ...], y [B]."""
        with firing_rates(self.model) as rates:
            loss = step_cross_entropy(self.model(x), y, self.label_smoothing)
            if self.spike:
                loss = loss + self.spike * rate_loss(rates)
            return loss, torch.stack(rates).mean().detach()


def _accelerator(config: TrainConfig) -> Accelerator:
    try:
        from accelerate import Accelerator, DistributedDataParallelKwargs
    except ImportError as e:
        raise ImportError("training needs accelerate. Install it with: pip install 'spikelet[train]'") from e
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)  # at T = 1 no membrane is stored
    return Accelerator(mixed_precision=config.mixed_precision, kwargs_handlers=[unused])


class Run:
    """One training run in one folder; `Run(config, data, folder).train()` starts or continues it.

    Raises:
        CheckpointError: the folder holds a run of another configuration.
    """

    def __init__(
        self, config: TrainConfig, data: DataSplits, folder: str | Path, reporter: Reporter | None = None
    ) -> None:
        self.config, self.data, self.folder = config, data, Path(folder)
        self.reporter: Reporter = reporter or Silent()
        if (self.folder / "config.json").exists() and load_config(self.folder).to_json() != config.to_json():
            raise CheckpointError(
                f"{self.folder} holds a run of another configuration. Choose another folder, or remove this one."
            )
        self.accelerator = _accelerator(config)
        self.model = build(config).to(memory_format=torch.channels_last)  # oneDNN's faster layout, see results/LOG.md
        self.optimizer = optimizer_of(self.model, config.optimizer)
        self.steps_per_epoch = len(self._batches(0))

    def train(self) -> nn.Module:
        """Trains to the last epoch and returns the model in evaluation mode."""
        main = self.accelerator.is_main_process
        if main:
            save_config(self.folder, self.config)
        history = load_checkpoint(self.folder, self.model, self.optimizer)
        objective, optimizer = self.accelerator.prepare(Objective(self.model, self.config), self.optimizer)
        step_function = torch.compile(objective) if self.config.compile else objective
        self.reporter.start(self.config.epochs, self.steps_per_epoch, len(history))
        try:
            for epoch in range(len(history), self.config.epochs):
                history.append(self._epoch(epoch, step_function, optimizer))
                if main:
                    save_checkpoint(self.folder, self.model, self.optimizer, history)
                    self.reporter.epoch(history[-1])
        finally:
            self.reporter.finish()
        if main:
            save_weights(self.folder, self.model)
        return self.model.eval()

    def _epoch(self, epoch: int, objective: Any, optimizer: Any) -> dict[str, Any]:
        started = time.monotonic()
        set_time_steps(self.model, self.config.time_steps(epoch))
        set_binary(self.model, self.config, epoch)
        self.model.train()
        total, steps = torch.zeros(2), self.config.epochs * self.steps_per_epoch
        for step, (x, y) in enumerate(self._on_device(self._batches(epoch))):
            rate = learning_rate(epoch * self.steps_per_epoch + step, steps, self.config.optimizer)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            loss, firing = objective(x, y)
            optimizer.zero_grad()
            self.accelerator.backward(loss)
            optimizer.step()
            if not torch.isfinite(loss):
                raise self._diverged(f"the loss became {loss.item()} in epoch {epoch}, step {step}", epoch)
            total += torch.stack([loss.detach(), firing]).cpu()
            self.reporter.step(epoch, step, float(loss.detach()))
        for name, value in self.model.state_dict().items():
            if not torch.isfinite(value).all():  # a NaN current never fires, so that the loss may look well
                raise self._diverged(f"{name} holds NaN or infinity after epoch {epoch}", epoch)
        mean = (total / self.steps_per_epoch).tolist()
        metrics = {"epoch": epoch, "time_steps": self.config.time_steps(epoch), "loss": mean[0], "firing_rate": mean[1]}
        if len(self.data.validation):
            metrics["validation_accuracy"] = evaluate(self.model, self._on_device(batches(self.data.validation, 256)))
        return metrics | {"learning_rate": rate, "seconds": round(time.monotonic() - started, 2)}

    def _diverged(self, what: str, epoch: int) -> FloatingPointError:
        kept = f"the checkpoint is that of epoch {epoch - 1}" if epoch else "there is no checkpoint yet"
        return FloatingPointError(f"{what}. Lower Optimizer.lr (now {self.config.optimizer.lr}); {kept}.")

    def _batches(self, epoch: int) -> Batches:
        """This process's share. Order and augmentation depend on (seed, epoch, step) alone."""
        ranks = self.accelerator.num_processes
        return batches(
            self.data.train,
            max(1, self.config.batch_size // ranks),
            epoch=Epoch(self.config.seed, epoch),
            augment=AUGMENTATIONS[self.config.augment],
            drop_last=True,
            share=Share(self.accelerator.process_index, ranks),
        )

    def _on_device(self, pairs: Batches) -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in pairs:
            yield x.to(self.accelerator.device), y.to(self.accelerator.device)
