"""What lowering refuses, and that its words name the module and the reason."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import GraphError, OverflowRefused
from spikelet.lowering import LoweringError, lower
from spikelet.neurons import LIF, Hard, LIFParams, QuantizedMembrane
from spikelet.neurons.membrane import BatchMaxMembrane
from spikelet.nn import BatchNorm2d, ChannelMap, Conv2d, Encode, Linear, MaxPool2d
from spikelet.quant import Binary, FullPrecision, Uniform
from tests.support.user_modules import SHAPE, T, User, after_conv, classifier, conv, images, neuron, plain, user


class Wider(Conv2d):
    """A layer of ours with somebody's own forward."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 2


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


def silence(s: Tensor) -> Tensor:
    s[:, :, 0] = 0
    return s.flatten(2)


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


def masked_by_a_hook() -> User:
    model = plain()
    model.lif.register_forward_hook(lambda module, args, output: output * torch.zeros(()))
    return model


def on_spikes(function: Callable[[Tensor], Any]) -> User:
    return user(lambda m, x: m.fc(function(m.lif(m.conv(x)))))


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
        r"raw \(Conv2d\): this layer has no integer form\. .* Its weights are floats: use spikelet\.nn\.Conv2d with",
    ),
    "a float linear layer": (
        lambda: user(lambda m, x: m.raw(m.lif(m.conv(x)).flatten(2)), raw=nn.Linear(144, 5)),
        r"raw \(Linear\): this layer has no integer form\. .* Its weights are floats: use spikelet\.nn\.Linear with",
    ),
    "full precision": (
        lambda: user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)), fc=Linear(144, 5, FullPrecision())),
        r"^fc: full-precision weights have no integer codes",
    ),
    "a layer norm": (
        lambda: after_conv(nn.LayerNorm(6)),
        r"^part \(LayerNorm\): this layer has no integer form\. Supp",
    ),
    "an activation": (lambda: after_conv(nn.ReLU()), r"^part \(relu\): the tensor function 'relu' has no integer form"),
    "a choice of channels": (
        lambda: on_spikes(lambda s: s[:, :, ::1].flatten(2)),
        r"the model \(__getitem__\): the tensor function '__getitem__' has no integer form\. Supported: __add__, ",
    ),
    "a subclass": (
        lambda: after_conv(Wider(4, 4, 3, Uniform(4), padding=1)),
        r"^part \(Wider\): this layer has no integer form",
    ),
    "work outside of torch": (lambda: after_conv(Hidden()), r"^part \(Hidden\): this layer has no integer form"),
    "a functional call": (
        lambda: on_spikes(lambda s: F.relu(s).flatten(2)),
        r"the model \(relu\): the tensor function 'relu'",
    ),
    "a product": (lambda: on_spikes(lambda s: s.flatten(2) * 2), r"the tensor function '(__mul__|mul)' has no"),
    "a constant added": (lambda: on_spikes(lambda s: s.flatten(2) + 1), r"only the sum of two tensors that depend on"),
    "a parameter added": (
        lambda: on_spikes(lambda s: s.flatten(2) + torch.ones(144)),
        r"only the sum of two tensors that depend on",
    ),
    "a weighted sum": (
        lambda: on_spikes(lambda s: torch.add(s, s, alpha=2).flatten(2)),
        r"only the sum of two tensors that depend on",
    ),
    "a weight in the old place": (lambda: on_spikes(lambda s: s.add_(2, s).flatten(2)), r"only the sum of two tensors"),
    "a write by index": (lambda: on_spikes(silence), r"^the model: a tensor is written after it was made"),
    "a write through a view": (lambda: on_spikes(through_a_view), r"^the model: a tensor is written after it was made"),
    "a write in a list": (lambda: on_spikes(in_a_list), r"the tensor function '_foreach_add_' has no integer form"),
    "a write past autograd": (lambda: on_spikes(detached), r"^the model: a tensor is written after it was made"),
    "other data": (lambda: on_spikes(set_data), r"^the model: `.data` of a tensor is used"),
    "a branch on the data": (
        lambda: on_spikes(lambda s: s.flatten(2) if s.mean() > 0 else s.flatten(2) + s.flatten(2)),
        r"^the model: a branch depends on a tensor's value",
    ),
    "a mask by a hook": (masked_by_a_hook, r"the tensor function '(__mul__|mul)' has no integer form"),
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
        r"\(4, 6, 6\) and \(4, 1, 1\)",
    ),
    "sums of other shapes": (
        lambda: user(
            lambda m, x: m.fc((m.lif(m.conv(x)) + m.lif(m.one(x))).flatten(2)),
            one=Conv2d(3, 1, 3, Uniform(4), padding=1),
        ),
        r"the model \(add\): can't add tensors of shapes \(4, 6, 6\) and \(1, 6, 6\)",
    ),
    "time and no time": (
        lambda: user(lambda m, x: (lambda y: y.mean(0) + y)(m.fc(m.lif(m.conv(x)).flatten(2)))),
        r"can't add a tensor with a time axis to a mean over time",
    ),
    "batch flattened": (
        lambda: user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(0, 1).flatten(1)[None])),
        r"can only flatten \[T, B, C, H, W\] to \[T, B, C\*H\*W\], got \(2, 4, 4, 6, 6\) -> \(8, 4, 6, 6\)",
    ),
    "a mean over channels": (
        lambda: user(lambda m, x: m.fc(m.lif(m.conv(x)).mean(2).flatten(2)), fc=classifier(36)),
        r"only the mean over time \(0\) or over a square map \(3, 4\) can be lowered, got \(2,\)",
    ),
    "the data of a tensor": (
        lambda: on_spikes(lambda s: s.data.flatten(2)),
        r"^the model: `.data` of a tensor is used",
    ),
    "two scales before a convolution": (
        lambda: user(
            lambda m, x: m.fc(m.lif(m.next(m.conv(x))).flatten(2)),
            conv=Conv2d(3, 4, 3, Binary(standardize=False), padding=1),
            next=conv(4, 4),
        ),
        r"^next: reads a tensor whose channels have different scales\. Put a batch norm or a neuron before it",
    ),
    "a mean over 36 before a neuron": (
        lambda: user(lambda m, x: m.fc(m.lif2(m.lif(m.conv(x)).mean((3, 4)))), lif2=neuron(), fc=classifier(4)),
        r"^lif2\.grid: reads a mean over a number of values that is no power of two",
    ),
    "a flat batch norm with a time axis": (
        lambda: user(
            lambda m, x: m.norm(m.fc(m.lif(m.conv(x)).flatten(2))), fc=classifier(144, 4), norm=nn.BatchNorm1d(4)
        ),
        r"^norm \(BatchNorm1d\): reads 3 axes and normalises axis 1, which is no channel",
    ),
    "a rectangular window": (
        lambda: after_conv(MaxPool2d((2, 1)), 72),
        r"^part: kernel_size must be square, got \(2, 1\)",
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
    "a tuple": (
        lambda: user(lambda m, x: (m.fc(m.lif(m.conv(x)).flatten(2)),)),
        r"the model's output must be one tensor",
    ),
    "an output from elsewhere": (
        lambda: user(lambda m, x: torch.zeros(T, m.lif(x).shape[1], 5)),
        r"the model's output must be one tensor",
    ),
    "the input itself": (lambda: User(lambda m, x: m.same, same=neuron()), r"the model's output must be one tensor"),
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
        (torch.zeros(SHAPE), r"torch\.float32 \(4, 3, 6, 6\)"),
        (torch.zeros(3, 6, 6, dtype=torch.uint8), r"torch\.uint8 \(3, 6, 6\)"),
    ],
)
def test_an_example_that_is_no_batch_of_bytes_is_refused(example: Tensor, words: str):
    with pytest.raises(LoweringError, match=rf"example must be a uint8 batch \[B, C, H, W\] .* got {words}"):
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
    with pytest.raises(OverflowRefused, match=r"^wide: its sum may reach 51816000, and float32, .* up to 2\^24 only"):
        lower(model, example)


def test_a_channel_map_of_more_channels_than_16_bits_count_is_refused():
    model = user(lambda m, x: m.fc(m.lif(m.map(x)).flatten(2)), map=ChannelMap([0, 1]), fc=classifier(72))
    example = torch.zeros(1, 2**15 + 1, 1, 1, dtype=torch.uint8)
    model.map.source[1] = 2**15
    model.fc = classifier(2)
    with pytest.raises(LoweringError, match=r"^map: can map channels 0 to 32767, its source has 32768\."):
        lower(model, example)


def test_a_map_of_logits_is_refused():
    with pytest.raises(GraphError, match="the first output must be one vector of logits"):
        lower(user(lambda m, x: m.lif(m.conv(x))), images())


def test_labels_that_do_not_count_the_classes_are_refused():
    with pytest.raises(GraphError, match="labels must name 5 classes, got 2"):
        lower(plain(), images(), labels=["a", "b"])
