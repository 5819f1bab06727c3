"""Uniform symmetric weights of 2 to 8 bits, and the identity for full-precision networks.

    scale = 2^ceil(log2(max|W| / L)),  L = 2^(b-1) - 1      per output channel or per tensor
    code  = clip(floor(W / scale + 1/2), -L, L)             gradient: 1 (straight through)

Q-SNN keeps its first and last layers at 8 bits. Differences from the authors' code: the maximum is
taken of |W| (theirs of the signed W, so that codes below -127 need more than 8 bits), and the scale
is the power of two above, so that everything stays exact.
"""

from __future__ import annotations

import dataclasses

from torch import Tensor

from spikelet.base.codes import top_code
from spikelet.base.errors import SpikeletError
from spikelet.base.strict_json import shown
from spikelet.base.whole import is_whole
from spikelet.quant.grid import round_half_up, straight_through
from spikelet.quant.quantizer import Coded, Quantizer, power_of_two_above


@dataclasses.dataclass(frozen=True)
class Uniform(Quantizer):
    """Uniform codes; one scale a channel, or one for the whole tensor (a classifier's logits need one)."""

    bits: int = 8
    per_channel: bool = True

    def __post_init__(self) -> None:
        if not is_whole(self.bits) or self.bits not in range(2, 9):
            raise SpikeletError(f"Uniform.bits must be 2 to 8, got {shown(self.bits)}. (For 1 bit use Binary().)")
        object.__setattr__(self, "bits", int(self.bits))

    def encode(self, weight: Tensor) -> Coded:
        weight = weight.detach()
        top = top_code(self.bits, "symmetric")
        axes = tuple(range(1 if self.per_channel else 0, weight.ndim))
        scale = power_of_two_above(weight.abs().amax(axes, keepdim=True) / top, top)
        scale = scale.expand(weight.shape[0], *(1,) * (weight.ndim - 1))
        return Coded(round_half_up(weight / scale).clamp(-top, top), scale, self.bits)

    def __call__(self, weight: Tensor) -> Tensor:
        coded = self.encode(weight)
        return straight_through(weight, coded.codes * coded.scale)


@dataclasses.dataclass(frozen=True)
class FullPrecision(Quantizer):
    """32-bit floating weights: trains the baseline, can't be lowered."""

    bits: int = dataclasses.field(default=32, init=False)

    def encode(self, weight: Tensor) -> Coded:
        raise SpikeletError(
            "full-precision weights have no integer codes. "
            "Build the model with weight_bits=1, 2, 4 or 8, or quantize the layer, before lowering it."
        )

    def __call__(self, weight: Tensor) -> Tensor:
        return weight
