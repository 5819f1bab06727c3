"""What the channel analysis knows while it goes through the recorded calls of a model.

Every tensor gets labels: channel identities of the tensor's rank, with 1 for each axis along which they are the same.

    x [T, B, C, H, W] after a convolution    labels [1, 1, C, 1, 1]
    x.flatten(2)                             labels [1, 1, C * H * W], each identity H * W times in a row
    the image                                labels [1, 1, 1, 1], one identity that stays

Layers say which identities lie along the axes of their weights: `reads` (what they take) and `makes` (what they
give). Both are facts about the weights, so a layer that is used twice joins what it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from spikelet.compression.channels.union_find import Identities
from spikelet.lowering.trace import Call, tensors


class Walk:
    """Labels by tensor, and the identities along the layers' weights."""

    def __init__(self, example: Tensor) -> None:
        self.ids = Identities()
        image = self.ids.frozen("they are the network's input")
        self._labels: dict[int, Tensor] = {id(example): image.view([1] * example.dim())}
        self.reads: dict[str, Tensor] = {}
        self.makes: dict[str, Tensor] = {}
        self.carries: dict[str, list[Tensor]] = {}
        self._of_weight: dict[int, tuple[Tensor, Tensor]] = {}
        self._silent: set[int] = set()

    def knows(self, tensor: Tensor) -> bool:
        """Whether `tensor` comes from the input."""
        return id(tensor) in self._labels

    def labels(self, tensor: Tensor) -> Tensor:
        """The labels of a known tensor."""
        return self._labels[id(tensor)]

    def set(self, tensor: Tensor, labels: Tensor) -> None:
        """Gives `tensor` its labels; axes along which they are the same shrink to 1."""
        assert labels.dim() == tensor.dim(), "labels have the rank of their tensor"
        self._labels[id(tensor)] = compact(labels)

    def silence(self, tensor: Tensor) -> None:
        """Notes that `tensor` is 0 where its channels are silenced (zeros.py)."""
        self._silent.add(id(tensor))

    def is_silent(self, tensor: Tensor) -> bool:
        """Whether that was noted."""
        return id(tensor) in self._silent

    def sources(self, call: Call) -> list[Tensor]:
        """The tensors from the input that `call` read."""
        return [t for t in tensors((call.args, call.kwargs)) if self.knows(t)]

    def keep_all(self, call: Call, reason: str) -> Tensor:
        """Freezes every channel that `call` read; labels for what it made."""
        for tensor in self.sources(call):
            self.ids.freeze(self.labels(tensor), reason)
        return self.ids.frozen(reason).view([1] * call.output.dim())

    def along(self, call: Call, axis: int, size: int) -> Tensor:
        """The identities along one axis of what a layer reads, [size]; frozen where they differ along another too."""
        labels = self.labels(self.sources(call)[0])
        if any(length > 1 for d, length in enumerate(labels.shape) if d != axis % labels.dim()):
            labels = self.keep_all(call, f"{place(call)} reads them along more than one axis")
        return labels.flatten().expand(size)

    def read(self, call: Call, ids: Tensor) -> None:
        """The layer takes `ids` along its weights' input axis, in every use."""
        if call.where in self.reads:
            self.ids.join(self.reads[call.where], ids)
        self.reads.setdefault(call.where, ids)

    def weigh(self, call: Call, weight: Tensor, ids: Tensor, count: int) -> Tensor:
        """A layer takes `ids` and gives `count` channels, fresh but for weights that were seen before: those."""
        if id(weight) in self._of_weight:
            taken, given = self._of_weight[id(weight)]
            self.ids.join(taken, ids)
        else:
            taken, given = ids, self.ids.new(count)
            self._of_weight[id(weight)] = taken, given
        self.read(call, ids)
        self.makes[call.where] = given
        return given

    def carry(self, call: Call, labels: Tensor) -> None:
        """Notes what the layer's output holds in this use."""
        self.carries.setdefault(call.where, []).append(labels)


def compact(labels: Tensor) -> Tensor:
    """One entry for each axis along which `labels` are the same."""
    for axis in range(labels.dim()):
        first = labels.narrow(axis, 0, 1)
        if labels.shape[axis] > 1 and bool((labels == first).all()):
            labels = first
    return labels


def varying(labels: Tensor) -> list[int]:
    """The axes along which compact labels differ."""
    return [axis for axis, length in enumerate(labels.shape) if length > 1]


def leading(shape: Sequence[int], rank: int) -> list[int]:
    """`shape` as broadcasting sees it at `rank` axes."""
    return [1] * (rank - len(shape)) + list(shape)


def place(call: Call) -> str:
    """The call in an error's words."""
    what = call.target if isinstance(call.target, str) else type(call.target).__name__
    return f"{call.where or 'the model'} ({what})"


def led(labels: Tensor, rank: int) -> Tensor:
    """`labels` as broadcasting sees them at `rank` axes."""
    return labels.view(leading(labels.shape, rank))


def dim_of(call: Call) -> Any:
    """The `dim` that a function was given, by place or by name."""
    return call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else None)


def along_axis(ids: Tensor, axis: int, rank: int) -> Tensor:
    """`ids` as labels that differ along one axis."""
    shape = [1] * rank
    shape[axis % rank] = len(ids)
    return ids.view(shape)
