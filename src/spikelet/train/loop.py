"""The one training loop, on Hugging Face Accelerate: CPU or GPU, one process or several, mixed precision.

Each epoch: shuffled batches -> augmentation -> forward over T steps -> loss -> step; then validation in
evaluation mode and one line of metrics. The test set is not touched here. Whoever calls it decides what happens before
and after an epoch: run.py sets the recipe's phases and writes checkpoints, finetune.py does neither.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import instance
from spikelet.base.optional import need
from spikelet.base.time_axis import require_agreement
from spikelet.data.augment.names import AUGMENTATIONS
from spikelet.data.batches import Batches, Epoch, Share, batches
from spikelet.data.classes import class_names_of
from spikelet.data.order import generator
from spikelet.data.samples import DataSplits
from spikelet.nn.device import device_of
from spikelet.nn.evaluation import evaluation_mode
from spikelet.nn.reversible import inverts
from spikelet.train.compare import fitting, require_classes, require_one_class_each
from spikelet.train.compiler import compiled, require_compiler
from spikelet.train.config import Training
from spikelet.train.distillation import Distillation
from spikelet.train.evaluate import evaluate, name_classes, predict
from spikelet.train.objective import Objective
from spikelet.train.progress import Reporter, Silent, Together, require_reporter
from spikelet.train.progress_bar import reporter_for
from spikelet.train.schedule import learning_rate, optimizer_of, set_learning_rate
from spikelet.train.trackers import LOGS, Trackers, Tracking

if TYPE_CHECKING:
    from accelerate import Accelerator


def _accelerator(config: Training, tracking: Tracking | None) -> Accelerator:
    """The accelerator of a training; the CPU instead of Apple's GPU, which has no float64.

    Raises:
        MissingLibrary: accelerate is not installed.
        SpikeletError: this process has trained in another precision, and Accelerate allows one.
    """
    need("accelerate", package="accelerate", extra="train", what="training")
    from accelerate import Accelerator, DistributedDataParallelKwargs
    from accelerate.state import AcceleratorState, is_initialized

    unused = DistributedDataParallelKwargs(find_unused_parameters=True)  # at T = 1 no membrane is stored
    apple = torch.backends.mps.is_available()
    cpu = apple or not torch.accelerator.is_available()  # said, or several processes would not find each other
    if is_initialized() and (first := AcceleratorState().mixed_precision) != config.mixed_precision:
        raise SpikeletError(
            f"mixed_precision={config.mixed_precision!r} is not that of this process's first training, {first!r}, and "
            "Accelerate allows one a process. Give every training the same, or train this one in a new process."
        )
    told: dict[str, Any] = {}
    if tracking is not None:
        told = {"log_with": tracking.log_with, "project_dir": str(tracking.folder / LOGS)}
    return Accelerator(cpu=cpu, mixed_precision=config.mixed_precision, kwargs_handlers=[unused], **told)


class Loop:
    """Epochs of training for one module.

    Args:
        model: any module from uint8 input to logits [T, B, K]. Trained in place.
        data: its training and validation samples.
        training: how.
        reporter: is told about steps and epochs. None shows them: a bar on a terminal or in a notebook, a line an epoch
            elsewhere; `Silent()` shows nothing.
        tracking: the trackers that are told them too.
    Raises:
        OSError: training.compile on a CPU, and no C++ compiler is found.
        MissingLibrary: accelerate is not installed.
        SpikeletError: this process has trained in another precision.
        TimeAxisError: the model declares frames that are batch first.
        SpikeletError: the data does not fit the model: its channels, size or classes.

    Classes meet by name where the model has `class_names`; it has those of the training set after.
    """

    def __init__(
        self,
        model: nn.Module,
        data: DataSplits,
        training: Training,
        reporter: Reporter | None = None,
        tracking: Tracking | None = None,
    ) -> None:
        instance("Loop", nn.Module, model=model)
        instance("Loop", DataSplits, data=data)
        instance("Loop", Training, training=training)
        require_agreement(model, data.train.time_axis, f"the data set {data.train.name}")
        self.data, self.training = data.by_name(class_names_of(model)), training
        self.accelerator = _accelerator(training, tracking)
        self.reporter = self._shown() if reporter is None else reporter
        require_reporter(self.reporter)
        self.trackers: Reporter = Silent() if tracking is None else Trackers(self.accelerator, training)
        if training.compile:
            require_compiler()
        _require_rates(model, training)
        # oneDNN's faster layout
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = optimizer_of(self.model, training.optimizer)
        self.steps_per_epoch = len(self.batches_of(0))
        self._require_fit()
        name_classes(self.model, self.data.train.labels)

    def _shown(self) -> Reporter:
        """What shows a training unless something is said; of several processes the main one alone shows it."""
        return reporter_for(self.training) if self.accelerator.is_main_process else Silent()

    def _require_fit(self) -> None:
        """Evaluates one sample, so that data which does not fit is refused before any work."""
        train = self.data.train
        x, y = train.batch(torch.arange(1))
        with evaluation_mode(self.model), torch.random.fork_rng(self._cuda()), fitting(self.model, x, train.name):
            logits = predict(self.model, x.to(device_of(self.model)))
        require_one_class_each(logits, train)
        require_classes(logits, y)

    def run(
        self,
        history: list[dict[str, Any]],
        before_epoch: Callable[[int], None],
        after_epoch: Callable[[], None],
        distillation: Distillation | None = None,
    ) -> nn.Module:
        """Trains the epochs that `history` lacks, appends their metrics, and returns the model in evaluation mode, on
        the device where it was before.

        distillation: a teacher beside the labels.

        Raises:
            FloatingPointError: the loss, a weight or a statistic became NaN or infinite.
        """
        device = device_of(self.model)
        if distillation is not None:
            distillation.meet(self.model, self.data.train.labels)
        objective = Objective(self.model, self.training, distillation)
        objective, optimizer = self.accelerator.prepare(objective, self.optimizer)
        step_function = compiled(objective) if self.training.compile else objective
        told = Together((self.reporter, self.trackers))
        told.start(self.training.epochs, self.steps_per_epoch, len(history))
        try:
            for epoch in range(len(history), self.training.epochs):
                before_epoch(epoch)
                with torch.random.fork_rng(self._cuda()):  # leaves the caller's generators alone
                    history.append(self._epoch(epoch, step_function, optimizer, told))
                after_epoch()
                if self.accelerator.is_main_process:
                    told.epoch(history[-1])
        finally:
            told.finish()
            self.model.to(device)
        return self.model.eval()

    def _epoch(self, epoch: int, objective: Any, optimizer: Any, told: Reporter) -> dict[str, Any]:
        started = time.monotonic()
        self.model.train()
        total, steps = torch.zeros(2), self.training.epochs * self.steps_per_epoch
        # what layers draw, such as dropout's masks, depends on (seed, epoch) alone too
        torch.manual_seed(generator(self.training.seed, epoch, self.accelerator.process_index).initial_seed())
        for step, (x, y) in enumerate(self._on_device(self.batches_of(epoch))):
            rate = learning_rate(epoch * self.steps_per_epoch + step, steps, self.training.optimizer)
            set_learning_rate(self.optimizer, rate, self.training.optimizer)
            loss, firing = objective(x, y)
            optimizer.zero_grad()
            self.accelerator.backward(loss)
            optimizer.step()
            if not torch.isfinite(loss):
                raise self._diverged(f"the loss became {loss.item()} in epoch {epoch}, step {step}", epoch)
            total += torch.stack([loss.detach(), firing]).cpu()
            told.step(epoch, step, float(loss.detach()))
        for name, value in self.model.state_dict().items():
            if not torch.isfinite(value).all():  # a NaN current never fires, so that the loss may look well
                raise self._diverged(f"{name} holds NaN or infinity after epoch {epoch}", epoch)
        mean = (total / self.steps_per_epoch).tolist()
        metrics = {
            "epoch": epoch,
            "time_steps": self.training.time_steps(epoch),
            "loss": mean[0],
            "firing_rate": mean[1],
        }
        if len(self.data.validation):
            shown, time_axis = self._on_device(batches(self.data.validation, 256)), self.data.validation.time_axis
            metrics["validation_accuracy"] = evaluate(self.model, shown, time_axis=time_axis)
        return metrics | {"learning_rate": rate, "seconds": round(time.monotonic() - started, 2)}

    def _diverged(self, what: str, epoch: int) -> FloatingPointError:
        kept = f"epoch {epoch - 1} was the last good one" if epoch else "no epoch was good before"
        return FloatingPointError(f"{what}. Lower Optimizer.lr (now {self.training.optimizer.lr}); {kept}.")

    def _cuda(self) -> list[torch.device]:
        device = self.accelerator.device
        return [device] if device.type == "cuda" else []

    def batches_of(self, epoch: int) -> Batches:
        """This process's batches of an epoch. Order and augmentation depend on (seed, epoch, step) alone."""
        ranks = self.accelerator.num_processes
        return batches(
            self.data.train,
            max(1, self.training.batch_size // ranks),
            epoch=Epoch(self.training.seed, epoch),
            augment=AUGMENTATIONS[self.training.augment],
            drop_last=True,
            share=Share(self.accelerator.process_index, ranks),
        )

    def _on_device(self, pairs: Batches) -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in pairs:
            yield x.to(self.accelerator.device), y.to(self.accelerator.device)


def _require_rates(model: nn.Module, training: Training) -> None:
    """Raises SpikeletError where the loss on firing rates would not reach neurons that training runs backwards."""
    if training.regulation.spike and inverts(model):
        raise SpikeletError(
            f"regulation.spike={training.regulation.spike} asks for gradients of firing rates, which blocks of "
            "spikelet.nn.Reversible do not keep. Use regulation=DualRegulation(spike=0), or Reversible(..., "
            "recompute=False)."
        )
