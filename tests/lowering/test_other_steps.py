"""Tensors of other time steps than their own lower exactly: the addresses say which step each element is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering import lower
from tests.support.user_modules import T, assert_exact, images, user

Body = Callable[[Tensor], Tensor]


def written(s: Tensor) -> Tensor:
    """Half of the channels a step later, into zeros."""
    out = torch.zeros_like(s)
    out[1:, :, :2] = s[:-1, :, :2]
    out[:, :, 2:] = s[:, :, 2:]
    return out


DELAYED: dict[str, Body] = {
    "cat": lambda s: torch.cat([torch.zeros_like(s[:1]), s[:-1]]),
    "pad": lambda s: F.pad(s, (0, 0, 0, 0, 0, 0, 0, 0, 1, 0))[:-1],
    "some channels": written,
    "on axis 1": lambda s: torch.cat([torch.zeros_like(s[:1]), s[:-1]]).transpose(0, 1).transpose(0, 1),
    "beside": lambda s: s - torch.cat([torch.zeros_like(s[:1]), s[:-1]]),
    "differences": lambda s: torch.cat([s[:1], s[1:] - s[:-1]]),
    "differences, zeros first": lambda s: torch.cat([torch.zeros_like(s[:1]), s[1:] - s[:-1]]),
}


@pytest.mark.parametrize("body", DELAYED.values(), ids=list(DELAYED))
def test_what_came_before_is_a_delay(body: Body):
    graph = assert_exact(user(lambda m, x: m.fc(m.lif2(body(m.lif(m.conv(x)))).flatten(2)), lif2=user(None).lif))
    assert len(graph.of_type(ir.Delay)) == 1


LEFT_OUT: dict[str, Body] = {
    "the first step": lambda s: torch.cat([torch.zeros_like(s[:1]), s[1:]]),
    "the last step": lambda s: torch.cat([s[:-1], torch.zeros_like(s[:1])]),
}


@pytest.mark.parametrize("body", LEFT_OUT.values(), ids=list(LEFT_OUT))
def test_steps_that_are_left_out_are_multiplied_by_zero(body: Body):
    graph = assert_exact(user(lambda m, x: m.fc(m.lif2(body(m.lif(m.conv(x)))).flatten(2)), lif2=user(None).lif))
    assert not graph.of_type(ir.Delay)


def test_an_image_at_the_first_step_only():
    def run(m: torch.nn.Module, x: Tensor) -> Tensor:
        current = m.conv(x)  # type: ignore[operator]
        shown = torch.cat([current, *[torch.zeros_like(current)] * (T - 1)])
        return m.fc(m.lif(shown).flatten(2))  # type: ignore[operator]

    assert_exact(user(run))


@pytest.mark.parametrize("body", [lambda s: s.flip(0), lambda s: s.roll(1, 0)], ids=["flip", "roll"])
def test_a_step_that_comes_later_is_refused(body: Body):
    model = user(lambda m, x: m.fc(m.lif2(body(m.lif(m.conv(x)))).flatten(2)), lif2=user(None).lif)
    with pytest.raises(LoweringError, match=r"lif2: a neuron reads a later time step than its own"):
        lower(model, images())


SHOWN: dict[str, Body] = {
    "broadcast": lambda current: current * weights(),
    "repeated": lambda current: current.repeat(T, *[1] * (current.dim() - 1)) * weights(),
    "expanded, behind": lambda current: weights() * current.expand(T, *current.shape[1:]),
}


def weights() -> Tensor:
    """[T, 1, 1, 1, 1]: the even steps alone, four times as strong."""
    return torch.tensor([4.0, 0.0] * T)[:T].view(T, 1, 1, 1, 1)


@pytest.mark.parametrize("body", SHOWN.values(), ids=list(SHOWN))
def test_an_image_times_a_weight_for_each_step(body: Body):
    assert_exact(user(lambda m, x: m.fc(m.lif(body(m.conv(x))).flatten(2))))


def test_differences_are_to_be_written_out():
    model = user(lambda m, x: m.fc(m.lif2(m.lif(m.conv(x)).diff(dim=0)).flatten(2)), lif2=user(None).lif)
    with pytest.raises(LoweringError, match=r"Write differences out, of frames as torch\.cat"):
        lower(model, images())


def test_sums_that_a_loop_records_are_one_running_sum():
    def run(m: torch.nn.Module, x: Tensor) -> Tensor:
        scores, total, made = m.fc(m.lif(m.conv(x)).flatten(2)), 0.0, []  # type: ignore[operator]
        for step in scores:
            total = total + step
            made.append(total)
        return torch.stack(made)  # type: ignore[arg-type]

    graph = assert_exact(user(run))
    assert [node.running for node in graph.of_type(ir.SumTime)] == [True]
