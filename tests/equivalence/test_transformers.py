"""The chain over four hand-written spiking transformers: PyTorch = reference = native, whole and in single steps."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from spikelet.graph import ir
from spikelet.graph.file.artifact import load, save
from spikelet.graph.reference import Reference
from spikelet.lowering import lower, verify
from spikelet.runtime import Program, kernel_sets
from tests.equivalence.test_chain import ties
from tests.support.transformers import TRANSFORMERS, images, transformer

SETS = [one.name for one in kernel_sets()]
every_transformer = pytest.mark.parametrize("name", TRANSFORMERS)
every_length = pytest.mark.parametrize("time_steps", [1, 2, 4])


@every_transformer
@every_length
def test_torch_equals_reference_equals_native(name: str, time_steps: int):
    model, labels = transformer(name, time_steps), torch.zeros(5, dtype=torch.long)
    graph = lower(model, images(3))
    inputs = images(5, seed=3), torch.zeros_like(images(5)), torch.full_like(images(5), 255)
    for backend in (Reference, *(lambda g, kernels=kernels: Program(g, kernels=kernels) for kernels in SETS)):
        result = verify(graph, model, [(x, labels) for x in inputs], backend)
        assert result.mismatches == 0, str(result)
        assert not result.not_compared
        assert result.float_accuracy == result.integer_accuracy


@every_transformer
def test_some_charges_lie_on_a_threshold_exactly(name: str):
    graph = lower(transformer(name, 2), images(3))
    assert ties(graph, images(40, seed=3)) > 0


@every_transformer
def test_every_neuron_fires_and_none_always(name: str):
    graph = lower(transformer(name, 4), images(3))
    rates = {k: s.mean() / graph.node(k).levels for k, s in Reference(graph).spikes(images(20, seed=3).numpy()).items()}
    assert {k: r for k, r in rates.items() if not 0 < r < 1} == {}


@every_transformer
def test_single_steps_give_the_same_logits(name: str):
    graph, x = lower(transformer(name, 4), images(3)), images(5, seed=4).numpy()
    for backend in (Reference(graph), Program(graph)):
        stream = backend.stream()
        state = stream.start(5)
        for steps in (1, 2, 1):
            y, state = stream(np.broadcast_to(x, (steps, *x.shape)).copy(), state)
        assert np.array_equal(y, Reference(graph)(x))


@every_transformer
def test_the_saved_file_is_the_same_program(name: str, tmp_path: Path):
    graph, x = lower(transformer(name, 2), images(3)), images(4, seed=5).numpy()
    save(graph, tmp_path / "model.safetensors")
    assert np.array_equal(Program(load(tmp_path / "model.safetensors"))(x), Reference(graph)(x))


def test_attention_is_products_and_its_axes_are_names():
    """What each block adds to the graph; a move that names nothing would show here."""
    counts = {n: Counter(type(node) for node in lower(transformer(n, 2), images(3)).nodes) for n in TRANSFORMERS}
    assert {name: count[ir.Matmul] for name, count in counts.items()} == dict.fromkeys(TRANSFORMERS, 4)
    assert {name: count[ir.Gather] for name, count in counts.items() if count[ir.Gather]} == {"est": 12}
    assert {name: count[ir.ChannelMap] for name, count in counts.items() if count[ir.ChannelMap]} == {"est": 1}
