"""A run of three steps: a larger network is trained, loses channels, and is fine-tuned as a configuration says.

    config = RECIPES["qpsnn-digits"]()                           # TrainConfig(..., unpruned=Unpruned(...))
    run_of(config, spikelet.data.load("digits"), "runs/small").train()

    runs/small/unpruned/     the run of the larger network, config.of_unpruned(), like any other
    runs/small/              that of the pruned one: config.json builds its shapes, so that it is loaded like any other

Each layer keeps as many channels as the configuration's network has there, those that the criterion scores highest on
5 training batches of 128, as QP-SNN does it ("quantise first, then prune", Wei et al., ICLR 2025, arXiv:2502.05905):
once, after the quantised training. The authors start batch norms and classifier anew before fine-tuning; here
they keep what they learned, less the channels that left. A stopped run goes on where it was: the scores depend on the
weights and the configuration's seed alone, so that pruning again gives the same network.
"""

from __future__ import annotations

import copy
import itertools
from pathlib import Path
from typing import Any

from torch import nn

from spikelet.base.errors import SpikeletError
from spikelet.compression.channels import WEIGHTED
from spikelet.compression.compress import BATCH, compress
from spikelet.compression.criteria import SVS, Criterion, MembraneL1, NormScale, Random, WeightL1
from spikelet.compression.filters import Filter
from spikelet.compression.passes.prune import Prune
from spikelet.data.batches import Epoch, batches
from spikelet.train.config import TrainConfig
from spikelet.train.progress import Reporter
from spikelet.train.run import Run

UNPRUNED = "unpruned"  # the folder of the larger network's run, in the run's own
BATCHES = 5  # that scores are taken on
CRITERIA: dict[str, Criterion] = {
    "svs": SVS(),
    "membrane_l1": MembraneL1(),
    "norm_scale": NormScale(),
    "weight_l1": WeightL1(),
}


class PrunedRun(Run):
    """A run whose network is a larger one pruned; `PrunedRun(config, data, folder).train()` starts or continues it.

    Args:
        config: with `unpruned`; its own phases fine-tune.
        data, folder, reporter, log_with: as of `Run`. Where a reporter is given, the larger network's epochs are told
            to `run.unpruned.loop.reporter`; trackers hear of them where they are given by name.
    Raises:
        CheckpointError: as of `Run`.
        SpikeletError: as of `Run`; or the larger network is no larger, or has other layers.
    """

    prunes = True

    def __init__(
        self,
        config: TrainConfig,
        data: Any,
        folder: str | Path,
        reporter: Reporter | None = None,
        *,
        log_with: Any = None,
    ) -> None:
        super().__init__(config, data, folder, reporter, log_with=log_with)
        self.unpruned = self._earlier(config.of_unpruned(), self.loop.data, UNPRUNED)
        self._ratios: dict[str | Filter, float] = {**ratios_between(self.unpruned.model, self.model)}

    @property
    def before(self) -> tuple[Run, ...]:
        """The runs that are trained before this one: the larger network's."""
        return (*super().before, self.unpruned)

    def rehearse(self) -> None:
        """Rehearses both trainings, and the pruning between them, before the first of them."""
        super().rehearse()
        if not self.history:
            self.unpruned.rehearse()
            self._take(copy.deepcopy(self.unpruned.model), copy.deepcopy(self.model), Random())

    def begin(self) -> None:
        """Trains the larger network, and puts what pruning leaves of it into the model."""
        assert self.config.unpruned is not None
        self._take(self.unpruned.train(), self.model, CRITERIA[self.config.unpruned.criterion])

    def _take(self, larger: nn.Module, model: nn.Module, criterion: Criterion) -> None:
        """Gives `model` the weights that pruning leaves of `larger`."""
        train = self.loop.data.train
        size = min(BATCH, len(train))
        shown = itertools.islice(batches(train, size, epoch=Epoch(self.config.seed, 0)), BATCHES)
        inputs = [x for x, _ in shown]
        passes = [Prune(self._ratios, criterion)]
        small = compress(larger, passes, inputs, calibration_batches=BATCHES, time_axis=train.time_axis).model
        model.load_state_dict(small.state_dict())


def ratios_between(larger: nn.Module, smaller: nn.Module) -> dict[str, float]:
    """The share of its channels that each layer of `larger` must lose to be that of `smaller`; layers that keep all
    are left out. Half a channel is added, so that int(n (1 - ratio)) is the number that stays.

    Raises:
        SpikeletError: the layers have other names, a layer would have to grow, or no layer is smaller.
    """
    before, after = (_outputs(model) for model in (larger, smaller))
    if before.keys() != after.keys():
        odd = sorted(before.keys() ^ after.keys())[0]
        raise SpikeletError(
            f"the network before pruning and the one after it have other layers: {odd} is in one alone. "
            "Unpruned.model_options may change widths only."
        )
    if grown := [name for name in before if before[name] < after[name]]:
        raise SpikeletError(
            f"{grown[0]} has {before[grown[0]]} channels before pruning and {after[grown[0]]} after it. Make "
            "Unpruned.model_options larger, or model_options smaller."
        )
    ratios = {name: 1 - (after[name] + 0.5) / n for name, n in before.items() if after[name] < n}
    if not ratios:
        raise SpikeletError(
            "Unpruned.model_options make the network that model_options make: no channel would leave. Give it more "
            "channels, or leave unpruned= out."
        )
    return ratios


def _outputs(model: nn.Module) -> dict[str, int]:
    """Output channels of each layer with weights, by its name."""
    return {name: module.weight.shape[0] for name, module in model.named_modules() if isinstance(module, WEIGHTED)}


def run_of(
    config: TrainConfig, data: Any, folder: str | Path, reporter: Reporter | None = None, *, log_with: Any = None
) -> Run:
    """The run that trains `config`: with `unpruned` one that prunes."""
    return (Run if config.unpruned is None else PrunedRun)(config, data, folder, reporter, log_with=log_with)
