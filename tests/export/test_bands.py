"""Stages that run row by row find every row that they look at, and give the values that they gave before."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import spikelet
from spikelet.export.c.bands import Band, Bands, Pace, Rows
from spikelet.export.c.project import written
from spikelet.graph import ir
from tests.export.compiled import SANITIZE, Batch, needs_compiler
from tests.random_graphs import random_graph
from tests.wide_graphs import wide_graph

SAME, WINDOW = Rows(), Rows().window(3, 1, 1).by_kernel()


@dataclasses.dataclass(frozen=True)
class Chain:
    """Random stages: the rows of each, and at which rows of which it looks."""

    heights: Mapping[str, int]
    looks: Mapping[str, Mapping[str, Sequence[Rows | None]]]
    size: Mapping[str, int]

    def bands(self) -> Bands:
        return Bands(list(self.heights), self.looks, self.heights, (), ())

    def memory(self, bands: Sequence[Band]) -> int:
        """Rows that all maps keep, times what a row takes."""
        kept = {name: rows for band in bands for name, rows in band.kept.items()}
        return sum(self.size[name] * kept.get(name, height) for name, height in self.heights.items())


def chain(seed: int) -> Chain:
    """Convolutions and pools of all strides, sums with what went before, and what needs a whole map."""
    rng, heights, looks = np.random.default_rng(seed), {"s0": 16}, {"s0": {}}
    for i in range(1, int(rng.integers(3, 9))):
        source, name = f"s{i - 1 - int(rng.integers(2)) * (i > 1)}", f"s{i}"
        kernel, stride, padding = int(rng.integers(1, 4)), int(rng.integers(1, 3)), int(rng.integers(2))
        rows = Rows().window(kernel, stride, min(padding, kernel - 1))
        height = (heights[source] + 2 * min(padding, kernel - 1) - kernel) // stride + 1
        if height < 1:
            break
        found: dict[str, list[Rows | None]] = {source: [rows if rng.random() < 0.5 else rows.by_kernel()]}
        for other, there in heights.items():
            if there == height and other != source and rng.random() < 0.5:
                found[other] = [SAME]
        if rng.random() < 0.05:
            found[source] = [None]
        heights[name], looks[name] = height, found
    return Chain(heights, looks, {name: int(rng.integers(1, 100)) for name in heights})


def run(band: Band, made: Chain) -> None:
    """Goes through the ticks of a band, as C does: every row lies where it is looked for, and every row is made."""
    there: dict[str, dict[int, int]] = {name: {} for name in band.paces}
    for r in range(band.ticks):
        for name, pace in band.paces.items():
            i, late = divmod(r - pace.behind, pace.every)
            if late or not 0 <= i < pace.height:
                continue
            for source, looks in made.looks[name].items():
                for rows in looks if source in band.paces else ():
                    assert rows is not None
                    for j in range(rows.step * i + rows.first, rows.step * i + rows.last + 1):
                        if 0 <= j < made.heights[source]:
                            kept = band.kept.get(source, made.heights[source])
                            assert there[source].get(j % kept) == j, f"{name} looks at row {j} of {source}"
            there[name][i % band.kept.get(name, made.heights[name])] = i
    for name, height in made.heights.items():
        if name in band.paces:
            assert max(there[name].values()) == height - 1
            assert len(there[name]) == band.kept.get(name, height)


def test_every_row_is_there_when_it_is_looked_at_and_all_are_made() -> None:
    found = 0
    for seed in range(400):
        made = chain(seed)
        largest = sorted(made.heights, key=lambda name: -made.size[name] * made.heights[name])
        bands = made.bands().best(made.memory, largest)
        for band in bands:
            run(band, made)
        assert made.memory(bands) < made.memory([]) or not bands
        found += len(bands)
    assert found > 100, "few of the chains have a band"


@pytest.mark.parametrize(
    ("pace", "turn", "row"),
    [
        (Pace(1, 0, 8), "r < 8", "r"),
        (Pace(1, 3, 8), "r - 3 < 8", "r - 3"),
        (Pace(2, 0, 8), "r < 16 && r % 2 == 0", "r / 2"),
        (Pace(4, 3, 8), "(r - 3) < 32 && (r - 3) % 4 == 0", "(r - 3) / 4"),
    ],
)
def test_a_turn_in_c_wraps_before_the_first_row(pace: Pace, turn: str, row: str) -> None:
    assert pace.turn == (turn, row)


def test_a_shortcut_keeps_two_rows_behind_a_window_of_three() -> None:
    looks = {"current": {}, "spikes": {"current": [SAME]}, "sum": {"spikes": [WINDOW], "current": [SAME]}}
    (band,) = Bands(list(looks), looks, dict.fromkeys(looks, 16), (), ()).best(
        lambda bands: 64 - sum(16 - rows for band in bands for rows in band.kept.values()), ["current"]
    )
    assert band.kept == {"current": 2}, "spikes are read by a kernel, and what is given is read by nobody here"
    assert list(band.paces.values()) == [Pace(1, 0, 16), Pace(1, 0, 16), Pace(1, 1, 16)]
    assert band.ticks == 17


@pytest.mark.parametrize("apart", ["all rows", "another pace", "late", "an output"])
def test_what_needs_whole_maps_runs_by_itself(apart: str) -> None:
    looks: dict[str, dict[str, list[Rows | None]]] = {"a": {}, "b": {"a": [SAME]}, "c": {"a": [SAME], "b": [WINDOW]}}
    if apart == "all rows":
        looks["c"]["b"] = [None]
    if apart == "another pace":
        looks["c"]["b"] = [Rows().window(2, 2).by_kernel()]
    late, outputs = (("c",) if apart == "late" else ()), (("a",) if apart == "an output" else ())
    bands = Bands(list(looks), looks, dict.fromkeys(looks, 8), late, outputs)
    assert bands.best(lambda bands: 8 - len(bands), ["a", "b", "c"]) == []


def test_what_makes_no_memory_smaller_is_left_out() -> None:
    looks = {"a": {}, "b": {"a": [SAME]}}
    assert Bands(list(looks), looks, dict.fromkeys(looks, 8), (), ()).best(lambda _: 8, ["a"]) == []


# --- exported networks ---------------------------------------------------------------------------------


def lowered(name: str, time_steps: int) -> ir.IntGraph:
    """A small network with shortcuts over 16 rows and fewer: strides, averages, or largest currents."""
    torch.manual_seed(time_steps)
    images = torch.randint(0, 256, (4, 3, 18, 18), dtype=torch.uint8)
    options: dict[str, Any] = {"time_steps": time_steps, "weight_bits": 1, "membrane_bits": 2, "image_size": 18}
    model = spikelet.create_model(name, num_classes=3, widths=(24, 40), **options)
    with torch.no_grad():
        model.train()(images)
    return spikelet.lower(model.eval(), images[:1])


@needs_compiler
@pytest.mark.parametrize("flags", [("-O2",), SANITIZE], ids=["-O2", "sanitized"])
def test_networks_in_bands_compute_the_same(flags: tuple[str, ...], tmp_path: Path) -> None:
    graphs = [lowered(name, steps) for name in ("qsnn_vgg_s", "qsnn_vgg_s_avg", "qsnn_vgg_s_max") for steps in (1, 3)]
    batch = Batch(graphs)
    assert all("_band_0(" in case.model.files[f"{case.model.name}_run.c"] for case in batch.cases)
    assert any("_band_0(" in case.model.files[f"{case.model.name}_stream.c"] for case in batch.cases)
    assert batch.wrong(tmp_path, *flags) == {}


def test_many_random_graphs_have_bands() -> None:
    """So that what is compared in test_random_graphs.py has some."""
    texts = ["".join(written(make(seed)).files.values()) for make in (random_graph, wide_graph) for seed in range(60)]
    assert sum("_band_0(" in text for text in texts) >= 5


def test_shipped_networks_take_the_memory_that_is_published() -> None:
    ram = {name: written(spikelet.load(name)).sizes.run_ram for name in ("qsnn-vgg-xs-cifar10", "qsnn-vgg-s-cifar10")}
    assert ram == {"qsnn-vgg-xs-cifar10": 28864, "qsnn-vgg-s-cifar10": 27648}
