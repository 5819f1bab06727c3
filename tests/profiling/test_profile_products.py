"""Attention's products are counted: pair by pair what loops count, and of a module what its integer graph counts."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from spikelet.lowering import lower
from spikelet.neurons import LIF, LIFParams
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear, Product, ScoreMap, SumPool2d
from spikelet.nn.attention import Mix
from spikelet.profiling import profile, profile_graph
from spikelet.profiling.layers import SynapseLayer
from spikelet.profiling.report import Report
from spikelet.quant import Uniform
from tests.profiling.networks import trained
from tests.support.catalogue import model_input, small_model

T, B, HEADS, D, N = 2, 3, 2, 3, 4
TRANSFORMERS = (
    "bestformer_4_384",
    "bestformer_8_512",
    "qsd_transformer_cifar",
    "spikformer_4_384",
    "spikingformer_4_384",
)


class Apart(nn.Module):
    """[T, B, 3, h, d, N] to what `mix` makes of the three."""

    def __init__(self, mix: nn.Module) -> None:
        super().__init__()
        self.mix, self.end = mix, LIF(T, LIFParams(0.0, 2.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.mix(*x.unbind(2))).flatten(2)


class Written(nn.Module):
    """A product of q and k, written out."""

    def __init__(self, product: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.product = product

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return self.product(q, k)


def spikes(rate: float) -> Tensor:
    return (torch.rand(T, B, 3, HEADS, D, N) < rate).float()


def products(report: Report) -> list[SynapseLayer]:
    return [layer for layer in report.synapses if layer.kind == "product"]


def profiled(mix: nn.Module, x: Tensor) -> list[SynapseLayer]:
    """Products of a mix; samples are vectors, as a profile takes them."""
    model = nn.Sequential(nn.Unflatten(2, (3, HEADS, D, N)), Apart(mix))
    return products(profile(model, x.flatten(2), time_axis=0))


def places() -> itertools.product:
    return itertools.product(range(T), range(B), range(HEADS), range(D), range(N), range(N))


def test_both_products_of_a_map_of_scores_are_counted_pair_by_pair():
    x = spikes(0.5)
    q, k, v = x.unbind(2)
    neuron = LIF(T, LIFParams(0.5, 1.0))
    scores, mix = profiled(ScoreMap(neuron), x)
    fired = neuron.eval()(q.transpose(-2, -1) @ k)
    pairs = sum(bool(q[t, b, h, d, i] and k[t, b, h, d, j]) for t, b, h, d, i, j in places())
    mixed = sum(bool(fired[t, b, h, i, j] and v[t, b, h, d, j]) for t, b, h, d, i, j in places())
    assert scores.neurobench.effective_acs * B == pairs > 0
    assert mix.neurobench.effective_acs * B == mixed > 0
    assert scores.macs_per_step == mix.macs_per_step == HEADS * D * N * N
    assert scores.neurobench.dense == T * HEADS * D * N * N
    assert (scores.steps, scores.in_shape, scores.weights) == (T, (HEADS, N, D), HEADS * D * N)
    assert (scores.spiking_input, scores.weight_bits, scores.input_bits) == (True, 1, 1)
    assert scores.input_events * B == q.sum()
    assert mix.input_events * B == v.sum()
    assert scores.paper_sops == pytest.approx(float(q.mean()) * scores.macs)
    assert scores.unrolled_sops == pytest.approx(scores.paper_sops)
    assert scores.weights_are_spikes
    assert mix.weights_are_spikes


@pytest.mark.parametrize(
    "product",
    [
        lambda q, k: q.transpose(-2, -1) @ k,
        lambda q, k: torch.matmul(q.mT, other=k),
        lambda q, k: torch.einsum("tbhdi,tbhdj->tbhij", q, k),
        lambda q, k: torch.einsum("tbhdi,tbhdj->tbhij", [q, k]),
    ],
    ids=["operator", "matmul", "einsum", "einsum of a list"],
)
def test_a_product_counts_however_it_is_written(product: Callable[[Tensor, Tensor], Tensor]):
    x = spikes(0.4)
    q, k, _ = x.unbind(2)
    (layer,) = profiled(Written(product), x)
    pairs = sum(bool(q[t, b, h, d, i] and k[t, b, h, d, j]) for t, b, h, d, i, j in places())
    assert layer.neurobench.effective_acs * B == pairs
    assert layer.macs == T * HEADS * D * N * N
    assert layer.input_rate == pytest.approx(float(q.mean()))


def test_heads_in_the_batch_axis_make_one_step_of_all():
    x = spikes(0.4)
    q, k, _ = x.unbind(2)

    def bmm(q: Tensor, k: Tensor) -> Tensor:
        return torch.bmm(q.flatten(0, 2).mT, k.flatten(0, 2)).unflatten(0, q.shape[:3])

    (layer,) = profiled(Written(bmm), x)
    assert (layer.steps, layer.macs) == (1, T * HEADS * D * N * N)
    assert layer.neurobench.effective_acs * B == int((q.transpose(-2, -1) @ k).sum())


def test_counts_are_multiplied_and_as_binary_steps_would_be_added():
    """A neuron of four levels reads 0, 1/4 .. 1, and every count comes out."""
    torch.manual_seed(0)
    counts = torch.randint(0, 5, (T, B, 3, HEADS, D, N))
    counts[:, :, 1] = 2 * (counts[:, :, 1] // 2)  # even keys: their own grid would be coarser than the neuron's

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.neuron, self.mix, self.end = LIF(T, LIFParams.rounding(4)), Product(), LIF(T)

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = self.neuron(x.unflatten(2, (3, HEADS, D, N))).unbind(2)
            return self.end(self.mix(q, k, v)).flatten(2)

    report = profile(Counting(), (counts / 4).flatten(2), time_axis=0)
    first, second = products(report)
    _, _, v = counts.unbind(2)
    q = counts[:, :, 0]
    assert not first.spiking_input  # a product of small integers, as executed
    assert first.paper_macs == first.macs == T * HEADS * D * D * N
    assert first.input_counts is not None
    assert first.input_counts * B == v.sum()
    assert first.unrolled_sops == pytest.approx(float(v.double().mean()) * first.macs)
    assert first.weights_are_spikes
    assert second.input_counts is not None  # q, not the integers of v k^T
    assert second.input_counts * B == q.sum()
    assert not second.weights_are_spikes
    assert (first.input_bits, first.weight_bits) == (3, 2)
    assert report.total.unrolled_sops == pytest.approx((first.unrolled_sops or 0) + (second.unrolled_sops or 0))


def test_the_dense_twin_multiplies_attention_at_equal_bits_on_both_sides():
    x = spikes(0.5)
    model = nn.Sequential(nn.Unflatten(2, (3, HEADS, D, N)), Apart(ScoreMap(LIF(T))))
    report = profile(model, x.flatten(2), time_axis=0)
    dense = HEADS * D * N * N
    assert report.baseline.activation_bits == 2  # three values
    assert report.baseline.macs == 2 * dense
    assert report.baseline.bops == 2 * dense * 2 * 2
    assert report.baseline.energy_pj["horowitz_fp32"] == pytest.approx(2 * dense * 4.6)
    assert report.baseline.energy_pj["horowitz_int"] == pytest.approx(2 * dense * 0.3)


def test_the_twin_of_counts_has_the_bits_of_all_their_steps():
    # 0..3 in two steps are seven values, 3 bits, where the network multiplies by 2
    model = nn.Sequential(LIF(2, LIFParams.rounding(3, 1.5)), Linear(4, 2, Uniform(4)))
    report = profile(model, torch.tensor([[[2.0, 1.0, 0.5, 0.0]]] * 2), time_axis=0)
    (layer,) = report.synapses
    assert (layer.input_bits, layer.input_counts, layer.input_rate) == (2, 12.0, 0.75)
    assert report.baseline.bops == 8 * 4 * 3
    assert report.baseline.energy_pj["horowitz_int"] == pytest.approx(8 * 0.3)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_transformers_profile_is_that_of_its_graph(name: str):
    torch.manual_seed(0)
    model, x = small_model(name, weight_bits=1 if name.startswith("best") else 4), model_input(name, 4)
    trained(model, x, bias=1.0)
    seen, exact = profile(model, x), profile_graph(lower(model, x[:1]), x.numpy())
    graph = {layer.name: layer for layer in exact.synapses}
    assert [layer.name for layer in seen.synapses] == list(graph)
    attentions = sum(isinstance(m, Mix) for m in model.modules())
    assert len(products(seen)) == 2 * attentions > 0
    assert all(layer.input_events for layer in products(seen))
    for layer in seen.synapses:
        same = graph[layer.name]
        assert layer.macs == same.macs
        if layer.kind == "product":
            pairs, expected = (s.neurobench.effective_acs + s.neurobench.effective_macs for s in (layer, same))
            assert pairs == pytest.approx(expected)
            assert layer.spiking_input >= same.spiking_input  # counts may all have been 0 or the highest
            assert layer.weights_are_spikes == same.weights_are_spikes
        if layer.input_events:  # nothing but zeros look like spikes, whatever was proved
            assert (layer.input_counts is None) == (same.input_counts is None), layer.name
            assert layer.input_counts is None or layer.input_counts == pytest.approx(same.input_counts), layer.name


def test_a_sum_of_spikes_and_an_average_of_them_are_counts():
    class Sums(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.pool = LIF(T), LIF(T), SumPool2d(2)
            self.conv, self.end = Conv2d(1, 1, 1, Uniform(4)), LIF(T)
            self.last = Conv2d(1, 1, 1, Uniform(4))

        def forward(self, x: Tensor) -> Tensor:
            s = self.a(x) + self.b(2 * x)
            return self.end(self.conv(s)).flatten(2), self.last(self.pool(s))

    x = torch.rand(T, B, 1, 4, 4) * 2
    model = Sums().eval()
    s = model.a(x) + model.b(2 * x)
    conv, last = profile(model, x, time_axis=0).synapses
    assert conv.input_counts is not None
    assert last.input_counts is not None
    assert conv.input_counts * B == s.sum() > 0
    assert last.input_counts * B == pytest.approx(float(s.sum()))


def test_values_between_two_convolutions_are_no_counts():
    model = nn.Sequential(Encode(), Conv2d(3, 4, 1, Uniform(4)), BatchNorm2d(4), Conv2d(4, 2, 1, Uniform(4)), LIF(2))
    report = profile(model.eval(), torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8))
    assert [layer.input_counts for layer in report.synapses] == [None, None]
    assert report.total.unrolled_sops is None
