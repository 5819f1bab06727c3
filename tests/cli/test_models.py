"""`spikelet models`: the catalogue in three tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import spikelet
from spikelet import zoo
from spikelet.cli import catalogue
from spikelet.cli.catalogue import card_row
from spikelet.models.uninitialised import Uninitialised
from spikelet.recipes import RECIPES


def test_everything_there_is_is_listed(
    command: Callable[..., Any], everything: catalogue.Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "models", {"*": everything}.__getitem__)
    text = command("models").output
    for name in (*spikelet.list_models(), *RECIPES, *zoo.names()):
        assert f"\n{name} " in text, name


def test_networks_are_listed_with_their_parameters(command: Callable[..., Any]) -> None:
    parameters = sum(p.numel() for p in spikelet.create_model("qsnn_vgg_s").parameters())
    assert f"{parameters:,}" in command("models", "qsnn_vgg_s").output


def test_a_recipes_epochs_are_listed_with_its_teachers(command: Callable[..., Any]) -> None:
    assert "34 at 2 + 8 at 2, 12 of a teacher" in " ".join(command("models", "qsnn-cifar10-taught").output.split())


def test_a_recipes_epochs_are_listed_with_those_before_pruning(command: Callable[..., Any]) -> None:
    assert "150 at 4, 300 before pruning" in " ".join(command("models", "qpsnn-cifar10-vgg16").output.split())


def test_a_pattern_is_a_part_of_a_name_or_a_shell_pattern(command: Callable[..., Any]) -> None:
    for pattern in ("resnet", "qsnn_res*"):
        text = command("models", pattern).output
        assert "qsnn_resnet19" in text
        assert "qsnn_vggsnn" not in text


def test_a_pattern_that_matches_nothing_lists_what_there_is(command: Callable[..., Any]) -> None:
    done = command("models", "yolo")
    assert done.exit_code == 2
    assert "nothing matches 'yolo'. There are: bestformer_2_128, " in done.stderr


def test_a_shipped_models_figures_are_those_of_its_card(command: Callable[..., Any]) -> None:
    for name in zoo.names():
        size = (card_row(zoo.card(name), "packed file")).removesuffix(" bytes")
        assert size in command("models", name).output


def test_a_row_of_a_card_is_found_by_its_name() -> None:
    card = "# m\n\n| | |\n| --- | --- |\n| data | digits |\n| packed file | 1,234 bytes |\n"
    assert card_row(card, "packed file") == "1,234 bytes"
    assert card_row(card, "colour") == "-"


@pytest.mark.parametrize("name", ["qsnn_vgg_s", "bestformer_2_128", "qsd_transformer_cifar", "est_cifar"])
def test_a_network_that_is_only_counted_has_the_parameters_of_one_that_is_made(name: str) -> None:
    with torch.device("meta"), Uninitialised():
        counted = spikelet.create_model(name)
    shapes = [(key, value.shape) for key, value in spikelet.create_model(name).named_parameters()]
    assert [(key, value.shape) for key, value in counted.named_parameters()] == shapes
