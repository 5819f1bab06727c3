"""The smallest network that still does the job: bits a layer and channels a group, chosen by measured sensitivity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikelet.base import torch_needed as torch_needed
from spikelet.base.errors import BudgetError as BudgetError
from spikelet.data.samples import DataSplits
from spikelet.fitting.budget import Budget as Budget
from spikelet.fitting.fitted import Fitted as Fitted
from spikelet.fitting.job import Job, usual_training
from spikelet.fitting.job import Settings as Settings
from spikelet.fitting.progress import Quiet as Quiet
from spikelet.fitting.progress import Shown, require_watcher
from spikelet.fitting.progress import Watcher as Watcher
from spikelet.fitting.sensitivity import Choices as Choices
from spikelet.train import Training

if TYPE_CHECKING:
    from torch import nn


def fit(
    model: nn.Module,
    data: DataSplits,
    budget: Budget,
    *,
    training: Training | None = None,
    settings: Settings | None = None,
    watcher: Watcher | None = None,
) -> Fitted:
    """Returns the network within `budget` that loses least accuracy: fewer bits, fewer channels, trained again.

    Example:
        >>> from spikelet.data import DataSplits, Samples
        >>> x = torch.randint(0, 256, (48, 1, 8, 8), dtype=torch.uint8)
        >>> digits = Samples(x, torch.arange(48) % 2, ("a", "b"), "noise")
        >>> data = DataSplits(digits.subset(torch.arange(32)), *[digits.subset(torch.arange(32, 48))] * 2)
        >>> model = spikelet.create_model("qsnn_vgg_s", widths=[8, 8], num_classes=2, image_size=8, in_channels=1)
        >>> settings = spikelet.fitting.Settings(samples=16, trials=20, probes=1, epochs=1)
        >>> training = spikelet.train.Training(batch_size=16)
        >>> budget = spikelet.Budget(max_bytes=4000)
        >>> fitted = spikelet.fit(model, data, budget, training=training, settings=settings)
        >>> fitted.result.size <= 4000
        True

    Args:
        model: a trained network of spikelet's layers, at any bits. Left as it was.
        data: its training, validation and test samples; plans are chosen on the validation set, the answer is judged
            once on the test set.
        budget: the limits. Plans are chosen by an upper bound of their bytes and by operations at the start's firing
            rates: a limit that no plan meets is refused. Whether the trained network meets all, the result says.
        training: how to fine-tune. Its phases are not used, and quantizers keep their own gradients. None is
            `Training()`; where blocks of `spikelet.nn.Reversible` are inverted, without a loss on firing rates, which
            they do not keep.
        settings: how long to look.
        watcher: is told about the progress; None shows it, `spikelet.fitting.Quiet()` shows nothing.
    Raises:
        BudgetError: no plan is small enough; says what the smallest needs.
        SpikeletError: an argument is of another kind, the data has no validation samples, or it does not fit the model.
    """
    watcher = Shown() if watcher is None else watcher
    require_watcher(watcher)
    job = Job(model, data, budget, training or usual_training(model), settings or Settings())
    return job.run(watcher)
