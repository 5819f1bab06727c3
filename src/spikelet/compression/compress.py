"""One call from a trained network to a smaller one.

    from spikelet.compression import Finetune, Prune, Quantize
    from spikelet.compression.filters import first, last

    small, report = spikelet.compress(
        model,
        [Quantize(4, where=~first() & ~last()), Prune(0.5), Finetune(epochs=10)],
        data,
    )
    print(report)

Passes run in the order of the list, over a copy: the argument is left alone, whatever happens.
"""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from spikelet.base.errors import CompressionError
from spikelet.compression.execution import check_runs
from spikelet.compression.layer_costs import figures_of
from spikelet.compression.passes.base import Context, Pass, Row
from spikelet.compression.report import Report
from spikelet.data.batches import Epoch, batches
from spikelet.data.samples import DataSplits
from spikelet.nn.device import device_of
from spikelet.profiling.batches import inputs_of

BATCH = 128  # samples, of QP-SNN's five batches
Data = DataSplits | Tensor | Iterable[Any]


class Compressed(NamedTuple):
    """The smaller model, and what changed."""

    model: nn.Module
    report: Report


def compress(
    model: nn.Module, passes: Sequence[Pass], data: Data | None = None, *, calibration_batches: int = 5
) -> Compressed:
    """Applies `passes` to a copy of `model`.

    Args:
        model: any module. Not changed.
        passes: Prune, Quantize, QuantizeMembranes, Finetune, or any object of the protocol `passes.Pass`.
        data: a DataSplits, whose training part calibrates and fine-tunes; or batches (x, y) or x as the model takes
            them, which calibrate; None where no pass looks at the model at work.
        calibration_batches: how many batches are looked at (of a DataSplits, of 128 samples each).
    Returns:
        The smaller model, every part in the mode it had, and the report.
    Raises:
        CompressionError: a pass can't do what it was asked for; names the layer or argument.
        ValueError, TypeError: what a pass or the data refuses.
    """
    if isinstance(passes, Pass) or not passes or not all(isinstance(p, Pass) for p in passes):
        raise CompressionError(f"passes must be a list of passes such as [Prune(0.5)], got {passes!r}.")
    if calibration_batches < 1:
        raise CompressionError(f"calibration_batches must be at least 1, got {calibration_batches}.")
    try:
        small = copy.deepcopy(model)
    except Exception as e:
        raise CompressionError(f"the model can't be copied ({e}); compress works on a copy.") from e
    context = _context(model, data, calibration_batches)
    if context.example is not None:
        check_runs(small, context.example)
    before = figures_of(small, context.example)
    rows: list[Row] = []
    for one in passes:
        started = time.monotonic()
        small, said = one.apply(small, context)
        rows += [*said, Row("", type(one).__name__, "", f"{time.monotonic() - started:.2f} s")]
    _restore_modes(model, small)
    return Compressed(small, Report(tuple(rows), before, figures_of(small, context.example)))


def _context(model: nn.Module, data: Data | None, count: int) -> Context:
    device = device_of(model)
    if data is None:
        return Context(None, ())
    if isinstance(data, DataSplits):
        pairs = batches(data.train, min(BATCH, max(1, len(data.train))), epoch=Epoch(0, 0))
        inputs = tuple(x.to(device) for x, _ in itertools.islice(pairs, count))
        return Context(data, inputs)
    inputs = tuple(x.to(device) for x in itertools.islice(inputs_of(data), count))
    if not inputs:
        raise CompressionError("data holds no batch.")
    return Context(None, inputs)


def _restore_modes(model: nn.Module, small: nn.Module) -> None:
    modes = {name: module.training for name, module in model.named_modules()}
    for name, module in small.named_modules():
        module.training = modes.get(name, model.training)
