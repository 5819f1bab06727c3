"""Sets of one sample, of one class, without validation, of another shape: trained, or refused by one clear sentence."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from spikelet.base.errors import SpikeletError, TimeAxisError
from spikelet.data import DataSplits, Samples, batches
from spikelet.fitting import Budget, fit
from spikelet.fitting.progress import Quiet
from spikelet.models import create_model
from spikelet.train import Phase, Run, Teacher, TrainConfig, evaluate, load_run, train_further
from spikelet.train.loop import Loop
from tests.support.training_runs import digits, metrics, small_config

pytest.importorskip("accelerate")
ONE_EPOCH = small_config(phases=(Phase(1, 2),))


def first(count: int, validation: int = 0) -> DataSplits:
    data = digits()
    parts = (torch.arange(count), torch.arange(validation), torch.arange(0))
    return DataSplits(*(data.train.subset(part) for part in parts))


def small(**changes: Any) -> TrainConfig:
    return dataclasses.replace(ONE_EPOCH, **changes)


@pytest.mark.parametrize("teacher", [None, Teacher(1)])
@pytest.mark.parametrize(("count", "batch_size"), [(1, 1), (2, 1), (3, 2), (17, 16)])
def test_a_handful_of_samples_is_trained_on(tmp_path: Path, count: int, batch_size: int, teacher: Teacher | None):
    Run(small(batch_size=batch_size, teacher=teacher), first(count), tmp_path).train()
    assert "validation_accuracy" not in metrics(tmp_path)[0]
    load_run(tmp_path)


@pytest.mark.parametrize("teacher", [None, Teacher(1)])
def test_a_batch_larger_than_the_set_is_refused_before_any_work(tmp_path: Path, teacher: Teacher | None):
    with pytest.raises(ValueError, match=r"batch_size 16 on 1 process\(es\) is more than the 1 samples of"):
        Run(small(teacher=teacher), first(1), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_empty_training_set_is_refused_before_any_work(tmp_path: Path):
    with pytest.raises(ValueError, match=r"this split of .* is empty"):
        Run(ONE_EPOCH, first(0), tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Normed(nn.Module):
    """A batch norm that has one value a channel in a batch of one."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(64, 10), nn.BatchNorm1d(10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.linear(x.flatten(1).float() / 256))


def test_one_class_is_trained_and_evaluated(tmp_path: Path):
    data = digits()
    ones = torch.nonzero(data.train.y == 1).flatten()[:4]
    part = data.train.subset(ones)
    Run(small(batch_size=2), DataSplits(part, part, part), tmp_path).train()
    assert metrics(tmp_path)[0]["validation_accuracy"] in (0.0, 0.25, 0.5, 0.75, 1.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda x: x.repeat(1, 3, 1, 1),
            r"digits has samples of shape \[3, 8, 8\] \(channels, height, width\), and the model takes \[1, 8, 8\]\. "
            r"Make the model with in_channels=3\.",
        ),
        (
            lambda x: x.repeat(1, 1, 2, 2)[..., 1:],
            r"of shape \[1, 16, 15\] .* takes \[1, 8, 8\]\. Load the data with image_size=8\.",
        ),
        (
            lambda x: x.repeat(1, 2, 2, 2),
            r"takes \[1, 8, 8\]\. Make the model with in_channels=2 and load the data with image_size=8\.",
        ),
        (
            lambda x: x[:, None].repeat(1, 3, 1, 1, 1),
            r"does not take a batch of shape \(3, 1, 1, 8, 8\) .* Compare channels",
        ),
    ],
)
def test_samples_that_do_not_fit_the_model_are_refused_before_any_work(tmp_path: Path, change: Any, words: str):
    data = digits().map(lambda part: dataclasses.replace(part, x=change(part.x)))
    with pytest.raises(SpikeletError, match=rf"(?s)the data does not fit the model.*{words}") as caught:
        Run(ONE_EPOCH, data, tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
    model = Run(ONE_EPOCH, digits(), tmp_path / "other").model
    with pytest.raises(SpikeletError, match="the data does not fit the model"):
        evaluate(model, batches(data.test, 4))
    with pytest.raises(SpikeletError, match="the data does not fit the model"):
        train_further(model, data, ONE_EPOCH)


@pytest.mark.parametrize("logits", [4, 9, 11])
def test_another_number_of_classes_than_the_data_has_is_refused_before_any_work(tmp_path: Path, logits: int):
    data, other = digits(), small(model_options={**ONE_EPOCH.model_options, "num_classes": logits})
    words = (
        rf"the model tells {logits} classes apart, and digits has 10: '0', '1', .* Make the model with num_classes=10"
    )
    for use in (
        lambda: Run(other, data, tmp_path / "run"),
        lambda: train_further(create_model(other.model, **other.model_options), data, ONE_EPOCH),
    ):
        with pytest.raises(SpikeletError, match=words):
            use()
    assert not (tmp_path / "run").exists()


def test_a_label_without_a_logit_is_refused_by_evaluate():
    data = digits()
    model = create_model("qsnn_vgg_s", num_classes=4, in_channels=1, image_size=8, widths=[4])
    with pytest.raises(SpikeletError, match=r"the model tells 4 classes apart, and the data has class number"):
        evaluate(model, batches(data.test, 4))


def test_a_model_that_gives_no_logits_a_sample_is_refused():
    class Odd(Normed):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).repeat(2, 1)

    data = digits()
    for use in (lambda: evaluate(Odd(), batches(data.test, 5)), lambda: Loop(Odd(), data, ONE_EPOCH)):
        with pytest.raises(
            SpikeletError, match=r"a model must give logits \[T, B, K\] or \[B, K\] for its B = \d samples"
        ):
            use()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((3, None, None), r"fit\.model must be a Module, got 3"),
        ((nn.Linear(2, 2), 3, None), r"fit\.data must be a DataSplits, got 3"),
        ((nn.Linear(2, 2), "data", 100), r"fit\.budget must be a Budget, got 100"),
        ((nn.Linear(2, 2), "data", Budget(100)), "the data has no validation samples"),
    ],
)
def test_fit_looks_at_its_arguments_first(arguments: tuple[Any, Any, Any], words: str):
    model, data, budget = arguments
    with pytest.raises(SpikeletError, match=words):
        fit(model, first(4) if data == "data" else data, budget)


def test_a_set_whose_splits_are_one_sample_is_evaluated():
    one = Samples(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), torch.tensor([0]), ("only",), "one")
    assert evaluate(Normed(), batches(one, 64)) in (0.0, 1.0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda data: data.test, r"batches must be pairs \(x, y\), got Samples\. Pass batches\(samples, 100\)"),
        (lambda data: None, r"batches must be pairs \(x, y\), got NoneType"),
        (lambda data: [data.test.x], r"batches must be pairs \(x, y\) of a uint8 input and labels \[B\], got 'Tensor'"),
        (lambda data: [(data.test.x,)], r"labels \[B\], got \['Tensor'\]"),
    ],
)
def test_evaluate_says_what_it_takes(given: Any, words: str):
    with pytest.raises(SpikeletError, match=words):
        evaluate(Normed(), given(digits()))


def test_arrays_are_evaluated_as_tensors_are():
    test, model = digits().test, Normed()
    assert evaluate(model, [(test.x.numpy(), test.y.numpy())]) == evaluate(model, batches(test, 10))  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (
            lambda data, folder: evaluate("model", batches(data.test, 2)),
            r"evaluate\.model must be a Module, got 'model'",
        ),
        (lambda data, folder: Run("config", data, folder), r"Run\.config must be a TrainConfig, got 'config'"),
        (lambda data, folder: Run(ONE_EPOCH, data.train, folder), r"Run\.data must be a DataSplits, got Samples"),
        (lambda data, folder: train_further("model", data, ONE_EPOCH), r"train_further\.model must be a Module"),
        (lambda data, folder: train_further(Normed(), data.train, ONE_EPOCH), r"Loop\.data must be a DataSplits"),
        (lambda data, folder: train_further(Normed(), data, 3), r"Loop\.training must be a Training, got 3"),
        (lambda data, folder: DataSplits(1, 2, 3), r"DataSplits\.train must be a Samples, got 1"),
    ],
)
def test_first_arguments_of_another_kind_are_refused_by_name(tmp_path: Path, use: Any, words: str):
    with pytest.raises(SpikeletError, match=words):
        use(digits(), tmp_path)


@pytest.mark.parametrize("count", [3, 5])
def test_frames_are_evaluated_along_the_axis_that_is_declared(count: int):
    class SumOfFrames(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.one_hot(x.sum((0, 2, 3, 4)).long(), 9).float()

    y = torch.arange(count)
    x = torch.zeros(count, 3, 1, 2, 2, dtype=torch.uint8)
    x[:, 1, 0, 0, 0] = y
    data = Samples(x, y, tuple("abcde"[:count]), "frames")
    assert evaluate(SumOfFrames(), batches(data, count)) == 1.0
    pairs = [data.batch(y)]
    assert evaluate(SumOfFrames(), pairs, time_axis=0) == 1.0
    with pytest.raises(TimeAxisError, match=r"a batch of evaluate has 5 axes.* Pass time_axis=0"):
        evaluate(SumOfFrames(), pairs)
    with pytest.raises(TimeAxisError, match=r"batches of spikelet\.data are time first"):
        evaluate(SumOfFrames(), batches(data, count), time_axis=1)


def test_fit_tries_a_training_before_it_measures():
    pytest.importorskip("optuna")
    data = digits()
    model = Run(ONE_EPOCH, data, Path("unused")).model
    one = data.map(lambda part: part.subset(torch.arange(1)))
    with pytest.raises(ValueError, match=r"batch_size 128 on 1 process\(es\) is more than the 1 samples"):
        fit(model, one, Budget(5000), watcher=Unwatched())
    rgb = data.map(lambda part: dataclasses.replace(part, x=part.x.repeat(1, 3, 1, 1)))
    with pytest.raises(SpikeletError, match="the data does not fit the model"):
        fit(model, rgb, Budget(5000), training=ONE_EPOCH.plain(), watcher=Unwatched())


class Unwatched(Quiet):
    """Fails where measuring begins."""

    def stage(self, name: str, steps: int) -> None:
        pytest.fail("it began to measure")
