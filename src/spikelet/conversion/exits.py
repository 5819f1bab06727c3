"""Early exit: a stream stops where the lead of its best class is large enough.

    m[t] = (y(1) + .. + y(t)) / t                    logits after t steps, [K]
    exit at the first t >= least with  best of m[t] - second best of m[t] >= margin,  else at T

The margin is in units of the logits. A twin is evaluated to its end, and the steps are counted; a Program takes one
step at a time and stops when all samples of its batch have left. Ours; confidence of running means is what
conversion papers report accuracy over time for (arXiv:2303.04347).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import not_negative, whole_numbers
from spikelet.nn.device import device_of
from spikelet.nn.evaluation import evaluation_mode
from spikelet.nn.taken import require_module, tensor_of
from spikelet.runtime import Program


@dataclasses.dataclass(frozen=True, eq=False)
class Exits:
    """What left early.

    classes: of each sample, [B].
    steps: after which it left, 1..T, [B].
    """

    classes: NDArray[np.int64]
    steps: NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class EarlyExit:
    """When to stop. See the module's equations.

    Args:
        margin: the lead that is enough, 0 or more.
        least: the fewest steps.
    Raises:
        SpikeletError: margin below 0, or least no whole number from 1.
    """

    margin: float
    least: int = 1

    def __post_init__(self) -> None:
        not_negative("EarlyExit", margin=self.margin)
        whole_numbers("EarlyExit", least=self.least)

    def __call__(self, runner: nn.Module | Program, x: Tensor | NDArray[np.uint8]) -> Exits:
        """The classes of uint8 images `x` [B, ...], and the steps that each took.

        Args:
            runner: a twin with the stream schedule, which gives logits of every step [T, B, K], or a Program of it.
        Raises:
            SpikeletError: it gives logits of one step, or none by classes.
        """
        if not isinstance(runner, Program):
            require_module(runner)
        steps = _of_program(runner, x) if isinstance(runner, Program) else _of_module(runner, x)
        classes, left = np.full(len(x), -1), np.zeros(len(x), np.int64)
        for t, means in enumerate(steps, 1):
            ranked = np.sort(means, axis=1)
            lead = ranked[:, -1] - ranked[:, -2] if ranked.shape[1] > 1 else np.full(len(x), np.inf)
            stays = left == 0
            classes[stays] = means.argmax(1)[stays]
            left[stays & (t >= self.least) & (lead >= self.margin)] = t
            if left.all():
                break
        left[left == 0] = t
        return Exits(classes, left)


def _of_program(program: Program, x: Any) -> Iterator[NDArray[np.float64]]:
    graph, frames = program.graph, np.asarray(x)[None]
    _require_steps(graph.time_steps)
    stream, unit = program.stream(), graph.outputs[0].scale * graph.time_steps  # the output is a mean over all steps
    state = stream.start(frames.shape[1])
    for t in range(1, graph.time_steps + 1):
        logits, state = stream(frames, state)
        yield logits.reshape(frames.shape[1], logits.shape[-1]).astype(np.float64) * (unit / t)


@torch.no_grad()
def _of_module(model: nn.Module, x: Any) -> Iterator[NDArray[np.float64]]:
    with evaluation_mode(model):
        steps = model(tensor_of(x).to(device_of(model))).double().cpu()
    if steps.dim() != 3:
        raise SpikeletError(f"EarlyExit takes logits of every step [T, B, K], got {tuple(steps.shape)}.")
    _require_steps(len(steps))
    yield from (steps.cumsum(0) / torch.arange(1.0, len(steps) + 1).view(-1, 1, 1)).numpy()


def _require_steps(steps: int) -> None:
    if steps == 1:
        raise SpikeletError("EarlyExit needs several steps, got logits of one. Convert with schedule='stream'.")
