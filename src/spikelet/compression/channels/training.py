"""What a model runs in training mode, where its code may do something else than in evaluation.

    auxiliary heads, masks, branches that evaluation folds into one layer, blocks left out at random

Channels that leave must leave all of that too, or a network of half the channels evaluates and can't be trained. So
training is traced as evaluation is, RUNS times with another seed each, as chance may leave a block out of one run.
"""

from __future__ import annotations

import contextlib
import copy

import torch
from torch import Tensor, nn

from spikelet.base.time_axis import TimeAxis, batch_axis
from spikelet.compression.channels.layers import is_leaf
from spikelet.compression.execution import few_samples
from spikelet.lowering.trace import Trace, trace

RUNS = 3


def training_runs(model: nn.Module, example: Tensor, time_axis: TimeAxis) -> list[tuple[Tensor, Trace]]:
    """The inputs, two samples of `example` at least, and what the model did to them in training mode.

    It runs on a copy with the same parameters and buffers of its own, so that no statistics are learned; raises what
    the model raises.
    """
    x = few_samples(example, time_axis)
    if x.shape[batch_axis(time_axis)] == 1:
        x = torch.cat([x, x], batch_axis(time_axis))  # a batch norm learns nothing from one value
    copied = copy.deepcopy(model, {id(p): p for p in model.parameters()}).train()
    with torch.random.fork_rng([x.device] if x.is_cuda else []):
        return [(x, _run(copied, x, seed)) for seed in range(RUNS)]


def _run(model: nn.Module, x: Tensor, seed: int) -> Trace:
    torch.manual_seed(seed)
    return trace(model, x, is_leaf, mode=lambda _: contextlib.nullcontext())
