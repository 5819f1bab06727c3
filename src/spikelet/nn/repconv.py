"""The re-parameterisable convolution of spike-driven transformers: three small ones that are one 3 x 3.

    y = N2( V * D * r(N1( U * x )) )     U 1 x 1, D depthwise 3 x 3, V 1 x 1;  N1, N2 batch norms;  r, 8 bits each

and, merged, one dense 3 x 3 convolution and N2:

    K[o, i] = sum_c V[o, c] A1[c] U[c, i] D[c],     y = N2( K * x ),   A1 the gain of N1

The authors (Meta-SpikeFormer, arXiv:2404.03663; QSD-Transformer, arXiv:2501.13492) pad N1's output with N1's answer to
0, its offset d. That pad makes the depthwise convolution of d a constant in every position, borders too, so V makes a
constant of it, which N2 takes away with its mean, in training and in evaluation. N1 therefore has a gain and no offset
here (`Gain2d`), and the pad is 0: the same function, one constant less to be an integer.

No neuron stands between the three, so 8-bit integers do (`Requantize`), or sums would leave the integers of float32; at
full precision too, so that bits may be taken away later. Un-merged the block has 2 C^2 + 9 C weights; merged it has
9 C^2 and reads spikes alone (`merge_repconvs`). The merged kernel is not on the quantizer's grid: it is quantized anew,
which costs accuracy until it is trained further.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import instance
from spikelet.nn.gain import Gain2d
from spikelet.nn.norm import BatchNorm2d
from spikelet.nn.requantize import Requantize
from spikelet.nn.synapses import Conv2d
from spikelet.quant import FullPrecision, Quantizer


class RepConv(nn.Sequential):
    """1 x 1, depthwise 3 x 3 and 1 x 1 convolutions and two norms, from [T, B, C, H, W] to the same.

    Args:
        channels: C.
        quantizer: of all three.
    Raises:
        SpikeletError: channels is not a whole number from 1, or quantizer is no quantizer.
    """

    def __init__(self, channels: int, quantizer: Quantizer) -> None:
        instance("RepConv", Quantizer, quantizer=quantizer)
        if type(channels) is not int or channels < 1:
            raise SpikeletError(f"RepConv.channels must be a whole number from 1, got {channels!r}.")
        super().__init__(
            Conv2d(channels, channels, 1, quantizer),
            Gain2d(channels),
            Requantize(8),
            Conv2d(channels, channels, 3, quantizer, padding=1, groups=channels),
            Requantize(8),
            Conv2d(channels, channels, 1, quantizer),
            BatchNorm2d(channels),
        )

    def merged_kernel(self) -> Tensor:
        """K [C, C, 3, 3] of the module's equations, of the quantized weights and N1's gain in evaluation, float64."""
        first, norm, _, middle, _, last = list(self)[:6]
        u, d, v = (layer.quantizer(layer.weight).detach().double() for layer in (first, middle, last))  # type: ignore[union-attr, operator]
        scaled = norm.gain()[:, None] * u[:, :, 0, 0]  # type: ignore[operator]
        return torch.einsum("oc,cij,ck->okij", v[:, :, 0, 0], d[:, 0], scaled)


def merge_repconvs(model: nn.Module, quantizer: Quantizer) -> int:
    """Puts one dense convolution in the place of the three of every `RepConv` in `model`; returns how many blocks.

    The new kernel is K, quantized by `quantizer`: train it further. Running statistics of N2 are kept; recalibrate
    them, as 8-bit rounding and the new grid move them.

    A block that stands at several places is one convolution at all of them.

    Raises:
        SpikeletError: `model` is no module, or itself a RepConv, which can't be replaced in place; or `quantizer` is no
            quantizer.
    """
    instance("merge_repconvs", nn.Module, model=model)
    instance("merge_repconvs", Quantizer, quantizer=quantizer)
    if isinstance(model, RepConv):
        raise SpikeletError(
            "merge_repconvs takes a model with blocks inside, got a RepConv. Put it in nn.Sequential()."
        )
    merged = {block: _merged(block, quantizer) for block in model.modules() if isinstance(block, RepConv)}
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):  # named_children() leaves out the second place
            if child in merged:
                setattr(parent, name, merged[child])  # type: ignore[index]
    return len(merged)


def _merged(block: RepConv, quantizer: Quantizer) -> nn.Sequential:
    kernel = block.merged_kernel()
    conv = Conv2d(kernel.shape[1], kernel.shape[0], 3, FullPrecision(), padding=1)
    with torch.no_grad():
        conv.weight.copy_(kernel)
    conv = conv.to(next(block.parameters()))
    conv.quantizer = quantizer  # its steps are taken from the kernel
    return nn.Sequential(conv, block[6]).train(block.training)
