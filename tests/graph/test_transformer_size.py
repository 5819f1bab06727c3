"""A transformer's file is as small as the arithmetic says: weights at their bits, constants at their fewest, and at
most 2 percent and 4 kB more; whole, pruned and with fewer bits, down to networks with next to no weights."""

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
from tests.support.catalogue import MODELS, TWINS, model_input, small_model

TRANSFORMERS = [name for name in MODELS if name.startswith(("bestformer", "qsd_transformer", "spik"))]
SMALL = [name for name in TRANSFORMERS if name not in TWINS]


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


def bound(graph: ir.IntGraph) -> float:
    """The most bytes that a file may take."""
    return 1.02 * theoretical_bytes(graph) + 4096


@pytest.mark.parametrize("name", FULL)
def test_the_file_of_a_whole_transformer_takes_at_most_2_percent_and_4_kB_more_than_its_bits(name: str):
    torch.manual_seed(0)
    x = torch.randint(0, 256, (4, 3, FULL[name]["image_size"], FULL[name]["image_size"]), dtype=torch.uint8)
    graph = lower(settled(create_model(name, **FULL[name]), x), x[:1])
    assert theoretical_bytes(graph) < len(dumps(graph)) <= bound(graph)


PASSES = {  # what each version is made of, and how
    "pruned by .3": ("whole", Prune(0.3, WeightL1())),
    "pruned by .5": ("whole", Prune(0.5, WeightL1())),
    "pruned by .5, 2 bits": ("pruned by .5", Quantize(2)),
}


def versions(model: nn.Module, x: torch.Tensor) -> dict[str, ir.IntGraph]:
    """A transformer as it is, with fewer heads and widths, and with 2-bit weights too."""
    model = settled(model, x)
    samples = Samples(x, torch.arange(8), tuple("abcdefghij"), "noise", "")
    data = DataSplits(samples, samples.subset(torch.arange(0)), samples.subset(torch.arange(4)))
    models = {"whole": model}
    for kind, (start, change) in PASSES.items():
        models[kind] = compress(models[start], [change], data).model
    return {kind: lower(made, x[:1]) for kind, made in models.items()}


def require_bound(made: dict[str, ir.IntGraph]) -> None:
    """Every version's file is within the bound."""
    for kind, graph in made.items():
        assert len(dumps(graph)) <= bound(graph), kind


@pytest.mark.filterwarnings("ignore:.*points of accuracy")  # noise has none to lose
@pytest.mark.parametrize("name", SMALL)
def test_so_does_that_of_a_small_one_whole_pruned_or_requantised(name: str):
    torch.manual_seed(0)
    x = model_input(name, 8)
    made = versions(small_model(name, num_classes=10, weight_bits=4), x)
    sizes = [theoretical_bytes(graph) for graph in made.values()]
    assert sizes == sorted(set(sizes), reverse=True)
    require_bound(made)


@pytest.mark.filterwarnings("ignore:.*points of accuracy")
def test_so_does_that_of_one_of_1_bit_at_its_own_size_pruned_or_with_more_bits():
    torch.manual_seed(0)
    x = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8)
    made = versions(create_model("bestformer_2_128", image_size=8), x)
    whole, pruned, more, wider = (theoretical_bytes(graph) for graph in made.values())
    assert whole > pruned > more < wider
    require_bound(made)
