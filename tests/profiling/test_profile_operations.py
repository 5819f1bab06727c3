"""Operations equal those of plain loops and of NeuroBench itself, layer by layer and bit for bit."""

from __future__ import annotations

import random
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.codes import values_of
from spikelet.graph import ir
from spikelet.graph.reference import Reference
from spikelet.models import create_model
from spikelet.neurons import LIF
from spikelet.nn import AddConstant, BatchNorm2d, Conv1d, Conv2d, Linear, Requantize, Scale
from spikelet.profiling import profile, profile_graph
from spikelet.profiling.bits import bits_of
from spikelet.profiling.layers import NeuroBenchCounts
from spikelet.profiling.observe import membrane_updates
from spikelet.quant import Binary, FullPrecision, Uniform
from tests.profiling.networks import SMALL, conv_operations, images, small_model
from tests.random_graphs import random_graph, random_input


@pytest.mark.parametrize("seed", range(12))
def test_a_convolution_counts_what_loops_count(seed: int):
    rng = random.Random(seed)
    groups, kernel, stride = rng.choice((1, 1, 2)), rng.choice((1, 2, 3)), rng.choice((1, 2))
    padding, size = rng.randrange(kernel), rng.choice((4, 5))
    conv = Conv2d(2 * groups, 2 * groups, kernel, FullPrecision(), stride=stride, padding=padding, groups=groups)
    with torch.no_grad():
        conv.weight[torch.rand_like(conv.weight) < 0.3] = 0
    x_TBCHW = (torch.rand(2, 2, 2 * groups, size, size) < 0.4).float()
    flat = x_TBCHW.flatten(0, 1)

    counts = profile(nn.Sequential(conv, LIF(2)), x_TBCHW, time_axis=0).synapses[0].neurobench

    assert counts.effective_acs * 2 == conv_operations(conv.weight, flat, stride, padding, groups)
    everything = conv_operations(torch.ones_like(conv.weight), torch.ones_like(flat), stride, padding, groups)
    assert counts.dense * 2 == everything


@pytest.mark.parametrize("seed", range(8))
def test_a_graph_counts_what_a_convolution_of_ones_counts(seed: int):
    grown = (random_graph(seed + 100 * attempt) for attempt in range(20))
    graph = next(g for g in grown if g.of_type(ir.Lif))
    x = random_input(graph, 2, seed)
    edges = Reference(graph).edges(x)
    layers = {layer.name: layer for layer in profile_graph(graph, x).synapses}
    compared = 0
    for node in [*graph.of_type(ir.Conv), *graph.of_type(ir.Linear)]:
        inputs = torch.from_numpy(edges[node.inputs[0]] != 0).flatten(0, 1).double()
        present = torch.from_numpy(values_of(node.weight, node.bits, node.grid) != 0).double()
        if isinstance(node, ir.Conv):
            pairs = F.conv2d(inputs, present, None, node.stride, node.padding, node.dilation, node.groups)
        else:
            pairs = inputs.flatten(1) @ present.T
        counts = layers[node.name].neurobench
        assert (counts.effective_acs + counts.effective_macs) * 2 == pairs.sum()
        compared += 1
    assert compared == len(layers) > 0


class Batches:
    """What NeuroBench's Benchmark iterates: (x, labels)."""

    def __init__(self, x: Tensor, batch_size: int) -> None:
        self.pairs = [(part, torch.zeros(len(part))) for part in x.split(batch_size)]
        self.dataset = range(len(x))

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self):
        return iter(self.pairs)


def neurobench_counts(model: nn.Module, x: Tensor, batch_size: int) -> NeuroBenchCounts:
    """SynapticOperations of the installed NeuroBench."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it imports is not ours
        pytest.importorskip("neurobench", reason="needs NeuroBench, installed with --no-deps")
        from neurobench.benchmarks import Benchmark
        from neurobench.metrics.workload import SynapticOperations
        from neurobench.models import TorchModel

        benchmark = Benchmark(TorchModel(model), Batches(x, batch_size), [], [lambda p: p], [[], [SynapticOperations]])
        counts = benchmark.run(quiet=True, device=None)["SynapticOperations"]
    return NeuroBenchCounts(counts["Effective_ACs"], counts["Effective_MACs"], counts["Dense"])


@pytest.mark.parametrize("weight_bits", [1, 4, 32])
@pytest.mark.parametrize("name", SMALL)
def test_every_model_counts_what_neurobench_counts(name: str, weight_bits: int):
    model, x = small_model(name, weight_bits=weight_bits)
    parts = x.split(2)
    assert profile(model, parts).total.neurobench == neurobench_counts(model, x, 2)


def test_a_model_of_ternary_input_counts_what_neurobench_counts():
    model = nn.Sequential(Linear(6, 5, Uniform(2)), LIF(4), Linear(5, 3, Binary()))
    x_TBI = torch.randint(-1, 2, (4, 4, 6)).float()  # T = B: NeuroBench takes the first axis for the batch
    counts = profile(model, x_TBI, time_axis=0).total.neurobench
    assert counts == neurobench_counts(model, x_TBI, 4)
    assert counts.effective_macs == 0


def test_torchs_own_layers_count_as_32_bits():
    model = nn.Sequential(nn.Linear(6, 5), LIF(2), nn.Linear(5, 3, bias=False))
    x = torch.rand(2, 2, 6)
    report = profile(model, x)
    assert [layer.weight_bits for layer in report.synapses] == [32, 32]
    assert report.synapses[0].packed_bytes == 4 * (6 * 5 + 5)
    assert report.total.neurobench == neurobench_counts(model, x, 2)


@pytest.mark.parametrize("name", SMALL)
def test_parameters_are_those_of_the_model(name: str):
    model, x = small_model(name)
    assert profile(model, x).total.parameters == sum(p.numel() for p in model.parameters())


def test_a_profile_over_batches_is_that_of_all_samples_at_once():
    model, x = small_model("qsnn_vgg_s")
    loader = [(part, None) for part in x.split(1)]
    assert profile(model, loader) == profile(model, x)


def test_a_still_image_enters_once_and_frames_at_every_step():
    model, x = small_model("qsnn_vgg_s")
    frames = x.unsqueeze(0).expand(3, -1, -1, -1, -1)
    still, moving = profile(model, x).synapses[0], profile(model, frames, time_axis=0).synapses[0]
    assert (still.steps, moving.steps) == (1, 3)
    assert moving.neurobench.effective_macs == 3 * still.neurobench.effective_macs


def test_a_model_that_never_spikes_costs_no_operations_behind_its_first_layer():
    model = create_model("qsnn_vgg_s", widths=(4, 4), image_size=8).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, BatchNorm2d):
                module.bias.fill_(-100)
    report = profile(model, images(3, 8, 2))
    assert report.total.spikes == 0
    assert report.total.paper_sops == report.total.neurobench.effective_acs == 0
    assert report.total.paper_macs == report.synapses[0].macs


def test_membranes_that_keep_their_value_are_not_updated():
    lif = LIF(3).eval()
    assert membrane_updates(lif, torch.zeros(3, 2, 5)) == 10
    assert membrane_updates(lif, torch.full((1, 2, 5), 0.25)) == 30


@pytest.mark.parametrize(
    ("values", "bits"),
    [
        ([0.0, 0.0], 1),
        ([0.0, 1.0], 1),
        ([0.0, 2.0], 1),
        ([-1.0, 1.0], 2),
        ([0.25, 0.5], 2),
        ([255 / 256, 1 / 256], 8),
        ([254 / 256, 2 / 256], 7),
        ([0.1, 0.0], 32),
    ],
)
def test_bits_are_the_fewest_that_hold_every_value(values: list[float], bits: int):
    assert bits_of(torch.tensor(values, dtype=torch.float64)) == bits


@pytest.mark.parametrize("seed", range(6))
def test_a_dilated_or_one_dimensional_convolution_counts_what_a_convolution_of_ones_counts(seed: int):
    rng = random.Random(seed)
    dilation, stride, padding = rng.choice((1, 2, 3)), rng.choice((1, 2)), rng.choice((0, 1, 2))
    flat = seed % 2 == 0
    layer = (Conv1d if flat else Conv2d)(
        4, 6, 3, FullPrecision(), stride=stride, padding=padding, dilation=dilation, groups=2
    )
    with torch.no_grad():
        layer.weight[torch.rand_like(layer.weight) < 0.3] = 0
    x = (torch.rand(2, 2, 4, *((9,) if flat else (9, 8))) < 0.4).float()
    report = profile(nn.Sequential(layer, LIF(2)), x, time_axis=0).synapses[0]
    convolve = F.conv1d if flat else F.conv2d
    ones = [convolve(v, w, None, stride, padding, dilation, 2).sum().item() for v, w in (
        (x.flatten(0, 1), (layer.weight != 0).float()), (torch.ones_like(x[0, :1]), torch.ones_like(layer.weight)),
    )]  # fmt: skip
    assert report.neurobench.effective_acs * 2 == ones[0]
    assert report.neurobench.dense == 2 * ones[1]
    assert report.parameters == layer.weight.numel()


def test_constants_of_the_users_layers_are_counted():
    layers = (Scale([1.0, 2.0]), AddConstant(2, 3, 3), Requantize(4))
    model = nn.Sequential(Conv2d(1, 2, 1, Uniform(8)), *layers, LIF(2))
    report = profile(model, torch.ones(2, 1, 1, 3, 3), time_axis=0)
    kinds = {layer.name: (layer.parameters, layer.packed_bytes) for layer in report.layers if layer.name in "123"}
    assert kinds == {"1": (2, 10), "2": (18, 72), "3": (1, 5)}
