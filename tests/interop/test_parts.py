"""Parts of tensors that a loop's code writes and reads back, `out[..., t] = spikes` and `out[..., t - 1]`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import spikelet
from spikelet.interop.code_record import CodeRecord, Node
from spikelet.interop.writes import overlap


class Recorder(TorchFunctionMode):
    """Every call, as a loop notes it."""

    def __init__(self) -> None:
        super().__init__()
        self.record = CodeRecord()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        self.record.note(func, args, kwargs or {}, output)
        return output


def read_back(change: Callable[[Tensor], Any]) -> tuple[Node, Node]:
    """What was written into step 1 of [2, 3], time last, and what is known of it when it is read after `change`."""
    with Recorder() as recorder:
        out, x = torch.zeros(2, 3), torch.ones(2) + torch.arange(2)
        spikes = x > 1
        out[..., 1] = spikes
        change(out)
        again = out[..., 1]
    return recorder.record.of[id(spikes)], recorder.record.of[id(again)]


def write(index: int, value: Any) -> Callable[[Tensor], Any]:
    return lambda out: out.__setitem__((..., index), value)


def test_what_is_read_back_is_what_was_written() -> None:
    spikes, again = read_back(write(0, torch.ones(2)))
    assert spikes is again


@pytest.mark.parametrize(
    "change",
    [write(1, torch.ones(2)), write(1, 3.0), lambda out: out.zero_(), lambda out: out[0].fill_(1.0),
     lambda out: out.__setitem__(out < 1, 0.5)],
)  # fmt: skip
def test_a_part_that_is_written_again_holds_something_else(change: Callable[[Tensor], Any]) -> None:
    spikes, again = read_back(change)
    assert spikes is not again


class WritesTruth(nn.Module):
    """Neurons of [B, C, T] that write truth values into a tensor of floats, and read them back."""

    def forward(self, x: Tensor) -> Tensor:
        membrane, out = torch.zeros_like(x[..., 0]), torch.zeros_like(x)
        for t in range(x.shape[-1]):
            membrane = x[..., t] + (0.5 * membrane * (1 - out[..., t - 1]) if t else 0.0)
            out[..., t] = membrane > 0.25
        return out


def test_truth_values_that_are_written_into_floats_are_read_back_as_numbers() -> None:
    net = nn.Sequential(nn.Linear(6, 8), WritesTruth())
    model = spikelet.from_spikingjelly(
        net, time_steps=3, time_axis=0, scale=1.0, forward=lambda net, x: net[1](net[0](x).movedim(0, -1)).sum(-1)
    )
    x = torch.randint(0, 2, (3, 5, 6), dtype=torch.uint8)
    report = model.compare([(x, torch.zeros(5, dtype=torch.long))])
    assert (report.different, report.layers[0].original > 0) == (0, True)


def test_steps_of_a_tensor_whose_last_axis_is_time_share_no_element() -> None:
    x = torch.zeros(2, 3, 4)
    assert not overlap(x[..., 1], x[..., 2])
    assert overlap(x[..., 1:3], x[..., 2])
    assert overlap(x[0], x[..., 2])
    assert not overlap(x[0], x[1])
    assert not overlap(x, x.clone())
