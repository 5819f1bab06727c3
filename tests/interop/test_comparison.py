"""A converted network is compared with the one of the other library: spike for spike, class for class."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.compression import Prune, compress
from spikelet.interop import ConversionError
from spikelet.neurons import LIF, LIFParams
from spikelet.nn import Conv2d, Linear
from spikelet.quant import Uniform
from spikelet.train import evaluate

pytest.importorskip("snntorch", reason="needs snnTorch")
pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
import snntorch as snn
from spikingjelly.activation_based import functional, layer, neuron

T = 3
Batch = tuple[Tensor, Tensor]


class Loop(nn.Module):
    """A snnTorch class that runs time itself."""

    def __init__(self, beta: float = 0.5) -> None:
        super().__init__()
        self.conv, self.lif1 = nn.Conv2d(1, 6, 3), snn.Leaky(beta=beta, threshold=0.25)
        self.fc, self.lif2 = nn.Linear(216, 10), snn.Leaky(beta=beta, threshold=0.25)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        spikes = []
        for _ in range(T):
            spk1, mem1 = self.lif1(self.conv(x), mem1)
            spk2, mem2 = self.lif2(self.fc(spk1.flatten(1)), mem2)
            spikes.append(spk2)
        return torch.stack(spikes), mem2


def body(net: Loop, x: Tensor) -> Tensor:
    """The step of Loop."""
    spk1, _ = net.lif1(net.conv(x))
    return net.lif2(net.fc(spk1.flatten(2)))[0]


def hidden(beta: float = 0.5) -> nn.Sequential:
    """A snnTorch network whose loop over time stands outside."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), snn.Leaky(beta=beta, threshold=0.25, init_hidden=True), nn.Flatten(), nn.Linear(216, 10)
    )


def jelly(step_mode: str, tau: float = 2.0) -> nn.Sequential:
    net = nn.Sequential(
        layer.Conv2d(1, 6, 3), neuron.LIFNode(tau=tau, v_threshold=0.25), layer.Flatten(), layer.Linear(216, 10)
    )
    functional.set_step_mode(net, step_mode)
    return net


class BatchFirst(nn.Module):
    """Takes and gives [B, T, ...]."""

    def __init__(self) -> None:
        super().__init__()
        self.net = jelly("m")

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.transpose(0, 1)).transpose(0, 1)


def by_channel() -> nn.Sequential:
    """A network whose neurons have constants of their own."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3),
        snn.Leaky(beta=torch.tensor([0.25, 0.5, 0.75] * 2).view(6, 1, 1), threshold=0.25, init_hidden=True),
        nn.Flatten(),
        nn.Linear(216, 10),
        snn.Leaky(beta=torch.tensor([0.25, 0.5] * 5), threshold=torch.linspace(0.1, 0.5, 10), init_hidden=True),
    )


MADE: dict[str, Callable[[], nn.Module]] = {
    "snnTorch, hidden states": lambda: spikelet.from_snntorch(hidden(), time_steps=T),
    "snnTorch, its own loop": lambda: spikelet.from_snntorch(Loop(), time_steps=T, forward=body),
    "snnTorch, constants by channel": lambda: spikelet.from_snntorch(by_channel(), time_steps=T),
    "SpikingJelly, step by step": lambda: spikelet.from_spikingjelly(jelly("s"), time_steps=T),
    "SpikingJelly, all steps": lambda: spikelet.from_spikingjelly(jelly("m"), time_steps=T),
    "SpikingJelly, frames step by step": lambda: spikelet.from_spikingjelly(
        jelly("s"), time_steps=T, time_axis=0, scale=1 / 255
    ),
    "SpikingJelly, frames": lambda: spikelet.from_spikingjelly(jelly("m"), time_steps=T, time_axis=0, scale=1 / 255),
    "SpikingJelly, batch first": lambda: spikelet.from_spikingjelly(
        BatchFirst(), time_steps=T, time_axis=1, scale=1 / 255, mean=(0.25,), std=(0.5,)
    ),
}


def batches_of(time_axis: int | None, sizes: tuple[int, ...] = (T, 7)) -> list[Batch]:
    """Batches, one of T samples among them."""
    made = []
    for size in sizes:
        shape = {None: (size,), 0: (T, size), 1: (size, T)}[time_axis]
        made.append((torch.randint(0, 256, (*shape, 1, 8, 8), dtype=torch.uint8), torch.randint(0, 10, (size,))))
    return made


@pytest.mark.parametrize("make", MADE.values(), ids=list(MADE))
def test_a_network_with_exact_constants_gives_its_original_s_spikes(make: Callable) -> None:
    model = make()
    batches = batches_of(model.time_axis)
    report = model.compare(batches)
    assert report.samples == T + 7
    assert report.compared == sum(layer.compared for layer in report.layers) >= 10 * T * 216
    assert all(0.02 < layer.original / layer.compared < 0.98 for layer in report.layers)
    assert report.different <= 0.001 * report.compared
    assert report.agreement >= 0.9
    assert report.accuracy == evaluate(model, batches, time_axis=model.time_axis)


def test_what_differs_is_counted_by_layer_and_class() -> None:
    """The original is changed behind the conversion's back, by as much as is known."""
    net = hidden().eval()
    model = spikelet.from_snntorch(net, time_steps=T)
    batches = batches_of(None)
    with torch.no_grad():
        net[3].bias[4] = 1000.0
        net[3].weight.zero_()
    report = model.compare([(x, torch.full_like(y, 4)) for x, y in batches])
    assert report.original_accuracy == 1.0
    assert report.original_correct == report.samples
    fours = sum(int((model.eval()(x).mean(0).argmax(1) == 4).sum()) for x, _ in batches)
    assert report.same_class == report.correct == fours
    net[1].threshold = torch.tensor(1000.0)  # silent
    report = model.compare(batches)
    (silent,) = report.layers
    assert (silent.original, silent.different) == (0, silent.here)
    assert silent.here > 0
    assert f"{silent.here:,}" in str(report)


def test_a_rounded_leak_is_seen() -> None:
    model = spikelet.from_spikingjelly(jelly("s", tau=1.7), time_steps=T, round_leak=True)
    for node in (m for m in model.net.modules() if isinstance(m, LIF)):
        assert node.params.leak != 1 - 1 / 1.7
    coarse = copy.deepcopy(model)
    for node in (m for m in coarse.net.modules() if isinstance(m, LIF)):
        node.params = LIFParams(0.0, node.params.threshold)
    assert coarse.compare(batches_of(None)).different > 10 * model.compare(batches_of(None)).different


def test_the_integers_take_the_model_s_place() -> None:
    model = spikelet.from_snntorch(hidden(), time_steps=T).eval()
    for m in model.modules():
        if isinstance(m, Conv2d | Linear):
            m.quantizer = Uniform(4, per_channel=isinstance(m, Conv2d))
    batches = batches_of(None)
    graph = spikelet.lower(model, batches[0][0])
    report, integers = model.compare(batches), model.compare(batches, program=spikelet.Reference(graph))
    assert dataclasses.replace(integers, here=report.here) == report
    assert (report.here, integers.here) == ("converted model", "integers")
    assert report.different > 0
    with pytest.raises(ConversionError, match=r"program has no neurons 'net\.lif1\.lif'"):
        spikelet.from_snntorch(Loop(), time_steps=T, forward=body).compare(batches, program=spikelet.Reference(graph))


def test_a_pruned_network_is_compared_by_class_where_its_layers_have_other_shapes() -> None:
    model = spikelet.from_snntorch(hidden(), time_steps=T).eval()
    batches = batches_of(None)
    small, _ = compress(model, [Prune(0.5)], batches[0][0])
    report = small.compare(batches)
    assert [(layer.different, layer.compared) for layer in report.layers] == [(None, 10 * T * 216)]
    assert (report.different, report.compared) == (0, 0)
    assert "other shape" in str(report)


@pytest.mark.parametrize("make", [hidden, lambda: jelly("m"), lambda: jelly("s")], ids=["snnTorch", "m", "s"])
def test_the_original_is_left_as_it_was(make: Callable[[], nn.Module]) -> None:
    net = make().train()
    convert = spikelet.from_snntorch if make is hidden else spikelet.from_spikingjelly
    x = torch.rand(2, 1, 8, 8)
    net(x if make is hidden or net[0].step_mode == "s" else x.expand(T, -1, -1, -1, -1))  # membranes with gradients
    model = convert(net, time_steps=T)
    kept = [getattr(m, "mem", getattr(m, "v", None)) for m in net.modules()]
    before = copy.deepcopy(net.state_dict())
    model.compare(batches_of(None))
    after = [getattr(m, "mem", getattr(m, "v", None)) for m in net.modules()]
    assert all(now is then for now, then in zip(after, kept, strict=True))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net.training
    assert model.training
    assert {id(p) for p in model.parameters()}.isdisjoint(id(p) for p in net.parameters())


def test_a_loop_of_another_length_is_refused() -> None:
    model = spikelet.from_snntorch(Loop(), time_steps=5, forward=body)
    with pytest.raises(ConversionError, match=r"lif1: ran 3 times in the original network, .*time_steps=5"):
        model.compare(batches_of(None))


def test_one_s_own_way_to_run_the_original_is_taken() -> None:
    model = spikelet.from_snntorch(hidden(), time_steps=T)
    batches = batches_of(None)
    by_hand = model.compare(batches, run=lambda net, x: sum(net(x) for _ in range(T)))
    assert by_hand == model.compare(batches)


def test_networks_without_class_scores_are_compared_by_their_spikes() -> None:
    model, batches = spikelet.from_snntorch(hidden(), time_steps=T), batches_of(None)
    whole = model.compare(batches)
    report = model.compare(batches, run=lambda net, x: torch.stack([net(x).unflatten(1, (2, 5)) for _ in range(T)]))
    assert (report.different, report.layers) == (whole.different, whole.layers)
    assert report.same_class is None
    assert "answers are no class scores" in str(report)
    with pytest.raises(ConversionError, match=r"return no class scores \[B, K\].*forward=lambda net, x: net\(x\)\[1\]"):
        _ = report.accuracy


def test_a_model_from_a_file_needs_its_original_again() -> None:
    net = hidden()
    written = spikelet.from_snntorch(net, time_steps=T)
    model, batches = pickle.loads(pickle.dumps(written)), batches_of(None)
    with pytest.raises(ConversionError, match=r"read from a file, and its original is not in it\. Pass original="):
        model.compare(batches)
    assert model.compare(batches, original=net) == written.compare(batches)


def test_no_batches_and_other_layouts_are_refused() -> None:
    model = spikelet.from_snntorch(hidden(), time_steps=T)
    with pytest.raises(ConversionError, match="compare needs at least one sample"):
        model.compare([])
    with pytest.raises(spikelet.SpikeletError, match="x has 5 axes"):
        model.compare(batches_of(0))


def test_the_table_is_read_at_a_glance() -> None:
    text = str(spikelet.from_snntorch(hidden(), time_steps=T).compare(batches_of(None)))
    head, _rule, row, last = text.splitlines()
    assert head.split() == ["layer", "original", "converted", "model", "differ", "share"]
    assert row.split()[0] == "net.1"
    assert row.endswith("%")
    assert last.startswith("accuracy on 10 samples: original ")
