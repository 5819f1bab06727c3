"""What training minimises, where there is no teacher beside the labels (distillation.py).

    L = CE + lambda * mean over hidden layers l of (f_l - 1/2)^2

    CE = (1/T) sum_t CE(logits[t], y)     "steps": each step is to know the class by itself (Q-SNN)
    CE = CE((1/T) sum_t logits[t], y)     "mean": the prediction is (QP-SNN); what one pass stands for

f_l is the mean firing rate of layer l over batch, time and space; the first and the last LIF layer are
left out. This is Q-SNN's weight-spike dual regulation, spike half (Wei et al., ACM MM 2024). The paper
sums over layers, its code takes the mean: we follow the code, with the paper's lambda = 1e-3 as default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.neurons import LIF


@contextmanager
def firing_rates(model: nn.Module) -> Iterator[list[Tensor]]:
    """Collects every LIF layer's mean firing rate (with gradient) during the forward passes inside."""
    rates: list[Tensor] = []
    hooks = [
        m.register_forward_hook(lambda module, inputs, spikes: rates.append(spikes.mean()))
        for m in model.modules()
        if isinstance(m, LIF)
    ]
    try:
        yield rates
    finally:
        for hook in hooks:
            hook.remove()


def mean_rate(rates: list[Tensor]) -> Tensor:
    """Of all layers; 0 where there are none, as in an analog network."""
    return torch.stack(rates).mean() if rates else torch.zeros(())


def rate_loss(rates: list[Tensor]) -> Tensor:
    """mean of (f - 1/2)^2 over the hidden layers; 0 where there are none."""
    hidden = rates[1:-1]
    if not hidden:
        return torch.zeros(())
    return (torch.stack(hidden) - 0.5).square().mean()


def step_cross_entropy(logits_TBK: Tensor, y_B: Tensor, label_smoothing: float) -> Tensor:
    """Cross entropy of every time step, averaged; of the mean where that is all there is, [B, K]."""
    if logits_TBK.dim() == 2:
        return F.cross_entropy(logits_TBK, y_B, label_smoothing=label_smoothing)
    steps = logits_TBK.shape[0]
    return F.cross_entropy(logits_TBK.flatten(0, 1), y_B.repeat(steps), label_smoothing=label_smoothing)


def mean_over_time(logits: Tensor) -> Tensor:
    """[B, K] from a model's logits [T, B, K], or from [B, K] where it takes that mean itself."""
    return logits if logits.dim() == 2 else logits.mean(0)


def mean_cross_entropy(logits_TBK: Tensor, y_B: Tensor, label_smoothing: float) -> Tensor:
    """Cross entropy of the mean over time."""
    return F.cross_entropy(mean_over_time(logits_TBK), y_B, label_smoothing=label_smoothing)


LOSSES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "steps": step_cross_entropy,
    "mean": mean_cross_entropy,
}
