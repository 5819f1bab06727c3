"""What a benchmark records of itself: data by name, never by where this machine keeps them."""

from __future__ import annotations

import sys

import pytest

from benchmarks.publish import _command
from benchmarks.record import ROOT, command, portable
from spikelet.recipes import RECIPES


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (f"..{'/'}elsewhere/data/cifar10", "data/cifar10"),
        ("/mnt/sets/nmnist/", "data/nmnist"),
        ("--data-root=/mnt/sets/nmnist", "--data-root=data/nmnist"),
        ("~/cifar10", "data/cifar10"),
        ("runs/one", "runs/one"),
        (str(ROOT / "runs"), "runs"),
        ("--seeds", "--seeds"),
        ("0.5", "0.5"),
    ],
)
def test_a_path_out_of_the_checkout_is_kept_by_its_name(typed: str, kept: str):
    assert portable(typed) == kept


def test_the_command_of_a_row_and_of_a_card_name_the_data(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["-m benchmarks.some", "--data-root", "/mnt/cifar10", "--seed", "1"])
    assert command() == "python '-m benchmarks.some' --data-root data/cifar10 --seed 1"
    options = type("Options", (), {"data_root": "/mnt/cifar10", "recipe": "qsnn-cifar10"})()
    config = RECIPES["qsnn-cifar10"]()
    assert _command(options, config) == "spikelet train qsnn-cifar10 --seed 0 --data-root data/cifar10"
