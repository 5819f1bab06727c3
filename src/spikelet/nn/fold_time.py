"""Applies stateless layers to all time steps at once: [T, B, ...] -> [T*B, ...] -> layer -> [T, B, ...]."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from spikelet.base.errors import SpikeletError


def fold_time(layer: Callable[[Tensor], Tensor], x: Tensor, sample_dims: int, name: str) -> Tensor:
    """What `layer` makes of every time step of `x`, [T, B, ...].

    Args:
        layer: takes [N, ...] with `sample_dims` axes after N.
        x: [T, B, ...] with `sample_dims` axes after B.
        name: the caller's, for the error.
    Raises:
        SpikeletError: `x` has another number of axes.
    """
    if x.dim() != sample_dims + 2:
        raise SpikeletError(
            f"{name} takes time-first tensors of {sample_dims + 2} axes [T, B, ...], got shape {tuple(x.shape)}. "
            "(Start the model with spikelet.nn.Encode(), which adds the time axis to images.)"
        )
    y = layer(x.flatten(0, 1))
    return y.unflatten(0, x.shape[:2])
