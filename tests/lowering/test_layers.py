"""spikelet's own layers lower: sequences, tokens, gains, roundings, recurrence, several outputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.graph.reference import Reference
from spikelet.lowering import lower, verify
from spikelet.neurons import LIF, LIFParams, Soft
from spikelet.nn import (
    AddConstant,
    Average,
    BatchNorm1d,
    BatchNorm2d,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Encode,
    Gather,
    Linear,
    MaxPool2d,
    Recurrent,
    Requantize,
    RunningSum,
    Saturate,
    Scale,
    SumPool2d,
    merged,
    windows,
)
from spikelet.nn.increments import Increments
from spikelet.quant import Uniform
from spikelet.runtime import Program
from tests.support.user_modules import T, User, assert_exact, classifier, conv, images, neuron, user


def random_bytes(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def one_scale() -> Uniform:
    return Uniform(8, per_channel=False)


# --- between neurons --------------------------------------------------------------------------------

BETWEEN: dict[str, Callable[[], tuple[nn.Module, int]]] = {
    "a gain": lambda: (Scale(0.3), 144),
    "a gain by channel": lambda: (Scale([0.3, -0.7, 1.1, 0.0]), 144),
    "a gain by head": lambda: (Scale([0.3, 0.9]), 144),
    "a gain by step": lambda: (Scale([[0.3], [0.9]]), 144),
    "a gain by step and head": lambda: (Scale([[0.3, 0.9], [0.2, -0.4]]), 144),
    "eight bits": lambda: (nn.Sequential(Requantize(8), conv(4, 4)), 144),
    "three bits": lambda: (nn.Sequential(Requantize(3, 0.5), conv(4, 4)), 144),
    "a stream": lambda: (Saturate(), 144),
    "a stream of few bits": lambda: (Saturate(6, 4), 144),
    "a constant": lambda: (AddConstant(4, 6, 6, std=0.3), 144),
    "a constant by channel": lambda: (AddConstant(4, 1, 1, std=0.3), 144),
    "a constant by position": lambda: (AddConstant(1, 6, 6, std=0.3), 144),
    "dilation": lambda: (conv(4, 4, dilation=2), 64),
    "a transposed convolution": lambda: (ConvTranspose2d(4, 3, 3, Uniform(4), 2, 1, output_padding=1), 432),
    "positions by number": lambda: (Gather([5, -1, 0, 35, 7, 7], (2, 3)), 24),
    "a rectangular sum": lambda: (SumPool2d((2, 3)), 24),
    "a rectangular maximum": lambda: (MaxPool2d((2, 1)), 72),
    "torch's pools": lambda: (nn.Sequential(nn.Flatten(0, 1), nn.MaxPool2d(2), nn.Unflatten(0, (-1, 4))), 36),
    "a rectangular kernel": lambda: (Conv2d(4, 4, (1, 3), Uniform(4), padding=(0, 1)), 144),
}


@pytest.mark.parametrize("name", BETWEEN)
@pytest.mark.parametrize("where", ["on currents of an image", "on spikes"])
def test_a_layer_between_neurons_is_lowered_and_exact(name: str, where: str):
    torch.manual_seed(1)
    part, features = BETWEEN[name]()

    def body(m: User, x: Tensor) -> Tensor:
        y = m.norm(m.conv(x))
        return m.fc(m.two(m.part(m.lif(y) if where == "on spikes" else y)).flatten(2))

    model = user(body, part=part, norm=BatchNorm2d(4), two=neuron(0.125), fc=classifier(features))
    assert_exact(model)


def test_a_gain_of_a_third_is_that_of_evaluation():
    model = user(lambda m, x: m.scale(m.fc(m.lif(m.conv(x)).flatten(2)).mean(0)), scale=Scale(1 / 3))
    assert_exact(user(lambda m, x: m.scale(m.fc(m.lif(m.conv(x)).flatten(2))), scale=Scale(1 / 3)))
    assert model is not None


def test_the_average_of_two_streams_keeps_the_unit():
    def body(m: User, x: Tensor) -> Tensor:
        a, b = m.norm(m.next(m.lif(m.conv(x)))), m.two(m.lif(m.conv(x)))
        for _ in range(8):
            a, b = b, m.stream(m.average(a, b) + m.next(m.lif(b)))
        return m.fc(m.lif(m.average(a, b)).flatten(2))

    model = user(body, norm=BatchNorm2d(4), average=Average(), stream=Saturate(), next=conv(4, 4), two=conv(4, 4))
    graph = assert_exact(model)
    assert all(node.clip is None or node.clip == (-(2**15), 2**15 - 1) for node in graph.of_type(ir.Affine))


def test_windows_of_what_computes_each_element_for_itself_need_no_gather():
    model = user(
        lambda m, x: m.fc(m.two(merged(m.next(windows(m.lif(m.conv(x)), 3, 1)), 3, (6, 6), 1)).flatten(2)),
        next=Scale(0.7), two=neuron(),
    )  # fmt: skip
    assert not assert_exact(model).of_type(ir.Gather)


# --- neurons ----------------------------------------------------------------------------------------

NEURONS: dict[str, LIFParams] = {
    "levels": LIFParams(0.5, 0.25, levels=4, step=0.5, reset=Soft()),
    "rounding": LIFParams.rounding(8, 1.0),
    "a start": LIFParams(1.0, 1.0, reset=Soft(), start=0.5),
    "constants by channel": LIFParams((0.5, 0.25, 0.75, 1.0), (0.25, 0.5, 0.125, 1.0)),
    "resets by channel": LIFParams(0.5, (0.25, 0.5, 0.125, 1.0), reset=Soft()),
    "a leak that rounds": LIFParams(0.9375, 0.5),
    "a fine leak": LIFParams(4055 / 4096, 0.5, reset=Soft()),
    "levels by channel": LIFParams(0.0, (0.25, 0.5, 0.125, 0.5), levels=3, step=(0.25, 0.5, 0.5, 1.0)),
}


@pytest.mark.parametrize("name", NEURONS)
def test_a_neuron_of_any_constants_is_lowered_and_exact(name: str):
    torch.manual_seed(2)
    model = user(
        lambda m, x: m.fc(m.lif(m.next(m.first(m.conv(x)))).flatten(2)), first=LIF(5, NEURONS[name]),
        next=conv(4, 4), lif=LIF(5, NEURONS[name]),
    )  # fmt: skip
    graph = assert_exact(model)
    assert {node.levels for node in graph.of_type(ir.Lif)} == {NEURONS[name].levels}


def test_an_image_that_is_read_twice_is_the_same_image():
    """lif(conv(x) + x), and a convolution of the pooled image (issue 11, S1 and S2)."""
    torch.manual_seed(0)

    def body(m: User, x: Tensor) -> Tensor:
        small = m.next(m.pool(x)).repeat_interleave(2, 3).repeat_interleave(2, 4)
        return m.fc((m.lif(m.conv(x) + x) + m.two(small)).flatten(2))

    model = user(
        body, conv=conv(3, 3), next=conv(3, 3), pool=SumPool2d(2), two=neuron(0.125),
        fc=classifier(108),
    )  # fmt: skip
    assert_exact(model)


# --- sequences, vectors and tokens ------------------------------------------------------------------


def test_sequences_are_maps_of_one_row():
    torch.manual_seed(0)
    model = nn.Sequential(
        Encode(2), Conv1d(3, 6, 5, Uniform(4), stride=2, padding=2, bias=True), BatchNorm1d(6),
        LIF(3, LIFParams(0.5, 0.0625)),
        Conv1d(6, 4, 3, Uniform(4), padding=2, dilation=2), LIF(3, LIFParams(0.5, 0.25)), nn.Flatten(2),
        Linear(40, 4, one_scale()),
    ).eval()  # fmt: skip
    graph = assert_exact(model, random_bytes(4, 3, 20))
    assert graph.input.shape == (3, 1, 20)
    assert_exact(model, random_bytes(3, 5, 3, 20), time_axis=0)


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_vectors_over_time_are_lowered(batch: int):
    torch.manual_seed(0)
    model = nn.Sequential(
        Encode(1), Linear(20, 16, Uniform(4)), BatchNorm1d(16), LIF(3, LIFParams(0.5, 0.25)), Linear(16, 4, one_scale())
    ).eval()
    assert assert_exact(model, random_bytes(3, batch, 20), time_axis=0).input.shape == (20,)
    assert_exact(model, random_bytes(batch, 20))


# --- time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [True, False])
@pytest.mark.parametrize("kind", ["vectors", "maps", "vectors with a norm"])
def test_a_recurrent_layer_is_lowered_and_exact(kind: str, frames: bool):
    torch.manual_seed(3)
    body: Callable[[User, Tensor], Tensor] = lambda m, x: m.fc(m.rnn(m.first(x.flatten(2))))
    first, cell = Linear(108, 12, Uniform(4)), Linear(12, 12, Uniform(4), bias=True)
    norm = BatchNorm1d(12) if kind == "vectors with a norm" else None
    if kind == "maps":
        body = lambda m, x: m.fc(m.rnn(m.first(x)).flatten(2))
        first, cell = conv(), conv(4, 4)
    model = user(
        body, first=first, rnn=Recurrent(LIF(5, LIFParams(0.75, 0.25, reset=Soft())), cell, norm),
        fc=classifier(144 if kind == "maps" else 12), lif=nn.Identity(), conv=nn.Identity(),
    )  # fmt: skip
    shape = (5, 3, 3, 6, 6) if frames else (3, 3, 6, 6)
    graph = assert_exact(model, random_bytes(*shape), time_axis=0 if frames else None)
    assert [type(n) for n in graph.nodes].count(ir.Delay) == 1


@pytest.mark.parametrize("largest", [1.0, 1 / 64], ids=["whole", "clipped"])
def test_increments_are_the_same_integers(largest: float):
    torch.manual_seed(0)

    def body(m: User, x: Tensor) -> Tensor:
        return m.fc(m.last(m.more(m.scale(m.lif(m.conv(x))))).flatten(2))

    last = LIF(T, LIFParams(1.0, 0.25, reset=Soft()))
    model = user(body, scale=Scale(0.3), more=Increments(T, largest), last=last)
    graph = assert_exact(model)
    assert [type(n) for n in graph.nodes].count(ir.Delay) == 1


def test_accuracy_after_every_step_is_a_second_output():
    torch.manual_seed(0)

    def body(m: User, x: Tensor) -> tuple[Tensor, Tensor]:
        logits = m.fc(m.lif(m.conv(x)).flatten(2))
        return logits.mean(0), m.sum(logits)

    model, x = user(body, sum=RunningSum(), lif=LIF(4, LIFParams(threshold=0.25))), images()
    graph = assert_exact(model, x)
    assert [output.node for output in graph.outputs] == ["mean", "sum.running"]
    running = Reference(graph).outputs(x.numpy())["sum.running"]
    assert running.shape == (4, 4, 5)
    with torch.no_grad():
        assert np.array_equal(running * graph.outputs[1].scale, model(x)[1].numpy())


OUTPUTS: dict[str, Callable[[User, Tensor], object]] = {
    "a tuple": lambda m, x: (lambda s: (m.fc(s.flatten(2)), s))(m.lif(m.conv(x))),
    "a dictionary": lambda m, x: (lambda s: {"logits": m.fc(s.flatten(2)), "rate": s.mean(0)})(m.lif(m.conv(x))),
    "tokens": lambda m, x: (lambda s: [m.fc(s.flatten(2)), s.flatten(3).mT])(m.lif(m.conv(x))),
    "two heads": lambda m, x: (lambda s: (m.fc(s).mean(0), m.other(s).mean(0)))(m.lif(m.conv(x)).flatten(2)),
    "the same twice": lambda m, x: (lambda y: (y, y))(m.fc(m.lif(m.conv(x)).flatten(2)).mean(0)),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_several_outputs_are_compared(name: str):
    torch.manual_seed(0)
    model, x = user(OUTPUTS[name], other=classifier(144, 3)), images()  # type: ignore[arg-type]
    graph = assert_exact(model, x)
    assert len(graph.outputs) == 2
    for backend in (Reference, Program):
        result = verify(graph, model, [(x, torch.zeros(4, dtype=torch.long))], backend)
        assert result.mismatches == 0, str(result)
        assert result.other_outputs > 0
        assert "values of other outputs 0" in str(result)


def test_an_output_of_some_time_steps_is_refused():
    with pytest.raises(LoweringError, match=r"^output: must hold every time step"):
        lower(user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2))[1:], lif=LIF(3)), images())
    assert T == 2
