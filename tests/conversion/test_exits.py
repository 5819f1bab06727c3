"""Early exit: the first step with a large enough lead, the same of a twin and of its integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import ConversionError, SpikeletError
from spikelet.conversion import EarlyExit, Started, accuracy_over_steps
from spikelet.nn import evaluation_mode
from tests.conversion.networks import CNN, trained


class Told(nn.Module):
    """Logits of each step as they were told, whatever is asked."""

    def __init__(self, steps: Tensor) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        return self.steps


def test_by_hand():
    steps = torch.tensor([[[1.0, 0.0], [0.0, 0.25]], [[0.0, 3.0], [0.0, 0.25]], [[0.0, 2.0], [0.0, 4.0]]])
    x = torch.zeros(2, 1, dtype=torch.uint8)
    for margin, least, classes, left in (
        (0.0, 1, [0, 1], [1, 1]),
        (1.0, 1, [0, 1], [1, 3]),  # a lead of the margin is enough
        (1.0, 2, [1, 1], [2, 3]),
        (1.25, 1, [1, 1], [3, 3]),
        (9.0, 1, [1, 1], [3, 3]),
        (0.0, 9, [1, 1], [3, 3]),
    ):
        exits = EarlyExit(margin, least)(Told(steps), x)
        assert (exits.classes.tolist(), exits.steps.tolist()) == (classes, left)


def test_integers_leave_where_the_twin_leaves():
    net, x = trained(CNN)
    twin = spikelet.convert(net, x, time_steps=8, schedule="stream", mean=0.5, std=0.25)
    program = spikelet.Program(spikelet.lower(twin, x))
    seen = set()
    for margin in (0.0, 0.02, 0.05, 0.1, 0.3, 50.0):
        rule = EarlyExit(margin, least=2)
        here, there = rule(twin, x), rule(program, x.numpy())
        assert np.array_equal(here.classes, there.classes)
        assert np.array_equal(here.steps, there.steps)
        seen |= set(here.steps.tolist())
    assert {2, 8} < seen
    with torch.no_grad(), evaluation_mode(twin):
        assert np.array_equal(EarlyExit(50.0)(twin, x).classes, twin(x).mean(0).argmax(1).numpy())


@pytest.mark.parametrize("words", [{"margin": -1.0}, {"margin": float("nan")}, {"margin": 1.0, "least": 0}])
def test_margins_and_steps_out_of_range(words: dict):
    with pytest.raises(SpikeletError, match=r"EarlyExit\.(margin|least) must be"):
        EarlyExit(**words)


def test_one_step_leaves_nothing_to_stop():
    net, x = trained(CNN)
    twin = spikelet.convert(net, x, time_steps=8)
    for runner in (twin, spikelet.Program(spikelet.lower(twin, x))):
        with pytest.raises(SpikeletError, match="Convert with schedule='stream'"):
            EarlyExit(1.0)(runner, x)


def test_a_runner_of_another_kind_is_named_and_an_empty_batch_leaves_nothing():
    net, x = trained(CNN)
    twin = spikelet.convert(net, x, time_steps=4, schedule="stream")
    graph = spikelet.lower(twin, x)
    with pytest.raises(SpikeletError, match=r"model must be a torch\.nn\.Module, got IntGraph"):
        EarlyExit(1.0)(graph, x)  # type: ignore[arg-type]
    for runner in (twin, spikelet.Program(graph)):
        exits = EarlyExit(1.0)(runner, x[:0].numpy())
        assert exits.classes.shape == exits.steps.shape == (0,)


class Named(nn.Module):
    """A network whose logits are one of several tensors that it returns."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.net(x), "more": x}


def test_accuracy_over_steps_takes_arrays_and_the_first_of_several_outputs():
    net, x = trained(CNN)
    y = torch.arange(len(x)) % 5
    made = accuracy_over_steps(Named(net), [(x.numpy(), y.numpy())], (1, 8))  # type: ignore[list-item]
    assert made == accuracy_over_steps(net, [(x, y)], (1, 8))


def test_accuracy_over_steps_is_that_of_each_twin():
    net, x = trained(CNN)
    y = torch.arange(24) % 5
    image: dict[str, Any] = {"mean": 0.5, "std": 0.25}
    curve = accuracy_over_steps(net, [(x[:10], y[:10]), (x[10:], y[10:])], (1, 3, 8), **image)
    assert curve.samples == 24
    assert list(curve.barrier) == [1, 8]
    assert list(curve.stream) == [1, 3, 8]
    with torch.no_grad():
        assert curve.network == int((net((x / 255 - 0.5) / 0.25).argmax(1) == y).sum()) / 24
        for schedule, by in (("barrier", curve.barrier), ("stream", curve.stream)):
            for steps, share in by.items():
                twin = spikelet.convert(net, x, time_steps=steps, schedule=schedule, **image)  # type: ignore[arg-type]
                assert share == int((twin(x).sum(0).argmax(1) == y).sum()) / 24
    text = str(curve)
    assert f"{100 * curve.network:.2f} %" in text
    assert [line.split()[0] for line in text.splitlines() if line[:1] != "─"] == ["steps", "1", "3", "8", "network"]


def test_a_stream_that_images_start_is_a_third_curve():
    net, x = trained(CNN)
    y = torch.arange(24) % 5
    image: dict[str, Any] = {"mean": 0.5, "std": 0.25}
    curve = accuracy_over_steps(net, [(x[:10], y[:10]), (x[10:], y[10:])], (1, 3, 8), started=Started(x), **image)
    twin = spikelet.convert(net, x, time_steps=8, schedule=Started(x), **image)  # type: ignore[arg-type]
    with torch.no_grad():
        sums = twin(x).cumsum(0)
    assert curve.started == {t: int((sums[t - 1].argmax(1) == y).sum()) / 24 for t in (1, 3, 8)}
    assert str(curve).split()[:4] == ["steps", "barrier", "stream", "started"]
    without = accuracy_over_steps(net, [(x, y)], (1, 3, 8), **image)
    assert (without.barrier, without.stream, without.started) == (curve.barrier, curve.stream, {})
    assert "started" not in str(without)


def test_what_starts_a_stream_is_a_schedule():
    net, x = trained(CNN)
    with pytest.raises(ConversionError, match=r"started must be Started\(images\) or None, got 'stream'"):
        accuracy_over_steps(net, [(x, x)], (1,), started="stream")  # type: ignore[arg-type]
