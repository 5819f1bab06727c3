"""Does the integer program say what PyTorch evaluation says? Spike for spike, logit for logit.

Spikes are compared neuron by neuron and step by step, as counts where a neuron has levels; a real output is compared as
round(output / scale) with the integer one. Which element of a tensor is which integer is known from lowering
(values.py), so tensors may have any order of axes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikelet.base.errors import GraphError, SpikeletError
from spikelet.base.page import Displayed, Page
from spikelet.base.table import Table
from spikelet.base.time_axis import TimeAxis, batch_axis, declared_by, split_shape
from spikelet.data.batches import pairs_by_name
from spikelet.graph import ir
from spikelet.graph.reference import Reference
from spikelet.lowering.lower import FEW, Lowered, graph_of, lowering_of
from spikelet.lowering.needed import without_unread
from spikelet.lowering.outputs import Made
from spikelet.lowering.read_channels import Mask, channels_read
from spikelet.lowering.trace import tensors
from spikelet.lowering.values import Source, Value
from spikelet.nn.device import device_of
from spikelet.nn.evaluation import evaluation_mode
from spikelet.nn.hooks import hooks
from spikelet.nn.taken import require_module

Integers = NDArray[np.int64]


class Backend(Protocol):
    """What every runtime offers: logits, and all spikes by node name."""

    def __call__(self, x: NDArray[np.uint8]) -> NDArray[np.int32]: ...

    def spikes(self, x: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]: ...


@dataclasses.dataclass(frozen=True, repr=False)
class Verification(Displayed):
    """Counts over all samples. `print(found)` is a sentence, and a table of what differs where something does.

    spikes: neuron-steps compared; `spike_mismatches` is by node name.
    logits: values of the first output compared.
    other_outputs: values of further outputs compared; `other_mismatches` is by node name.
    not_compared: `lif` nodes that no module of the model makes the spikes of.
    """

    samples: int
    spikes: int
    spike_mismatches: dict[str, int]
    logits: int
    logit_mismatches: int
    float_accuracy: float
    integer_accuracy: float
    other_outputs: int = 0
    other_mismatches: dict[str, int] = dataclasses.field(default_factory=dict)
    not_compared: tuple[str, ...] = ()

    @property
    def mismatches(self) -> int:
        """Spikes and outputs that differ, together."""
        return sum(self.spike_mismatches.values()) + self.logit_mismatches + sum(self.other_mismatches.values())

    def page(self) -> Page:
        """Accuracies and what differs, and the nodes that it differs in."""
        wrong = {name: n for name, n in (self.spike_mismatches | self.other_mismatches).items() if n}
        rows = tuple((name, f"{n:,}") for name, n in wrong.items())
        return Page((self._sentence, *([Table(("node", "values that differ"), rows)] if rows else [])))

    def in_short(self) -> str:
        """Samples, and what differs."""
        return f"{self.samples:,} samples, {self.mismatches:,} values differ of {self._values:,}"

    @property
    def _values(self) -> int:
        return self.spikes + self.logits + self.other_outputs

    @property
    def _sentence(self) -> str:
        text = (
            f"PyTorch {self.float_accuracy:.2%}, integers {self.integer_accuracy:.2%} on {self.samples} samples; "
            f"of {self.spikes:,} spikes and {self.logits:,} logits differ: "
            f"{sum(self.spike_mismatches.values()):,} and {self.logit_mismatches:,}"
        )
        if self.other_outputs:
            text += f"; of {self.other_outputs:,} values of other outputs {sum(self.other_mismatches.values()):,}"
        return text + (f"; not compared: {', '.join(self.not_compared)}" if self.not_compared else "")


def verify(
    graph: ir.IntGraph,
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    backend: Callable[[ir.IntGraph], Backend] = Reference,
    *,
    time_axis: TimeAxis = None,
) -> Verification:
    """How many spikes and outputs of `backend(graph)` differ from those of `model` in evaluation mode.

    Example:
        >>> model = spikelet.create_model("qsnn_vgg_s", widths=[8], image_size=8, in_channels=1)
        >>> images, labels = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8), torch.arange(4)
        >>> graph = spikelet.lower(model, images)
        >>> spikelet.verify(graph, model, [(images, labels)], spikelet.Program).mismatches
        0

    Args:
        graph: lowered from `model`.
        model: its mode is put back after.
        batches: pairs of uint8 input, as the model takes it, and labels [B], tensors or arrays. Those of
            `spikelet.data.batches` meet the graph's classes by name.
        backend: Reference, or spikelet.Program.
        time_axis: as for `lower`.
    Raises:
        GraphError: the model is another one.
        SpikeletError: there are no batches, they are no pairs, or an argument is of another kind.
        TimeAxisError: a batch is not of the layout that `time_axis` declares.
    """
    require_module(model)
    _check(backend)
    tally = _Tally(graph, model, backend(graph), declared_by(model, time_axis))
    with evaluation_mode(model):
        for x, y in map(_labelled, pairs_by_name(batches, graph.labels)):
            for part, labels in tally.parts(x, y):
                tally.add(part, labels)
    return tally.result()


def _check(backend: object) -> None:
    if not callable(backend) or (hasattr(backend, "spikes") and not isinstance(backend, type)):
        got = repr(backend) if isinstance(backend, str) else f"a {type(backend).__name__}"
        raise SpikeletError(f"backend must make a program of a graph, as spikelet.Program itself does, got {got}.")


def _labelled(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    x, y = pair
    if y.dim() != 1 or y.is_floating_point() or not x.numel():
        raise SpikeletError(
            "batches must be pairs (x, y) of a uint8 input of one sample at least and whole numbers, labels [B]; got x "
            f"of shape {tuple(x.shape)} and y of {y.dtype}, shape {tuple(y.shape)}."
        )
    return pair


class _Tally:
    """The counts so far."""

    def __init__(self, graph: ir.IntGraph, model: nn.Module, program: Backend, time_axis: TimeAxis) -> None:
        self.graph, self.model, self.program, self.time_axis = graph, model, program, time_axis
        self.layers = [n.name for n in graph.of_type(ir.Lif)]
        self.modules = _modules_of(model, self.layers)
        self.total, self.wrong = dict.fromkeys(self.layers, 0), dict.fromkeys(self.layers, 0)
        self.count = dict.fromkeys(("samples", "logits", "logit_mismatches", "float", "integer", "others"), 0)
        self.other_wrong = {o.node: 0 for o in graph.outputs[1:]}
        self.known: dict[int, Lowered] = {}  # by batch size
        self.read: dict[str, Mask] = {}  # channels by node, once a neuron makes fewer than its module

    def parts(self, x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The batch whole, or in parts of a few samples where a tensor's order of elements must be followed."""
        axis = batch_axis(self.time_axis)
        split_shape(x.shape, self.time_axis, what="a batch of verify", time_steps=self.graph.time_steps)
        first = self._lowered(x.narrow(axis, 0, min(FEW, x.shape[axis])))
        _check_same(self.graph, first)
        whole = all(_is_plain(v) for v in first.neurons.values()) and all(_is_plain(m.value) for m in first.outputs)
        size = max(1, x.shape[axis]) if whole else FEW
        for start in range(0, x.shape[axis], size):
            yield x.narrow(axis, start, min(size, x.shape[axis] - start)), y[start : start + size]

    def _lowered(self, x: Tensor) -> Lowered:
        batch = x.shape[batch_axis(self.time_axis)]
        if batch not in self.known:
            self.known[batch] = lowering_of(self.model, x, self.time_axis, as_it_is=True)
        return self.known[batch]

    def add(self, x: Tensor, y: Tensor) -> None:
        """Runs both on a batch and compares."""
        batch = x.shape[batch_axis(self.time_axis)]
        lowered = self._lowered(x) if batch in self.known or batch <= FEW else next(iter(self.known.values()))
        with torch.no_grad(), _recorded(self.model, self.modules) as outputs:
            returned = list(tensors(self.model(x.to(device_of(self.model)))))
        pixels = self._pixels(x)
        spikes = self.program.spikes(pixels)
        for name in self.layers:
            value, (module, _, use) = lowered.neurons[name], name.partition("#")
            if module not in outputs or _source(lowered, value).node != name:
                continue  # a rule made this node inside of a layer
            expected = self._expected(lowered, value, outputs[module][int(use or 1) - 1], spikes[name].shape)
            self.total[name] += expected.size
            self.wrong[name] += int((expected != spikes[name]).sum())
        self._add_outputs(lowered, returned, pixels, y.cpu().numpy())

    def _expected(self, lowered: Lowered, value: Value, tensor: Tensor, shape: tuple[int, ...]) -> Integers:
        """The spikes of a neuron, or those of its channels that are read, where the graph makes no others."""
        source = _source(lowered, value)
        if shape[2] == source.channels:
            return _integers(lowered, value, tensor, shape)
        if not self.read:
            self.read = channels_read(without_unread(graph_of(lowered, (), {})))
        read = self.read[source.node]
        whole = (*shape[:2], *(source.shape if shape[2] == read.sum() else shape[2:]))
        return _integers(lowered, value, tensor, whole)[:, :, read]

    def _pixels(self, x: Tensor) -> NDArray[np.uint8]:
        frames = x.transpose(0, 1) if self.time_axis == 1 else x
        lead = frames.shape[: 1 if self.time_axis is None else 2]
        return np.ascontiguousarray(frames.cpu().numpy()).reshape(*lead, *self.graph.input.shape)

    def _add_outputs(
        self, lowered: Lowered, returned: list[Tensor], pixels: NDArray[np.uint8], labels: NDArray[np.int64]
    ) -> None:
        logits = self.program(pixels)
        others: dict[str, Any] = self.program.outputs(pixels) if self.other_wrong else {}  # type: ignore[attr-defined]
        for made, tensor, output in zip(lowered.outputs, returned, self.graph.outputs, strict=True):
            real = _real(lowered, made, tensor)
            if output is not self.graph.outputs[0]:
                expected, found = _rounded(real, output.scale), others[output.node]
                self.count["others"] += expected.size
                self.other_wrong[output.node] += int((expected.reshape(found.shape) != found).sum())
                continue
            if real.size != logits.size or len(labels) != len(pixels if self.time_axis is None else pixels[0]):
                raise GraphError(
                    f"output: the graph gives {logits.shape}, the model {tuple(tensor.shape)}, for {len(labels)} "
                    "labels; verify needs the model that was lowered, and one label a sample."
                )
            self.count["samples"] += len(labels)
            self.count["logits"] += logits.size
            self.count["logit_mismatches"] += int((_rounded(real, output.scale).reshape(logits.shape) != logits).sum())
            self.count["float"] += int((_last(real.reshape(logits.shape)).argmax(1) == labels).sum())
            self.count["integer"] += int((_last(logits).argmax(1) == labels).sum())

    def result(self) -> Verification:
        """Raises SpikeletError where there was no sample."""
        samples = self.count["samples"]
        if not samples:
            raise SpikeletError("verify needs at least one batch, got none.")
        return Verification(
            samples,
            sum(self.total.values()),
            self.wrong,
            self.count["logits"],
            self.count["logit_mismatches"],
            self.count["float"] / samples,
            self.count["integer"] / samples,
            self.count["others"],
            self.other_wrong,
            tuple(name for name in self.layers if not self.total[name]),
        )


def _modules_of(model: nn.Module, layers: list[str]) -> list[str]:
    """The modules that the nodes are named after; a node of another name has none."""
    modules = dict(model.named_modules())
    names = sorted({name.split("#")[0] for name in layers})
    return [name for name in names if name in modules]


def _check_same(graph: ir.IntGraph, lowered: Lowered) -> None:
    wanted, found = {n.name for n in graph.of_type(ir.Lif)}, set(lowered.neurons)
    if wanted != found:
        name = sorted(wanted ^ found)[0]
        owner = "the graph, and not the model," if name in wanted else "the model, and not the graph,"
        raise GraphError(f"{owner} has a neuron {name!r}; verify needs the model that was lowered.")


def _is_plain(value: Value) -> bool:
    return value.source is not None


@contextmanager
def _recorded(model: nn.Module, names: list[str]) -> Iterator[dict[str, list[Tensor]]]:
    modules = dict(model.named_modules())
    outputs: dict[str, list[Tensor]] = {n: [] for n in names}
    with hooks(modules[n].register_forward_hook(_appender(outputs[n])) for n in names):
        yield outputs


def _appender(outputs: list[Tensor]) -> Callable[[nn.Module, object, Tensor], None]:
    def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
        outputs.append(output.clone())  # the model may add to its spikes in place later on

    return hook


# --- a tensor in the order of its edge --------------------------------------------------------------


def _integers(lowered: Lowered, value: Value, tensor: Tensor, shape: tuple[int, ...]) -> Integers:
    """What the integers [T, B, ...] of an edge must be for its tensor to be `tensor`."""
    source = _source(lowered, value)
    if source.size != math.prod(shape[2:]):
        raise GraphError(
            f"{source.node}: is {shape[2:]} in the graph and {source.shape} in the model; verify needs the model that "
            "was lowered."
        )
    return _rounded(_ordered(value, source, tensor), float(source.scale.reshape(-1)[0])).reshape(shape)


def _source(lowered: Lowered, value: Value) -> Source:
    return value.source or lowered.builder.sources.at(int(value.addresses.max()))


def _ordered(value: Value, source: Source, tensor: Tensor) -> NDArray[np.float64]:
    """The real elements of `tensor` in the edge's order, [T or 1, B, ...] flat."""
    real = tensor.detach().double().cpu().numpy().reshape(-1)
    if value.source is not None:
        return real
    ordered = np.zeros(source.extent)
    ordered[value.addresses.numpy().reshape(-1) - source.start] = real
    return ordered


def _real(lowered: Lowered, made: Made, tensor: Tensor) -> NDArray[np.float64]:
    """An output's real elements in its edge's order, summed over time where lowering did so."""
    ordered = _ordered(made.value, made.whole, tensor)
    if made.source is made.whole:
        return ordered
    return ordered.reshape(made.whole.steps, -1).mean(0)


def _last(logits: NDArray[Any]) -> NDArray[Any]:
    """The logits [B, K] that a class is read from: the last step's where there are some for every step [T, B, K]."""
    return logits[-1] if logits.ndim == 3 else logits


def _rounded(real: NDArray[np.float64], scale: float) -> Integers:
    return np.floor(real / scale + 0.5).astype(np.int64)
