"""A recipe with another length, other time steps, another network or other data is what it says, and nothing more."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from spikelet.base.errors import SpikeletError
from spikelet.data import Samples
from spikelet.models.builder import Task
from spikelet.models.catalogue import BUILDERS
from spikelet.recipes import RECIPES
from spikelet.recipes.changes import (
    SHARED,
    at_firing_rate,
    at_rate,
    at_time_steps,
    for_samples,
    of_length,
    with_model,
)
from spikelet.recipes.own_data import own_data
from spikelet.train import DualRegulation, Phase, TrainConfig
from spikelet.train.checkpoint import build


def samples(count: int, channels: int, side: int, classes: int = 3, steps: int | None = None) -> Samples:
    shape = (count, channels, side, side) if steps is None else (count, steps, channels, side, side)
    labels = tuple(f"class {k}" for k in range(classes))
    return Samples(torch.zeros(shape, dtype=torch.uint8), torch.arange(count) % classes, labels, "mine")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_of_its_own_length_is_itself(name: str):
    config = RECIPES[name]()
    assert of_length(config, config.epochs) == config
    assert with_model(config, config.model) == config


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 100, 1001])
@pytest.mark.parametrize("name", RECIPES)
def test_another_length_keeps_proportions_and_ends_as_the_recipe_does(name: str, epochs: int):
    config = RECIPES[name]()
    changed = of_length(config, epochs)
    assert changed.epochs == epochs
    assert dataclasses.replace(changed.phases[-1], epochs=1) == dataclasses.replace(config.phases[-1], epochs=1)
    kept = {dataclasses.replace(phase, epochs=1) for phase in config.phases}
    assert {dataclasses.replace(phase, epochs=1) for phase in changed.phases} <= kept
    if epochs >= 100:
        for a, b in zip(config.phases, changed.phases, strict=True):
            assert abs(b.epochs - a.epochs * epochs / config.epochs) <= 1
    if changed.teacher is not None:
        assert changed.teacher.after < epochs
    if config.unpruned is not None and changed.unpruned is not None:
        before, now = (sum(p.epochs for p in c.unpruned.phases) for c in (config, changed) if c.unpruned)
        assert now == max(1, (2 * before * epochs + config.epochs) // (2 * config.epochs))


def test_lengths_by_hand():
    config = TrainConfig("qsnn_vgg_s", {}, "digits", phases=(Phase(23, 2, one_pass=True), Phase(4, 2)))
    assert [phase.epochs for phase in of_length(config, 8).phases] == [7, 1]
    assert [phase.epochs for phase in of_length(config, 2).phases] == [1, 1]
    assert of_length(config, 1).phases == (Phase(1, 2),)
    with pytest.raises(SpikeletError, match=r"Phase\.epochs must be a whole number from 1 on, got 0"):
        of_length(config, 0)


def test_time_steps_reach_the_network_the_frames_and_the_phases():
    config = TrainConfig(
        "qsnn_vgg_s", {"time_steps": 4}, "nmnist", {"time_steps": 4}, phases=(Phase(1, 1), Phase(1, 3), Phase(1, 4))
    )
    changed = at_time_steps(config, 2)
    assert [phase.time_steps for phase in changed.phases] == [1, 2, 2]
    assert changed.model_options == changed.data_options == {"time_steps": 2}


def test_the_network_before_pruning_changes_with_its_own():
    config = RECIPES["qpsnn-cifar10"]()
    assert config.unpruned is not None
    changed = at_time_steps(config, 3)
    assert changed.unpruned is not None
    assert changed.unpruned.phases == (Phase(12, 1), Phase(4, 3))
    assert changed.of_unpruned().model_options == {**changed.model_options, "pruning": None}
    assert with_model(config, "qsnn_vgg_s").unpruned is None
    faster = at_rate(config, 2e-3)
    assert faster.optimizer.lr == 2e-3
    assert faster.of_unpruned().optimizer.lr == pytest.approx(6e-3)
    assert at_rate(RECIPES["qsnn-digits"](), 0.5).optimizer.lr == 0.5


def test_a_firing_rate_is_asked_for_with_weight():
    base = dataclasses.replace(RECIPES["qsnn-digits"](), regulation=DualRegulation(weight=False, spike=0.3))
    assert at_firing_rate(base, 0.5).regulation == DualRegulation(weight=False, spike=0.4, rate=0.5)
    assert at_firing_rate(base, 0.5).model_options == base.model_options
    inverted = TrainConfig("bestformer_4_384", {"width": 64}, "digits")
    assert at_firing_rate(inverted, 0.5).model_options == {"width": 64, "recompute": False}
    for wrong in (0, 1, 1e-300, float("nan")):
        with pytest.raises(SpikeletError, match=f"a firing rate must be at least 1e-06 and below 1, got {wrong}"):
            at_firing_rate(base, wrong)
    assert base.regulation.rate is None


@pytest.mark.parametrize("model", [builder.__name__ for builder in BUILDERS])
def test_another_network_takes_what_all_share_and_nothing_of_the_last_one(model: str):
    config = with_model(RECIPES["qsnn-fashion-mnist"](), model)
    assert set(config.model_options) <= set(SHARED) if model != "qsnn_vgg_s" else "widths" in config.model_options
    assert config.model == model


@pytest.mark.parametrize(
    "model", ["qsnn_vgg_s", "qsnn_vgg_s_max", "qpsnn_vgg16", "bestformer_2_128", "spikformer_4_384"]
)
@pytest.mark.parametrize(("channels", "side"), [(3, 32), (1, 32)])
def test_a_network_for_data_has_its_classes_channels_and_size(model: str, channels: int, side: int):
    config = own_data(samples(100, channels, side), "mine", model=model, epochs=10)
    assert config.epochs == 10
    with torch.device("meta"):
        task = build(config).task
    assert task == Task(3, channels, side)


@pytest.mark.parametrize(("count", "batch"), [(1, 1), (7, 7), (20, 8), (127, 8), (128, 8), (256, 16), (10_000, 64)])
def test_batches_are_small_for_small_sets_and_never_larger_than_them(count: int, batch: int):
    assert own_data(samples(count, 1, 28), "mine").batch_size == batch


def test_events_train_on_real_time_steps():
    config = own_data(samples(40, 2, 34, steps=5), "nmnist", {"time_steps": 5})
    assert config.phases == (Phase(20, 5),)
    assert config.model_options["time_steps"] == 5


def test_no_samples_and_no_squares_are_refused():
    config = RECIPES["qsnn-digits"]()
    with pytest.raises(SpikeletError, match="mine has no training samples"):
        for_samples(config, samples(0, 1, 8))
    wide = Samples(torch.zeros(2, 1, 8, 9, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), ("a",), "wide")
    with pytest.raises(
        SpikeletError, match=r"the samples of wide have 8 x 9 pixels, .* \(on the command line --image-size"
    ):
        for_samples(config, wide)
