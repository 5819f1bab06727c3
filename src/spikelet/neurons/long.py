"""LIF over many time steps, with its gradient written out: signals have hundreds, and autograd keeps every one of them.

    h[t] = leak * v[t-1] + x[t],   s[t] = 1[h[t] >= threshold],   v[t] = h[t] (1 - s[t])
    g[t] = ds[t] slope(h[t] - threshold) + g[t+1] leak (1 - s[t] - h[t] slope(h[t] - threshold)),   dx[t] = g[t]

ds are the gradients of the spikes, slope is the surrogate's. The spikes are those of the loop in neuron.py, bit for bit;
the gradients are its own up to rounding. A step takes four operations forward and one backward, instead of some thirty.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from spikelet.neurons.surrogate import Surrogate

LONG = 16
"""Time steps from which on this is taken."""


def long_run(x: Tensor, leak: float | Tensor, threshold: float | Tensor, surrogate: Surrogate) -> Tensor:
    """Spikes [T, B, ...] of neurons with a hard reset and a full membrane that starts at 0.

    Args:
        x: currents [T, B, ...].
        leak, threshold: one number, or what multiplies one step's currents.
    """
    return _Long.apply(x, leak, threshold, surrogate)


class _Long(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, leak: float | Tensor, threshold: float | Tensor, surrogate: Surrogate) -> Tensor:
        h, s, v = x.clone(memory_format=torch.contiguous_format), torch.empty_like(x), torch.zeros_like(x[0])
        for current, spikes in zip(h, s, strict=True):
            current.add_(v.mul_(leak))
            spikes.copy_(current >= threshold)
            torch.addcmul(current, current, spikes, value=-1, out=v)
        ctx.save_for_backward(h, s)
        ctx.constants = leak, threshold, surrogate
        return s

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        h, s = ctx.saved_tensors
        leak, threshold, surrogate = ctx.constants
        slope = surrogate.slope(h - threshold)
        own, kept = grad * slope, (1 - s - h * slope) * leak
        for t in range(len(own) - 2, -1, -1):
            own[t].addcmul_(kept[t], own[t + 1])
        return own, None, None, None
