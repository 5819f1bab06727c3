"""What callers pass where a module or a tensor is meant: checked, and NumPy's arrays taken as tensors.

require_module(model)      one sentence for a graph, a path, weights or a class in a module's place
tensor_of(array)           the tensor of an array of numbers; anything else as it is
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from spikelet.base.errors import SpikeletError

_WAYS_OUT = {
    "IntGraph": "It is an integer graph already, which spikelet.Program, spikelet.save and "
    "spikelet.profiling.profile_graph take.",
    "Program": "Pass the module that its graph was lowered from.",
    "Reference": "Pass the module that its graph was lowered from.",
}


def require_module(model: object, error: type[SpikeletError] = SpikeletError) -> None:
    """Raises `error` where `model` is no torch.nn.Module; says what it is, and the way out."""
    if not isinstance(model, nn.Module):
        got = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise error(" ".join(filter(None, [f"model must be a torch.nn.Module, got {got}.", _way_out(model)])))


def _way_out(model: object) -> str:
    if isinstance(model, type):
        return f"Make one of it: {model.__name__}(...)."
    if isinstance(model, str | Path):
        return "Build the model, such as by spikelet.create_model, and load its weights (model.load_state_dict)."
    if isinstance(model, dict):
        return "Load these weights into their model: model.load_state_dict(weights)."
    return _WAYS_OUT.get(type(model).__name__, "")


def tensor_of(value: Any) -> Any:
    """The tensor of an array of numbers, which shares its memory where it can; `value` itself where it is no array."""
    if not isinstance(value, np.ndarray) or isinstance(value, np.ma.MaskedArray) or value.dtype.kind not in "buif":
        return value
    native = value.astype(value.dtype.newbyteorder("="), copy=False)
    return torch.from_numpy(np.require(native, requirements=["C", "W"]))
