"""The spikes of whatever has some, by layer: arrays [T, B, ...] of a graph, a program, a model, or of the caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import SpikeletError
from spikelet.graph.ir import IntGraph
from spikelet.graph.reference import Reference
from spikelet.runtime import Program

Spikes = dict[str, NDArray[Any]]


def spikes_of(network: Any, x: Any) -> Spikes:
    """The spikes [T, B, ...] of every layer of neurons, 0 where none was sent.

    Args:
        network, x: as `spikelet.plot.raster` takes them.
    Raises:
        SpikeletError: it is something else, has no neurons, or takes another input.
    """
    if isinstance(network, Mapping):
        return _given(network, x)
    if x is None:
        raise SpikeletError("x is missing: the samples to run the network on.")
    if isinstance(network, IntGraph):
        network = Program(network)
    if isinstance(network, Program | Reference):
        spikes = dict(network.spikes(x))
    elif hasattr(network, "named_modules"):
        from spikelet.plot.watching import spikes_of_model

        spikes = spikes_of_model(network, x)
    else:
        raise SpikeletError(
            "network must be an IntGraph, a Program, a model, or spikes by layer such as Program.spikes gives, got "
            f"{type(network).__name__}."
        )
    if not spikes:
        raise SpikeletError("the network has no spiking neurons.")
    return spikes


def _given(spikes: Mapping[str, Any], x: Any) -> Spikes:
    if x is not None:
        raise SpikeletError("x must be left out where spikes are given: they are drawn as they are.")
    arrays = {str(name): np.asarray(getattr(one, "detach", lambda one=one: one)()) for name, one in spikes.items()}
    if not arrays or any(array.ndim < 2 for array in arrays.values()):
        raise SpikeletError(f"spikes must be arrays [T, B, ...] by layer, got {_shapes(arrays)}.")
    return arrays


def _shapes(arrays: Spikes) -> str:
    return ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items()) or "none"
