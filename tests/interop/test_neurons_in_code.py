"""Neurons that a loop's code writes out: what becomes of them beside the table of docs/other_networks.md."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import ConversionError
from spikelet.compression import Prune, Quantize
from spikelet.data import DataSplits, Samples
from spikelet.interop.converted import Converted
from spikelet.interop.neurons_in_code import in_code_of
from spikelet.quant import Uniform

pytest.importorskip("snntorch", reason="needs snnTorch")
pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
from tests.interop.networks.in_code import DECAY, THRESHOLD, fire, layers, updated, zeros
from tests.interop.networks.network import COUNTS
from tests.interop.test_other_networks import of_4_bits

T = 4


def loop(step: Callable[[Any, Tensor, Any, int], tuple[Tensor, Any]]) -> Callable[[Any, Tensor], Tensor]:
    """A loop over frames; `step(net, frame, state, t)` gives scores and the next state."""

    def run(net: Any, x: Tensor) -> Tensor:
        state, out = zeros(x, 24), []
        for t, frame in enumerate(x):
            scores, state = step(net, frame.flatten(1), state, t)
            out.append(scores)
        return torch.stack(out)

    return run


def two_layers(result: Callable[[list[Tensor], list[Tensor]], Tensor]) -> Callable[[Any, Tensor], Tensor]:
    """Spikes and membranes of the second of two layers, from which `result` makes the answer."""

    def run(net: Any, x: Tensor) -> Tensor:
        (mem, spk), (mem2, spk2), spikes, membranes = zeros(x, 24), zeros(x, 10), [], []
        for frame in x:
            mem, spk = updated(net.fc1, frame.flatten(1), mem, spk)
            mem2, spk2 = updated(net.fc2, spk, mem2, spk2)
            spikes.append(spk2)
            membranes.append(mem2)
        return result(spikes, membranes)

    return run


def frames(batch: int = 3) -> Tensor:
    return torch.randint(0, 2, (T, batch, 2, 8, 8), dtype=torch.uint8)


def converted(run: Callable[[Any, Tensor], Tensor], **more: nn.Module) -> Converted:
    torch.manual_seed(0)
    net = layers(run, 128)
    for name, module in more.items():
        net.add_module(name, module)
    return spikelet.from_snntorch(net.eval(), time_steps=T, round_leak=True, **COUNTS)


def exact(model: Converted, neurons: int) -> None:
    """No spike differs from the code's, and none of the integers from the model's."""
    x, labels = frames(), torch.zeros(3, dtype=torch.long)
    report = model.compare([(x, labels)])
    assert report.different == 0, str(report)
    assert len(report.layers) == neurons
    assert all(spikes.original > 0 for spikes in report.layers)
    result = spikelet.verify(spikelet.lower(of_4_bits(model), x, time_axis=0), model, [(x, labels)], time_axis=0)
    assert result.mismatches == 0, str(result)
    assert not result.not_compared


@pytest.mark.parametrize(
    "result",
    [
        lambda spikes, membranes: spikes[-1],
        lambda spikes, membranes: membranes[-1],
        lambda spikes, membranes: torch.stack(membranes),
        lambda spikes, membranes: torch.stack([m * (1 - s) for s, m in zip(spikes, membranes, strict=True)]),
        lambda spikes, membranes: torch.stack(spikes).sum(0) + membranes[-1],
    ],
    ids=["the last spikes", "the last membrane", "all membranes", "membranes after their reset", "both"],
)
def test_spikes_and_membranes_may_be_the_answer(result: Callable[[list[Tensor], list[Tensor]], Tensor]) -> None:
    exact(converted(two_layers(result)), 2)


def reset_by_a_mask(net: Any, x: Tensor) -> Tensor:
    """A membrane that is written in place, at the last step too, and read afterwards."""
    mem = spikes = torch.zeros(x.shape[1], 24)
    for frame in x:
        mem = DECAY * mem + net.fc1(frame.flatten(1))
        fires = mem > THRESHOLD
        spikes = fires.float()
        mem[fires] = 0.0
    return net.fc2(mem + spikes)


def test_what_is_left_of_a_membrane_is_read_after_its_reset() -> None:
    model, x = converted(reset_by_a_mask), frames()
    assert model.compare([(x, torch.zeros(3, dtype=torch.long))]).different == 0
    with torch.no_grad():
        of_code = reset_by_a_mask(model.original.net, x.float())
        assert (model.eval()(x) - of_code).abs().max() < 0.01 < of_code.abs().max()


def with_shortcuts(net: Any, x: Tensor) -> Tensor:
    """Currents and spikes go around the second layer; its norm, and dropout."""
    (mem, spk), (mem2, spk2), out = zeros(x, 24), zeros(x, 24), 0
    for frame in x:
        current = net.norm(net.fc1(frame.flatten(1)))
        mem = DECAY * mem * (1 - spk) + current
        spk = fire(mem)
        mem2 = DECAY * mem2 * (1 - spk2) + net.between(F.dropout(spk, 0.2, training=net.training)) + current
        spk2 = fire(mem2)
        out = out + net.fc2(spk + spk2)
    return out  # type: ignore[return-value]


def shortcuts() -> Converted:
    return converted(with_shortcuts, norm=nn.BatchNorm1d(24), between=nn.Linear(24, 24))


def test_shortcuts_go_around_neurons() -> None:
    exact(shortcuts(), 2)


def a_current_of_several(net: Any, x: Tensor) -> Tensor:
    """A sum that the code computes once, of an image."""
    current = net.fc1(x.flatten(1)) + net.other(x.flatten(1))
    mem = spk = torch.zeros(len(x), 24)
    out = torch.zeros(len(x), 10)
    for _ in range(T):
        mem = DECAY * mem * (1 - spk) + current
        spk = fire(mem)
        out = out + net.fc2(spk)
    return out


def no_state_at_first(net: Any, x: Tensor) -> Tensor:
    """The current of the image is the first membrane, in each of the layers."""
    mem = spk = mem2 = spk2 = None
    out: Any = 0
    for _ in range(T):
        current = net.fc1(x.flatten(1))
        mem = current if mem is None else DECAY * mem * (1 - spk) + current  # type: ignore[operator]
        spk = fire(mem)
        current = net.fc2(spk)
        mem2 = current if mem2 is None else DECAY * mem2 + current - THRESHOLD * spk2  # type: ignore[operator]
        spk2 = (mem2 > THRESHOLD).float()
        out = out + spk2
    return out


def one_layer_at_first(net: Any, x: Tensor) -> Tensor:
    mem, spk, out = None, None, torch.zeros(len(x), 10)
    for _ in range(T):
        current = net.fc1(x.flatten(1))
        mem = current if mem is None else DECAY * mem * (1 - spk) + current  # type: ignore[operator]
        spk = fire(mem)
        out = out + net.fc2(spk)
    return out


@pytest.mark.parametrize("run", [a_current_of_several, one_layer_at_first, no_state_at_first])
def test_an_image_s_current_may_be_the_first_membrane_too(run: Callable[[Any, Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    net = layers(run, 192)
    net.add_module("other", nn.Linear(192, 24))
    model = spikelet.from_spikingjelly(net.eval(), time_steps=T, scale=1 / 256)
    x, labels = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8), torch.zeros(3, dtype=torch.long)
    assert model.compare([(x, labels)]).different <= 1
    assert spikelet.verify(spikelet.lower(of_4_bits(model), x), model, [(x, labels)]).mismatches == 0


def test_gradients_go_through_the_neurons_to_every_layer() -> None:
    model = shortcuts()
    model(frames())
    model.train()(frames(5)).sum().backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert silent == ["net.decay", "net.threshold"]  # of the code, which these neurons do not read


def test_copies_files_and_other_batches_give_the_same(tmp_path: Path) -> None:
    model, x = shortcuts(), frames(6)
    expected = model.eval()(x)
    assert torch.equal(copy.deepcopy(model)(x), expected)
    assert torch.equal(model(x[:, :1]), expected[:1])
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    again = shortcuts()
    again(frames())
    again.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(again.eval()(x), expected)


def test_neurons_are_recognised_where_a_model_is_lowered_first() -> None:
    graph = spikelet.lower(of_4_bits(shortcuts()), frames(), time_axis=0)
    assert len(graph.of_type(spikelet.graph.ir.Lif)) == 2


def test_a_tie_fires_where_the_code_says_so() -> None:
    def step(net: Any, x: Tensor, state: Any, t: int) -> Any:
        mem = state[0] + net.fc1(x)
        spk = (mem >= 1).float()
        return net.fc2(spk), (mem - spk, spk)

    model = converted(loop(step))
    model(frames())
    with torch.no_grad():
        model.net.fc1.weight.fill_(1 / 64)  # type: ignore[union-attr, operator]
        model.net.fc1.bias.zero_()  # type: ignore[union-attr, operator]
    spikes: list[Tensor] = []
    in_code_of(model.net)["neurons_0"].lif.register_forward_hook(lambda *given: spikes.append(given[-1]))
    model.eval()(torch.ones((T, 1, 2, 8, 8), dtype=torch.uint8) * (torch.arange(128) < 64).view(2, 8, 8))
    assert spikes[0].mean((1, 2)).tolist() == [1.0] * T


class Cell(nn.Module):
    """A layer and its neurons, which hand their states over."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.fc, self.decay = nn.Linear(inputs, outputs), nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, mem: Tensor, spk: Tensor) -> tuple[Tensor, Tensor]:
        mem = self.decay.sigmoid() * mem * (1 - spk) + self.fc(x)
        return mem, fire(mem)


class Cells(nn.Module):
    """Cells in a list, their states in others, and a record that is written by index."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.ModuleList([Cell(128, 24), Cell(24, 10)])

    def forward(self, x: Tensor) -> Tensor:
        mems = [torch.zeros(x.shape[1], n) for n in (24, 10)]
        spikes, record = list(mems), torch.zeros(len(x), x.shape[1], 10)
        for t in range(len(x)):
            y = x[t].flatten(1)
            for i, cell in enumerate(self.cells):
                mems[i], spikes[i] = cell(y, mems[i], spikes[i])
                y = spikes[i]
            record[t] = y
        return record.sum(0) / len(x)


def test_cells_of_the_user_s_may_hold_layer_and_state() -> None:
    torch.manual_seed(0)
    exact(spikelet.from_snntorch(Cells().eval(), time_steps=T, **COUNTS), 2)


def test_spikes_may_stay_truth_values_and_weights_parameters() -> None:
    def run(net: Any, x: Tensor) -> Tensor:
        mem, mem2, counts = torch.zeros(x.shape[1], 24), torch.zeros(x.shape[1], 10), torch.zeros(x.shape[1], 10)
        for frame in x:
            mem = 0.75 * mem + F.linear(frame.flatten(1), net.fc1.weight)
            fires = mem >= THRESHOLD
            mem = mem - THRESHOLD * fires
            mem2 = 0.75 * mem2 + net.fc2(fires.float())
            fires2 = mem2 >= THRESHOLD
            mem2 = mem2 - THRESHOLD * fires2
            counts = counts + fires2
        return counts

    exact(converted(run), 2)


def test_a_membrane_written_into_is_no_membrane_before_its_reset() -> None:
    def run(net: Any, x: Tensor) -> Tensor:
        mem = torch.zeros(x.shape[1], 24)
        for frame in x:
            mem = 0.75 * mem + net.fc1(frame.flatten(1))
            spk = (mem >= THRESHOLD).float()
            mem -= THRESHOLD * spk
        return net.fc2(spk) + mem.sum(1, keepdim=True)

    model, x = converted(run), frames()
    net = model.original.net
    assert net is not None
    with torch.no_grad():
        assert torch.allclose(model(x), net(x.float()), atol=0.01)  # the grids of currents


def test_they_are_pruned_and_compressed_where_the_code_fixes_no_width() -> None:
    torch.manual_seed(0)
    model = spikelet.from_snntorch(layers(no_state_at_first, 192).eval(), time_steps=T)
    x, labels = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8), torch.arange(8) % 5
    model(x)
    samples = Samples(x, labels, tuple("abcde"), "pictures")
    data = DataSplits(samples, samples, samples)
    small = spikelet.compress(model, [Prune(0.5), Quantize(Uniform(4))], data).model
    assert sum(p.numel() for p in small.parameters()) < 0.6 * sum(p.numel() for p in model.parameters())
    assert spikelet.verify(spikelet.lower(small, x), small, [(x, labels)]).mismatches == 0


# --- what is refused ---------------------------------------------------------------------------------------------


def one(change: Callable[[Any, Tensor, Tensor, Tensor, int], Tensor]) -> Callable[[Any, Tensor], Tensor]:
    """Neurons whose membrane `change(net, frame, membrane, spikes, t)` gives."""

    def step(net: Any, x: Tensor, state: Any, t: int) -> Any:
        mem = change(net, x, state[0], state[1], t)
        spk = fire(mem)
        return net.fc2(spk), (mem, spk)

    return loop(step)


def two_thresholds(net: Any, x: Tensor, state: Any, t: int) -> Any:
    mem = DECAY * state[0] * (1 - state[1]) + net.fc1(x)
    spk = fire(mem)
    return net.fc2(spk) + net.fc2((mem > 2 * THRESHOLD).float()), (mem, spk)


def twice_a_frame(net: Any, x: Tensor, state: Any, t: int) -> Any:
    (mem, spk), current = state, net.fc1(x)
    for _ in range(2):
        mem = DECAY * mem * (1 - spk) + current
        spk = fire(mem)
    return net.fc2(spk), (mem, spk)


def spikes_first(net: Any, x: Tensor, state: Any, t: int) -> Any:
    spk = (state[0] > THRESHOLD).float()
    return net.fc2(spk), (0.5 * state[0] + net.fc1(x) - THRESHOLD * spk, spk)


def written_into(net: Any, x: Tensor, state: Any, t: int) -> Any:
    mem = DECAY * state[0] * (1 - state[1]) + net.fc1(x)
    spk = fire(mem)
    scores = net.fc2(spk)
    spk *= 1
    return scores, (mem, spk)


REFUSED: dict[str, tuple[Callable[[Any, Tensor], Tensor], str]] = {
    "a decay by step": (
        one(lambda net, x, m, s, t: 0.5 ** (t + 1) * m * (1 - s) + net.fc1(x)), "change their equation from step to",
    ),
    "a decay a neuron": (
        one(lambda net, x, m, s, t: torch.linspace(0, 1, 24) * m * (1 - s) + net.fc1(x)), "has one number for a leak",
    ),
    "a reset to another value": (
        one(lambda net, x, m, s, t: 0.5 * (m * (1 - s) - 0.25 * s) + net.fc1(x)), "which no LIF does: its leak is",
    ),
    "a current at the first step only": (
        one(lambda net, x, m, s, t: DECAY * m * (1 - s) + (net.fc1(x) if t == 0 else 0)),
        "read another current at some steps than at the first",
    ),
    "another threshold too": (loop(two_thresholds), "fire at 8 steps, and the conversion was told of time_steps=4"),
    "several steps a frame": (loop(twice_a_frame), "fire at 8 steps, and the conversion was told of time_steps=4"),
    "spikes before currents": (loop(spikes_first), "fire at 3 steps, .* add the current first"),
    "spikes written into": (loop(written_into), r"the network's loop writes into spikes in place \(mul_\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_other_code_is_refused(name: str) -> None:
    run, words = REFUSED[name]
    with pytest.raises(ConversionError, match=words):
        converted(run)(frames())


def test_another_path_than_in_the_first_pass_is_refused() -> None:
    def step(net: Any, x: Tensor, state: Any, t: int) -> Any:
        mem, spk = updated(net.fc1, x if len(x) < 5 else 1 * x, *state)
        return net.fc2(spk), (mem, spk)

    model = converted(loop(step))
    model(frames())
    with pytest.raises(ConversionError, match=r"net\.neurons_0: the network's code calls other functions than"):
        model(frames(6))


def test_a_leak_off_the_grid_is_refused_as_that_of_a_module() -> None:
    net = layers(one(lambda net, x, m, s, t: 0.3 * m * (1 - s) + net.fc1(x)), 128).eval()
    with pytest.raises(ConversionError, match=r"net\.neurons_0: .*0\.3.*round_leak=True"):
        spikelet.from_snntorch(net, time_steps=T, **COUNTS)(frames())
