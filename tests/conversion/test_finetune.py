"""More training of ordinary networks by the package's own loop."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from spikelet.base.errors import SpikeletError
from spikelet.compression import Finetune
from spikelet.conversion import FromBytes, calibrate, finetune
from spikelet.data import DataSplits, load
from spikelet.neurons import QCFS
from spikelet.train import Distillation, SoftLogits, evaluate
from spikelet.train.progress import Silent


@pytest.fixture(scope="module")
def digits() -> DataSplits:
    return load("digits")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def test_bytes_are_fed_as_they_are_in_training():
    x = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    made = FromBytes(network(), 1 / 255, mean=0.5, std=0.25)(x)
    assert made.shape == (1, 5, 10)
    assert torch.allclose(made[0], network()((x.float() / 255 - 0.5) / 0.25), atol=1e-5)


def test_calibrated_and_finetuned_networks_learn_and_the_network_stays(digits: DataSplits):
    net = network()
    x = digits.train.x[:100].float() / 255
    made = calibrate(net, x)
    state = copy.deepcopy(made.state_dict())
    better = finetune(made, digits, Finetune(3, lr=1e-2, batch_size=64))
    assert all(torch.equal(value, made.state_dict()[name]) for name, value in state.items())
    assert evaluate(FromBytes(better), [(digits.test.x, digits.test.y)]) > 0.85
    assert better[2].theta != made[2].theta
    assert isinstance(better[2], QCFS)
    assert not better.training
    assert all(p.grad is None for p in better.parameters())


def test_the_network_before_teaches_and_a_reporter_hears(digits: DataSplits):
    class Heard(Silent):
        epochs = 0

        def epoch(self, metrics: dict) -> None:
            self.epochs += 1

    heard, teacher = Heard(), Distillation(FromBytes(network()), SoftLogits(0.9))
    finetune(network(), digits, Finetune(2, reporter=heard, teacher=teacher))
    assert heard.epochs == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "net"}, "model must be a torch.nn.Module"),
        ({"data": 3}, "data must be a DataSplits, got int"),
        ({"settings": 3}, "settings must be a Finetune, got int"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(9, 10))}, "the data does not fit the model"),
        ({"std": 0.0}, "std"),
    ],
)
def test_bad_input_is_one_sentence(digits: DataSplits, change: dict, message: str):
    given = {"model": network(), "data": digits, "settings": Finetune(1), **change}
    with pytest.raises(SpikeletError, match=message):
        finetune(given.pop("model"), given.pop("data"), given.pop("settings"), **given)
