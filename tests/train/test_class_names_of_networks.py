"""A network that was trained knows its classes by name, and meets other data, teachers and calibrations by them."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.data import DataSplits, Samples, batches
from spikelet.data.classes import class_names_of
from spikelet.fitting import Budget
from spikelet.fitting.job import Job
from spikelet.lowering import lower, verify
from spikelet.models import create_model
from spikelet.train import Distillation, Optimizer, Phase, Run, SoftLogits, Training, evaluate, load_run, train_further
from spikelet.train.evaluate import predict
from spikelet.train.lessons import OUTPUT
from tests.support.training_runs import digits, small_config

pytest.importorskip("accelerate")
KNOWN = ("dark", "grey", "light")
TRAINING = Training(phases=(Phase(12, 1),), batch_size=12, optimizer=Optimizer(lr=2e-2))


def levels(labels: tuple[str, ...], count: int = 36, name: str = "levels") -> Samples:
    """Pictures whose class is a stripe: of the first, the second or the third column."""
    y = torch.arange(count) % len(labels)
    x = torch.randint(0, 40, (count, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    for row, number in enumerate(y.tolist()):
        x[row, 0, :, KNOWN.index(labels[number])] = 220
    return Samples(x, y, labels, name)


def splits(labels: tuple[str, ...] = KNOWN) -> DataSplits:
    return DataSplits(levels(labels), levels(labels, 12), levels(labels, 12))


def new_model() -> nn.Module:
    torch.manual_seed(1)
    return create_model(
        "qsnn_vgg_s", num_classes=3, time_steps=1, in_channels=1, image_size=4, widths=(16,), weight_bits=8
    )


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """A network that tells the three classes apart without a mistake."""
    model = new_model()
    train_further(model, splits(), TRAINING)
    assert evaluate(model, batches(levels(KNOWN), 12)) == 1.0
    return model


PARTS = [("light", "grey"), ("grey",), ("light", "dark", "grey")]


@pytest.mark.parametrize("labels", PARTS)
def test_a_part_of_the_classes_in_any_order_keeps_its_accuracy(trained: nn.Module, labels: tuple[str, ...]):
    assert class_names_of(trained) == KNOWN
    later = batches(levels(labels), 5)
    assert evaluate(trained, later) == 1.0
    assert evaluate(copy.deepcopy(trained), later) == 1.0
    graph = lower(trained, levels(KNOWN).x[:1], labels=KNOWN)
    verification = verify(graph, trained, later)
    assert (verification.float_accuracy, verification.integer_accuracy) == (1.0, 1.0)


def test_a_run_folder_keeps_the_names(tmp_path: Path):
    config = small_config(phases=(Phase(1, 1),))
    data = digits()
    Run(config, data, tmp_path).train()
    model, _ = load_run(tmp_path)
    few = torch.nonzero(data.train.y >= 7).flatten()
    names = tuple(reversed(data.train.labels[7:]))
    later = Samples(data.train.x[few], 9 - data.train.y[few], names, "later")
    whole = data.train.subset(few)
    assert evaluate(model, batches(later, 9)) == evaluate(model, batches(whole, 9))
    with pytest.raises(SpikeletError, match="does not know: 'owl'"):
        evaluate(model, batches(dataclasses.replace(later, labels=("owl", *names[1:])), 9))


@pytest.mark.parametrize("labels", PARTS)
def test_further_training_learns_the_same_classes(trained: nn.Module, labels: tuple[str, ...]):
    model = copy.deepcopy(trained)
    train_further(model, splits(labels), dataclasses.replace(TRAINING, phases=(Phase(1, 1),)))
    assert class_names_of(model) == KNOWN
    assert evaluate(model, batches(levels(KNOWN), 12)) > 0.9


def test_further_training_on_other_classes_is_refused_until_the_names_are_taken_away(trained: nn.Module):
    other = splits().map(lambda part: dataclasses.replace(part, labels=("a", "b", "c")))
    model = copy.deepcopy(trained)
    with pytest.raises(SpikeletError, match="levels has 3 classes that the network does not know: 'a', 'b', 'c'"):
        train_further(model, other, TRAINING)
    model.class_names = None
    train_further(model, other, dataclasses.replace(TRAINING, phases=(Phase(1, 1),)))
    assert class_names_of(model) == ("a", "b", "c")


class Turned(nn.Module):
    """A network with its logits in another order."""

    def __init__(self, inner: nn.Module, order: list[int], names: tuple[str, ...] | None) -> None:
        super().__init__()
        self.inner, self.order, self.class_names = inner, order, names

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)[..., self.order]


def test_a_teacher_with_its_classes_in_another_order_teaches_the_same(trained: nn.Module):
    turned = Turned(trained, [2, 0, 1], (KNOWN[2], KNOWN[0], KNOWN[1]))
    x = levels(KNOWN).x[:6]
    logits = torch.randn(1, 6, 3)
    losses = []
    for teacher in (trained, turned):
        distillation = Distillation(teacher, SoftLogits(1.0, temperature=2.0))
        distillation.meet(trained, KNOWN)
        losses.append(distillation(x, {OUTPUT: logits}, lambda given: torch.zeros(())))
    assert torch.equal(losses[0], losses[1])
    histories = []
    for teacher in (trained, turned):
        model = new_model()
        histories.append(train_further(model, splits(), TRAINING, distillation=Distillation(teacher, SoftLogits())))
    assert [h["loss"] for h in histories[0]] == [h["loss"] for h in histories[1]]


def test_a_teacher_that_lacks_a_class_is_refused(trained: nn.Module):
    poor = Turned(trained, [0, 1], KNOWN[:2])
    with pytest.raises(SpikeletError, match=r"the data has a class that the teacher does not know: 'light'"):
        train_further(new_model(), splits(), TRAINING, distillation=Distillation(poor, SoftLogits()))
    nameless = Turned(trained, [0, 1], None)
    with pytest.raises(
        SpikeletError, match=r"the teacher gives logits of shape \(12, 2\), and the network of \(12, 3\)"
    ):
        train_further(new_model(), splits(), TRAINING, distillation=Distillation(nameless, SoftLogits()))


def test_fit_calibrates_and_judges_by_name(trained: nn.Module):
    job = Job(trained, splits(PARTS[2]), Budget(max_bytes=10**6))
    x, y = job._calibration()[0]
    assert torch.equal(predict(trained.eval(), x).argmax(1), y)
    with pytest.raises(SpikeletError, match="does not know: 'a'"):
        Job(trained, splits().map(lambda p: dataclasses.replace(p, labels=("a", *KNOWN[1:]))), Budget(max_bytes=10**6))


def test_a_lowered_network_keeps_its_names(trained: nn.Module) -> None:
    """Its file meets data by name too, and `verify` counts what `evaluate` counts."""
    graph = lower(trained, levels(KNOWN).x[:1])
    assert graph.labels == KNOWN
    turned = batches(levels(("light", "dark", "grey")), 12)
    assert verify(graph, trained, turned).integer_accuracy == evaluate(trained, turned) == 1.0
    assert lower(trained, levels(KNOWN).x[:1], labels=("a", "b", "c")).labels == ("a", "b", "c")


@pytest.mark.parametrize("names", [("dark", "grey"), "abc", {0: "dark"}, 3, [1, 2, 3], None])
def test_names_that_are_none_of_the_logits_are_no_reason_not_to_lower(names: object) -> None:
    model = new_model().eval()
    model.class_names = names  # type: ignore[assignment]
    assert lower(model, levels(KNOWN).x[:1]).labels == ()


def test_names_in_an_array_are_names() -> None:
    model = new_model().eval()
    model.class_names = np.array(KNOWN)  # type: ignore[assignment]
    assert class_names_of(model) == lower(model, levels(KNOWN).x[:1]).labels == KNOWN
