"""Every tensor function that keeps channels apart: what it does to id maps (ids.py).

    value by value    add, relu, where, >= ...      tensors of many channels are joined, entry by entry
    moving            flatten, permute, cat ...     the function itself, applied to the id maps
    choosing          x[0], narrow, chunk ...       the same, as long as every channel is among what was chosen
    over axes         mean, sum, amax, cumsum       the id map, as long as no channel is averaged with another
    over space        pooling, interpolate, pad     the id map
    products          matmul, softmax               matmul.py

A reshape that splits channels over two axes, such as heads and their width, says by its -1 which of them may shrink:
reshape(..., heads, -1) lets one place leave in every head at once, reshape(..., -1, width) whole heads.

Any other function keeps all channels that it reads, with its name as the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree

from spikelet.compression.channels.ids import ChannelIds, compact, dim_of, leading, led, varying
from spikelet.compression.channels.layers import over_space
from spikelet.compression.channels.matmul import product, softmax
from spikelet.lowering.trace import Call, tensors

Rule = Callable[[ChannelIds, Call], Tensor]


def _value_by_value(known: ChannelIds, call: Call) -> Tensor:
    rank = call.output.dim()
    read = [(leading(t.shape, rank), led(known.id_map(t), rank)) for t in known.sources(call)]
    channel_axes = {axis for _, id_map in read for axis in varying(id_map)}
    if any(t.dim() and any(leading(t.shape, rank)[a] > 1 for a in channel_axes) for t in _constants(known, call)):
        return known.keep_all(call, f"{call.place} pairs them with a tensor of the model's own")
    result: Tensor | None = None
    for shape, id_map in read:
        if any(shape[axis] == 1 < call.output.shape[axis] for axis in channel_axes):
            known.union.freeze(id_map, f"{call.place} pairs it with every channel of another tensor")
        elif result is None:
            result = id_map
        else:
            known.union.join(result, id_map)
            result = torch.broadcast_tensors(result, id_map)[0]
    if result is None:  # each tensor's channels meet all of another's
        return known.keep_all(call, f"{call.place} pairs each with every channel of another tensor")
    return result


def _constants(known: ChannelIds, call: Call) -> list[Tensor]:
    return [t for t in tensors((call.args, call.kwargs)) if not known.has(t)]


def _first(known: ChannelIds, call: Call) -> Tensor:
    return known.id_map(known.sources(call)[0])


def _moved(known: ChannelIds, call: Call, function: Callable[..., Any]) -> Tensor:
    """The function applied to id maps of full shape in place of every known tensor."""

    def mapped(leaf: Any) -> Any:
        return known.id_map(leaf).expand(leaf.shape) if isinstance(leaf, Tensor) and known.has(leaf) else leaf

    args, kwargs = _pytree.tree_map(mapped, (call.args, call.kwargs))
    moved = function(*args, **kwargs)
    id_map = compact(moved if isinstance(moved, Tensor) else moved[0])
    return _split(known, call, id_map) if len(varying(id_map)) > 1 else id_map


def _split(known: ChannelIds, call: Call, id_map: Tensor) -> Tensor:
    free = _free_axis(call)
    if free not in varying(id_map):
        known.keep_all(call, f"{call.place} spreads them over several axes, none of which is -1")
        return id_map
    joined = id_map
    for axis in set(varying(id_map)) - {free}:
        joined = joined.narrow(axis, 0, 1)
    known.union.join(id_map, joined)
    return joined


def _free_axis(call: Call) -> int | None:
    """The axis of the output whose size a reshape leaves open with -1."""
    first, sizes = 0, [*call.args[1:], *call.kwargs.values()]
    if call.target == "unflatten":
        dim, sizes = sizes
        first = dim % (call.output.dim() - len(sizes) + 1)
    elif call.target not in ("reshape", "view"):
        return None
    sizes = sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
    return first + list(sizes).index(-1) if -1 in sizes else None


def _moving(function: Callable[..., Tensor]) -> Rule:
    return lambda known, call: _moved(known, call, function)


def _choosing(function: Callable[..., Any]) -> Rule:
    def rule(known: ChannelIds, call: Call) -> Tensor:
        (x,), id_map = known.sources(call), _moved(known, call, function)
        if not torch.equal(id_map.flatten(), known.id_map(x).flatten()):
            return known.keep_all(call, f"{call.place} takes some of them")
        return id_map

    return rule


def _together(function: Callable[..., Tensor]) -> Rule:
    """cat and stack: channels side by side where the axis is that of channels, else joined."""

    def rule(known: ChannelIds, call: Call) -> Tensor:
        if _constants(known, call):
            return known.keep_all(call, f"{call.place} pairs them with a tensor of the model's own")
        sources = known.sources(call)
        options = {k: v for k, v in call.kwargs.items() if k != "tensors"}

        def made(parts: list[Tensor]) -> Tensor:
            whole = [part.expand(t.shape) for part, t in zip(parts, sources, strict=True)]
            return compact(function(whole, *call.args[1:], **options))

        id_map = made([known.id_map(t) for t in sources])
        if len(varying(id_map)) > 1:
            first = known.id_map(sources[0])
            for other in sources[1:]:
                known.union.join(first, known.id_map(other))
            id_map = made([first] * len(sources))
        return id_map

    return rule


def _over_axes(known: ChannelIds, call: Call) -> Tensor:
    (x,) = known.sources(call)
    id_map = known.id_map(x)
    dim = dim_of(call)
    dims = range(x.dim()) if dim is None else (dim,) if isinstance(dim, int) else dim
    axes = {d % x.dim() for d in dims}
    if axes & set(varying(id_map)):
        return known.keep_all(call, f"{call.place} mixes them")
    if call.output.dim() == x.dim():
        return id_map
    return id_map.view([length for axis, length in enumerate(id_map.shape) if axis not in axes])


def _summed_up(known: ChannelIds, call: Call) -> Tensor:
    (x,) = known.sources(call)
    if dim_of(call) % x.dim() in varying(known.id_map(x)):
        return known.keep_all(call, f"{call.place} mixes them")
    return known.id_map(x)


def _padded(known: ChannelIds, call: Call) -> Tensor:
    (x,) = known.sources(call)
    sides = call.kwargs.get("pad", call.args[1] if len(call.args) > 1 else ())
    axes = {x.dim() - 1 - i // 2 for i, width in enumerate(sides) if width}
    if axes & set(varying(known.id_map(x))):
        return known.keep_all(call, f"{call.place} adds channels")
    return known.id_map(x)


def _over_space(known: ChannelIds, call: Call) -> Tensor:
    return over_space(known, call, known.sources(call)[0])


_MOVES: dict[str, Callable[..., Tensor]] = {
    "flatten": Tensor.flatten,
    **dict.fromkeys(("reshape", "view"), Tensor.reshape),
    "unflatten": Tensor.unflatten,
    "permute": Tensor.permute,
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), Tensor.transpose),
    **dict.fromkeys(("movedim", "moveaxis"), torch.movedim),
    "squeeze": Tensor.squeeze,
    "unsqueeze": Tensor.unsqueeze,
    "roll": Tensor.roll,
}
_CHOICES: dict[str, Callable[..., Any]] = {
    "__getitem__": Tensor.__getitem__,
    "select": Tensor.select,
    "narrow": Tensor.narrow,
    "chunk": Tensor.chunk,
    "split": Tensor.split,
    "unbind": Tensor.unbind,
    "expand": Tensor.expand,
}


def _spellings(words: str) -> list[str]:
    """Each function of `words` in all of its forms: add, add_, __add__, __radd__, __iadd__."""
    return [form for w in words.split() for form in (w, f"{w}_", f"__{w}__", f"__r{w}__", f"__i{w}__")]


FUNCTIONS: dict[str, Rule] = {
    **dict.fromkeys(
        _spellings(
            "add sub mul div truediv floor_divide pow maximum minimum atan2 fmod remainder lerp addcmul "
            "where masked_fill "
            "gt ge lt le eq ne logical_and logical_or logical_xor logical_not and or xor "
            "neg abs sign floor ceil round clamp clip nan_to_num exp log sqrt rsqrt square reciprocal erf sin cos atan "
            "relu relu6 leaky_relu elu selu celu gelu silu mish softplus sigmoid tanh hardtanh hardsigmoid hardswish"
        ),
        _value_by_value,
    ),
    **dict.fromkeys(
        _spellings(
            "to type type_as float double half bfloat16 int long bool cpu cuda contiguous clone detach requires_grad "
            "dropout dropout1d dropout2d dropout3d alpha_dropout zeros_like ones_like full_like empty_like"
        ),
        _first,
    ),
    **dict.fromkeys(
        ("max_pool2d", "avg_pool2d", "lp_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "interpolate"),
        _over_space,
    ),
    **dict.fromkeys(("mean", "sum", "amax", "amin"), _over_axes),
    "cumsum": _summed_up,
    "pad": _padded,
    **{name: _moving(function) for name, function in _MOVES.items()},
    **{name: _choosing(function) for name, function in _CHOICES.items()},
    **{name: _together(torch.cat) for name in ("cat", "concat", "concatenate")},
    "stack": _together(torch.stack),
    **dict.fromkeys(("matmul", "__matmul__", "bmm"), product),
    **dict.fromkeys(("softmax", "log_softmax"), softmax),
}


def follow(known: ChannelIds, call: Call) -> Tensor:
    """The id map of what a tensor function makes; all channels stay where it has no rule."""
    assert isinstance(call.target, str)
    rule = FUNCTIONS.get(call.target)
    if rule is None:
        return known.keep_all(call, f"{call.place} is not known to keep them apart")
    try:
        return rule(known, call)
    except (TypeError, ValueError, RuntimeError) as e:  # a spelling that we do not know, such as view(dtype)
        return known.keep_all(call, f"{call.place} is not understood ({e})")
