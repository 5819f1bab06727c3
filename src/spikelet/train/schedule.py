"""Optimizer and learning rate: linear warm-up, then a cosine to zero, both functions of the step alone."""

from __future__ import annotations

import math

import torch
from torch import nn

from spikelet.nn import Scale
from spikelet.train.settings import Optimizer


def learning_rate(step: int, steps: int, settings: Optimizer) -> float:
    """The learning rate of optimisation step `step` in 0 .. steps - 1."""
    warm = max(1, round(settings.warmup * steps))
    if step < warm:
        return settings.lr * (step + 1) / warm
    return settings.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float, settings: Optimizer) -> None:
    """Sets `rate` in an optimizer of `optimizer_of`, and `settings.norm_lr` times it for parameters of one axis."""
    for group, factor in zip(optimizer.param_groups, (1.0, 1.0, settings.norm_lr), strict=True):
        group["lr"] = rate * factor


def optimizer_of(model: nn.Module, settings: Optimizer) -> torch.optim.Optimizer:
    """AdamW or SGD with three groups: weights (two axes or more), which decay; scalar steps; norms, biases, gains."""
    gains = {id(module.gain) for module in model.modules() if isinstance(module, Scale)}  # by step they have two axes
    groups = [
        {
            "params": [
                p for p in model.parameters() if p.requires_grad and min(p.dim(), 1 if id(p) in gains else 2) == dim
            ],
            "weight_decay": settings.weight_decay if dim == 2 else 0.0,
        }
        for dim in (2, 0, 1)
    ]
    if settings.name == "adamw":
        return torch.optim.AdamW(groups, lr=settings.lr, fused=True)
    return torch.optim.SGD(groups, lr=settings.lr, momentum=0.9, nesterov=True)
