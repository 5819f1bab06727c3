"""A transformer's file is as small as the arithmetic says: weights at their bits, constants at their fewest.

Test-sized networks have up to 58 bytes of header a node and next to no weights, so theirs is bound by nodes; the rule
of 2 percent and 4 kB is for the sizes that the catalogue has.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from spikelet.compression import Prune, Quantize, WeightL1, compress
from spikelet.data import DataSplits, Samples
from spikelet.graph import ir
from spikelet.graph.file.artifact import dumps
from spikelet.lowering import lower
from spikelet.models import create_model
from tests.support.catalogue import MODELS, model_input, small_model

TRANSFORMERS = [name for name in MODELS if name.startswith(("bestformer", "qsd_transformer", "spik"))]


def constants_bits(graph: ir.IntGraph) -> int:
    """Bits of all arrays but weights: 16 or 32 a number, whichever holds the whole array, and 8 a shift."""
    arrays: list[NDArray] = []
    for node in graph.nodes:
        arrays += [v for k, v in vars(node).items() if isinstance(v, np.ndarray) and k not in ("weight", "shift")]
    bits = sum(a.size * (16 if np.array_equal(a, a.astype(np.int16)) else 32) for a in arrays)
    return bits + sum(8 * node.shift.size for node in graph.of_type(ir.Affine))


def theoretical_bytes(graph: ir.IntGraph) -> float:
    """All weights at their bits, and all constants."""
    weights = sum(node.weight.size * node.bits for node in graph.nodes if isinstance(node, ir.Conv | ir.Linear))
    return (weights + constants_bits(graph)) / 8


def settled(model: nn.Module, x: torch.Tensor) -> nn.Module:
    model.train()
    with torch.no_grad():
        model(x)
    return model.eval()


FULL = {  # at a small image: neither weights nor constants depend on it
    "bestformer_4_384": {"image_size": 8},
    "bestformer_2_128": {"image_size": 8},
    "qsd_transformer_cifar": {"image_size": 9},
    "spikformer_4_384": {"image_size": 8, "weight_bits": 4},
    "spikingformer_4_384": {"image_size": 8, "weight_bits": 4},
}


@pytest.mark.parametrize("name", FULL)
def test_the_file_of_a_whole_transformer_takes_at_most_2_percent_and_4_kB_more_than_its_bits(name: str):
    torch.manual_seed(0)
    x = torch.randint(0, 256, (4, 3, FULL[name]["image_size"], FULL[name]["image_size"]), dtype=torch.uint8)
    graph = lower(settled(create_model(name, **FULL[name]), x), x[:1])
    bits = theoretical_bytes(graph)
    assert bits < len(dumps(graph)) <= 1.02 * bits + 4096


def versions(name: str) -> dict[str, ir.IntGraph]:
    """A small transformer as it is, with half of its heads and widths, and that with 2-bit weights."""
    torch.manual_seed(0)
    x = model_input(name, 8)
    model = settled(small_model(name, num_classes=10, weight_bits=4), x)
    samples = Samples(x, torch.arange(8), tuple("abcdefghij"), "noise", "")
    data = DataSplits(samples, samples.subset(torch.arange(0)), samples.subset(torch.arange(4)))
    models = {
        "whole": model,
        "pruned": compress(model, [Prune(0.5, WeightL1())], data).model,
        "pruned, 2 bits": compress(model, [Prune(0.5, WeightL1()), Quantize(2)], data).model,
    }
    return {kind: lower(made, x[:1]) for kind, made in models.items()}


@pytest.mark.filterwarnings("ignore:.*points of accuracy")  # noise has none to lose
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_on_top_of_a_small_pruned_or_requantised_transformers_bits_come_62_bytes_a_node(name: str):
    made = versions(name)
    sizes = {kind: theoretical_bytes(graph) for kind, graph in made.items()}
    assert sizes["whole"] > 1.4 * sizes["pruned"] > 1.4 * sizes["pruned, 2 bits"]
    for kind, graph in made.items():
        assert len(dumps(graph)) <= 1.02 * sizes[kind] + 700 + 62 * len(graph.nodes), kind
