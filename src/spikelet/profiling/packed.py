"""Bytes of a layer in the packed file.

Codes take their bits, rounded up to whole bytes a layer; per output channel there is a multiplier of 16 bits, a
shift of 8 and an offset of 16 bits, or of 32 for the layer where one does not fit (docs/spec/artifact.md). Float
weights take 32 bits, a float batch norm two 32-bit numbers a channel.

A module's bytes are those that its own layers need: lowering adds constants where spikes join a sum or a neuron reads
weights without a batch norm between, may hold a norm once whose channels are all equal, as before any training, and
leaves out the channels that nothing reads. A graph's profile (graph.py) is exact.
"""

from __future__ import annotations

from torch import Tensor, nn

from spikelet.base.bits import packed_bytes
from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.graph.file.document import stored_bytes
from spikelet.neurons import Neuron
from spikelet.nn import AddConstant, Conv1d, Conv2d, Linear, RelativeBias, Requantize, Scale
from spikelet.nn.norm import gain_and_offset
from spikelet.quant.grid import FRACTION_BITS, round_to_grid

Weighted = nn.Conv1d | nn.Conv2d | nn.Linear
Constants = Scale | AddConstant | RelativeBias | Requantize
FLOAT_BITS = 32
FLOAT_BYTES = 4
MULTIPLIER_AND_SHIFT_BYTES = 3
CONSTANT_BYTES = 4


def weight_bits_of(module: Weighted) -> int:
    """Bits a weight: the quantizer's, or 32 for torch's own layers."""
    return module.quantizer.bits if isinstance(module, Conv1d | Conv2d | Linear) else FLOAT_BITS


def has_float_weights(model: nn.Module) -> bool:
    """Whether a layer has float weights, so that the model has no integer program."""
    return any(weight_bits_of(m) == FLOAT_BITS for m in model.modules() if isinstance(m, Conv1d | Conv2d | Linear))


def weight_bytes(module: Weighted) -> int:
    """All weights of a layer."""
    return packed_bytes(module.weight.numel(), weight_bits_of(module))


def bias_bytes(module: Weighted) -> int:
    """A bias: floats beside float weights, else the constants of a per-channel operation."""
    if module.bias is None:
        return 0
    if weight_bits_of(module) == FLOAT_BITS:
        return FLOAT_BYTES * module.bias.numel()
    return _constants_bytes(round_to_grid(module.bias.detach().double()))


def norm_bytes(norm: nn.BatchNorm1d | nn.BatchNorm2d, weight_bits: int) -> int:
    """A batch norm behind weights of `weight_bits`.

    Raises:
        ValueError: it has no running statistics, or not finite ones.
    """
    if weight_bits == FLOAT_BITS:
        return 2 * FLOAT_BYTES * norm.num_features
    return _constants_bytes(gain_and_offset(norm)[1])


def neuron_bytes(neuron: Neuron) -> int:
    """A neuron's constants by channel, as the file stores them; 0 where it has no integer form."""
    try:
        n = neuron.lowered()
    except LoweringError:
        return 0
    membrane = None if n.membrane is None else ir.Membrane(*n.membrane)
    fields = {field: getattr(n, field) for field in ("leak", "gain", "leak_bits", "threshold", "reset")}
    more = {field: getattr(n, field) for field in ("levels", "step", "start", "rounding")}
    return stored_bytes(ir.Lif("neuron", ("current",), **fields, membrane=membrane, **more))


def constants_bytes(layer: Constants) -> int:
    """A gain or a grid of currents: multiplier, shift and offset for each entry; a constant: 32 bits for each entry,
    of a relative bias for every pair of tokens, and every window where they differ."""
    if isinstance(layer, AddConstant | RelativeBias):
        return CONSTANT_BYTES * layer.on_grid().numel()
    entries = layer.gain.numel() if isinstance(layer, Scale) else 1
    return entries * (MULTIPLIER_AND_SHIFT_BYTES + 2)


def _constants_bytes(offset_C: Tensor) -> int:
    integers = offset_C * 2**FRACTION_BITS
    narrow = bool(((integers >= -(2**15)) & (integers < 2**15)).all())
    return offset_C.numel() * (MULTIPLIER_AND_SHIFT_BYTES + (2 if narrow else 4))
