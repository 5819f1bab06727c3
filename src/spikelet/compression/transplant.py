"""A changed copy's values put back into the model that it was copied from, whose modules and parameters stay the same
objects: a reference that somebody holds to a layer sees the layer change.

Nothing here can fail half way: values are assigned, none is computed.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import nn

from spikelet.quant import Quantizer


def transplant(old: nn.Module, new: nn.Module) -> None:
    """Makes `old` what `new`, a changed deep copy of it, is. A part of another class, such as a new membrane, replaces
    the old one; every other module and parameter is kept and gets new values. Gradients are dropped."""
    _transplant(old, new, set())


def _transplant(old: nn.Module, new: nn.Module, done: set[int]) -> None:
    if id(old) in done:
        return
    done.add(id(old))
    for name, value in vars(new).items():
        if not name.startswith("_") and _is_plain(value):
            old._modules.pop(name, None)
            setattr(old, name, value)
    for mine, theirs in ((old._parameters, new._parameters), (old._buffers, new._buffers)):
        for name, tensor in theirs.items():
            kept = mine.get(name)
            if kept is None or tensor is None:
                mine[name] = tensor  # type: ignore[assignment]
            else:
                kept.data, kept.grad = tensor.data, None
    for name, part in new._modules.items():
        mine = old._modules.get(name)
        if mine is not None and part is not None and type(mine) is type(part):
            _transplant(mine, part, done)
        else:
            vars(old).pop(name, None)  # a plain value that became a module
            old._modules[name] = part


def _is_plain(value: Any) -> bool:
    """Numbers, words, quantizers and frozen settings; anything else may hold a part of the copy."""
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    if isinstance(value, Quantizer):
        return not isinstance(value, nn.Module)
    frozen = dataclasses.is_dataclass(value) and value.__dataclass_params__.frozen  # type: ignore[attr-defined]
    return value is None or isinstance(value, bool | int | float | str) or (frozen and not isinstance(value, type))
