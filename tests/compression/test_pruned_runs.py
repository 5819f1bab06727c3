"""A run that prunes: what it trains first, what stays of it, and how it goes on after a stop."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from spikelet.base.errors import SpikeletError
from spikelet.compression import Prune, PrunedRun, WeightL1, compress, run_of
from spikelet.compression.pruned_run import CRITERIA, ratios_between
from spikelet.data.batches import Epoch, batches
from spikelet.models import create_model
from spikelet.models.qpsnn_pruning import RESNET20_RATIOS, VGG16_RATIOS
from spikelet.recipes import RECIPES
from spikelet.train import Phase, Run, Silent, TrainConfig, Unpruned, load_run, settings
from tests.support.training_runs import Stop, assert_same_run, digits, small_config

pytest.importorskip("accelerate")
LARGER = {"pruning": None}


def config(**changes: Any) -> TrainConfig:
    """Two epochs of a small VGG, half of its channels pruned, two of fine-tuning."""
    options = {
        "time_steps": 2, "in_channels": 1, "image_size": 8, "widths": (6, 8), "pruning": (0.5, 0.3, 0.5),
    }  # fmt: skip
    phases = (Phase(2, 2),)
    made = small_config(
        model="qpsnn_vgg_s", model_options=options, phases=phases, unpruned=Unpruned(phases, None, LARGER)
    )
    return dataclasses.replace(made, **changes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("pruned")
    run_of(config(), digits(), folder).train()
    return folder


def test_the_larger_network_is_trained_first_and_is_a_run_of_its_own(whole: Path, tmp_path: Path):
    Run(config().of_unpruned(), digits(), tmp_path).train()
    assert_same_run(whole / "unpruned", tmp_path)


def test_the_pruned_network_is_loaded_like_any_other(whole: Path):
    model, found = load_run(whole)
    assert found.to_json() == config().to_json()
    assert [m.weight.shape[0] for m in model.modules() if hasattr(m, "quantizer")] == [3, 4, 4, 8, 10]


@pytest.mark.parametrize("criterion", settings.CRITERIA)
def test_fine_tuning_begins_with_what_the_criterion_leaves(criterion: str, whole: Path, tmp_path: Path):
    changed = config(unpruned=Unpruned((Phase(2, 2),), None, LARGER, criterion))
    run = PrunedRun(changed, digits(), tmp_path)
    run.begin()
    larger, _ = load_run(whole / "unpruned")
    shown = [x for x, _ in batches(digits().train, 64, epoch=Epoch(0, 0))]
    asked = {"features.0.0": 0.5, "features.1.0": 0.3, "features.3.0": 0.5}
    small = compress(larger, [Prune(asked, CRITERIA[criterion])], shown).model
    assert {
        name for name, value in run.model.state_dict().items() if not torch.equal(value, small.state_dict()[name])
    } == set()


def test_every_criterion_of_a_configuration_is_there():
    assert tuple(CRITERIA) == settings.CRITERIA
    assert CRITERIA["weight_l1"] == WeightL1()


@pytest.mark.parametrize("stopped", ["unpruned", "own"])
def test_a_stopped_run_goes_on_bit_for_bit(stopped: str, whole: Path, tmp_path: Path):
    run = PrunedRun(config(), digits(), tmp_path)
    (run.unpruned if stopped == "unpruned" else run).loop.reporter = Stop(1)
    with pytest.raises(KeyboardInterrupt):
        run.train()
    assert (tmp_path / "checkpoint.pt").exists() == (stopped == "own")
    run_of(config(), digits(), tmp_path).train()
    assert_same_run(whole, tmp_path)
    assert_same_run(whole / "unpruned", tmp_path / "unpruned")


def test_both_trainings_are_shown_by_name_and_told_to_the_trackers(tmp_path: Path):
    pytest.importorskip("tensorboard")
    run = run_of(config(), digits(), tmp_path, log_with=["tensorboard"])
    (larger,) = run.before
    assert [part.loop.reporter.name for part in (larger, run)] == ["unpruned  ", ""]  # type: ignore[attr-defined]
    assert [tracker.value for tracker in larger.loop.accelerator.log_with] == ["tensorboard"]
    assert isinstance(run_of(config(), digits(), tmp_path, Silent()).before[0].loop.reporter, Silent)


def test_a_run_of_one_network_refuses_to_prune(tmp_path: Path):
    with pytest.raises(SpikeletError, match=r"prunes a larger one before\. Train it with .*PrunedRun\("):
        Run(config(), digits(), tmp_path)


@pytest.mark.parametrize(
    ("larger", "message"),
    [
        ({"rescaling": "max"}, "make the network that model_options make: no channel would leave"),
        (
            {"widths": (6, 4), "pruning": None},
            r"features\.4\.0 has 4 channels before pruning and 8 after it",
        ),
        ({"widths": (6, 8, 8), "pruning": None}, "other layers: features"),
    ],
)
def test_a_larger_network_that_is_none_is_refused_before_any_training(larger: dict, message: str, tmp_path: Path):
    with pytest.raises(SpikeletError, match=message):
        PrunedRun(config(unpruned=Unpruned((Phase(1, 2),), None, larger)), digits(), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("setting", ["A", "B"])
@pytest.mark.parametrize("name", ["qpsnn-cifar10-vgg16", "qpsnn-cifar10-resnet20", "qpsnn-cifar100-vgg16"])
def test_published_recipes_ask_for_the_published_ratios(name: str, setting: str):
    recipe = RECIPES[name](setting=setting)  # type: ignore[call-arg]
    with torch.device("meta"):
        before, after = (create_model(c.model, **c.model_options) for c in (recipe.of_unpruned(), recipe))
    asked = list(ratios_between(before, after).values())
    classes = recipe.model_options["num_classes"]
    published = RESNET20_RATIOS[setting] if "resnet" in name else VGG16_RATIOS[classes][setting]
    assert max(asked) == pytest.approx(max(published), abs=0.02)
    assert len(asked) == (12 if "vgg" in name else 10 + 6)
    assert [phase.epochs for c in (recipe.of_unpruned(), recipe) for phase in c.phases] == [300, 150]
