"""Which tensors hold zeros where channels are zeroed out.

Removing a channel must do what zeroing it out does: zeros behind every layer. A layer's weights that read the channel
leave with it, so that whatever a function made of those zeros, say sigmoid(0) = 1/2, is not missed. A product that sums
over channels has no such weights: a removed channel adds nothing there, and a zeroed one must add nothing either.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from spikelet.compression.channels.ids import ChannelIds
from spikelet.lowering.trace import Call


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MOVES = _words(
    "flatten reshape view unflatten permute transpose swapaxes swapdims movedim moveaxis squeeze unsqueeze "
    "__getitem__ select narrow chunk split unbind expand cat concat concatenate stack contiguous clone detach "
    "to type type_as float double half bfloat16 cpu cuda dropout max_pool2d avg_pool2d adaptive_avg_pool2d mean sum"
)
ZERO_AT_ZERO = _words(
    "neg abs sign floor ceil round relu relu_ relu6 leaky_relu elu selu celu gelu silu mish tanh hardtanh hardswish "
    "erf sin atan sqrt square __neg__ __abs__ roll cumsum"
)
SUMS = _words("add add_ __add__ __radd__ __iadd__ sub sub_ __sub__ __rsub__ __isub__")
PRODUCTS = _words("mul mul_ __mul__ __rmul__ __imul__")
QUOTIENTS = _words("div div_ truediv __truediv__ __itruediv__")


def is_zeroed(known: ChannelIds, call: Call) -> bool:
    """Whether the result of `call` is known to be 0 wherever its channels are zeroed out."""
    if not isinstance(call.target, str):
        return call.where in known.carries  # a layer, zeroed out behind
    zeroed = [known.is_zeroed(t) for t in known.sources(call)]
    if call.target in PRODUCTS:
        return any(zeroed)
    if call.target in QUOTIENTS:
        return isinstance(call.args[0], torch.Tensor) and known.is_zeroed(call.args[0])
    if call.target in SUMS:
        return all(zeroed) and not any(_others(known, call.args))
    return call.target in MOVES | ZERO_AT_ZERO and all(zeroed)


def _others(known: ChannelIds, args: tuple[Any, ...]) -> Iterator[bool]:
    """For each addend that does not depend on the input: whether it is non-zero."""
    for value in args:
        if isinstance(value, torch.Tensor):
            yield not known.has(value) and bool(value.any())
        else:
            yield bool(value)
