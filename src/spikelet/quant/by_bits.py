"""The quantizer that a number of bits stands for."""

from __future__ import annotations

from spikelet.base.errors import SpikeletError
from spikelet.base.strict_json import shown
from spikelet.base.whole import is_whole
from spikelet.quant.binary import Binary
from spikelet.quant.quantizer import Quantizer
from spikelet.quant.uniform import FullPrecision, Uniform


def quantizer_of(bits: int) -> Quantizer:
    """The quantizer of a `weight_bits=` argument: 1 binary, 2 to 8 uniform, 32 full precision.

    Raises:
        SpikeletError: another number of bits.
    """
    if not is_whole(bits):
        raise SpikeletError(f"weight_bits must be 1 to 8, or 32 for full precision, got {shown(bits)}.")
    if bits == 1:
        return Binary()
    if bits == 32:
        return FullPrecision()
    if bits in range(2, 9):
        return Uniform(bits)
    raise SpikeletError(f"weight_bits must be 1 to 8, or 32 for full precision, got {bits}.")
