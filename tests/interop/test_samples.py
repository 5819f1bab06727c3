"""Networks of sequences and of vectors are converted as those of images are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import TimeAxisError
from spikelet.nn import Conv1d, Linear
from spikelet.quant import Uniform

pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
from spikingjelly.activation_based import functional, layer, neuron

T = 3


def sequences() -> nn.Sequential:
    """Sequences [T, B, 4, 10] to logits [T, B, 5]."""
    return nn.Sequential(
        layer.Conv1d(4, 6, 3, 2, 1), neuron.IFNode(0.25), layer.Flatten(), layer.Linear(30, 5), neuron.IFNode(0.25)
    )


def vectors() -> nn.Sequential:
    """Vectors [T, B, 12] to logits [T, B, 5]."""
    return nn.Sequential(layer.Linear(12, 20), neuron.LIFNode(v_threshold=0.25), layer.Linear(20, 5))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "sequences": (sequences, (4, 10)),
    "vectors": (vectors, (12,)),
}
NUMBERS: dict[str, dict[str, Any]] = {
    "plain": {"scale": 1 / 255},
    "counts": {"scale": 1 / 64},
    "normalised": {"scale": 1 / 255, "mean": (0.5,), "std": (0.25,)},
}
every = pytest.mark.parametrize(("make", "sample"), NETWORKS.values(), ids=list(NETWORKS))
numbers = pytest.mark.parametrize("image", NUMBERS.values(), ids=list(NUMBERS))


def batches(sample: tuple[int, ...], time_axis: int | None) -> list[tuple[Tensor, Tensor]]:
    made = []
    for size in (1, T, 8):
        lead = (size,) if time_axis is None else (T, size)
        made.append((torch.randint(0, 256, (*lead, *sample), dtype=torch.uint8), torch.randint(0, 5, (size,))))
    return made


def network(make: Callable[[], nn.Module]) -> nn.Module:
    net = make().eval()
    functional.set_step_mode(net, "m")
    return net


@every
@numbers
@pytest.mark.parametrize("time_axis", [None, 0])
def test_the_original_the_model_and_the_integers_agree(
    make: Callable[[], nn.Module], sample: tuple[int, ...], image: dict[str, Any], time_axis: int | None
) -> None:
    data = batches(sample, time_axis)
    model = spikelet.from_spikingjelly(network(make), time_steps=T, time_axis=time_axis, **image)
    report = model.compare(data)
    assert report.different <= 0.003 * report.compared
    assert report.agreement > 0.8
    assert all(0.02 < s.original / s.compared < 0.98 for s in report.layers)


@every
def test_channels_of_their_own_numbers_are_folded(make: Callable[[], nn.Module], sample: tuple[int, ...]) -> None:
    per_channel = {"mean": torch.linspace(0.3, 0.6, sample[0]).tolist(), "std": [0.25] * sample[0]}
    model = spikelet.from_spikingjelly(network(make), time_steps=T, **per_channel)
    report = model.compare(batches(sample, None))
    assert report.different <= 0.003 * report.compared


def test_the_sample_itself_may_be_scaled() -> None:
    per_channel = {"mean": (0.3, 0.4, 0.5, 0.6), "std": (0.25, 0.2, 0.25, 0.2)}
    model = spikelet.from_spikingjelly(network(sequences), time_steps=T, first=(), **per_channel)
    report = model.compare(batches((4, 10), None))
    assert report.different <= 0.01 * report.compared
    model = spikelet.from_spikingjelly(network(vectors), time_steps=T, first=(), mean=[0.5] * 12, std=[0.25] * 12)
    with pytest.raises(TimeAxisError, match="x has 2 axes"):  # a Linear alone doesn't say whether it reads vectors
        model(torch.zeros(2, 12, dtype=torch.uint8))


def test_samples_of_other_axes_are_refused() -> None:
    model = spikelet.from_spikingjelly(network(sequences), time_steps=T)
    with pytest.raises(TimeAxisError, match="x has 4 axes"):
        model(torch.zeros(2, 1, 4, 10, dtype=torch.uint8))
    model = spikelet.from_spikingjelly(network(vectors), time_steps=T, time_axis=0, scale=1.0)
    with pytest.raises(TimeAxisError, match="x has 2 axes"):
        model(torch.zeros(T, 12, dtype=torch.uint8))
    model(torch.zeros(T, 2, 12, dtype=torch.uint8))
    with pytest.raises(ValueError, match="Encode"):
        model(torch.zeros(T, 2, 1, 3, 4, dtype=torch.uint8))


@every
def test_they_become_integers(make: Callable[[], nn.Module], sample: tuple[int, ...]) -> None:
    data = batches(sample, None)
    model = spikelet.from_spikingjelly(network(make), time_steps=T, scale=1 / 255)
    weighted = [m for m in model.modules() if isinstance(m, Conv1d | Linear)]
    for m in weighted:
        m.quantizer = Uniform(4, per_channel=m is not weighted[-1])
    graph = spikelet.lower(model, data[0][0])
    for backend in (spikelet.Reference, spikelet.Program):
        assert spikelet.verify(graph, model, data, backend).mismatches == 0
