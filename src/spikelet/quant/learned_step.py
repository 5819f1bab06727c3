"""Weights of 2 to 8 bits whose step is learned for each output channel (LSQ).

    code = floor( clip(W / a, -2^(b-1), 2^(b-1) - 1) + 1/2 ),     W^ = 2^round(log2 a) code

    a = 2^(log2_step), one a channel or one for the layer; before any training  a = 2 mean|W| / sqrt(2^(b-1) - 1)

Backwards, with G = dL/dW^, Q = 2^(b-1) - 1 and n weights that share a step:

    dL/dW = G where W / a lies in the range, else 0
    dL/da = 1/sqrt(n Q)  sum G r,   r = code - W / a  in the range, else the code that W is clipped to

Source: Esser et al., "Learned Step Size Quantization", ICLR 2020, arXiv:1902.08153, as QSD-Transformer uses it (Qiu et
al., ICLR 2025, arXiv:2501.13492). Where we differ from the authors' code:

* The scale is the power of two nearest to a, and codes are decided with a itself. The factor between the two, 2^-1/2
  to 2^1/2 a channel, is absorbed by the batch norm behind the layer. Gradients leave it out. A classifier has no batch
  norm: `per_channel=False` gives all its logits one factor.
* a is the exponential of what is learned, so it is always positive; theirs may become negative.
* a is set when the layer is given the quantizer; theirs at the first forward pass in training, so that an evaluation
  before it reads uninitialised memory. Ours is taken by channel, theirs over the whole layer.
* n counts the weights of one step; theirs those of the layer, which slows a down by the square root of its channels.
* Halves round up, theirs to even.

    Conv2d(64, 64, 3, LearnedStep(4))           Linear(64, 10, LearnedStep(8, per_channel=False))
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import flag
from spikelet.quant.grid import round_half_up
from spikelet.quant.quantizer import Coded, LayerQuantizer, QuantizerSpec, power_of_two_near
from spikelet.quant.recording import applied

SMALLEST = -126.0  # log2 of a step that is an ordinary number of float32


@dataclasses.dataclass(frozen=True)
class LearnedStep(QuantizerSpec):
    """Codes -2^(b-1) .. 2^(b-1) - 1 in units of a learned step. See the module's equations.

    Args:
        bits: b, 2 to 8.
        per_channel: whether each output channel has a step of its own.
    Raises:
        SpikeletError: bits is not 2 to 8, or per_channel is not True or False.
    """

    bits: int = 4
    per_channel: bool = True

    def __post_init__(self) -> None:
        if type(self.bits) is not int or self.bits not in range(2, 9):
            raise SpikeletError(
                f"LearnedStep.bits must be 2 to 8, got {self.bits!r}. (For 1 bit use Binary(), for float weights "
                "FullPrecision().)"
            )
        flag("LearnedStep", per_channel=self.per_channel)

    def for_layer(self, weight: Tensor) -> StepOfLayer:
        """The steps of one layer, from the mean magnitude of its weights."""
        return StepOfLayer(self, weight)


class StepOfLayer(LayerQuantizer):
    """The learned steps of one layer.

    Attributes:
        log2_step: log2 a, [O], or [1] where all channels share a step.
    """

    def __init__(self, spec: LearnedStep, weight: Tensor) -> None:
        super().__init__(spec)
        self.low, self.high = -(2 ** (spec.bits - 1)), 2 ** (spec.bits - 1) - 1
        rows = weight.detach().double().flatten(1) if spec.per_channel else weight.detach().double().reshape(1, -1)
        size = rows.abs().mean(1) * 2 / math.sqrt(self.high)
        first = torch.log2(torch.where(size > 0, size, torch.ones_like(size)))
        self.log2_step = nn.Parameter(self._bounded(first).to(weight.dtype))

    def _bounded(self, log2_step: Tensor) -> Tensor:
        """Steps whose codes, and sums of many, are finite in float32."""
        return log2_step.clamp(SMALLEST, 120.0 - self.bits)

    def measured(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """W / a and a [O, 1, ...], both float64, in which a quotient is rounded once."""
        step = torch.exp2(self._bounded(self.log2_step.detach().double()))
        step = step.expand(weight.shape[0]).view(-1, *(1,) * (weight.ndim - 1))
        return weight.detach().double() / step, step

    def encode(self, weight: Tensor) -> Coded:
        return self.coded(weight, *self.measured(weight))

    def coded(self, weight: Tensor, scaled: Tensor, step: Tensor) -> Coded:
        """The codes of `measured`'s W / a and a, in the weight's type."""
        codes = round_half_up(scaled.clamp(self.low, self.high))
        return Coded(codes.to(weight.dtype), power_of_two_near(step).to(weight.dtype), self.bits, "full")

    def forward(self, weight: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            coded = self.encode(weight)
            return coded.codes * coded.scale
        return applied(_Stepped, weight, self.log2_step, self)

    def extra_repr(self) -> str:
        return f"bits={self.bits}, steps={self.log2_step.numel()}"

    def slopes(self, codes: Tensor, scaled: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """1 where W / a is in range and 0 outside; and d W^ / d log2_step for each weight, scaled as LSQ does."""
        inside = (scaled >= self.low) & (scaled <= self.high)
        residue = codes.double() - torch.where(inside, scaled, torch.zeros_like(scaled))
        shared = codes.numel() / self.log2_step.numel()
        by_log = residue * step * (math.log(2) / math.sqrt(shared * self.high))
        return inside.to(codes.dtype), by_log.to(codes.dtype)


class _Stepped(torch.autograd.Function):
    """`codes * scale` forwards, LSQ's gradients backwards."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, log2_step: Tensor, steps: StepOfLayer) -> Tensor:
        measured = steps.measured(weight)
        coded = steps.coded(weight, *measured)
        ctx.save_for_backward(*steps.slopes(coded.codes, *measured))
        ctx.shared = log2_step.numel() == 1
        return coded.codes * coded.scale

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        inside, by_log = ctx.saved_tensors
        told = (grad * by_log).flatten(1).sum(1)
        return grad * inside, told.sum(0, keepdim=True) if ctx.shared else told, None
