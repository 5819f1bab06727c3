"""The losses of training: cross entropy of the labels, and a penalty on firing rates.

    "steps"    CE = (1/T) sum_t CE(logits[t], y)     cross entropy of every time step's logits, averaged over T (Q-SNN)
    "mean"     CE = CE((1/T) sum_t logits[t], y)     cross entropy of the time-averaged logits (QP-SNN); the loss that
                                                     training in one pass approximates
    rates      R  = mean over hidden layers l of (f_l - 1/2)^2          or of all layers, of (f_l - rate)^2

f_l is the mean firing rate of neuron layer l over batch, time and space. The first and the last layer are left out,
unless a rate is asked for: what runs event by event costs what fires, in the first layer most of all.
R is the spike half of Q-SNN's weight-spike dual regulation (Wei et al., ACM MM 2024, arXiv:2406.13672). The paper sums
over layers, its code takes the mean: this is the code's, with the paper's lambda = 1e-3 as default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.neurons import Neuron
from spikelet.nn.hooks import hooks


@contextmanager
def firing_rates(model: nn.Module) -> Iterator[list[Tensor]]:
    """Collects the mean firing rate, with gradient, of every neuron layer that runs inside the block."""
    rates: list[Tensor] = []
    handles = (
        m.register_forward_hook(lambda module, inputs, spikes: rates.append(spikes.mean()))
        for m in model.modules()
        if isinstance(m, Neuron)
    )
    with hooks(handles):
        yield rates


def mean_rate(rates: list[Tensor]) -> Tensor:
    """Mean firing rate of all layers; 0 for a network without neurons, such as an analog one."""
    return torch.stack(rates).mean() if rates else torch.zeros(())


def rate_loss(rates: list[Tensor], rate: float | None = None) -> Tensor:
    """R of the module's equations; 0 without hidden layers, or with a rate without any."""
    pulled = rates[1:-1] if rate is None else rates
    if not pulled:
        return torch.zeros(())
    return (torch.stack(pulled) - (0.5 if rate is None else rate)).square().mean()


def step_cross_entropy(logits_TBK: Tensor, y_B: Tensor, label_smoothing: float) -> Tensor:
    """Cross entropy of every time step's logits, averaged over T; of logits [B, K], their cross entropy."""
    if logits_TBK.dim() == 2:
        return F.cross_entropy(logits_TBK, y_B, label_smoothing=label_smoothing)
    steps = logits_TBK.shape[0]
    return F.cross_entropy(logits_TBK.flatten(0, 1), y_B.repeat(steps), label_smoothing=label_smoothing)


def mean_over_time(logits: Tensor) -> Tensor:
    """Logits [B, K], averaged over T, from [T, B, K]; logits [B, K] as they are."""
    return logits if logits.dim() == 2 else logits.mean(0)


def mean_cross_entropy(logits_TBK: Tensor, y_B: Tensor, label_smoothing: float) -> Tensor:
    """Cross entropy of the time-averaged logits."""
    return F.cross_entropy(mean_over_time(logits_TBK), y_B, label_smoothing=label_smoothing)


LOSSES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "steps": step_cross_entropy,
    "mean": mean_cross_entropy,
}
