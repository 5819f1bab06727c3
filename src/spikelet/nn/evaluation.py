"""Evaluation mode for a while, on exact arithmetic, and every module and switch as it was before.

Evaluation is exact where every product and sum is a whole number of units below 2^24 (float32) or 2^53 (float64),
which lowering proves. TensorFloat-32 keeps 11 bits of a number and bfloat16 keeps 8: both round such numbers, so they
are off while a model is evaluated, and so is the flushing of subnormal numbers, which would make weights 0. So is
cuDNN, whose convolutions by Winograd transforms multiply by fractions that binary numbers can't hold; PyTorch's own
kernels add plain products instead.

`model.train(model.training)` would not do: it gives all modules the root's mode, and a frozen batch norm
would start to learn.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError

V = TypeVar("V")
EXACT = (torch.float32, torch.float64)


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """`model.eval()` and exact arithmetic inside; modes and switches as before again after, also after an error.

    Raises:
        SpikeletError: a parameter or buffer of the model is of a type in which evaluation is not exact, or has no
            values; names it.
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
    """Plain sums of products inside: autocast, TensorFloat-32, bfloat16 products, cuDNN and the flushing of subnormal
    numbers are off; every switch as before again after."""
    with contextlib.ExitStack() as stack:
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if sys.float_info.min * sys.float_info.epsilon == 0:  # subnormal numbers are flushed: torch has no getter
            stack.callback(torch.set_flush_denormal, True)
            torch.set_flush_denormal(False)
        stack.enter_context(_plain_products())
        yield


@contextmanager
def _plain_products() -> Iterator[None]:
    """No product of float32 numbers is rounded to fewer bits inside, whichever of torch's switches say so."""
    mkldnn: Any = torch.backends.mkldnn
    cudnn: Any = torch.backends.cudnn
    general: list[Any] = [torch.backends, cudnn]
    special = [mkldnn.conv, mkldnn.rnn, mkldnn.matmul, cudnn.conv, cudnn.rnn, torch.backends.cuda.matmul]
    matmul = _older(torch.get_float32_matmul_precision, "highest")
    tf32, enabled = _older(lambda: cudnn.allow_tf32, False), cudnn.enabled
    newer = [(part, _exchanged(part, "none")) for part in general]  # what they hide are the special ones' own
    newer += [(part, _exchanged(part, "none")) for part in special]
    try:
        torch.set_float32_matmul_precision("highest")
        cudnn.allow_tf32 = cudnn.enabled = False
        for part in special:
            part.fp32_precision = "ieee"
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        cudnn.allow_tf32, cudnn.enabled = tf32, enabled
        for part, precision in newer:
            part.fp32_precision = precision


def _exchanged(part: Any, precision: str) -> str:
    """The precision that `part` had, which now has another."""
    before = part.fp32_precision
    part.fp32_precision = precision
    return before


def _older(read: Callable[[], V], otherwise: V) -> V:
    """What one of torch's older switches says, or `otherwise` where newer ones contradict it, and rule."""
    try:
        return read()
    except RuntimeError:
        return otherwise


def exact_products(module: nn.Module) -> contextlib.AbstractContextManager[None]:
    """`exact_arithmetic` where `module` evaluates; a context without effect where it trains.

    It has no effect while torch.compile traces either: `evaluation_mode` sets the switches outside of compiled code.
    """
    if module.training or torch.compiler.is_compiling():
        return contextlib.nullcontext()
    return exact_arithmetic()


def require_exact_types(model: nn.Module) -> None:
    """Raises SpikeletError where a parameter or buffer is of another type than float32, float64 or whole numbers, or
    has no values yet; names it."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if (tensor.is_floating_point() or tensor.is_complex()) and tensor.dtype not in EXACT:
            raise SpikeletError(
                f"{name} is {tensor.dtype}, in which evaluation is not exact. Evaluate in float32 (model.float()) or "
                "float64 (model.double()); to train in half precision use torch.autocast."
            )
        if tensor.is_meta:
            raise SpikeletError(
                f"{name} lies on the device meta and has no values. Build the model outside of torch.device('meta'), "
                "or give it some (model.to_empty, load_state_dict)."
            )


def require_exact_type(name: str, x: Tensor) -> None:
    """Raises SpikeletError where `x`, which the layer `name` is to evaluate, is of another type than float32 or
    float64."""
    if x.is_floating_point() and x.dtype not in EXACT:
        raise SpikeletError(
            f"{name} evaluates in float32 or float64, which are exact, got {x.dtype}. "
            "Evaluate within spikelet.nn.evaluation_mode(model), which turns autocast off."
        )
