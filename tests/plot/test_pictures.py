"""Learning curves, confusion matrices and firing rates show the figures they were given; all in one style."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import spikelet
from spikelet.base.errors import MissingLibrary, SpikeletError
from spikelet.graph import ir
from spikelet.plot import confusion_matrix, firing_rates, learning_curve, raster
from spikelet.plot.style import BLUE, COLORS, FAINT
from spikelet.profiling import profile_graph
from tests.random_graphs import random_graph, random_input

matplotlib = pytest.importorskip("matplotlib")
pyplot = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _no_figure_stays() -> Iterator[None]:
    yield
    pyplot.close("all")


def history(*accuracies: float | None) -> list[dict[str, Any]]:
    """The epochs of a training: the first two at T = 1, the others at T = 2."""
    epochs: list[dict[str, Any]] = []
    for i, accuracy in enumerate(accuracies):
        epochs.append({"epoch": i, "time_steps": 1 if i < 2 else 2, "loss": 2.0 / (i + 1), "firing_rate": 0.1})
        epochs[-1] |= {"learning_rate": 0.1, "seconds": 1.0}
        epochs[-1] |= {} if accuracy is None else {"validation_accuracy": accuracy}
    return epochs


def points(line: Any) -> list[tuple[float, float]]:
    return [(float(x), round(float(y), 9)) for x, y in zip(*line.get_data(), strict=True)]


def test_a_learning_curve_is_the_accuracy_by_epoch_in_percent() -> None:
    axes = learning_curve(history(0.5, 0.75, 0.875))
    curve, phase = axes.lines
    assert points(curve) == [(1, 50), (2, 75), (3, 87.5)]
    assert list(phase.get_xdata()) == [2.5, 2.5], "where T went from 1 to 2"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "validation accuracy, %")
    assert curve.get_color() == BLUE
    assert axes.get_legend() is None


def test_without_validation_it_is_the_loss_and_any_figure_can_be_asked_for() -> None:
    assert points(learning_curve(history(None, None)).lines[0]) == [(1, 2), (2, 1)]
    assert points(learning_curve(history(0.5, 0.6), figure="firing_rate").lines[0]) == [(1, 0.1), (2, 0.1)]
    with pytest.raises(SpikeletError, match="figure must be one of firing_rate, learning_rate, loss, seconds of this"):
        learning_curve(history(None), figure="validation_accuracy")


def test_two_runs_stand_beside_each_other_in_two_colours() -> None:
    axes = learning_curve(history(0.5, 0.6), label="a")
    assert learning_curve(history(0.7, 0.8), label="b", ax=axes) is axes
    assert [line.get_color() for line in axes.lines] == list(COLORS[:2])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]


def test_a_run_is_taken_by_its_folder(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(epoch) + "\n" for epoch in history(0.25, 0.5)))

    class Untrained:
        history: list[Any] = []  # noqa: RUF012 - of one test
        folder = tmp_path

    for run in (tmp_path, str(tmp_path), Untrained()):
        assert points(learning_curve(run).lines[0]) == [(1, 25), (2, 50)]
    with pytest.raises(SpikeletError, match="the run has no finished epoch to draw"):
        learning_curve(tmp_path.parent)
    with pytest.raises(SpikeletError, match=r"run must be the folder of a `spikelet train` run, .* no folder nothing"):
        learning_curve("nothing")
    with pytest.raises(SpikeletError, match="run must be a run's folder, a Run, or a history, got int"):
        learning_curve(3)


LABELS, PREDICTIONS = [0, 0, 0, 2, 2, 1], [0, 0, 1, 2, 0, 1]
COUNTS = np.array([[2, 1, 0], [0, 1, 0], [1, 0, 1]])


def counts_in(axes: Any) -> np.ndarray:
    """What is written, by row and column."""
    shape = axes.images[0].get_array().shape
    found = np.zeros(shape, int)
    for text in axes.texts:
        column, row = text.get_position()
        found[int(row), int(column)] = int(text.get_text().replace(",", ""))
    return found


@pytest.mark.parametrize("kind", ["lists", "arrays", "tensors", "logits"])
def test_a_confusion_matrix_counts_every_pair(kind: str) -> None:
    labels, predictions = np.array(LABELS), np.array(PREDICTIONS)
    given: dict[str, tuple[Any, Any]] = {
        "lists": (LABELS, PREDICTIONS),
        "arrays": (labels, predictions.astype(np.uint8)),
        "tensors": (torch.from_numpy(labels), torch.from_numpy(predictions)),
        "logits": (labels, 10 * np.eye(3, dtype=np.int32)[predictions] - 3),
    }
    axes = confusion_matrix(*given[kind], ("a", "b", "c"))
    np.testing.assert_array_equal(counts_in(axes), COUNTS)
    np.testing.assert_allclose(axes.images[0].get_array(), COUNTS / COUNTS.sum(1, keepdims=True))
    assert [t.get_text() for t in axes.get_xticklabels()] == [t.get_text() for t in axes.get_yticklabels()] == [*"abc"]
    assert axes.get_title("left") == "66.67 % of 6 samples are right"


def test_a_class_without_samples_has_its_row_and_many_classes_no_numbers() -> None:
    assert confusion_matrix([0, 0], [0, 0], ["a", "b"]).images[0].get_array().tolist() == [[1, 0], [0, 0]]
    axes = confusion_matrix(np.arange(60), np.arange(60))
    assert not list(axes.texts)
    assert [t.get_text() for t in axes.get_xticklabels()][:3] == ["0", "3", "6"]


@pytest.mark.parametrize(
    ("labels", "predictions", "names", "message"),
    [
        ([0, 1], [0], (), "labels and predictions must be as many, got 2 and 1"),
        ([0.0], [0], (), r"labels must be whole numbers \[N\] from 0 on, got float64 of shape \[1\]"),
        ([-1], [0], (), "labels must be whole numbers"),
        ([[0, 1]], [0], (), r"labels must be whole numbers \[N\] from 0 on, got int64 of shape \[1, 2\]"),
        ([0], np.zeros((1, 2, 3)), (), r"predictions must be .*, or logits \[N, K\], got float64 of shape \[1, 2, 3\]"),
        ([], [], (), "labels must be whole numbers"),
        ([0, 5], [0, 5], ["a", "b"], "names must name all 6 classes, at most 1000, got 2"),
        ([10**6], [0], (), "at most 1000, got 0"),
    ],
)
def test_what_is_no_classes_is_refused(labels: Any, predictions: Any, names: Any, message: str) -> None:
    with pytest.raises(SpikeletError, match=message):
        confusion_matrix(labels, predictions, names)


def test_firing_rates_are_those_of_the_profile() -> None:
    graph = next(graph for graph in map(random_graph, range(20)) if len(graph.of_type(ir.Lif)) > 1)
    report = profile_graph(graph, random_input(graph, 2, 3))
    axes = firing_rates(report)
    assert [bar.get_width() for bar in axes.patches] == [layer.output_rate for layer in report.neurons]
    assert [t.get_text() for t in axes.get_yticklabels()] == [layer.name for layer in report.neurons]
    assert axes.yaxis_inverted(), "the first layer is at the top"
    (mean,) = axes.lines
    assert list(mean.get_xdata()) == [report.total.output_rate] * 2
    assert mean.get_color() == FAINT
    with pytest.raises(SpikeletError, match=r"report must be a profile, got IntGraph\. Make one: spikelet\.profile"):
        firing_rates(graph)  # type: ignore[arg-type]


def test_matplotlibs_own_settings_stay_as_they_were() -> None:
    before = dict(matplotlib.rcParams)
    axes = raster({"a": np.ones((1, 1, 1))})
    assert dict(matplotlib.rcParams) == before
    assert not axes.spines["top"].get_visible()


def test_a_missing_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    words = r"spikelet\.plot needs matplotlib\. Install it with: pip install 'spikelet\[plot\]'"
    for draw in (lambda: raster({"a": np.ones((1, 1, 1))}), lambda: confusion_matrix([0], [0])):
        with pytest.raises(MissingLibrary, match=words):
            draw()


def test_a_device_draws_spikes_and_classes_without_torch(tmp_path: Path) -> None:
    name = spikelet.zoo.names()[0]
    code = (
        "import sys; sys.modules['torch'] = None; import numpy, spikelet\n"
        f"graph = spikelet.load({name!r}); x = numpy.zeros((2, *graph.input.shape), numpy.uint8)\n"
        "spikelet.plot.confusion_matrix([0, 1], spikelet.Program(graph)(x), graph.labels)\n"
        "spikelet.plot.firing_rates(spikelet.profiling.profile_graph(graph, x[:1]))\n"
        "spikelet.plot.raster(graph, x).figure.savefig('raster.png')\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=tmp_path)
    assert (tmp_path / "raster.png").read_bytes()[:4] == b"\x89PNG"
