"""The re-parameterisable convolution equals the published one, padded as it is, and the one it is merged into."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.nn import BatchNorm2d, Conv2d, Gain2d, Linear, RepConv, merge_repconvs
from spikelet.quant import FullPrecision, LearnedStep

C = 6


def settled(block: nn.Module, channels: int = C) -> nn.Module:
    """A block whose norms have seen data, with gains and offsets of either sign."""
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    block.train()
    for _ in range(20):
        block(torch.randint(0, 5, (1, 4, channels, 5, 5)).float() / 4)
    return block


def in_floats() -> RepConv:
    """A block of float weights without the 8-bit roundings between its convolutions."""
    block = RepConv(C, FullPrecision())
    for place in (2, 4):
        block[place] = nn.Identity()
    return block


def published(block: RepConv, x: Tensor) -> Tensor:
    """1 x 1, batch norm with its offset, padding with its answer to 0, depthwise, 1 x 1, batch norm: in float64, on the
    statistics of the batch."""
    first, norm, _, depthwise, _, last, second = (m for m in block)
    x = x.double().flatten(0, 1)
    y = F.conv2d(x, first.weight.double())
    mean, var = y.mean((0, 2, 3)), y.var((0, 2, 3), correction=0)
    gain = norm.weight.double() / torch.sqrt(var + norm.eps)
    offset = norm.bias.double() - gain * mean
    padded = offset.view(1, -1, 1, 1).expand(len(y), -1, y.shape[2] + 2, y.shape[3] + 2).clone()
    padded[:, :, 1:-1, 1:-1] = gain.view(-1, 1, 1) * y + offset.view(-1, 1, 1)
    y = F.conv2d(F.conv2d(padded, depthwise.weight.double(), groups=C), last.weight.double())
    mean, var = y.mean((0, 2, 3), keepdim=True), y.var((0, 2, 3), correction=0, keepdim=True)
    normed = (y - mean) / torch.sqrt(var + second.eps)
    return second.weight.double().view(-1, 1, 1) * normed + second.bias.double().view(-1, 1, 1)


def test_the_offset_that_is_left_out_makes_no_difference_in_training_borders_too():
    torch.manual_seed(0)
    block = settled(in_floats())
    x = torch.randn(2, 3, C, 5, 5)
    with torch.no_grad():
        expected = published(block, x).unflatten(0, (2, 3))
        assert torch.allclose(block(x).double(), expected, atol=1e-4)


def test_a_merged_block_is_one_convolution_borders_too():
    torch.manual_seed(1)
    model = nn.Sequential(settled(in_floats())).eval().double()
    x = torch.randint(0, 5, (1, 3, C, 5, 5)).double() / 4
    with torch.no_grad():
        expected = model(x)
        assert merge_repconvs(model, FullPrecision()) == 1
        conv, norm = model[0]
        assert type(conv) is Conv2d and conv.kernel_size == (3, 3) and type(norm) is BatchNorm2d
        model.double()
        grid = 2.0**-12  # both sides round their currents to it, on their way too
        assert float((model(x) - expected).abs().max()) < 200 * grid


def test_a_merged_kernel_is_exact_in_floats():
    torch.manual_seed(2)
    block = settled(RepConv(C, LearnedStep(4))).eval()
    first, norm, _, depthwise, _, last = list(block)[:6]
    x = torch.randn(2, C, 6, 6, dtype=torch.float64)
    with torch.no_grad():
        u, d, v = (m.quantizer(m.weight).double() for m in (first, depthwise, last))
        y = norm.gain().view(-1, 1, 1) * F.conv2d(x, u)
        y = F.conv2d(F.conv2d(y, d, padding=1, groups=C), v)
        assert torch.allclose(F.conv2d(x, block.merged_kernel(), padding=1), y, atol=1e-9)


def test_merging_leaves_other_layers_alone_and_counts_blocks():
    model = nn.Sequential(
        RepConv(C, LearnedStep(4)), Conv2d(C, C, 1, LearnedStep(4)), nn.Sequential(RepConv(C, LearnedStep(4)))
    )
    other = model[1]
    assert merge_repconvs(model, LearnedStep(4)) == 2
    assert model[1] is other
    assert not any(isinstance(m, RepConv) for m in model.modules())
    assert model(torch.zeros(1, 1, C, 4, 4)).shape == (1, 1, C, 4, 4)


def test_a_block_that_stands_twice_is_one_convolution_at_both_places():
    block = RepConv(C, LearnedStep(4))
    model = nn.Sequential(block, block, nn.Sequential(block)).double()
    assert merge_repconvs(model, LearnedStep(4)) == 1
    assert model[0] is model[1] is model[2][0]
    assert model[0][0].weight.dtype == torch.float64
    assert model(torch.zeros(1, 2, C, 4, 4, dtype=torch.float64)).shape == (1, 2, C, 4, 4)


def test_a_merge_without_a_quantizer_is_refused_and_changes_nothing():
    model = nn.Sequential(RepConv(C, LearnedStep(4)))
    with pytest.raises(ValueError, match=r"merge_repconvs\.quantizer must be a Quantizer, got 4"):
        merge_repconvs(model, 4)  # type: ignore[arg-type]
    assert isinstance(model[0], RepConv)


@pytest.mark.parametrize("layer", [RepConv, lambda c, q: Conv2d(c, c, 1, q), lambda c, q: Linear(c, c, q)])
def test_a_layer_without_a_quantizer_is_refused(layer: Callable[[int, object], nn.Module]):
    with pytest.raises(ValueError, match=r"\w\.quantizer must be a Quantizer, got 4"):
        layer(C, 4)


def test_a_block_by_itself_can_not_be_replaced():
    with pytest.raises(ValueError, match=r"got a RepConv. Put it in nn\.Sequential"):
        merge_repconvs(RepConv(C, LearnedStep(4)), LearnedStep(4))


def test_a_gain_is_a_batch_norm_less_its_offset():
    torch.manual_seed(3)
    gain, norm = Gain2d(C), BatchNorm2d(C)
    x = torch.randn(2, 3, C, 4, 4)
    for module in (gain, norm):
        nn.init.constant_(module.weight, 1.5)
    mean, std = x.mean((0, 1, 3, 4)), x.std((0, 1, 3, 4), correction=0)
    assert torch.allclose(gain(x), norm(x) + (1.5 * mean / std).view(-1, 1, 1), atol=1e-4)
    assert torch.equal(gain.running_var, norm.running_var)
    assert int(gain.num_batches_tracked) == 1
    gain.eval()
    assert torch.equal(gain(torch.zeros(1, 1, C, 2, 2)), torch.zeros(1, 1, C, 2, 2))


def gain_by_hand(gain: Gain2d, x: Tensor) -> Tensor:
    return x * (gain.weight.double() / torch.sqrt(x.var((0, 1, 3, 4), correction=0) + gain.eps)).view(-1, 1, 1)


@pytest.mark.parametrize("mean", [0.0, 10.0])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
def test_a_gain_and_its_gradients_are_those_of_its_equation(dtype: torch.dtype, error: float, mean: float):
    torch.manual_seed(4)
    gain = Gain2d(C)
    nn.init.normal_(gain.weight)
    nn.init.normal_(gain.bias)
    x = (torch.randn(2, 3, C, 4, 4) + mean).to(dtype).requires_grad_()
    exact = x.detach().double().requires_grad_()
    y, expected = gain(x), gain_by_hand(gain, exact)
    told = torch.randn(y.shape).to(dtype)
    ours = torch.autograd.grad(y, [x, gain.weight], told)
    theirs = torch.autograd.grad(expected, [exact, gain.weight], told.double())
    assert y.dtype == dtype
    for a, b in zip((y, *ours), (expected, *theirs), strict=True):
        assert bool((a.double() - b).abs().max() <= error * b.abs().max())


def test_zero_stays_zero_in_training():
    gain = Gain2d(C)
    nn.init.constant_(gain.bias, 3.0)
    x = torch.randn(1, 2, C, 4, 4) + 5
    x[..., 0] = 0
    assert torch.equal(gain(x)[..., 0], torch.zeros(1, 2, C, 4))


@pytest.mark.parametrize("channels", [0, -3, 2.5, True])
def test_a_block_without_channels_is_refused(channels: object):
    with pytest.raises(ValueError, match=r"RepConv\.channels must be a whole number from 1, got "):
        RepConv(channels, LearnedStep(4))  # type: ignore[arg-type]
