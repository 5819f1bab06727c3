"""Programs that torch records from a model: torch.export, torch.compile, torch.jit.trace, torch.onnx.

    program = torch.export.export(model.eval(), (images,))
    program.module()(images)           the model's logits, bit for bit

A recorded program holds operations on tensors alone. So a check that looks at values, such as whether a gain is finite,
is made by eager evaluation, and is not part of the program. A program does not hold torch's switches either: run it
within `spikelet.nn.exact_arithmetic()`, as `evaluation_mode` runs a model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def is_recorded() -> bool:
    """Whether torch records what runs now, so that Python can't ask for the values of tensors."""
    return torch.compiler.is_compiling() or is_traced()


def is_traced() -> bool:
    """Whether torch.jit.trace records what runs now."""
    return not torch.compiler.is_compiling() and torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]


def applied(function: type[torch.autograd.Function], *args: Any) -> Tensor:
    """What `function.apply(*args)` returns; while torch.jit.trace records, without its gradient.

    A traced program can't save a Python function. So it has no surrogate gradients: spikelet.neurons.Neuron warns
    where a module that trains is traced.
    """
    return function.forward(_Unkept(), *args) if is_traced() else function.apply(*args)


class _Unkept:
    """The context of a forward pass that has no backward pass."""

    def save_for_backward(self, *tensors: Tensor) -> None:
        """Keeps nothing."""
