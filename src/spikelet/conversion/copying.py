"""What every change of a network begins with: its copy, and the batches that it is run on."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.nn.device import device_of
from spikelet.nn.taken import require_module
from spikelet.profiling.batches import inputs_of


def copied(model: nn.Module, instead: dict[int, Any] | None = None) -> nn.Module:
    """A copy of `model`, in which other modules stand where `instead` has them, by the id of the one that was there.

    Raises:
        ConversionError: it can't be copied.
    """
    try:
        return copy.deepcopy(model, instead)
    except Exception as e:
        raise ConversionError(
            f"{type(model).__name__} can't be copied ({e}), and conversion works on a copy. Drop tensors that it keeps "
            "from its last forward pass."
        ) from e


def require_batches(model: nn.Module, batches: Tensor | Iterable[Any], name: str) -> list[Tensor]:
    """The input of each batch, on the device of the model.

    Args:
        name: of the argument, for the error.
    Raises:
        ConversionError: the model is no module, there is no batch, or samples are of several shapes.
        TypeError, ValueError: what is no batch.
    """
    require_module(model, ConversionError)
    inputs = [x.to(device_of(model)) for x in inputs_of(batches, None)]
    if not inputs:
        raise ConversionError(f"{name} holds no batch. Pass some hundred samples, as the network takes them.")
    shapes = [tuple(x.shape[1:]) for x in inputs]
    for shape in shapes:
        if shape != shapes[0]:
            raise ConversionError(f"{name} must hold samples of one shape, got {shapes[0]} and {shape}.")
    return inputs
