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

import torch
from torch import Tensor, nn

from spikelet.base.errors import CompressionError
from spikelet.base.strict_json import shown
from spikelet.base.time_axis import TimeAxis, check_time_axis, declared_by
from spikelet.base.whole import whole
from spikelet.compression.accuracy import NOT_MEASURED, Judge, judge_of
from spikelet.compression.execution import check_runs
from spikelet.compression.filters import everything
from spikelet.compression.layer_costs import figures_of
from spikelet.compression.passes.base import Context, Pass, Row
from spikelet.compression.report import Report
from spikelet.data.batches import Epoch, batches
from spikelet.data.samples import DataSplits, Samples
from spikelet.nn.device import device_of
from spikelet.nn.partial import between_trainings
from spikelet.nn.taken import require_module, tensor_of
from spikelet.profiling.batches import inputs_of

BATCH = 128  # samples, of QP-SNN's five batches
Data = DataSplits | Tensor | Iterable[Any]


class Compressed(NamedTuple):
    """The smaller model, and what changed."""

    model: nn.Module
    report: Report


def compress(
    model: nn.Module,
    passes: Sequence[Pass],
    data: Data | None = None,
    *,
    validation: Samples | Iterable[Any] | None = None,
    calibration_batches: int = 5,
    time_axis: TimeAxis = None,
) -> Compressed:
    """Applies `passes` to a copy of `model`, and reports the accuracy before and after each.

    Example:
        >>> from spikelet.compression import Prune, Quantize
        >>> model = spikelet.create_model("qsnn_vgg_s", widths=[8, 16], image_size=8, in_channels=1)
        >>> images = torch.zeros((4, 1, 8, 8), dtype=torch.uint8)
        >>> small, report = spikelet.compress(model, [Quantize(4), Prune(0.5)], images)
        >>> spikelet.profile(small, images).total.packed_bytes < spikelet.profile(model, images).total.packed_bytes
        True

    Args:
        model: any module. Not changed.
        passes: Prune, Quantize, QuantizeMembranes, PartialAttention, Recalibrate, Snap, Finetune, or any object
            of the protocol `passes.Pass`.
        data: a DataSplits, whose training part calibrates and fine-tunes; or batches (x, y) or x, of tensors or arrays
            as the model takes them, which calibrate; None where no pass looks at the model at work.
        validation: labelled samples by which accuracy is measured: Samples, or batches (x, y). Without it the
            validation part of a DataSplits is used, or else the calibration batches if they are pairs (x, y).
        calibration_batches: how many batches are looked at (of a DataSplits, of 128 samples each).
        time_axis: where time stands in batches: None for still inputs [B, ...], 0 for [T, B, ...], 1 for [B, T, ...].
            A DataSplits says it itself; what the model declares unless given.
    Returns:
        The smaller model, every part in the mode it had, and the report.
    Warns:
        AccuracyWarning: a pass costs more than 10 points of accuracy.
    Raises:
        CompressionError: a pass can't do what it was asked for; names the layer or argument.
        TimeAxisError: a batch is not laid out as `time_axis` says.
        ValueError, TypeError: what a pass or the data refuses.
    """
    if not isinstance(passes, Sequence) or not passes or not all(isinstance(p, Pass) for p in passes):
        raise CompressionError(f"passes must be a list of passes such as [Prune(0.5)], got {shown(passes)}.")
    for one in passes:
        if not callable(where := getattr(one, "where", everything())):
            raise CompressionError(
                f"{type(one).__name__}.where must be a filter such as first() or ~last(), got {shown(where)}."
            )
    require_module(model, CompressionError)
    _require_finite(model)
    whole(calibration_batches, "calibration_batches", 1, error=CompressionError)
    try:
        small = copy.deepcopy(model)
    except Exception as e:
        raise CompressionError(f"the model can't be copied ({e}); compress works on a copy.") from e
    context, judge = _context(model, data, validation, calibration_batches, time_axis)
    with between_trainings():
        report, small = _applied(small, passes, context, judge)
    _restore_modes(model, small)
    return Compressed(small, report)


def _applied(small: nn.Module, passes: Sequence[Pass], context: Context, judge: Judge) -> tuple[Report, nn.Module]:
    """The report of the passes, and what they made of the copy."""
    if context.example is not None:
        check_runs(small, context.example, context.time_axis)
    before = figures_of(small, context.example, context.time_axis)
    rows: list[Row] = []
    accuracies = [judge.accuracy(small)]
    for one in passes:
        started = time.monotonic()
        small, said = one.apply(small, context)
        name = type(one).__name__
        rows += [*said, Row("", name, "", f"{time.monotonic() - started:.2f} s")]
        accuracies.append(judge.accuracy(small))
        rows += judge.compare(name, *accuracies[-2:])
    if judge.pairs is None:
        rows.append(Row("", "accuracy", "", NOT_MEASURED))
    after = figures_of(small, context.example, context.time_axis)
    return Report(tuple(rows), before, after, tuple(accuracies)), small


def _require_finite(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise CompressionError(
                f"{name} holds NaN or infinity, of which no smaller network can be made. Its training diverged: go "
                "back to an earlier checkpoint."
            )


def _context(
    model: nn.Module,
    data: Data | None,
    validation: Samples | Iterable[Any] | None,
    count: int,
    time_axis: TimeAxis,
) -> tuple[Context, Judge]:
    """What passes may look at, and the samples that accuracy is measured on."""
    check_time_axis(time_axis)
    device = device_of(model)
    if isinstance(data, DataSplits):
        time_axis = _own_time_axis(data.train, time_axis)
        pairs = batches(data.train, min(BATCH, max(1, len(data.train))), epoch=Epoch(0, 0))
        inputs = tuple(x.to(device) for x, _ in itertools.islice(pairs, count))
        if validation is None and len(data.validation):
            validation = data.validation
        return Context(data, inputs, time_axis), judge_of(validation, (), time_axis)
    data, time_axis = tensor_of(data), declared_by(model, time_axis)
    if not (data is None or isinstance(data, Iterable)) or isinstance(data, str):
        raise CompressionError(f"data must be a DataSplits, a batch or a list of batches, got {type(data).__name__}.")
    taken = [data] if isinstance(data, Tensor) else list(itertools.islice(() if data is None else data, count))
    if data is not None and not taken:
        raise CompressionError("data holds no batch.")
    inputs = tuple(x.to(device) for x in inputs_of(taken, time_axis))
    return Context(None, inputs, time_axis), judge_of(validation, taken, time_axis)


def _own_time_axis(samples: Samples, time_axis: TimeAxis) -> TimeAxis:
    own = samples.time_axis
    if time_axis not in (None, own):
        raise CompressionError(f"a DataSplits gives its batches with time_axis={own}, got time_axis={time_axis}.")
    return own


def _restore_modes(model: nn.Module, small: nn.Module) -> None:
    modes = {name: module.training for name, module in model.named_modules()}
    for name, module in small.named_modules():
        module.training = modes.get(name, model.training)
