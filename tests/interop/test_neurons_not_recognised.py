"""Neurons in a network's code that no conversion recognises: what is said of them, and the way out."""

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
from tests.interop.networks.in_code import DECAY, THRESHOLD, zeros
from tests.interop.test_neurons_in_code import converted, frames

WORDS = r"has no spiking neurons.*Not recognised are a membrane that is clamped, spikes made by torch\.sign, thresholds"


def loop(step: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]) -> Callable[[Any, Tensor], Tensor]:
    """A loop over frames; `step(current, membrane, spikes)` gives the next two."""

    def run(net: Any, x: Tensor) -> Tensor:
        (mem, spk), out = zeros(x, 24), []
        for frame in x:
            mem, spk = step(net.fc1(frame.flatten(1)), mem, spk)
            out.append(net.fc2(spk))
        return torch.stack(out)

    return run


def clamped(current: Tensor, mem: Tensor, spk: Tensor) -> tuple[Tensor, Tensor]:
    mem = (DECAY * mem * (1 - spk) + current).clamp(min=0)
    return mem, (mem > THRESHOLD).float()


def by_sign(current: Tensor, mem: Tensor, spk: Tensor) -> tuple[Tensor, Tensor]:
    mem = DECAY * mem * (1 - spk) + current
    return mem, (torch.sign(mem - THRESHOLD) + 1) / 2


def adaptive(net: Any, x: Tensor) -> Tensor:
    (mem, spk), out = zeros(x, 24), []
    threshold = torch.ones_like(mem)
    for frame in x:
        mem = DECAY * mem * (1 - spk) + net.fc1(frame.flatten(1))
        spk = (mem > threshold).float()
        threshold = threshold + 0.1 * spk
        out.append(net.fc2(spk))
    return torch.stack(out)


@pytest.mark.parametrize("run", [loop(clamped), loop(by_sign), adaptive], ids=["clamp", "sign", "adaptive"])
def test_what_was_not_recognised_is_said(run: Callable[[Any, Tensor], Tensor]) -> None:
    with pytest.raises(SpikeletError, match=rf"{WORDS} that adapt.* neurons=\{{MyLIF: LIFParams"):
        converted(run).compare([(frames(), torch.zeros(3, dtype=torch.long))])
    with pytest.raises(SpikeletError, match=rf"{WORDS} that adapt.* neurons=\{{MyLIF: LIFParams"):
        spikelet.lower(converted(run), frames(), time_axis=0)
