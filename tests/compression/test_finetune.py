"""Fine-tuning is the training loop, on the module as it is then."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import nn

from spikelet.compression import (
    CompressionError,
    Context,
    Finetune,
    Prune,
    Quantize,
    QuantizeMembranes,
    Row,
    WeightL1,
    compress,
    first,
    last,
)
from spikelet.models import create_model
from spikelet.nn import Conv2d, Linear
from spikelet.train import (
    Distillation,
    DualRegulation,
    Loop,
    Optimizer,
    Phase,
    SoftLogits,
    Teacher,
    Training,
    further,
    train_further,
)
from spikelet.train.progress import Silent
from tests.compression.networks import NETWORKS, image
from tests.support.training_runs import digits, small_config

pytest.importorskip("accelerate")


def model() -> nn.Module:
    torch.manual_seed(0)
    return create_model(
        "qsnn_vgg_s", time_steps=2, weight_bits=4, membrane_bits=4, in_channels=1, image_size=8, widths=(8, 16)
    )


def finetune(**changes: Any) -> Finetune:
    return Finetune(**{"epochs": 2, "lr": 1e-2, "batch_size": 16, **changes})


def same(a: nn.Module, b: nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_network_without_neurons_has_no_time_steps_to_train_at():
    with pytest.raises(ValueError, match="the model has no spiking neurons"):
        further(Training(), nn.Linear(2, 2), 1)


def test_further_epochs_of_a_taught_configuration_have_no_teacher():
    config = small_config(teacher=Teacher(2, after=3))
    training = further(config, model(), 1)
    assert type(training) is Training
    assert training == dataclasses.replace(config.plain(), phases=(Phase(1, 2),))
    assert training.passes(0) == config.plain().passes(3)


def test_dropout_draws_from_the_seed_alone():
    net = model()
    net.pool = nn.Sequential(net.pool, nn.Dropout(0.5))
    tuned = []
    for outside in (1, 2):
        torch.manual_seed(outside)
        tuned.append(compress(net, [finetune(seed=3)], digits()).model)
        expected = torch.Generator().manual_seed(outside)
        assert torch.equal(torch.rand(2), torch.rand(2, generator=expected)), "the caller's generator is left alone"
    assert same(*tuned)
    assert not same(tuned[0], compress(net, [finetune(seed=4)], digits()).model)


def test_fine_tuning_is_the_training_loop():
    net = model()
    small = compress(net, [Prune(0.5, WeightL1())], digits()).model
    training = Training(
        augment="crop1",
        phases=(Phase(2, 2),),
        batch_size=16,
        optimizer=Optimizer("sgd", 1e-2, 1e-3, norm_lr=2.0),
        regulation=DualRegulation(spike=0.1),
        loss="mean",
        label_smoothing=0.1,
        seed=5,
    )
    expected = copy.deepcopy(small)
    Loop(expected, digits(), training).run([], lambda epoch: None, lambda: None)
    settings = {"augment": "crop1", "optimizer": "sgd", "weight_decay": 1e-3, "spike": 0.1}
    settings |= {"norm_lr": 2.0, "loss": "mean", "label_smoothing": 0.1}
    tuned = compress(net, [Prune(0.5, WeightL1()), finetune(seed=5, **settings)], digits()).model
    assert same(tuned, expected)
    assert not same(tuned, small)


def test_the_network_before_compression_can_teach():
    net = model()
    before, grads = copy.deepcopy(net.state_dict()), [p.requires_grad for p in net.parameters()]
    teacher = Distillation(net, SoftLogits(0.9))
    untaught, taught = (
        compress(net, [Prune(0.5, WeightL1()), finetune(teacher=t)], digits()).model for t in (None, teacher)
    )
    expected = compress(net, [Prune(0.5, WeightL1())], digits()).model
    train_further(expected, digits(), further(finetune().training, expected, 2), distillation=teacher)
    assert same(taught, expected)
    assert not same(taught, untaught)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [p.requires_grad for p in net.parameters()] == grads


def test_what_was_compressed_stays_compressed_and_learns():
    net = model()
    before = copy.deepcopy(net.state_dict())
    passes = [Quantize(2, where=~first() & ~last()), QuantizeMembranes(2), Prune(0.25), finetune(epochs=4)]
    small, report = compress(net, passes, digits())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [m.quantizer.bits for m in small.modules() if isinstance(m, Conv2d | Linear)] == [8, 2, 2, 2, 8]
    assert [m.out_channels for m in small.modules() if isinstance(m, Conv2d)] == [6, 6, 12, 12]
    (loss,) = [row for row in report.rows if row.what == "fine-tuning loss"]
    assert float(loss.after) < float(loss.before)
    (accuracy,) = [row for row in report.rows if row.what.startswith("validation accuracy")]
    assert 0 <= float(accuracy.after.removesuffix(" %")) <= 100
    assert all(p.grad is None for p in small.parameters())
    assert [m.training for m in small.modules()] == [m.training for m in net.modules()]


def test_the_same_seed_gives_the_same_network_and_another_seed_another():
    net = model()
    runs = [compress(net, [finetune(seed=seed)], digits()).model for seed in (1, 1, 2)]
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_the_reporter_hears_of_the_epochs():
    heard: list[int] = []

    class Listener(Silent):
        def epoch(self, metrics: dict[str, Any]) -> None:
            heard.append(metrics["epoch"])

    compress(model(), [finetune(reporter=Listener())], digits())
    assert heard == [0, 1]


def test_without_validation_there_is_no_accuracy():
    _, report = compress(model(), [finetune(epochs=1)], digits(validation=0))
    assert [row.what for row in report.rows] == ["fine-tuning loss", "Finetune", "accuracy"]


# --- refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number from 1 on, got 0"),
        ({"lr": 0.0}, "Optimizer.lr must be a number above 0"),
        ({"optimizer": "lion"}, "Optimizer.name must be 'adamw' or 'sgd', got 'lion'"),
        ({"augment": "blur"}, "augment must be one of"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
        (
            {"teacher": nn.Identity()},
            r"Finetune\.teacher must be a spikelet\.train\.Distillation or None, got Identity",
        ),
    ],
)
def test_settings_out_of_range_are_refused_at_once(changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        finetune(**changes)


@pytest.mark.parametrize("data", [None, [torch.zeros(2, 1, 8, 8, dtype=torch.uint8)]], ids=["none", "batches"])
def test_samples_are_needed(data: Any):
    with pytest.raises(CompressionError, match="Finetune needs samples to train on: give compress a DataSplits"):
        compress(model(), [finetune()], data)


def test_a_network_without_neurons_is_refused():
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = NETWORKS["concatenation over time"][0]()
            del self.net.lif

    with pytest.raises(CompressionError, match="the model has no spiking neurons"):
        Finetune(1).apply(Plain(), Context(digits(), (image(),)))


def test_a_run_that_diverges_leaves_the_model_as_it_was():
    net = model()

    class Poison(Silent):
        def __init__(self) -> None:
            self.model = net

        def step(self, epoch: int, step: int, loss: float) -> None:
            self.model.get_parameter("classifier.weight").data.fill_(math.nan)

    poison = Poison()

    class Poisoned(Finetune):
        def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, list[Row]]:
            poison.model = model
            return super().apply(model, context)

    before = copy.deepcopy(net.state_dict())
    with pytest.raises(FloatingPointError, match=r"the loss became nan in epoch 0, step 1"):
        compress(net, [Prune(0.5, WeightL1()), Poisoned(2, batch_size=16, reporter=poison)], digits())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
