"""Functions that move elements and compute nothing: PyTorch runs them on the addresses.

Constants that take part (a class token that is joined, a padding of zeros) have addresses as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering.builder import Builder
from spikelet.lowering.reading import as_maps
from spikelet.lowering.registry import function, rule
from spikelet.lowering.trace import Call, tensors
from spikelet.lowering.values import Value
from spikelet.nn import ChannelMap

# What keeps the order of all elements, whatever it does to the shape.
SAME_ORDER = (
    "flatten", "reshape", "view", "view_as", "reshape_as", "unflatten", "squeeze", "unsqueeze", "ravel", "squeeze_",
    "unsqueeze_",
)  # fmt: skip
OTHER_ORDER = (
    *("permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "adjoint", "atleast_1d"),
    *("chunk", "split", "tensor_split", "unbind", "narrow", "select", "__getitem__", "index_select", "take_along_dim"),
    *("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "expand", "expand_as", "broadcast_to"),
    *("repeat", "tile", "repeat_interleave", "roll", "flip", "rot90", "unfold", "diagonal"),
    *("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "broadcast_tensors", "split_with_sizes", "gather"),
)
PROPERTIES = (torch.Tensor.T, torch.Tensor.mT)  # pyright: ignore[reportAttributeAccessIssue]


@function("contiguous", "clone", "detach", "requires_grad_", moves=True)
def same(b: Builder, call: Call, x: Value) -> Value:
    """The tensor itself."""
    return x


@rule(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
def same_in_evaluation(b: Builder, call: Call, layer: nn.Module, x: Value) -> Value:
    """The tensor itself: nothing is dropped in evaluation."""
    return x


@function("dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout")
def dropped(b: Builder, call: Call, x: Value) -> Value:
    """The tensor itself, where the function is told that it does not train.

    Raises:
        LoweringError: it drops values in evaluation too.
    """
    training = call.kwargs.get("training", call.args[2] if len(call.args) > 2 else True)
    if training:
        raise LoweringError(f"{call.place}: drops values in evaluation too; pass training=self.training.")
    return x


@function(
    "to", "type", "type_as", "cpu", "cuda", "double", "float", "half", "bfloat16", "int", "long", "short", "byte",
    moves=True,
)  # fmt: skip
def converted(b: Builder, call: Call, x: Value, *others: Value) -> Value:
    """The tensor itself at another precision or device; exact.py proves that its values fit it.

    Raises:
        LoweringError: it becomes whole numbers or truth values, which rounds it, or whole numbers of few bits.
    """
    before, after = call.read[0].dtype, call.output.dtype
    if not after.is_floating_point and before not in (after, torch.bool):
        raise LoweringError(f"{call.place}: turns a tensor into {after}, which rounds it by no stated rule.")
    if after in (torch.uint8, torch.int8, torch.int16) and before == torch.bool:
        raise LoweringError(
            f"{call.place}: turns truth values into {after}, whose sums and differences wrap around. Use .float() or "
            ".long()."
        )
    for i in b.sources.places(x.addresses).used if before != after else ():
        b.casts.append((b.sources.all[i].node, after))
    return x


@function(*SAME_ORDER, moves=True)
def reshaped(b: Builder, call: Call, x: Value, *others: Value) -> Value:
    """The same elements in the same order.

    Raises:
        LoweringError: `view` reads their bits as another type.
    """
    if call.read[0].dtype != call.output.dtype:
        raise LoweringError(f"{call.place}: reads the bits of a tensor as {call.output.dtype}; use .to() for a type.")
    shape = tuple(call.output.shape)
    return Value(shape, x.source) if x.source is not None else Value(shape, None, x.addresses.reshape(shape))


@function(*OTHER_ORDER, moves=True)
def moved(b: Builder, call: Call, *values: Value) -> Value:
    """What the function makes of the addresses.

    Raises:
        LoweringError: it takes neither whole numbers nor float64.
    """
    assert call.function is not None
    error: Exception | None = None
    for dtype in (torch.int64, torch.float64):  # some functions move floating-point numbers only
        try:
            return _made(call, call.function, *_on_addresses(b, call, values, dtype))
        except (RuntimeError, TypeError) as e:
            error = e
    raise LoweringError(f"{call.place}: how it moves elements can't be followed ({error}).")


@function("__setitem__", moves=True)
def written(b: Builder, call: Call, *values: Value) -> Value:
    """The tensor with other elements where it was written by index.

    Raises:
        LoweringError: where it was written depends on the input.
    """
    (target, index, new), given = call.args, iter(values)
    flags = dict(zip(map(id, call.read), call.traced, strict=True))
    if any(flags[id(t)] for t in tensors(index)):
        raise LoweringError(f"{call.place}: writes at an index that depends on the input. Write at constant indexes.")
    whole, part = (
        next(given).addresses if flags.get(id(t), False) else b.constant(torch.as_tensor(t)) for t in (target, new)
    )
    addresses = whole.clone()
    addresses[index] = part
    return Value(tuple(addresses.shape), None, addresses)


@function("__get__", moves=True)
def viewed(b: Builder, call: Call, x: Value) -> Value:
    """The transposes that are written as properties: `x.T`, `x.mT`."""
    if getattr(call.function, "__self__", None) not in PROPERTIES:
        raise LoweringError(f"{call.place}: this property of a tensor has no integer form; x.T and x.mT have.")
    return moved(b, call, x)


@function("pad", "constant_pad_nd", moves=True)
def padded(b: Builder, call: Call, x: Value) -> Value:
    """Elements and zeros around them.

    Raises:
        LoweringError: padded with another constant.
    """
    mode = call.kwargs.get("mode", call.args[2] if len(call.args) > 2 and isinstance(call.args[2], str) else "constant")
    value = call.kwargs.get("value", call.args[-1] if call.target == "pad" and len(call.args) > 3 else None)
    if mode == "constant" and value not in (None, 0, 0.0):
        raise LoweringError(f"{call.place}: pads with {value}; integers pad with zeros.")
    return moved(b, call, x)


def moved_as_floats(b: Builder, call: Call, x: Value) -> Value:
    """What a function of floating-point numbers alone makes of the addresses."""
    assert call.function is not None
    return _made(call, call.function, *_on_addresses(b, call, (x,), torch.float64))


def _on_addresses(
    b: Builder, call: Call, values: tuple[Value, ...], dtype: torch.dtype = torch.int64
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The call's arguments with addresses for tensors: those of its values, those of constants."""
    left, flags = iter(values), iter(call.traced)

    def replaced(tree: Any) -> Any:
        if isinstance(tree, Tensor):
            if next(flags):
                return next(left).addresses.to(dtype)
            return b.constant(tree).to(dtype) if tree.is_floating_point() else tree.cpu()
        if isinstance(tree, tuple | list):
            return type(tree)(map(replaced, tree))
        return {k: replaced(v) for k, v in tree.items()} if isinstance(tree, dict) else tree

    return replaced(call.args), replaced(call.kwargs)


def _made(call: Call, f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    made = list(tensors(f(*args, **kwargs)))[call.index]
    return Value(tuple(made.shape), None, made.to(torch.int64).contiguous())


@rule(ChannelMap)
def channel_map(b: Builder, call: Call, layer: ChannelMap, x: Value) -> Value:
    """Channels by number, at a stride."""
    maps, source = as_maps(b, x, call.where), layer.source.detach().cpu().numpy()
    if source.max() >= 2**15:
        raise LoweringError(f"{call.where}: can map channels 0 to {2**15 - 1}, its source has {source.max()}.")
    node = ir.ChannelMap(b.name(call.where), (maps.source.node,), source.astype(np.int16), layer.stride)
    scale = maps.source.scales[np.maximum(source, 0)]  # a zero is a zero at any scale
    shape = tuple(call.output.shape)
    return maps.made(b.append(node, shape[-3:], scale, maps.source.time), shape)
