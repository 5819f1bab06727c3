"""Transformers lose whole heads, perceptron widths and stream widths, and bits; the rest runs on as integers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spikelet.compression import Prune, Quantize, QuantizeMembranes, WeightL1, compress, find_channels
from spikelet.data import DataSplits, Samples
from spikelet.graph.file.artifact import dumps
from spikelet.lowering import lower, verify
from spikelet.nn import SelfAttention
from tests.support.catalogue import model_input, small_model

BITS = {"spikformer_4_384": 4, "spikingformer_4_384": 4}
NAMES = ("bestformer_4_384", "bestformer_8_512", "qsd_transformer_cifar", "spikformer_4_384", "spikingformer_4_384")
every_transformer = pytest.mark.parametrize("name", NAMES)


def settled(name: str) -> nn.Module:
    """A small model of ten classes whose batch norms have seen data."""
    torch.manual_seed(0)
    model = small_model(name, num_classes=10, weight_bits=BITS.get(name, 1)).train()
    with torch.no_grad():
        model(model_input(name, 8))
    return model.eval()


def data_of(name: str) -> DataSplits:
    torch.manual_seed(1)
    samples = Samples(model_input(name, 12), torch.arange(12) % 10, tuple("abcdefghij"), "noise", "")
    return DataSplits(samples, samples.subset(torch.arange(0)), samples.subset(torch.arange(4)))


def attentions(model: nn.Module) -> list[SelfAttention]:
    return [m for m in model.modules() if isinstance(m, SelfAttention)]


@every_transformer
def test_heads_are_units_of_their_own_with_queries_keys_and_values_together(name: str):
    model = settled(name)
    channels = find_channels(model, model_input(name, 2))
    by_layer = {layer: group for group in channels.groups for layer in group.layers}
    for path, module in model.named_modules():
        if isinstance(module, SelfAttention):
            first = f"{path}.query.0" if f"{path}.query.0" in by_layer else f"{path}.query.0.5"  # RepConv's last
            group = by_layer[first]
            assert len(group.units) == 2
            parts = {layer.removeprefix(f"{path}.").split(".")[0] for layer in group.layers}
            assert parts >= {"query", "key", "value"}


@pytest.mark.filterwarnings("ignore:.*points of accuracy")  # noise has none to lose
@every_transformer
@pytest.mark.parametrize("ratios", [(0.5,), (0.5, 0.3)], ids=["once", "twice"])
def test_a_pruned_and_requantised_transformer_runs_as_it_evaluates(name: str, ratios: tuple[float, ...]):
    model, data = settled(name), data_of(name)
    passes = [*(Prune(ratio, WeightL1()) for ratio in ratios), Quantize(3), QuantizeMembranes(4)]
    smaller = compress(model, passes, data).model
    assert sum(p.numel() for p in smaller.parameters()) < 0.6 * sum(p.numel() for p in model.parameters())
    for before, after in zip(attentions(model), attentions(smaller), strict=True):
        assert after.head_width == before.head_width
    graph = lower(smaller, model_input(name, 1))
    result = verify(graph, smaller, [(data.test.x, data.test.y)])
    assert result.spikes > 0
    assert result.mismatches == 0
    assert len(dumps(graph)) < len(dumps(lower(settled(name), model_input(name, 1))))
