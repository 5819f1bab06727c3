"""Networks whose loop calls modules of neurons, and writes other neurons out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError

pytest.importorskip("snntorch", reason="needs snnTorch")
pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
import snntorch as snn

from tests.interop.networks.in_code import DECAY, THRESHOLD, updated, zeros
from tests.interop.test_neurons_in_code import converted, exact, frames

Result = Callable[[list[Tensor]], Tensor]


def leaky() -> nn.Module:
    return snn.Leaky(beta=0.5, threshold=THRESHOLD)


def code_first(result: Result) -> Callable[[Any, Tensor], Tensor]:
    def run(net: Any, x: Tensor) -> Tensor:
        state, out, (mem, spk) = net.lif.init_leaky(), [], zeros(x, 24)
        for frame in x:
            mem, spk = updated(net.fc1, frame.flatten(1), mem, spk)
            given, state = net.lif(net.fc2(spk), state)
            out.append(given)
        return result(out)

    return run


def module_first(result: Result) -> Callable[[Any, Tensor], Tensor]:
    def run(net: Any, x: Tensor) -> Tensor:
        state, out, (mem, spk) = net.lif.init_leaky(), [], zeros(x, 10)
        for frame in x:
            given, state = net.lif(net.fc1(frame.flatten(1)), state)
            mem, spk = updated(net.fc2, given, mem, spk)
            out.append(spk)
        return result(out)

    return run


def in_turns(result: Result) -> Callable[[Any, Tensor], Tensor]:
    """Code, a module, code, a module."""

    def run(net: Any, x: Tensor) -> Tensor:
        state, state2, out = net.lif.init_leaky(), net.lif2.init_leaky(), []
        (mem, spk), (mem2, spk2) = zeros(x, 24), zeros(x, 24)
        for frame in x:
            mem, spk = updated(net.fc1, frame.flatten(1), mem, spk)
            given, state = net.lif(net.between(spk), state)
            mem2, spk2 = updated(net.between2, given, mem2, spk2)
            given, state2 = net.lif2(net.fc2(spk2), state2)
            out.append(given)
        return result(out)

    return run


RESULTS = [torch.stack, lambda out: torch.stack(out).sum(0), lambda out: torch.stack(out).mean(0), lambda out: out[-1]]


@pytest.mark.parametrize("result", RESULTS, ids=["all", "sum", "mean", "last"])
@pytest.mark.parametrize("make", [code_first, module_first])
def test_both_kinds_go_in_one_loop(make: Callable[[Result], Any], result: Result) -> None:
    exact(converted(make(result), lif=leaky()), 2)


def test_both_kinds_go_in_turns() -> None:
    torch.manual_seed(1)
    more = {"between": nn.Linear(24, 24), "between2": nn.Linear(24, 24), "lif": leaky(), "lif2": leaky()}
    exact(converted(in_turns(torch.stack), **more), 4)


def growing(net: Any, x: Tensor) -> Tensor:
    state, out, (mem, spk) = net.lif.init_leaky(), [], zeros(x, 10)
    for frame in x:
        given, state = net.lif(net.fc1(frame.flatten(1)), state)
        mem = 1.5 * mem * (1 - spk) + net.fc2(given)
        spk = (mem > THRESHOLD).float()
        out.append(spk)
    return torch.stack(out)


def test_written_out_neurons_beside_modules_are_refused_by_name_too() -> None:
    with pytest.raises(ConversionError, match=r"the neurons written out in the network's loop \(of shape \[10\]\)"):
        converted(growing, lif=leaky())(frames())


def fed_back(net: Any, x: Tensor) -> Tensor:
    """A module that reads spikes that the code made at the step before."""
    state, out, (mem, spk) = net.lif.init_leaky(), [], zeros(x, 10)
    for frame in x:
        given, state = net.lif(net.fc1(frame.flatten(1)) + net.back(spk), state)
        mem = DECAY * mem * (1 - spk) + net.fc2(given)
        spk = (mem > THRESHOLD).float()
        out.append(spk)
    return torch.stack(out)


def test_a_module_that_reads_written_out_spikes_of_the_step_before_is_refused() -> None:
    with pytest.raises(ConversionError, match=r"net\.lif: at step 1 .* carries from an earlier step"):
        converted(fed_back, lif=leaky(), back=nn.Linear(10, 24, bias=False))(frames())
