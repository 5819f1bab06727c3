"""Evaluation mode for a while, on exact arithmetic, and every module and switch as it was before.

Evaluation is exact where every product and sum is a whole number of units below 2^24 (float32) or 2^53 (float64),
which lowering proves. TensorFloat-32 keeps 11 bits of a number and bfloat16 keeps 8: both round such numbers, so they
are off while a model is evaluated. So is cuDNN, whose convolutions by Winograd transforms multiply by fractions that
binary numbers can't hold; PyTorch's own kernels add plain products instead.

`model.train(model.training)` would not do: it gives all modules the root's mode, and a frozen batch norm
would start to learn.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError

INEXACT = (torch.float16, torch.bfloat16)


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """`model.eval()` and exact arithmetic inside; modes and switches as before again after, also after an error.

    Raises:
        SpikeletError: a parameter or buffer of the model is float16 or bfloat16; names it.
    """
    require_exact_types(model)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with exact_arithmetic():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Plain sums of products inside: autocast, TensorFloat-32 and cuDNN are off; every switch as before again after."""
    precision = torch.get_float32_matmul_precision()
    tf32, cudnn = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.enabled
    with contextlib.ExitStack() as stack:
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        try:
            torch.set_float32_matmul_precision("highest")
            torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.enabled = False
            yield
        finally:
            torch.set_float32_matmul_precision(precision)
            torch.backends.cudnn.allow_tf32, torch.backends.cudnn.enabled = tf32, cudnn


def exact_products(module: nn.Module) -> contextlib.AbstractContextManager[None]:
    """`exact_arithmetic` where `module` evaluates; a context without effect where it trains.

    It has no effect while torch.compile traces either: `evaluation_mode` sets the switches outside of compiled code.
    """
    if module.training or torch.compiler.is_compiling():
        return contextlib.nullcontext()
    return exact_arithmetic()


def require_exact_types(model: nn.Module) -> None:
    """Raises SpikeletError where a parameter or buffer is float16 or bfloat16; names it."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.dtype in INEXACT:
            raise SpikeletError(
                f"{name} is {tensor.dtype}, in which evaluation is not exact. Evaluate in float32 (model.float()) or "
                "float64 (model.double()); to train in half precision use torch.autocast."
            )


def require_exact_type(name: str, x: Tensor) -> None:
    """Raises SpikeletError where `x`, which the layer `name` is to evaluate, is float16 or bfloat16."""
    if x.dtype in INEXACT:
        raise SpikeletError(
            f"{name} evaluates in float32 or float64, which are exact, got {x.dtype}. "
            "Evaluate within spikelet.nn.evaluation_mode(model), which turns autocast off."
        )
