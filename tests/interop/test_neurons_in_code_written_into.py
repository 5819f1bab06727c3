"""Neurons in a loop's code (test_neurons_in_code.py): tensors written into or cast, and numbers that differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import spikelet
from spikelet.base.errors import SpikeletError

pytest.importorskip("snntorch", reason="needs snnTorch")
pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
from tests.interop.networks.in_code import DECAY, THRESHOLD
from tests.interop.test_neurons_in_code import T, converted, exact, frames

Reset = Callable[[Tensor, Tensor], Tensor]


def resets(reset: Reset, before: Reset = lambda mem, spk: mem) -> Callable[[Any, Tensor], Tensor]:
    """Neurons whose membranes are changed before spikes are told, and reset by a function of membranes and spikes."""

    def run(net: Any, x: Tensor) -> Tensor:
        mem, spk, out = torch.zeros(x.shape[1], 24), torch.zeros(x.shape[1], 24), torch.zeros(x.shape[1], 10)
        for frame in x:
            mem = before(DECAY * mem + net.fc1(frame.flatten(1)), spk)
            spk = (mem > THRESHOLD).float()
            mem = reset(mem, spk)
            out = out + net.fc2(spk)
        return out

    return run


def written(write: Callable[[Tensor, Tensor], Any]) -> Reset:
    def reset(mem: Tensor, spk: Tensor) -> Tensor:
        write(mem, spk)
        return mem

    return reset


@pytest.mark.parametrize(
    "reset",
    [
        written(lambda mem, spk: mem.masked_fill_(spk > 0, 0.0)),
        written(lambda mem, spk: mem.masked_fill_(spk.bool(), 0.0)),
        lambda mem, spk: torch.where(spk < 0.5, mem, torch.zeros_like(mem)),
        lambda mem, spk: mem * (1 - spk.int()),
        lambda mem, spk: mem * (1 - spk.half()).float(),
        lambda mem, spk: mem.masked_fill((mem > THRESHOLD).long().bool(), 0.0),
    ],
    ids=["above 0", "bool", "below a half", "int", "half", "long"],
)
def test_spikes_may_be_told_from_spikes(reset: Reset) -> None:
    exact(converted(resets(reset)), 1)


def test_a_reset_through_another_name_of_the_membrane_is_seen() -> None:
    model = converted(resets(written(lambda mem, spk: mem.detach().mul_(1 - spk))))
    report = model.compare([(frames(), torch.zeros(3, dtype=torch.long))])
    assert (report.different, len(report.layers)) == (0, 1), str(report)


@pytest.mark.parametrize(
    "run",
    [
        resets(written(lambda mem, spk: mem.view(-1).masked_fill_(spk.view(-1) > 0, 0.0))),
        resets(written(lambda mem, spk: mem[:, 0].zero_())),
        resets(written(lambda mem, spk: spk[:, 1:3].mul_(0))),
        resets(lambda mem, spk: mem * (1 - spk), written(lambda mem, spk: mem[:, 0].zero_())),
        resets(lambda mem, spk: mem * (1 - spk), lambda mem, spk: mem.to(torch.bfloat16).to(mem.dtype)),
        resets(lambda mem, spk: mem * (1 - spk), lambda mem, spk: mem.int().float()),
    ],
    ids=["a flat view", "a channel", "spikes", "a channel before", "half precision", "whole numbers"],
)
def test_what_changes_a_part_of_a_membrane_or_rounds_it_is_no_lif(run: Callable[[Any, Tensor], Tensor]) -> None:
    with pytest.raises(SpikeletError, match=r"written out in the network's loop|no spiking neurons|is written after"):
        spikelet.lower(converted(run), frames(), time_axis=0)


@pytest.mark.parametrize(
    ("number", "other"),
    [
        (lambda x: 0.25 if x.mean() > 0.25 else 0.5, 0 * frames()),
        (lambda x: 0.5 * float(x.mean()) + 0.1, 0 * frames()),
        (lambda x: 0.25 if x.shape[1] > 2 else 0.5, frames(2)),
    ],
    ids=["a branch", "a number of the input", "the batch"],
)
def test_a_number_that_is_another_in_a_later_pass_is_refused(number: Callable[[Tensor], float], other: Tensor) -> None:
    def run(net: Any, x: Tensor) -> Tensor:
        mem, spk, out, threshold = torch.zeros(x.shape[1], 24), torch.zeros(x.shape[1], 24), 0, number(x)
        for frame in x:
            mem = DECAY * mem * (1 - spk) + net.fc1(frame.flatten(1))
            spk = (mem > threshold).float()
            out = out + net.fc2(spk)
        return out  # type: ignore[return-value]

    model = converted(run)
    assert len(other) == T
    with pytest.raises(SpikeletError, match=r"net\.neurons_0: .* or with other numbers"):
        for x in (frames(), other):
            model(x)
