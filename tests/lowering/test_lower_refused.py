"""What lowering refuses, and that its words name the module and the reason."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import OverflowRefused, TimeAxisError
from spikelet.lowering import LoweringError, lower
from spikelet.neurons import LIF, Hard, LIFParams, QuantizedMembrane
from spikelet.neurons.membrane import BatchMaxMembrane
from spikelet.nn import BatchNorm2d, ChannelMap, Conv2d, Encode, Linear, MaxPool2d
from spikelet.quant import FullPrecision, Uniform
from tests.support.user_modules import (
    SHAPE,
    T,
    User,
    after_conv,
    classifier,
    images,
    neuron,
    plain,
    user,
)


class Wider(Conv2d):
    """A layer of ours with somebody's own forward."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 2


class Gained(nn.PReLU):
    """A layer of somebody's own, with a weight and no rule."""


class Hidden(nn.Module):
    """Work that no torch function shows."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(x.numpy() * 2)


class Half(Hard):
    """A reset of somebody's own."""

    def __call__(self, *args: Any) -> Tensor:
        return super().__call__(*args) / 2


class Clipped(QuantizedMembrane):
    """A membrane of somebody's own."""

    def forward(self, v: Tensor) -> Tensor:
        return super().forward(v).clamp(max=0)


def silence_behind(s: Tensor) -> Tensor:
    flat = s.flatten(2)
    s[:, :, 0] = 0
    return flat


def through_a_view(s: Tensor) -> Tensor:
    flat = s.flatten(2)
    flat += flat.flip(0)
    return s.flatten(2)


def in_a_list(s: Tensor) -> Tensor:
    torch._foreach_add_([s], [s])
    return s.flatten(2)


def detached(s: Tensor) -> Tensor:
    s.detach().mul_(torch.zeros(()))
    return s.flatten(2)


def set_data(s: Tensor) -> Tensor:
    s.data = s.flip(0)
    return s.flatten(2)


def on_spikes(function: Callable[[Tensor], Any], features: int = 144) -> User:
    return user(lambda m, x: m.fc(function(m.lif(m.conv(x)))), fc=classifier(features))


def nan_weight() -> User:
    model = plain()
    with torch.no_grad():
        model.conv.weight[0, 0, 0, 0] = math.nan
    return model


def nan_step() -> User:
    membrane = QuantizedMembrane(2)
    with torch.no_grad():
        membrane.log2_step.fill_(math.nan)
    return user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)), lif=LIF(T, None, membrane))


def constant_channel() -> User:
    norm = nn.BatchNorm1d(4)
    with torch.no_grad():
        norm.weight.fill_(2.0)
        norm.running_var[1] = 0  # type: ignore[index]
    return user(lambda m, x: m.norm(m.fc(m.lif(m.conv(x)).flatten(2)).mean(0)), fc=classifier(144, 4), norm=norm)


def huge_gain() -> User:
    model = after_conv(BatchNorm2d(4))
    with torch.no_grad():
        model.conv.weight.mul_(1e20)
    return model


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a float convolution": (
        lambda: user(lambda m, x: m.raw(m.lif(m.conv(x)).mean(0)).mean((2, 3)), raw=nn.Conv2d(4, 5, 3)),
        r"raw \(Conv2d\): this layer has no integer form\. Its weights are floats: use spikelet\.nn\.Conv2d with",
    ),
    "a float linear layer": (
        lambda: user(lambda m, x: m.raw(m.lif(m.conv(x)).flatten(2)), raw=nn.Linear(144, 5)),
        r"raw \(Linear\): this layer has no integer form\. Its weights are floats: use spikelet\.nn\.Linear with",
    ),
    "full precision": (
        lambda: user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)), fc=Linear(144, 5, FullPrecision())),
        r"^fc: full-precision weights have no integer codes",
    ),
    "a layer norm": (
        lambda: after_conv(nn.LayerNorm(6)),
        r"^part \(LayerNorm\): this layer has no integer form\. A layer norm divides .* Use spikelet\.nn\.BatchNorm2d",
    ),
    "an activation": (
        lambda: after_conv(nn.Tanh()),
        r"^part \(tanh\): the tensor function 'tanh' has no integer form\. An activation .* Use a neuron",
    ),
    "a gelu": (
        lambda: after_conv(nn.GELU()),
        r"^part \(gelu\): .* Use a neuron: spikelet\.neurons\.LIF, or one with levels",
    ),
    "a softmax": (
        lambda: after_conv(nn.Softmax(2)),
        r"^part \(softmax\): .* Softmax needs exponentials\. .* Inside give the scores",
    ),
    "a random mask": (
        lambda: on_spikes(lambda s: (s * torch.bernoulli(s)).flatten(2)),
        r"the tensor function 'bernoulli' has no integer form\. Random numbers differ at every run\. Draw",
    ),
    "a sign": (lambda: on_spikes(lambda s: torch.sign(s).flatten(2)), r"Compare with a number, .* or use a neuron"),
    "dropout in evaluation": (
        lambda: on_spikes(lambda s: F.dropout(s, 0.0).flatten(2)),
        r"\(dropout\): drops values in evaluation too; pass training=self\.training",
    ),
    "an unknown function": (
        lambda: on_spikes(lambda s: torch.cumprod(s, 2).flatten(2)),
        r"the tensor function 'cumprod' has no integer form\. Supported: __abs__, .*: spikelet\.lowering\.rule",
    ),
    "an unknown layer": (
        lambda: after_conv(Gained()),
        r"^part \(Gained\): this layer has no integer form\. Supported: .*Conv2d.* Your own: spikelet\.lowering\.rule",
    ),
    "interpolation": (
        lambda: on_spikes(
            lambda s: F.interpolate(s.flatten(0, 1), size=3, mode="bilinear").unflatten(0, (T, -1)).flatten(2), 36
        ),
        r"\(interpolate\): interpolates from \(6, 6\) to \(3, 3\) by mode 'bilinear', .* scale_factor=2",
    ),
    "padding with ones": (
        lambda: on_spikes(lambda s: F.pad(s, (1, 1), value=1.0).flatten(2), 192),
        r"pads with 1\.0; integers",
    ),
    "averages beyond the map": (
        lambda: on_spikes(
            lambda s: F.avg_pool2d(s.flatten(0, 1), 4, ceil_mode=True).unflatten(0, (T, -1)).flatten(2), 16
        ),
        r"averages need windows inside of the map",
    ),
    "whole numbers": (
        lambda: on_spikes(lambda s: s.long().float().flatten(2)),
        r"turns a tensor into torch\.int64, which rounds it by no stated rule",
    ),
    "a constant between two steps of the grid": (
        lambda: on_spikes(lambda s: (s + torch.full((4, 1, 1), 0.3)).flatten(2)),
        r"constant tensor whose numbers are no multiples of 2\^-16, such as 0\.3, .*round_to_grid",
    ),
    "a constant that changes over time": (
        lambda: on_spikes(lambda s: (s + torch.arange(2.0).view(2, 1, 1, 1, 1)).flatten(2)),
        r"a constant changes over time or over the batch",
    ),
    "a division by a fraction": (
        lambda: on_spikes(lambda s: (s / 2.5).flatten(2)),
        r"divides by 2.5, .* Use spikelet\.nn\.Scale",
    ),
    "a third of a current": (
        lambda: user(lambda m, x: m.fc(m.lif(m.conv(x) / 3).flatten(2))),
        r"^lif\.grid: reads a mean over a number of values that is no power of two",
    ),
    "an einsum of one tensor": (
        lambda: on_spikes(lambda s: torch.einsum("tbchw->tbc", s), 4),
        r"einsum 'tbchw->tbc' joins 1 tensors, and products join two",
    ),
    "a batch norm as a function": (
        lambda: on_spikes(
            lambda s: F.batch_norm(s.flatten(0, 1), torch.zeros(4), torch.ones(4)).view(s.shape).flatten(2)
        ),
        r"\(batch_norm\): .* Use spikelet\.nn\.BatchNorm2d",
    ),
    "a division of two tensors": (
        lambda: on_spikes(lambda s: (s / (s + 1)).flatten(2)),
        r"divide by one whole number only",
    ),
    "halvings without end": (
        lambda: user(lambda m, x: m.fc(m.two(m.norm(m.conv(x)) / 32).flatten(2)), norm=BatchNorm2d(4), two=neuron()),
        r"unit is 0\.000244141; below 2\^-16 the halvings of a stream .* Use spikelet\.nn\.Average",
    ),
    "a number out of a tensor": (
        lambda: on_spikes(lambda s: (s + s.sum().item()).flatten(2)),
        r"^the model \(add\): depends on a number that the forward takes out of a tensor",
    ),
    "random numbers": (
        lambda: on_spikes(lambda s: (s + torch.randint(0, 9, (4, 1, 1)) / 8).flatten(2)),
        r"^the model \(add\): depends on a number .* or draws at random",
    ),
    "an average over the batch": (
        lambda: on_spikes(lambda s: (s - s.mean(1, keepdim=True)).flatten(2)),
        r"sums over the batch",
    ),
    "a subclass": (
        lambda: after_conv(Wider(4, 4, 3, Uniform(4), padding=1)),
        r"^part \(Wider\): this layer has no integer form",
    ),
    "work outside of torch": (lambda: after_conv(Hidden()), r"^part \(Hidden\): this layer has no integer form"),
    "a functional call": (
        lambda: on_spikes(lambda s: F.silu(s).flatten(2)),
        r"the model \(silu\): the tensor function 'silu'",
    ),
    "a product": (lambda: on_spikes(lambda s: s.flatten(2) * 0.3), r"multiplies by 0\.3, .* Use spikelet\.nn\.Scale"),
    "a weighted sum": (
        lambda: on_spikes(lambda s: torch.add(s, s, alpha=2).flatten(2)),
        r"only a plain sum of two tensors",
    ),
    "a weight in the old place": (
        lambda: on_spikes(lambda s: s.add_(2, s).flatten(2)),
        r"only a plain sum of two tensors",
    ),
    "a write by index behind a view": (
        lambda: on_spikes(silence_behind),
        r"^fc: a tensor is written after it was made",
    ),
    "a write through a view": (lambda: on_spikes(through_a_view), r"^the model: a tensor is written after it was made"),
    "a write in a list": (lambda: on_spikes(in_a_list), r"the tensor function '_foreach_add_' has no integer form"),
    "a write past autograd": (lambda: on_spikes(detached), r"^the model: a tensor is written after it was made"),
    "other data": (lambda: on_spikes(set_data), r"^the model: `.data` of a tensor is used"),
    "a branch on the data": (
        lambda: on_spikes(lambda s: s.flatten(2) if s.mean() > 0 else s.flatten(2) + s.flatten(2)),
        r"^the model: a branch depends on a tensor's value",
    ),
    "a branch on two tensors": (
        lambda: on_spikes(lambda s: s.flatten(2) if torch.equal(s, s) else s.flatten(2) + s.flatten(2)),
        r"^the model: a branch depends on a tensor's value",
    ),
    "a branch on a number of the tensor": (
        lambda: on_spikes(lambda s: s.flatten(2) if s.mean().item() > 0.01 else s.flatten(2) + s.flatten(2)),
        r"depends on a number that the forward takes out of a tensor",
    ),
    "values in NumPy": (
        lambda: on_spikes(lambda s: s.flatten(2) + torch.from_numpy(s.numpy()).flatten(2)),
        r"depends on a number that the forward takes out of a tensor",
    ),
    "a constant of the input": (
        lambda: on_spikes(lambda s: (s + s.new_full(s.shape, s[0, 0, 0, 0, 0])).flatten(2)),
        r"^the model \(new_full\): fills a tensor with a value that depends on the input",
    ),
    "bits of another type": (
        lambda: on_spikes(lambda s: s.view(torch.int32).float().flatten(2)),
        r"^the model \(view\): reads the bits of a tensor as torch.int32",
    ),
    "samples in another order": (
        lambda: user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)).flip(1)),
        r"^output: gives the samples of the batch in another order",
    ),
    "the largest of rows and channels": (
        lambda: on_spikes(lambda s: s.amax((2, 3), keepdim=True).expand_as(s).flatten(2)),
        r"^the model \(amax\): .* One axis of up to 64 .*MaxPool2d",
    ),
    "which step is largest": (
        lambda: on_spikes(lambda s: s.max(0, keepdim=True).indices.float().flatten(2)),
        r"\(max\): takes which place",
    ),
    "the best class": (
        lambda: user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)).mean(0).argmax(1)),
        r"^the model \(argmax\): .* Return the logits",
    ),
    "a membrane of one's own": (
        lambda: user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)), lif=LIF(T, None, Clipped(4))),
        r"^lif: Clipped has no integer form",
    ),
    "a reset of one's own": (
        lambda: user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)), lif=LIF(T, LIFParams(reset=Half()))),
        r"^lif: Half has no integer form",
    ),
    "a torch norm of a channel that never changes": (
        constant_channel,
        r"^norm: BatchNorm1d multiplies a channel by 512 or more",
    ),
    "a broadcast sum": (
        lambda: on_spikes(lambda s: (s + s.mean((3, 4), keepdim=True)).flatten(2)),
        r"channels' scales differ by factors of 36 to 36, and integers need a power of two",
    ),
    "time and no time": (
        lambda: user(lambda m, x: (lambda y: y.mean(0) + y)(m.fc(m.lif(m.conv(x)).flatten(2)))),
        r"can't add a tensor with a time axis to a mean over time",
    ),
    "samples mixed": (
        lambda: user(lambda m, x: m.fc(m.lif(m.conv(x)).transpose(1, 2).reshape(T, -1, 144))),
        r"^fc: reads rows that mix samples of the batch",
    ),
    "the data of a tensor": (
        lambda: on_spikes(lambda s: s.data.flatten(2)),
        r"^the model: `.data` of a tensor is used",
    ),
    "scales of no power of two before a linear layer": (
        lambda: user(
            lambda m, x: (lambda s: m.fc(torch.cat([s.mean((3, 4)), s[..., 0, 0]], 2)))(m.lif(m.conv(x))),
            fc=Linear(8, 5, Uniform(4)),
        ),
        r"^fc: its channels' scales differ by factors of 1 to 36, and integers need a power of two",
    ),
    "a mean over 36 before a neuron": (
        lambda: user(lambda m, x: m.fc(m.lif2(m.lif(m.conv(x)).mean((3, 4)))), lif2=neuron(), fc=classifier(4)),
        r"^lif2\.grid: reads a mean over a number of values that is no power of two",
    ),
    "a flat batch norm with a time axis": (
        lambda: user(
            lambda m, x: m.norm(m.fc(m.lif(m.conv(x)).flatten(2))), fc=classifier(144, 4), norm=nn.BatchNorm1d(4)
        ),
        r"^norm \(BatchNorm1d\): normalises axis 1 of \(2, 4, 4\), which is no channel",
    ),
    "a dilated window": (
        lambda: after_conv(MaxPool2d(2, dilation=2), 16),
        r"^part: max pooling with dilation or ceil_mode",
    ),
    "a rounded-up map": (
        lambda: after_conv(MaxPool2d(4, ceil_mode=True), 16),
        r"^part: max pooling with dilation or ceil_mode",
    ),
    "a membrane scaled by the batch": (
        lambda: user(
            lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)),
            lif=LIF(T, None, BatchMaxMembrane(2)),  # type: ignore[arg-type]
        ),
        r"^lif: BatchMaxMembrane has no integer form",
    ),
    "weights that are no numbers": (nan_weight, r"^conv: its weights must be finite numbers"),
    "a membrane step that is no number": (nan_step, r"^lif: its membrane's log2_step must be finite"),
    "a gain beyond 32 bits": (huge_gain, r"^part: a gain of .* does not fit 32 bits"),
    "an output from elsewhere": (
        lambda: user(lambda m, x: torch.zeros(T, m.lif(x).shape[1], 5)),
        r"the model's output must be tensors computed from its input",
    ),
    "the input itself": (
        lambda: User(lambda m, x: m.same, same=neuron()),
        r"the model's output must be tensors computed from its input",
    ),
    "no neuron": (
        lambda: nn.Sequential(Encode(), nn.Flatten(2), classifier(108)),
        r"the model has no spiking neurons",
    ),
    "two lengths of time": (
        lambda: user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)), other=LIF(3)),
        r"all neurons must have the same time_steps, got \{'lif': 2, 'other': 3\}",
    ),
}


@pytest.mark.filterwarnings("ignore:This overload of add_ is deprecated")
@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=list(REFUSED))
def test_what_has_no_integer_form_is_refused_by_name_and_reason(make: Callable[[], nn.Module], message: str):
    with pytest.raises(LoweringError, match=message):
        lower(make(), images())


@pytest.mark.parametrize(
    ("example", "words"),
    [
        (torch.zeros(SHAPE), r"must be a uint8 batch, a tensor or an array, got torch\.float32"),
        (torch.zeros(2, 3, 3, 6, 6, dtype=torch.uint8), r"has 5 axes, shape \(2, 3, 3, 6, 6\); with time_axis=None"),
        (torch.zeros(0, 3, 6, 6, dtype=torch.uint8), r"got shape \(0, 3, 6, 6\)"),
        (torch.zeros(3, dtype=torch.uint8), r"has 1 axes"),
        (np.zeros(SHAPE), r"must be a uint8 batch, a tensor or an array, got torch\.float64"),
    ],
)
def test_an_example_that_is_no_batch_of_bytes_is_refused(example: Tensor, words: str):
    with pytest.raises((LoweringError, TimeAxisError), match=f"example .*{words}"):
        lower(plain(), example)


def test_overflow_is_refused_by_the_name_of_the_layer():
    model = user(
        lambda m, x: m.fc(m.lif(m.big(m.norm(m.conv(x)))).flatten(2)),
        norm=BatchNorm2d(4), big=Conv2d(4, 300, 6, Uniform(8)), fc=classifier(300),
    )  # fmt: skip
    with torch.no_grad():
        model.norm.bias.fill_(100)
        model.big.weight.fill_(1.0)
    with pytest.raises(OverflowRefused, match=r"^big: output may reach \[-?\d+, \d+\], beyond 32 bits"):
        lower(model, images())


@pytest.mark.parametrize(("inputs", "bits", "refused"), [(1600, 8, True), (400, 8, False), (1600, 4, False)])
def test_sums_that_float32_rounds_are_refused(inputs: int, bits: int, refused: bool):
    model = user(
        lambda m, x: m.fc(m.lif(m.wide(x.flatten(2)))), fc=classifier(4),
        wide=Linear(inputs, 4, Uniform(bits, per_channel=False)),
    )  # fmt: skip
    with torch.no_grad():
        model.wide.weight.fill_(127 / 64)
    example = torch.zeros(1, 1, inputs, 1, dtype=torch.uint8)
    if not refused:
        lower(model, example)
        return
    with pytest.raises(
        OverflowRefused,
        match=r"^wide: its values may reach 51816000, and float32, .* up to 2\^24 only\. .*model\.double",
    ):
        lower(model, example)


def test_a_channel_map_of_more_channels_than_16_bits_count_is_refused():
    model = user(lambda m, x: m.fc(m.lif(m.map(x)).flatten(2)), map=ChannelMap([0, 1]), fc=classifier(72))
    example = torch.zeros(1, 2**15 + 1, 1, 1, dtype=torch.uint8)
    model.map.source[1] = 2**15
    model.fc = classifier(2)
    with pytest.raises(LoweringError, match=r"^map: can map channels 0 to 32767, its source has 32768\."):
        lower(model, example)
