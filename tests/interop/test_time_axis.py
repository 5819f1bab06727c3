"""Where time stands is declared, and a network that takes another axis for it is refused, whatever the batch's size."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import TimeAxisError
from spikelet.data import DataSplits, Samples
from spikelet.interop import ConversionError
from spikelet.train import Phase, Training, evaluate, train_further

pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
from spikingjelly.activation_based import functional, layer, neuron

T = 4
COUNTS = {"scale": 1.0}


class Net(nn.Module):
    """Two neuron layers and a classifier, in step mode 'm'."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.first = layer.Conv2d(2, 4, 3, padding=1), neuron.IFNode(v_threshold=0.5)
        self.second, self.fc = neuron.LIFNode(v_threshold=0.25), layer.Linear(4 * 36, 5)
        functional.set_step_mode(self, "m")

    def logits(self, x: Tensor) -> Tensor:
        """[T, B, 5] of frames [T, B, 2, 6, 6]."""
        return self.fc(self.second(self.first(self.conv(x))).flatten(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(x)


class BatchFirst(Net):
    """Takes [B, T, ...], as SpikingJelly's scripts for event data do, and gives logits [B, T, 5]."""

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(x.transpose(0, 1)).transpose(0, 1)


class TimeFirstOut(Net):
    """Takes [B, T, ...] and gives logits [T, B, 5]."""

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(x.transpose(0, 1))


class BatchFirstMean(Net):
    """Takes [B, T, ...] and gives the mean over time, [B, 5]."""

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(x.permute(1, 0, 2, 3, 4)).mean(0)


def frames(batch: int, time_axis: int) -> Tensor:
    shape = (T, batch, 2, 6, 6) if time_axis == 0 else (batch, T, 2, 6, 6)
    return torch.randint(0, 3, shape, dtype=torch.uint8)


def theirs(net: nn.Module, x: Tensor) -> Tensor:
    functional.reset_net(net)
    made = net(x.float())
    functional.reset_net(net)
    return made


def close(made: Tensor, expected: Tensor) -> bool:
    return made.shape == expected.shape and bool(((made - expected).abs() < 1e-3).float().mean() > 0.9)


@pytest.mark.parametrize("batch", [1, 2, T, T + 1])
def test_frames_time_first_give_what_they_gave(batch: int) -> None:
    net, x = Net().eval(), frames(batch, 0)
    model = spikelet.from_spikingjelly(net, time_steps=T, time_axis=0, **COUNTS)
    assert close(model(x), theirs(net, x))


@pytest.mark.parametrize("batch", [1, 2, T, T + 1])
@pytest.mark.parametrize("make", [BatchFirst, TimeFirstOut, BatchFirstMean])
def test_a_batch_first_network_gives_what_it_gave_batch_first(make: Callable[[], nn.Module], batch: int) -> None:
    net, x = make().eval(), frames(batch, 1)
    model = spikelet.from_spikingjelly(net, time_steps=T, time_axis=1, **COUNTS)
    expected = theirs(net, x)
    assert close(model(x), expected.transpose(0, 1) if make is TimeFirstOut else expected)
    pairs = [(x, torch.arange(batch) % 5)]
    report = model.compare(pairs)
    assert report.accuracy == evaluate(model, pairs, time_axis=1)
    assert report.agreement == 1.0


@pytest.mark.parametrize("batch", [1, 2, T, T + 1])
@pytest.mark.parametrize("make", [BatchFirst, BatchFirstMean])
def test_a_batch_first_network_is_refused_where_time_first_was_declared(
    make: Callable[[], nn.Module], batch: int
) -> None:
    model = spikelet.from_spikingjelly(make(), time_steps=T, time_axis=0, **COUNTS)
    with pytest.raises(ConversionError, match=r"does not run on time-first tensors \[T, B.*needs time_axis=1"):
        model(frames(batch, 0))
    still = spikelet.from_spikingjelly(make(), time_steps=T)
    with pytest.raises(ConversionError, match=r"does not run on time-first tensors \[T, B.*needs time_axis=1"):
        still(torch.zeros(batch, 2, 6, 6, dtype=torch.uint8))


@pytest.mark.parametrize("batch", [1, 2, T, T + 1])
def test_a_time_first_network_is_refused_where_batch_first_was_declared(batch: int) -> None:
    model = spikelet.from_spikingjelly(Net(), time_steps=T, time_axis=1, **COUNTS)
    with pytest.raises(
        ConversionError, match=r"does not run on batch-first frames \[B, T, \.\.\.\] that it makes time"
    ):
        model(frames(batch, 1))


def test_one_frame_is_no_still_image() -> None:
    model = spikelet.from_spikingjelly(Net(), time_steps=T, time_axis=0, **COUNTS)
    with pytest.raises(TimeAxisError, match=r"x has 1 time steps.*time_steps=4"):
        model(frames(2, 0)[:1])
    with pytest.raises(TimeAxisError, match=r"x has 4 axes"):
        model(frames(2, 0)[0])


def test_frames_are_refused_where_still_images_were_declared() -> None:
    model = spikelet.from_spikingjelly(Net(), time_steps=T)
    for x in (frames(2, 0), frames(2, 0)[:1]):
        with pytest.raises(TimeAxisError, match=r"x has 5 axes.*Pass time_axis=0 for frames \[T, B"):
            model(x)


@pytest.mark.parametrize("time_axis", [0, 1])
def test_the_scale_of_frames_is_never_guessed(time_axis: int) -> None:
    with pytest.raises(ConversionError, match=r"scale must be given for frames .*scale=1\.0 for event counts"):
        spikelet.from_spikingjelly(Net(), time_steps=T, time_axis=time_axis)


def test_a_wrong_axis_and_an_unknown_argument_are_refused_at_conversion() -> None:
    with pytest.raises(TimeAxisError, match="time_axis must be None, 0 or 1, got 2"):
        spikelet.from_spikingjelly(Net(), time_steps=T, time_axis=2, **COUNTS)
    with pytest.raises(TypeError, match="'means' is no argument of a conversion"):
        spikelet.from_spikingjelly(Net(), time_steps=T, means=(0.5,))


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_few_steps_are_not_taken_for_the_batch(steps: int) -> None:
    net = Net().eval()
    x = torch.randint(0, 3, (steps, 5, 2, 6, 6), dtype=torch.uint8)
    model = spikelet.from_spikingjelly(net, time_steps=steps, time_axis=0, **COUNTS)
    assert close(model(x), theirs(net, x))


def test_a_batch_first_model_is_not_evaluated_or_trained_on_other_batches() -> None:
    model = spikelet.from_spikingjelly(BatchFirst(), time_steps=T, time_axis=1, **COUNTS)
    with pytest.raises(TimeAxisError, match="the model declares time_axis=1"):
        evaluate(model, [(frames(T, 1), torch.zeros(T, dtype=torch.long))])
    samples = Samples(frames(8, 1), torch.arange(8) % 5, tuple("abcde"), "toys")
    with pytest.raises(TimeAxisError, match="the data set toys time_axis=0"):
        train_further(model, DataSplits(samples, samples, samples), Training(batch_size=T, phases=(Phase(1, T),)))


@pytest.mark.parametrize("axis", [0, 1])
def test_the_layout_that_was_declared_need_not_be_said_again(axis: int) -> None:
    net, x, labels = (Net, BatchFirst)[axis](), frames(3, axis), torch.zeros(3, dtype=torch.long)
    model = spikelet.from_spikingjelly(net, time_steps=T, scale=1.0, time_axis=axis).eval()
    model(x)
    small = spikelet.compress(model, [spikelet.compression.Quantize(4)], x).model
    graph = spikelet.lower(small, x)
    assert spikelet.verify(graph, small, [(x, labels)], spikelet.Program).mismatches == 0
    assert spikelet.profile(small, x).samples == 3
    with pytest.raises(TimeAxisError, match="example"):
        spikelet.lower(small, x[0])
