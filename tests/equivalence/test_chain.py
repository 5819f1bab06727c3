"""The chain: what PyTorch evaluates, the reference computes and the native program computes are the same spikes.

Over random networks and over every model of the catalogue after some training, and over both again with exact ties for
batches that charge a neuron.
Compared spike for spike and logit for logit; no tolerance anywhere.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikelet.graph import ir
from spikelet.graph.file.artifact import load, save
from spikelet.graph.reference import Reference
from spikelet.lowering import lower, verify
from spikelet.lowering.verify import Backend
from spikelet.neurons import LIF, QuantizedMembrane
from spikelet.nn import BatchNorm2d, ChannelMap, Conv2d, Linear, MaxPool2d, SumPool2d
from spikelet.quant import Binary, ReScaW
from spikelet.runtime import Program, kernel_sets
from spikelet.train.losses import step_cross_entropy
from tests.equivalence.random_networks import (
    AddCurrents,
    AddSpikes,
    DrawAgain,
    Head,
    MembraneShortcut,
    SameNeuronTwice,
    random_network,
    tied,
)
from tests.support.catalogue import DISTINCT, RESETS, model_input, small_model
from tests.support.layouts import axis_of

SEEDS = range(110)
SETS = [one.name for one in kernel_sets()]
every_seed = pytest.mark.parametrize("seed", SEEDS)


def evaluated(model: nn.Module, x: Tensor) -> tuple[dict[str, NDArray[np.uint8]], NDArray[np.float64]]:
    """Spikes by the node names that lowering gives (second use of a module: name#2), and real logits summed over T."""
    spikes: dict[str, NDArray[np.uint8]] = {}

    def keep(name: str) -> object:
        def hook(module: LIF, args: object, output: Tensor) -> None:
            uses = sum(k.partition("#")[0] == name for k in spikes)
            spikes[f"{name}#{uses + 1}" if uses else name] = (output / module.value).numpy().astype(np.uint8)

        return hook

    hooks = [m.register_forward_hook(keep(n)) for n, m in model.named_modules() if isinstance(m, LIF)]  # type: ignore[arg-type]
    with torch.no_grad():
        logits = model(x)
    for hook in hooks:
        hook.remove()
    return spikes, (logits.double().mean(0) if logits.dim() == 3 else logits.double()).numpy()


def as_an_edge(spikes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Spikes in the order of an edge: a map of scores has an axis of heads in PyTorch, and one of windows, [T, B, h, G,
    N, N'], which are rows of the edge (h N, G, N')."""
    return spikes.swapaxes(3, 4) if spikes.ndim == 6 else spikes


def assert_equal_to_torch(backends: list[Backend], graph: ir.IntGraph, model: nn.Module, x: Tensor) -> None:
    """Every spike and every logit of each backend is that of the model's evaluation."""
    expected, real = evaluated(model, x)
    units = real / graph.logit_scale
    assert np.abs(units - np.round(units)).max() < 1e-2, "a logit is no whole number of its scale"
    pixels = np.ascontiguousarray(x.numpy())
    for backend in backends:
        spikes = backend.spikes(pixels)
        assert set(spikes) == {n.name for n in graph.of_type(ir.Lif)}
        for name, made in spikes.items():
            same = as_an_edge(expected[name]).reshape(made.shape)
            assert np.array_equal(made, same), f"{name}: {(made != same).sum()} spikes differ"
        assert np.array_equal(backend(pixels), np.round(units)), "logits differ"


def assert_equal_on_ties(model: nn.Module, x: Tensor) -> None:
    """The same where some charge that `x` gives lies on its threshold exactly, for every `x` that charges a neuron."""
    try:
        model = tied(model, x)
    except DrawAgain:
        assert not any(spikes.any() for spikes in evaluated(model, x)[0].values())
        return
    graph = lower(model, x, time_axis=axis_of(x))
    assert ties(graph, x) > 0, "no charge lies on its threshold"
    assert_equal_to_torch(backends_of(graph), graph, model, x)


def backends_of(graph: ir.IntGraph) -> list[Backend]:
    """The reference, and the native program with every kernel set of this machine."""
    return [Reference(graph), *(Program(graph, kernels=name) for name in SETS)]


def ties(graph: ir.IntGraph, x: Tensor) -> int:
    """Charges in the whole run that lie on their threshold exactly."""
    edges = Reference(graph).edges(x.numpy())
    return sum(ties_of(node, edges[node.inputs[0]], graph.time_steps) for node in graph.of_type(ir.Lif))


def ties_of(node: ir.Lif, current: NDArray[np.int64], time_steps: int) -> int:
    """Charges of one `lif` node that lie on the threshold of one of its levels exactly."""

    def wide(value: Any) -> Any:
        return value.reshape(-1, *[1] * (current.ndim - 3)) if isinstance(value, np.ndarray) else value

    v: Any = wide(node.start)
    step = wide(node.threshold if node.step is None else node.step)
    state, count = None, 0
    for t in range(time_steps):
        x = current[t : t + 1] if len(current) > 1 else current
        above = ((wide(node.leak) * v + wide(node.gain) * x[0] + node.half) >> node.leak_bits) - wide(node.threshold)
        count += int(((above >= 0) & (above < step * node.levels) & (above % step == 0)).sum())
        _, state = node.advance(x, steps=range(t, t + 1), state=state)
        v = state
    return count


# --- random networks --------------------------------------------------------------------------------


@every_seed
def test_torch_equals_reference_equals_native(seed: int):
    net = random_network(seed)
    graph = lower(net.model, net.x, time_axis=axis_of(net.x))
    assert ties(graph, net.x) > 0, "no charge lies on its threshold"
    backends = backends_of(graph)
    for x in (net.x, *net.others):
        assert_equal_to_torch(backends, graph, net.model, x)
    for x in net.others:  # `net.x` has its ties already
        assert_equal_on_ties(net.model, x)


@pytest.mark.parametrize("seed", SEEDS[::10])
def test_verify_counts_no_mismatch(seed: int):
    net = random_network(seed)
    graph = lower(net.model, net.x, time_axis=axis_of(net.x))
    labels = torch.zeros(net.x.shape[-4], dtype=torch.long)
    for backend in (Reference, Program):
        result = verify(graph, net.model, [(net.x, labels)], backend, time_axis=axis_of(net.x))
        assert result.mismatches == 0
        assert result.float_accuracy == result.integer_accuracy
        assert result.spikes == sum(s.size for s in Reference(graph).spikes(net.x.numpy()).values())


@pytest.mark.parametrize("seed", SEEDS[1::10])
def test_the_saved_file_runs_as_the_model_evaluates(seed: int, tmp_path: Path):
    net = random_network(seed)
    graph = lower(net.model, net.x, time_axis=axis_of(net.x))
    save(graph, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    assert_equal_to_torch([Program(loaded, threads=2)], loaded, net.model, net.x)


@pytest.mark.parametrize("seed", SEEDS[2::10])
def test_float64_evaluates_to_the_same_spikes(seed: int):
    net = random_network(seed)
    spikes, logits = evaluated(net.model, net.x)
    torch.set_default_dtype(torch.float64)
    try:
        wide, wide_logits = evaluated(net.model.double(), net.x)
    finally:
        torch.set_default_dtype(torch.float32)
        net.model.float()
    assert spikes.keys() == wide.keys()
    assert all(np.array_equal(spikes[name], wide[name]) for name in spikes)
    assert np.allclose(logits, wide_logits, rtol=1e-6)


@pytest.mark.parametrize("seed", SEEDS[3::10])
def test_lowering_twice_gives_the_same_file(seed: int, tmp_path: Path):
    net = random_network(seed)
    for name in ("first", "second"):
        save(lower(net.model, net.x, time_axis=axis_of(net.x)), tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


@pytest.mark.parametrize("seed", SEEDS[4::10])
def test_steps_of_any_size_give_the_whole_run(seed: int):
    net, rng = random_network(seed), np.random.default_rng(seed)
    graph = lower(net.model, net.x, time_axis=axis_of(net.x))
    frames = np.broadcast_to(net.x.numpy(), (net.time_steps, *net.x.shape[-4:]))
    for backend in backends_of(graph):
        stream = backend.stream()  # type: ignore[attr-defined]
        state, t = stream.start(net.x.shape[-4]), 0
        while t < net.time_steps:
            steps = int(rng.integers(1, net.time_steps - t + 1))
            logits, state = stream(np.ascontiguousarray(frames[t : t + steps]), state)
            t += steps
        assert np.array_equal(logits, backend(net.x.numpy()))


def synapse_features(m: Conv2d | Linear) -> set[str]:
    """What a layer of a random network is, in words."""
    kind, q = type(m).__name__, m.quantizer
    found = {f"{kind} {q.bits} bits"} | ({"bias"} if m.bias is not None else set())
    if isinstance(q, ReScaW):
        found |= {f"odd {kind} {q.bits} bits", type(q.gamma).__name__}
    if isinstance(q, Binary) and not q.standardize:
        found |= {"raw binary"}
    if isinstance(m, Conv2d):
        found |= {f"stride {m.stride}", f"padding {m.padding}"} | ({"groups"} if m.groups > 1 else set())
    return found


def features(seed: int) -> set[str]:
    """What a random network contains, in words."""
    net = random_network(seed)
    found = {f"T={net.time_steps}", "frames" if net.x.dim() == 5 else "still"}
    for m in net.model.modules():
        if isinstance(m, LIF):
            p = m.params
            found |= {f"leak={p.leak}", str(p.reset), f"membrane={m.membrane.bits}"}
            found |= {"scaled input"} if p.scale_input else set()
            if isinstance(m.membrane, QuantizedMembrane):
                found |= {f"exponent={int(m.membrane.exponent())}"}
        if isinstance(m, Conv2d | Linear):
            found |= synapse_features(m)
        if isinstance(m, BatchNorm2d):
            found |= {"negative gamma"} if (m.weight < 0).any() else set()
            found |= {"zero gamma"} if (m.weight == 0).any() else set()
            found |= {"little variance"} if (m.running_var <= 4e-3).any() else set()  # type: ignore[operator]
        if isinstance(m, Head):
            found |= {"mean over time"} if m.over_time else set()
        if isinstance(m, ChannelMap):
            found |= {f"ChannelMap stride {m.stride}"} | ({"zero channels"} if (m.source < 0).any() else set())
        if isinstance(m, MaxPool2d | SumPool2d | AddCurrents | AddSpikes | MembraneShortcut | SameNeuronTwice):
            found |= {type(m).__name__}
    return found


def test_the_random_networks_contain_everything():
    counts = Counter(feature for seed in SEEDS for feature in features(seed))
    wanted = {
        *(f"T={t}" for t in range(1, 9)),
        *(f"leak={leak}" for leak in (0.0, 0.25, 0.5, 0.75, 1.0, 237 / 256)),
        *(f"membrane={bits}" for bits in (2, 4, 8, 32)),
        *(f"{layer} {bits} bits" for layer in ("Conv2d", "Linear") for bits in (1, 2, 4, 8)),
        *(
            "frames",
            "still",
            *map(str, RESETS.values()),
            "scaled input",
            "bias",
            "raw binary",
            "groups",
            "stride (2, 2)",
        ),
        *("stride (2, 1)", "padding (0, 0)", "padding (1, 1)", "negative gamma", "zero gamma", "little variance"),
        *("mean over time", "MaxPool2d", "SumPool2d", "AddCurrents", "AddSpikes", "MembraneShortcut"),
        *("SameNeuronTwice", "ChannelMap stride 1", "ChannelMap stride 2", "zero channels"),
        *(f"odd {layer} {bits} bits" for layer in ("Conv2d", "Linear") for bits in range(1, 9)),
        *("MeanAbs", "MaxAbs", "Unit"),
    }
    assert {feature: counts[feature] for feature in wanted if counts[feature] < 3} == {}


def test_the_random_networks_neither_sleep_nor_saturate():
    rates = [np.mean([s.mean() for s in evaluated(n.model, n.x)[0].values()]) for n in map(random_network, SEEDS[::4])]
    assert 0.1 < np.median(rates) < 0.6


# --- the catalogue ----------------------------------------------------------------------------------


def trained(name: str, weight_bits: int, membrane_bits: int, time_steps: int, frames: int) -> tuple[nn.Module, Tensor]:
    """A small model after two steps of training on noise, in evaluation mode, and a batch for it."""
    model = small_model(name, weight_bits=weight_bits, membrane_bits=membrane_bits, time_steps=time_steps)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(2):
        loss = step_cross_entropy(model(model_input(name, 4, frames)), torch.randint(0, 10, (4,)), 0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval(), model_input(name, 3, frames)


@pytest.mark.parametrize("name", DISTINCT)
@pytest.mark.parametrize(
    ("weight_bits", "membrane_bits", "time_steps", "frames"),
    [(1, 2, 2, 0), (1, 4, 3, 3), (1, 8, 1, 0), (4, 32, 4, 4), (8, 4, 5, 0)],
)
def test_every_trained_model_of_the_catalogue_runs_as_it_evaluates(
    name: str, weight_bits: int, membrane_bits: int, time_steps: int, frames: int
):
    model, x = trained(name, weight_bits, membrane_bits, time_steps, frames)
    graph = lower(model, x, time_axis=axis_of(x))
    assert_equal_to_torch(backends_of(graph), graph, model, x)
    extreme = torch.cat([torch.zeros_like(x), torch.full_like(x, 255)], dim=-4)
    assert_equal_to_torch([Program(graph, threads=2)], graph, model, extreme)
    # every model and every setting has its ties in noise and in extremes, one of them at a time
    assert_equal_on_ties(model, (x, extreme)[(DISTINCT.index(name) + time_steps) % 2])


@pytest.mark.parametrize("bits", range(1, 9))
def test_rescaled_weights_of_every_width_run_as_they_evaluate(bits: int):
    model, x = trained("qpsnn_resnet20", bits, 32, 2, 0)
    graph = lower(model, x)
    grids = [node.grid for node in graph.of_type(ir.Conv)]
    assert grids == ["symmetric", *(18 * ["symmetric" if bits == 1 else "odd"])]
    assert_equal_to_torch(backends_of(graph), graph, model, x)
