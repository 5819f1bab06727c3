"""Evaluation mode for a while, and every module as it was before.

`model.train(model.training)` would not do: it gives all modules the root's mode, and a frozen batch norm
would start to learn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """`model.eval()` inside; each module's own mode again after, also where an error left early."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
