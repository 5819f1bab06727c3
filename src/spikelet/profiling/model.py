"""The profile of a torch model at work."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.time_axis import TimeAxis, declared_by
from spikelet.lowering.trace import Call, trace
from spikelet.neurons import OVER_TIME, Neuron, time_steps_of
from spikelet.nn import Encode
from spikelet.nn.attention import Mix
from spikelet.nn.device import device_of
from spikelet.nn.evaluation import evaluation_mode
from spikelet.nn.taken import require_module
from spikelet.profiling.arena import SPIKE_BITS, VALUE_BITS, Buffer, peak_bytes
from spikelet.profiling.batches import inputs_of, one_sample
from spikelet.profiling.energy import TABLES, EnergyTable
from spikelet.profiling.observe import observe
from spikelet.profiling.report import Report
from spikelet.profiling.spike_units import SAME, SUMS, VIEWS, units_of

POINTWISE = (
    *OVER_TIME, nn.BatchNorm1d, nn.BatchNorm2d, nn.Dropout, nn.Dropout2d, nn.Dropout3d, nn.Identity, nn.Flatten,
)  # fmt: skip


def profile(
    model: nn.Module,
    batches: Tensor | Iterable[Any],
    *,
    time_axis: TimeAxis = None,
    tables: Sequence[EnergyTable] | None = None,
    name: str = "",
) -> Report:
    """Returns the profile of `model`, counted while it runs on every batch in evaluation mode. It is left as it was.

    Example:
        >>> model = spikelet.create_model("qsnn_vgg_s", widths=[8], image_size=8, in_channels=1)
        >>> report = spikelet.profile(model, torch.full((2, 1, 8, 8), 255, dtype=torch.uint8))
        >>> report.samples, [layer.weight_bits for layer in report.synapses]
        (2, [8, 1, 8])

    Args:
        model: any module made of convolutions, Linear, batch norms, neurons and layers without parameters.
        batches: a tensor or array as the model takes it; or an iterable of such, or of tuples that start with one (a
            loader). Moved to the model's device.
        time_axis: where time stands in a batch: None for still inputs [B, ...], 0 for [T, B, ...], 1 for [B, T, ...].
            What the model declares unless given.
        tables: what to give energies under; None is `spikelet.profiling.TABLES`.
        name: for the report; the class's name where empty.
    Raises:
        SpikeletError: the model is no module, or fails on a batch; names the layer.
        TypeError: a batch is neither a tensor nor an array.
        TimeAxisError: a batch is not laid out as `time_axis` says.
        SpikeletError: a batch of another shape, no samples, a layer that can't be counted, no neurons, or neurons
            of different time_steps.
    """
    require_module(model)
    time_steps = time_steps_of(model)
    device, time_axis = device_of(model), declared_by(model, time_axis)
    inputs = (x.to(device) for x in inputs_of(batches, time_axis))
    first = next(inputs, None)
    if first is None:
        raise SpikeletError("batches must hold at least one sample, got none.")
    example = one_sample(first, time_axis)
    calls = _calls(model, example)
    peak, units = peak_bytes(_buffers(calls, example)), units_of(calls)
    del calls  # which hold every value of the example
    layers, samples = observe(model, itertools.chain([first], inputs), time_axis, units)
    return Report(
        model=name or type(model).__name__,
        time_steps=time_steps,
        samples=samples,
        layers=tuple(layers),
        peak_arena_bytes=peak,
        tables=tuple(TABLES if tables is None else tables),
    )


def _is_layer(module: nn.Module) -> bool:
    whole = isinstance(module, Neuron | nn.Conv1d | nn.Conv2d | nn.Linear)
    return whole or not (list(module.children()) or isinstance(module, Mix))


def _calls(model: nn.Module, x: Tensor) -> list[Call]:
    """What the model does to one sample."""
    with evaluation_mode(model):
        return trace(model, x, _is_layer).calls


def _buffers(calls: Sequence[Call], x: Tensor) -> list[Buffer]:
    """One buffer an operation; the caller holds the input `x`."""
    buffers = [Buffer(x.numel(), 0, (), pointwise=False)]
    position = [0]  # of each recorded value's buffer
    for call in calls:
        reads = [position[i] for i in call.inputs]
        if call.target in SUMS:
            reads = [_widened(buffers, i) for i in reads]
        bits = _bits(call.target, [buffers[i].bits for i in reads])
        position.append(len(buffers))
        buffers.append(Buffer(call.output.numel(), bits, tuple(reads), _is_pointwise(call.target)))
    return buffers


def _widened(buffers: list[Buffer], i: int) -> int:
    """Spikes that join a sum become values first, as in the integer graph."""
    if buffers[i].bits != SPIKE_BITS:
        return i
    buffers.append(Buffer(buffers[i].values, VALUE_BITS, (i,), pointwise=True))
    return len(buffers) - 1


def _bits(target: nn.Module | str, sources: list[int]) -> int:
    if isinstance(target, Neuron):
        return SPIKE_BITS
    if isinstance(target, Encode):
        return 0
    return sources[0] if isinstance(target, SAME) or target in VIEWS else VALUE_BITS


def _is_pointwise(target: nn.Module | str) -> bool:
    return isinstance(target, POINTWISE) or target in VIEWS | SUMS
