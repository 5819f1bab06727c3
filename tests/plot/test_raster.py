"""A raster shows every spike of the neurons it draws, where it belongs, whatever the spikes come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import spikelet
from spikelet.base.errors import SpikeletError
from spikelet.graph import ir
from spikelet.neurons import LIF, Levels
from spikelet.nn import Encode, Linear, Recurrent
from spikelet.plot import raster
from spikelet.plot.raster import GAP, HALF
from spikelet.plot.style import COLORS
from spikelet.quant import Uniform
from tests.random_graphs import random_graph, random_input

pyplot = pytest.importorskip("matplotlib.pyplot")
Spikes = dict[str, NDArray[Any]]


@pytest.fixture(autouse=True)
def _no_figure_stays() -> Iterator[None]:
    yield
    pyplot.close("all")


def marks(axes: Any) -> dict[str, set[tuple[float, float]]]:
    """The middle of every mark as (column, line), by layer."""
    found = {}
    for drawn in axes.collections:
        ends = np.array(drawn.get_segments()).reshape(-1, 2, 2)
        assert np.allclose(ends[:, 1, 0] - ends[:, 0, 0], 2 * HALF)
        assert (ends[:, 0, 1] == ends[:, 1, 1]).all()
        found[drawn.get_label()] = {(round(x, 6), y) for x, y in ends.mean(1)}
    return found


def expected(spikes: Spikes) -> dict[str, set[tuple[float, float]]]:
    """The same, counted one by one."""
    found, bottom = {}, 0
    for name, spikes_TB in spikes.items():
        flat = spikes_TB.reshape(*spikes_TB.shape[:2], -1)
        steps, samples, neurons = flat.shape
        found[name] = {
            (b * steps + t, bottom + n)
            for t in range(steps) for b in range(samples) for n in range(neurons) if flat[t, b, n]
        }  # fmt: skip
        bottom += neurons + GAP
    return found


def test_every_spike_is_a_mark_and_every_mark_a_spike() -> None:
    rng = np.random.default_rng(0)
    spikes = {"first": rng.integers(0, 3, (2, 3, 4, 2)), "none": np.zeros((2, 3, 5)), "last": np.ones((2, 3, 1))}
    axes = raster(spikes)
    assert marks(axes) == expected(spikes)
    first = f"{spikes['first'].mean():.1%}"
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"first\n{first}", "none\n0.0%", "last\n100.0%"]
    assert [label.get_color() for label in axes.get_yticklabels()] == list(COLORS[:3])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2"] * 3
    assert [line.get_xdata()[0] for line in axes.lines] == [1.5, 3.5], "between samples"
    low, high = axes.get_ylim()
    assert low < 0 and high > 8 + 5 + 1 + 2 * GAP - 1


SEEDS = [seed for seed in range(20) if random_graph(seed).of_type(ir.Lif)][:3]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_graph_a_program_and_a_reference_show_the_same(seed: int) -> None:
    graph = random_graph(seed)
    x = random_input(graph, 2, seed)
    spikes: Spikes = dict(spikelet.Reference(graph).spikes(x))
    most = max(one[0, 0].size for one in spikes.values())
    for network in (graph, spikelet.Program(graph), spikelet.Reference(graph)):
        assert marks(raster(network, x, neurons=most)) == expected(spikes)


class Twice(nn.Module):
    """A neuron that is used twice, one with feedback, and one with levels whose spike is worth something else."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = Encode(1)
        self.first, self.lif = Linear(6, 5, Uniform(4)), LIF(3)
        self.loop = Recurrent(LIF(3), Linear(5, 5, Uniform(4)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spikes = self.lif(3 * self.first(self.encode(x)))
        return self.loop(self.lif(spikes * 0.75))


def test_a_model_shows_what_its_neurons_gave_and_is_left_as_it_was() -> None:
    model, x = Twice().train(), torch.randint(0, 256, (2, 6), dtype=torch.uint8)
    axes = raster(model, x, neurons=5)
    assert model.training and not any(module._forward_hooks for module in model.modules())
    model.eval()
    with torch.no_grad():
        lif = model.lif(3 * model.first(model.encode(x)))
        again = model.lif(lif * 0.75)
        spikes = {"lif": lif, "lif#2": again, "loop": model.loop(again)}
    assert marks(axes) == expected({name: one.numpy() for name, one in spikes.items()})
    assert lif.any(), "or nothing was compared"


def test_a_model_and_its_graph_show_the_same() -> None:
    torch.manual_seed(0)
    model = spikelet.create_model("qsnn_vgg_s", num_classes=3, in_channels=1, image_size=8, widths=[4], time_steps=2)
    x = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    axes = [raster(model, x), raster(spikelet.lower(model, x), x.numpy())]
    assert marks(axes[0]) == marks(axes[1])
    rates = [[label.get_text() for label in one.get_yticklabels()] for one in axes]
    assert rates[0] == rates[1]


def test_counts_of_a_neuron_with_levels_are_in_spikes() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode, self.neuron = Encode(1), Levels(4, 0.5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.neuron(self.encode(x))

    axes = raster(Counting(), torch.full((1, 2), 64, dtype=torch.uint8))
    (label,) = axes.get_yticklabels()
    assert label.get_text() == "neuron\n200.0%", "a quarter holds two spikes of 1/8"


def test_a_large_layer_is_spread_and_axes_of_ones_own_are_drawn_on() -> None:
    spikes = np.zeros((1, 1, 100))
    spikes[0, 0, [0, 99]] = 1
    _, own = pyplot.subplots()
    axes = raster({"wide": spikes}, neurons=10, ax=own)
    assert axes is own
    assert marks(axes) == {"wide": {(0, 0), (0, 9)}}, "the first and the last stay"
    assert "10 neurons of each layer" in axes.get_xlabel()
    assert len(pyplot.get_fignums()) == 1


def test_many_steps_are_not_all_numbered() -> None:
    axes = raster({"long": np.zeros((50, 4, 3))})
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1"] * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("runs/x", np.zeros(3)), "network must be an IntGraph, a Program, a model, or spikes by layer .*, got str"),
        (({"a": np.zeros((2, 1, 3))}, np.zeros(3)), "x must be left out where spikes are given"),
        (({"a": np.zeros(3)},), r"spikes must be arrays \[T, B, ...\] by layer, got a \[3\]"),
        (({},), "spikes must be arrays .* got none"),
        (({"a": np.zeros((2, 1, 3)), "b": np.zeros((3, 1, 3))},), r"layers of the same \[T, B, ...\]"),
        (({"a": np.zeros((2, 0, 3))},), "raster draws 1 to 4096 columns, .* got 0 samples of 2"),
        (({"a": np.zeros((2, 4000, 3))},), "got 4000 samples of 2. Give it a few samples"),
        ((random_graph(0),), "x is missing"),
        ((nn.Linear(3, 2), torch.zeros(1, 3)), "the network has no spiking neurons"),
        ((Twice(), torch.zeros(1, 7, dtype=torch.uint8)), r"Twice fails on x of shape \(1, 7\)"),
        ((Twice(), [1, 2]), "x must be a tensor or an array of samples, got list"),
    ],
)
def test_what_can_not_be_drawn_is_one_sentence(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(SpikeletError, match=message) as raised:
        raster(*arguments)
    assert "\n" not in str(raised.value)
    assert not pyplot.get_fignums(), "no empty figure is left behind"


def test_wrong_axes_and_numbers_of_neurons_are_refused() -> None:
    spikes = {"a": np.ones((1, 1, 1))}
    with pytest.raises(SpikeletError, match="ax must be the Axes of a matplotlib figure, got Figure"):
        raster(spikes, ax=pyplot.figure())
    with pytest.raises(SpikeletError, match="neurons must be a whole number from 1, got 0"):
        raster(spikes, neurons=0)
