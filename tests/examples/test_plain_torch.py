"""What native programs are measured beside is the same network: with the integers' roundings, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.plain_torch import PlainTorch
from spikelet.base.errors import GraphError
from spikelet.compression.passes import recalibrate
from spikelet.graph import ir
from spikelet.graph.reference import Reference
from spikelet.lowering import lower
from tests.support.catalogue import MODELS, model_input, small_model

TRANSFORMERS = sorted(name for name in MODELS if "former" in name)
CASES = [*TRANSFORMERS, "qsnn_vgg_s", "qsnn_vgg_s_avg", "qpsnn_resnet20"]
FLOAT_WEIGHTS = ("spikformer_4_384", "spikingformer_4_384")  # full precision unless told otherwise


def graph_and_input(name: str, frames: int = 0) -> tuple[ir.IntGraph, torch.Tensor]:
    """A small network whose batch norms have seen 16 images, and 4 others."""
    torch.manual_seed(0)
    model = small_model(name, **({"weight_bits": 4} if name in FLOAT_WEIGHTS else {}))
    recalibrate(model, [model_input(name, 16)])
    x = model_input(name, 4, frames)
    return lower(model.eval(), x, time_axis=0 if frames else None), x


def close(plain: torch.Tensor, wanted: np.ndarray) -> float:
    """The mean distance of logits, as a share of how much the wanted ones differ among images and classes."""
    return float(np.abs(plain.float().numpy() - wanted).mean() / wanted.std())


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_with_roundings_the_logits_are_those_of_the_graph(name: str):
    graph, x = graph_and_input(name)
    wanted = Reference(graph)(x)
    assert len(np.unique(wanted, axis=0)) == len(x), "logits that do not depend on the image show nothing"
    np.testing.assert_array_equal(PlainTorch(graph, exact=True)(x).numpy(), wanted)


@torch.no_grad()
def test_frames_take_their_own_steps():
    graph, x = graph_and_input("bestformer_4_384", frames=3)
    np.testing.assert_array_equal(PlainTorch(graph, exact=True)(x).numpy(), Reference(graph)(x))


@pytest.mark.parametrize("name", [name for name in TRANSFORMERS if not name.startswith("qsd")])
@torch.no_grad()
def test_without_roundings_the_logits_are_near(name: str):
    """Not QSD-Transformer's, untrained: there a batch norm makes much of each unit of its 8-bit currents."""
    graph, x = graph_and_input(name)
    wanted, network = Reference(graph)(x), PlainTorch(graph)
    near, far = close(network(x), wanted), close(network(x.flip(0)), wanted)
    assert near < 0.2
    assert far > 0.3, "logits of other images would pass too"


def test_a_delay_is_refused_by_name():
    graph = ir.IntGraph.of_logits(
        (ir.Input("x", (), (2,)), ir.Delay("late", ("x",), (2,)), ir.SumTime("sum", ("late",))), 2, 1.0
    )
    with pytest.raises(GraphError, match=r"^late: plain PyTorch can't run delay: all steps are taken at once here"):
        PlainTorch(graph)
