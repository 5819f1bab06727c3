"""Channel ids of every tensor and along every layer's weights, gathered call by call.

Every tensor gets an id map: channel ids in the tensor's rank, with a size of 1 along each axis where they don't change.

    x [T, B, C, H, W] after a convolution    id_map [1, 1, C, 1, 1]
    x.flatten(2)                             id_map [1, 1, C * H * W], each id H * W times in a row
    the image                                id_map [1, 1, 1, 1], one id that stays

Layers say which ids lie along the axes of their weights: `reads` (what they take) and `makes` (what they
give). Both are facts about the weights, so a layer that is used twice joins what it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from spikelet.compression.channels.union_find import UnionFind
from spikelet.lowering.trace import Call, tensors


class ChannelIds:
    """Id maps by tensor, and the ids along the layers' weights."""

    def __init__(self, example: Tensor) -> None:
        self.union = UnionFind()
        image = self.union.frozen("they are the network's input")
        self._id_maps: dict[int, Tensor] = {id(example): image.view([1] * example.dim())}
        self.reads: dict[str, Tensor] = {}
        self.makes: dict[str, Tensor] = {}
        self.carries: dict[str, list[Tensor]] = {}
        self._of_weight: dict[int, tuple[Tensor, Tensor]] = {}
        self._zeroed: set[int] = set()

    def has(self, tensor: Tensor) -> bool:
        """Whether `tensor` comes from the input."""
        return id(tensor) in self._id_maps

    def id_map(self, tensor: Tensor) -> Tensor:
        """The id map of a known tensor."""
        return self._id_maps[id(tensor)]

    def set(self, tensor: Tensor, id_map: Tensor) -> None:
        """Gives `tensor` its id map; axes along which ids don't change shrink to 1."""
        assert id_map.dim() == tensor.dim(), "an id map has the rank of its tensor"
        self._id_maps[id(tensor)] = compact(id_map)

    def note_zeroed(self, tensor: Tensor) -> None:
        """Notes that `tensor` is 0 where its channels are zeroed out (zeros.py)."""
        self._zeroed.add(id(tensor))

    def is_zeroed(self, tensor: Tensor) -> bool:
        """Whether `tensor` is 0 where its channels are zeroed out, as far as is known."""
        return id(tensor) in self._zeroed

    def sources(self, call: Call) -> list[Tensor]:
        """The tensors from the input that `call` read."""
        return [t for t in tensors((call.args, call.kwargs)) if self.has(t)]

    def keep_all(self, call: Call, reason: str) -> Tensor:
        """Freezes every channel that `call` read, and returns an id map for what it made."""
        for tensor in self.sources(call):
            self.union.freeze(self.id_map(tensor), reason)
        return self.union.frozen(reason).view([1] * call.output.dim())

    def along(self, call: Call, axis: int, size: int) -> Tensor:
        """The ids along one axis of what a layer reads, [size]; frozen where they differ along another too."""
        id_map = self.id_map(self.sources(call)[0])
        if any(length > 1 for d, length in enumerate(id_map.shape) if d != axis % id_map.dim()):
            id_map = self.keep_all(call, f"{call.place} reads them along more than one axis")
        return id_map.flatten().expand(size)

    def read(self, call: Call, ids: Tensor) -> None:
        """The layer takes `ids` along its weights' input axis, in every use."""
        if call.where in self.reads:
            self.union.join(self.reads[call.where], ids)
        self.reads.setdefault(call.where, ids)

    def weigh(self, call: Call, weight: Tensor, ids: Tensor, count: int) -> Tensor:
        """Ids of the `count` channels that a layer makes of `ids`: new ones, or those of weights seen before."""
        if id(weight) in self._of_weight:
            taken, given = self._of_weight[id(weight)]
            self.union.join(taken, ids)
        else:
            taken, given = ids, self.union.new(count)
            self._of_weight[id(weight)] = taken, given
        self.read(call, ids)
        self.makes[call.where] = given
        return given

    def carry(self, call: Call, id_map: Tensor) -> None:
        """Notes what the layer's output holds in this use."""
        self.carries.setdefault(call.where, []).append(id_map)


def compact(id_map: Tensor) -> Tensor:
    """`id_map` with one entry along each axis where its ids don't change."""
    for axis in range(id_map.dim()):
        first = id_map.narrow(axis, 0, 1)
        if id_map.shape[axis] > 1 and bool((id_map == first).all()):
            id_map = first
    return id_map


def varying(id_map: Tensor) -> list[int]:
    """The axes along which a compact id map changes."""
    return [axis for axis, length in enumerate(id_map.shape) if length > 1]


def leading(shape: Sequence[int], rank: int) -> list[int]:
    """`shape` as broadcasting sees it at `rank` axes."""
    return [1] * (rank - len(shape)) + list(shape)


def led(id_map: Tensor, rank: int) -> Tensor:
    """`id_map` as broadcasting sees it at `rank` axes."""
    return id_map.view(leading(id_map.shape, rank))


def dim_of(call: Call) -> Any:
    """The `dim` that a function was given, by place or by name."""
    return call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else None)


def along_axis(ids: Tensor, axis: int, rank: int) -> Tensor:
    """`ids` as an id map that changes along one axis."""
    shape = [1] * rank
    shape[axis % rank] = len(ids)
    return ids.view(shape)
