"""From a trained module to the integer graph.

`lower(model, example)` runs the model once in evaluation mode on the example, records its layers and
tensor functions (trace.py), follows which integer stands for each element of each tensor (values.py), turns each layer
into integer operations (rules/), and proves by interval analysis that nothing can overflow, nor a value leave the
whole numbers of float32 (exact.py). Composed of spikelet's own layers, the graph's spikes and logits then equal the
model's evaluation bit for bit; with torch's own BatchNorm they differ as far as that layer's floating-point gain
differs from m * 2^-e, which `verify` measures.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikelet.base.errors import LoweringError, OverflowRefused, RunError, SpikeletError
from spikelet.base.strict_json import shown
from spikelet.base.time_axis import TimeAxis, declared_by, split_shape
from spikelet.data.classes import class_names_of
from spikelet.graph import ir
from spikelet.graph.analysis import check_outputs, edges_of
from spikelet.graph.edge import Edge
from spikelet.interop.converted import Converted
from spikelet.lowering import rules as rules
from spikelet.lowering.builder import Builder
from spikelet.lowering.needed import without_unread
from spikelet.lowering.outputs import Made, outputs_of
from spikelet.lowering.ranges import ranges_of, words
from spikelet.lowering.read_channels import with_read_channels
from spikelet.lowering.registry import convert, is_leaf, without_rule
from spikelet.lowering.repeated import without_repeats
from spikelet.lowering.stand_in import stand_in
from spikelet.lowering.trace import Call, Trace, tensors, trace
from spikelet.lowering.values import Value
from spikelet.neurons import neurons_of, time_steps_of
from spikelet.nn.device import device_of
from spikelet.nn.taken import require_module, tensor_of

Refused = Callable[[SpikeletError], None]  # takes the error of what has no integer form
FEW = 8  # samples that are traced as they are


def lower(
    model: nn.Module,
    example: Tensor | NDArray[np.uint8],
    *,
    time_axis: TimeAxis = None,
    labels: Sequence[str] = (),
    meta: dict[str, str] | None = None,
) -> ir.IntGraph:
    """The integer graph of `model`.

    Example:
        >>> model = spikelet.create_model("qsnn_vgg_s", widths=[8], image_size=8, in_channels=1, num_classes=2)
        >>> graph = spikelet.lower(model, torch.zeros((1, 1, 8, 8), dtype=torch.uint8), labels=("yes", "no"))
        >>> graph.time_steps, graph.labels
        (2, ('yes', 'no'))

    Args:
        model: any module made of layers and tensor functions with a rule (registry.py), by whatever Python. Not
            changed. It returns a tensor of logits, or several tensors in a tuple, list or dictionary, logits first.
        example: a uint8 batch as the model takes it, a tensor or an array, of [F], [C, L] or [C, H, W] samples; only
            its shape matters.
        time_axis: None for still inputs [B, ...], 0 for frames [T, B, ...], 1 for frames [B, T, ...]. What the
            model declares, such as a converted network, unless given.
        labels: names of the classes. Where none are given, the module's `class_names`, if they are as many as its
            logits: what training sets, and a run folder gives.
        meta: strings to keep with the graph.
    Raises:
        LoweringError: a layer or function has no integer form, or fails on the example; names it.
        OverflowRefused: values could leave 32 bits, or the whole numbers of float32; names all of their layers.
            `check` says so, and all else that is refused, before a network is compressed.
        TimeAxisError: the example is not of the layout that `time_axis` declares.
    """
    whole, edges = _whole(model, example, time_axis, labels, meta)
    read = with_read_channels(whole)
    return without_repeats(read, edges if read is whole else edges_of(read))


def with_all_channels(
    model: nn.Module,
    example: Tensor | NDArray[np.uint8],
    *,
    time_axis: TimeAxis = None,
    labels: Sequence[str] = (),
    meta: dict[str, str] | None = None,
) -> ir.IntGraph:
    """What `lower` gives, with the channels that nothing reads: nodes have as many as the layers that they come from.

    Raises:
        LoweringError, OverflowRefused, TimeAxisError: as `lower`.
    """
    return without_repeats(*_whole(model, example, time_axis, labels, meta))


def _whole(
    model: nn.Module,
    example: Tensor | NDArray[np.uint8],
    time_axis: TimeAxis,
    labels: Sequence[str],
    meta: dict[str, str] | None,
) -> tuple[ir.IntGraph, Mapping[str, Edge]]:
    """The graph with all channels, and its analysis."""
    _check_words(labels, meta)
    lowered = lowering_of(model, example, declared_by(model, time_axis))
    classes = tuple(labels) or _class_names(model, lowered.outputs[0].source.channels)
    graph = without_unread(graph_of(lowered, classes, meta or {}))
    edges, overflows = ranges_of(graph, lowered.builder, lowered.types)
    if overflows:
        raise OverflowRefused(words(overflows))
    check_outputs(graph, edges)
    return graph, edges


def graph_of(lowered: Lowered, labels: tuple[str, ...], meta: Mapping[str, str]) -> ir.IntGraph:
    """The graph of what was lowered, which nothing has looked at yet."""
    b = lowered.builder
    outputs = (ir.Output(made.source.node, float(made.source.scale.reshape(-1)[0])) for made in lowered.outputs)
    return ir.IntGraph(tuple(b.nodes), b.time_steps, tuple(outputs), labels, dict(meta))


def _class_names(model: nn.Module, logits: int) -> tuple[str, ...]:
    names = class_names_of(model)
    return names if len(names) == logits else ()


def _check_words(labels: Sequence[str], meta: dict[str, str] | None) -> None:
    if not isinstance(labels, Sequence) or isinstance(labels, str) or not all(isinstance(w, str) for w in labels):
        raise LoweringError(f"labels must be a list of the classes' names, got {shown(labels)}.")
    words = meta or {}
    if not isinstance(words, dict) or not all(isinstance(w, str) for pair in words.items() for w in pair):
        raise LoweringError(f"meta must be a dictionary from strings to strings, got {meta!r}.")


@dataclasses.dataclass(frozen=True, eq=False)
class Lowered:
    """What became of a model.

    outputs: what it returned, as edges and as addresses of the tensors.
    neurons: the tensor that each `lif` node's module made, by the node's name.
    types: of the tensor that each node stands for.
    """

    builder: Builder
    outputs: list[Made]
    neurons: dict[str, Value]
    types: dict[str, torch.dtype]


def lowering_of(
    model: nn.Module,
    example: Tensor | NDArray[np.uint8],
    time_axis: TimeAxis,
    *,
    as_it_is: bool = False,
    refused: Refused | None = None,
) -> Lowered:
    """Traces the model and applies the rules.

    Args:
        as_it_is: whether to trace the very batch, of a model that is known to be lowered; else on a batch size that
            leaves nothing open.
        refused: takes the errors of calls that have no integer form, for which others then stand in; unless given, the
            first is raised.
    """
    refused = refused or _stop
    require_module(model, LoweringError)
    example = tensor_of(example)
    if not isinstance(example, Tensor) or example.dtype != torch.uint8:
        got = example.dtype if isinstance(example, Tensor) else type(example).__name__
        raise LoweringError(f"example must be a uint8 batch, a tensor or an array, got {got}.")
    if isinstance(model, Converted) and not neurons_of(model):
        model.prepare(example.to(device_of(model)))  # its code may write them out
    time_steps = _time_steps(model)
    _check_example(example, time_axis, time_steps)
    try:
        x, traced = _traced(model, example, time_axis, time_steps, as_it_is)
    except RunError as e:
        raise LoweringError(str(e)) from e
    for sentence in traced.unseen:
        refused(LoweringError(f"{sentence}."))
    if traced.is_open and not as_it_is:
        for other in (_other_bytes(x), torch.zeros_like(x), torch.full_like(x, 255)):
            if (error := _difference(traced, trace(model, other, is_leaf))) is not None:
                refused(error)
                break
    with torch.device("cpu"):  # whatever the default device is
        return _lowered(model, x, traced, time_axis, time_steps, refused)


def _stop(error: SpikeletError) -> None:
    raise error


def _check_example(example: Tensor, time_axis: TimeAxis, time_steps: int) -> None:
    lead = 1 if time_axis is None else 2
    axes = example.dim() - lead
    _, _, sample = split_shape(
        example.shape, time_axis, what="example", time_steps=time_steps, sample_axes=None if axes in (1, 2, 3) else 3
    )
    if not sample or 0 in example.shape:
        raise LoweringError(f"example must hold samples of [F], [C, L] or [C, H, W], got shape {tuple(example.shape)}.")


def _time_steps(model: nn.Module) -> int:
    try:
        return time_steps_of(model)
    except SpikeletError as e:
        raise LoweringError(str(e)) from e


def _traced(
    model: nn.Module, example: Tensor, time_axis: TimeAxis, time_steps: int, as_it_is: bool
) -> tuple[Tensor, Trace]:
    """A run on a few samples: at least two, and not T, so that no axis of one sample or step looks like another."""
    axis = 1 if time_axis == 0 else 0
    batch = example.shape[axis]
    example = example.to(device_of(model))
    if as_it_is or (2 <= batch <= FEW and batch != time_steps):
        return example, trace(model, example, is_leaf)
    few = 2 if time_steps != 2 else 3
    index = torch.arange(few, device=example.device) % batch
    try:
        x = example.index_select(axis, index)
        return x, trace(model, x, is_leaf)
    except RunError as e:
        if batch in (1, time_steps):
            raise LoweringError(
                f"the model fails on a batch of {few} samples ({e}); it is lowered on {few}, as in a batch of {batch} "
                "samples the axes of time and batch can't be told apart. Let its forward work for any batch."
            ) from e
        return example, trace(model, example, is_leaf)


def _other_bytes(x: Tensor) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(0)
    return torch.randint(0, 256, x.shape, dtype=torch.uint8, generator=generator, device="cpu").to(x.device)


def _difference(traced: Trace, again: Trace) -> LoweringError | None:
    """The error of a model that did something else on other bytes: its numbers come from the data, or are drawn."""
    for one, other in itertools.zip_longest(traced.calls, again.calls):
        call = one or other
        if call is not None and (one is None or other is None or _given(one) != _given(other)):
            return LoweringError(
                f"{call.place}: depends on a number that the forward takes out of a tensor (.item(), float()) or "
                "draws at random, which integers can't follow. Use a constant, or a layer that computes it."
            )
    return None


def _given(call: Call) -> tuple[object, ...]:
    """What was called, and every number that it was given."""
    constants = [t.detach().cpu() for t, is_traced in zip(call.read, call.traced, strict=True) if not is_traced]
    numbers = [a for a in (*call.args, *sorted(call.kwargs.items())) if not list(tensors(a))]
    target = call.target if isinstance(call.target, str) else id(call.target)
    return target, tuple(call.output.shape), str(numbers), [t.tolist() for t in constants]


def _lowered(
    model: nn.Module, x: Tensor, traced: Trace, time_axis: TimeAxis, time_steps: int, refused: Refused
) -> Lowered:
    steps, batch, shape = split_shape(x.shape, time_axis)
    b = Builder(time_steps, batch, {name for name, _ in model.named_modules()})
    values: dict[int, Value | None] = {0: _input(b, tuple(x.shape), steps, shape, time_axis)}
    returned = list(tensors(traced.output))
    numbers = [traced.number.get(id(t), 0) for t in returned]
    if not numbers or 0 in numbers:
        raise LoweringError("the model's output must be tensors computed from its input.")
    needed = _needed(traced, numbers)
    neurons: dict[str, Value] = {}
    types: dict[str, torch.dtype] = {}
    for i, call in enumerate(traced.calls, 1):
        if i in needed:
            first = len(b.nodes)
            value = values[i] = _made(b, call, [values[j] for j in call.inputs], refused)
            if call.output.dtype != torch.bool:  # a comparison holds no numbers
                types.update((node.name, call.output.dtype) for node in b.nodes[first:])
            if value is not None:
                neurons.update((node.name, value) for node in b.nodes[first:] if isinstance(node, ir.Lif))
        elif isinstance(call.target, nn.Module):
            b.name(call.where)  # counted too, so that `name#2` always means the module's second call
    return Lowered(b, _outputs(b, [values[n] for n in numbers], refused), neurons, types)


def _made(b: Builder, call: Call, inputs: list[Value | None], refused: Refused) -> Value | None:
    """What a call makes, or what stands in for it where it is refused; None where nothing can."""
    known = [value for value in inputs if value is not None]
    if len(known) < len(inputs):
        if (error := without_rule(call)) is not None:
            refused(error)
        return stand_in(b, call)
    try:
        with b.attempt():
            return convert(b, call, known)
    except SpikeletError as error:
        refused(error)
    return stand_in(b, call)


def _outputs(b: Builder, values: list[Value | None], refused: Refused) -> list[Made]:
    known = [value for value in values if value is not None]
    try:
        return outputs_of(b, known) if len(known) == len(values) else []
    except SpikeletError as error:
        refused(error)
    return []


def _input(b: Builder, shape: tuple[int, ...], steps: int, sample: tuple[int, ...], time_axis: TimeAxis) -> Value:
    edge = sample if len(sample) != 2 else (sample[0], 1, sample[1])
    node = ir.Input(b.extra_name("input"), (), edge)
    source = b.append(node, edge, np.array(1.0), "still" if time_axis is None else "steps")
    if time_axis != 1:
        return Value(shape, source)
    first = source.addresses().reshape(steps, b.batch, *sample).transpose(0, 1)
    return Value(shape, None, first.contiguous())


def _needed(traced: Trace, outputs: list[int]) -> set[int]:
    """Numbers of the calls that the outputs depend on, themselves among them."""
    needed = set(outputs)
    for i in range(max(outputs), 0, -1):
        if i in needed:
            needed.update(traced.calls[i - 1].inputs)
    return needed
