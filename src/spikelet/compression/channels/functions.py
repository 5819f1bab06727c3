"""Every tensor function that keeps channels apart: what it does to labels.

    value by value    add, relu, where, >= ...      tensors of many channels are joined, entry by entry
    moving            flatten, permute, cat ...     the function itself, applied to the labels
    choosing          x[0], narrow, chunk ...       the same, as long as every channel is among what was chosen
    over axes         mean, sum, amax               the labels, as long as no channel is averaged with another
    over space        pooling, interpolate          the labels
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

from spikelet.compression.channels.ids import Walk, compact, dim_of, leading, led, place, varying
from spikelet.compression.channels.layers import over_space
from spikelet.compression.channels.matmul import product, softmax
from spikelet.lowering.trace import Call, tensors

Rule = Callable[[Walk, Call], Tensor]


def _value_by_value(walk: Walk, call: Call) -> Tensor:
    rank = call.output.dim()
    read = [(leading(t.shape, rank), led(walk.labels(t), rank)) for t in walk.sources(call)]
    channel_axes = {axis for _, labels in read for axis in varying(labels)}
    if any(t.dim() and any(leading(t.shape, rank)[a] > 1 for a in channel_axes) for t in _constants(walk, call)):
        return walk.keep_all(call, f"{place(call)} pairs them with a tensor of the model's own")
    result: Tensor | None = None
    for shape, labels in read:
        if any(shape[axis] == 1 < call.output.shape[axis] for axis in channel_axes):
            walk.ids.freeze(labels, f"{place(call)} pairs it with every channel of another tensor")
        elif result is None:
            result = labels
        else:
            walk.ids.join(result, labels)
            result = torch.broadcast_tensors(result, labels)[0]
    if result is None:  # each tensor's channels meet all of another's
        return walk.keep_all(call, f"{place(call)} pairs each with every channel of another tensor")
    return result


def _constants(walk: Walk, call: Call) -> list[Tensor]:
    return [t for t in tensors((call.args, call.kwargs)) if not walk.knows(t)]


def _first(walk: Walk, call: Call) -> Tensor:
    return walk.labels(walk.sources(call)[0])


def _moved(walk: Walk, call: Call, function: Callable[..., Any]) -> Tensor:
    """The function applied to labels of full shape in place of every known tensor."""

    def labelled(leaf: Any) -> Any:
        known = isinstance(leaf, Tensor) and walk.knows(leaf)
        return walk.labels(leaf).expand(leaf.shape) if known else leaf

    args, kwargs = _pytree.tree_map(labelled, (call.args, call.kwargs))
    moved = function(*args, **kwargs)
    labels = compact(moved if isinstance(moved, Tensor) else moved[0])
    return _split(walk, call, labels) if len(varying(labels)) > 1 else labels


def _split(walk: Walk, call: Call, labels: Tensor) -> Tensor:
    free = _free_axis(call)
    if free not in varying(labels):
        walk.keep_all(call, f"{place(call)} spreads them over several axes, none of which is -1")
        return labels
    joined = labels
    for axis in set(varying(labels)) - {free}:
        joined = joined.narrow(axis, 0, 1)
    walk.ids.join(labels, joined)
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
    return lambda walk, call: _moved(walk, call, function)


def _choosing(function: Callable[..., Any]) -> Rule:
    def rule(walk: Walk, call: Call) -> Tensor:
        (x,), labels = walk.sources(call), _moved(walk, call, function)
        if not torch.equal(labels.flatten(), walk.labels(x).flatten()):
            return walk.keep_all(call, f"{place(call)} takes some of them")
        return labels

    return rule


def _together(function: Callable[..., Tensor]) -> Rule:
    """cat and stack: channels side by side where the axis is that of channels, else joined."""

    def rule(walk: Walk, call: Call) -> Tensor:
        if _constants(walk, call):
            return walk.keep_all(call, f"{place(call)} pairs them with a tensor of the model's own")
        sources = walk.sources(call)
        options = {k: v for k, v in call.kwargs.items() if k != "tensors"}

        def made(parts: list[Tensor]) -> Tensor:
            whole = [part.expand(t.shape) for part, t in zip(parts, sources, strict=True)]
            return compact(function(whole, *call.args[1:], **options))

        labels = made([walk.labels(t) for t in sources])
        if len(varying(labels)) > 1:
            first = walk.labels(sources[0])
            for other in sources[1:]:
                walk.ids.join(first, walk.labels(other))
            labels = made([first] * len(sources))
        return labels

    return rule


def _over_axes(walk: Walk, call: Call) -> Tensor:
    (x,) = walk.sources(call)
    labels = walk.labels(x)
    dim = dim_of(call)
    dims = range(x.dim()) if dim is None else (dim,) if isinstance(dim, int) else dim
    axes = {d % x.dim() for d in dims}
    if axes & set(varying(labels)):
        return walk.keep_all(call, f"{place(call)} mixes them")
    if call.output.dim() == x.dim():
        return labels
    return labels.view([length for axis, length in enumerate(labels.shape) if axis not in axes])


def _over_space(walk: Walk, call: Call) -> Tensor:
    return over_space(walk, call, walk.sources(call)[0])


_MOVES: dict[str, Callable[..., Tensor]] = {
    "flatten": Tensor.flatten,
    **dict.fromkeys(("reshape", "view"), Tensor.reshape),
    "unflatten": Tensor.unflatten,
    "permute": Tensor.permute,
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), Tensor.transpose),
    **dict.fromkeys(("movedim", "moveaxis"), torch.movedim),
    "squeeze": Tensor.squeeze,
    "unsqueeze": Tensor.unsqueeze,
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
    **{name: _moving(function) for name, function in _MOVES.items()},
    **{name: _choosing(function) for name, function in _CHOICES.items()},
    **{name: _together(torch.cat) for name in ("cat", "concat", "concatenate")},
    "stack": _together(torch.stack),
    **dict.fromkeys(("matmul", "__matmul__", "bmm"), product),
    **dict.fromkeys(("softmax", "log_softmax"), softmax),
}


def follow(walk: Walk, call: Call) -> Tensor:
    """The labels of what a tensor function made; all channels stay where it has no rule."""
    assert isinstance(call.target, str)
    rule = FUNCTIONS.get(call.target)
    if rule is None:
        return walk.keep_all(call, f"{place(call)} is not known to keep them apart")
    try:
        return rule(walk, call)
    except (TypeError, ValueError, RuntimeError) as e:  # a spelling that we do not know, such as view(dtype)
        return walk.keep_all(call, f"{place(call)} is not understood ({e})")
