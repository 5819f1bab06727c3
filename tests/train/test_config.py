"""The configuration of a run, and what follows from it alone: phases, learning rate, decay, estimators."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from spikelet.base.errors import SpikeletError
from spikelet.data.augment.names import AUGMENTATIONS
from spikelet.neurons import LIF
from spikelet.nn import Conv2d, Linear, Scale
from spikelet.quant import EDE, Binary, Clip, Straight, Uniform
from spikelet.recipes import RECIPES
from spikelet.train import DualRegulation, Optimizer, Phase, Teacher, TrainConfig, Unpruned
from spikelet.train.phases import set_binary, set_phase
from spikelet.train.schedule import learning_rate, optimizer_of, set_learning_rate
from tests.support.catalogue import small_model


def config(**changes: Any) -> TrainConfig:
    return dataclasses.replace(TrainConfig("qsnn_vgg_s", {"time_steps": 2}, "digits"), **changes)


PRUNES = Unpruned((Phase(1, 2),), None, {"widths": [64]})

# --- JSON -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_every_recipe_survives_json(recipe: Callable[[], TrainConfig]):
    assert TrainConfig.from_dict(json.loads(recipe().to_json())) == recipe()


def test_every_field_survives_json():
    one = TrainConfig(
        "qsnn_vggsnn",
        {"widths": [1, 2], "time_steps": 3},
        "nmnist",
        {"time_steps": 3, "validation": 0.25},
        augment="roll5",
        phases=(Phase(1, 2, one_pass=True), Phase(3, 4)),
        batch_size=7,
        optimizer=Optimizer("sgd", 0.1, 1e-4, 0.2, 3.0),
        regulation=DualRegulation(weight=False, spike=0.5),
        loss="mean",
        label_smoothing=0.1,
        gradient="ede",
        seed=5,
        mixed_precision="bf16",
        compile=True,
        whiten=True,
        teacher=Teacher(2, 0.5, 3.0, after=1),
    )
    unpruned = Unpruned((Phase(2, 4), Phase(1, 4)), Optimizer("sgd"), {"widths": [3, 4]}, "weight_l1")
    pruned = dataclasses.replace(one, teacher=None, unpruned=unpruned)
    both = (
        one,
        one.of_teacher(),
        pruned,
        dataclasses.replace(pruned, unpruned=Unpruned((Phase(1, 1),), None, {"w": 1})),
    )
    for c in both:
        assert TrainConfig.from_dict(json.loads(json.dumps(c.to_dict()))) == c
    default, fields = config(), [f.name for f in dataclasses.fields(one)]
    same = [name for name in fields if all(getattr(c, name) == getattr(default, name) for c in both)]
    assert same == [], "this test must change every field"


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_every_recipe_names_an_augmentation_that_there_is(recipe: Callable[[], TrainConfig]):
    assert recipe().augment in AUGMENTATIONS


# --- refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Phase(0, 1), r"Phase\.epochs must be a whole number from 1 on, got 0"),
        (lambda: Phase(1, 2, "no"), r"Phase\.one_pass must be True or False, got 'no'"),  # type: ignore[arg-type]
        (lambda: Phase(1, 0), r"Phase\.time_steps must be a whole number from 1 on, got 0"),
        (lambda: Phase(1.5, 1), r"Phase\.epochs must be a whole number from 1 on, got 1\.5"),  # type: ignore[arg-type]
        (lambda: Optimizer(lr=0.0), r"Optimizer\.lr must be a number above 0, got 0\.0"),
        (lambda: Optimizer(lr=math.nan), r"Optimizer\.lr must be a number above 0, got nan"),
        (lambda: Optimizer(lr=math.inf), r"Optimizer\.lr must be a number above 0, got inf"),
        (lambda: Optimizer(weight_decay=-1e-4), r"Optimizer\.weight_decay must be 0 or more, got -0\.0001"),
        (lambda: Optimizer("adam"), r"Optimizer\.name must be 'adamw' or 'sgd', got 'adam'"),
        (lambda: Optimizer(warmup=1.0), r"Optimizer\.warmup must lie in \[0, 1\), got 1\.0.*fraction of all steps"),
        (lambda: Optimizer(warmup=-0.1), r"Optimizer\.warmup must lie in \[0, 1\), got -0\.1"),
        (lambda: Teacher(0), r"Teacher\.epochs must be a whole number from 1 on, got 0"),
        (lambda: Teacher(1, weight=0.0), r"Teacher\.weight must lie in \(0, 1\], got 0\.0\. .*: teacher=None"),
        (lambda: Teacher(1, weight=math.nan), r"Teacher\.weight must lie in \(0, 1\], got nan"),
        (lambda: Teacher(1, weight=1.1), r"Teacher\.weight must lie in \(0, 1\], got 1\.1"),
        (lambda: Teacher(1, temperature=0.0), r"Teacher\.temperature must be a number above 0, got 0\.0"),
        (lambda: Teacher(1, after=-1), r"Teacher\.after must be a whole number of epochs from 0 on, got -1"),
        (lambda: Teacher(1, after=0.5), r"Teacher\.after must be a whole number .*, got 0\.5"),  # type: ignore[arg-type]
        (
            lambda: config(phases=(Phase(3, 1),), teacher=Teacher(1, after=3)),
            r"Teacher\.after must be less than the 3 epochs of the phases, got 3: the teacher would never be asked",
        ),
        (lambda: config().of_teacher(), r"has no teacher\. Give it one: TrainConfig\(\.\.\., teacher=Teacher\("),
        (lambda: config(teacher=12), r"TrainConfig\.teacher must be Teacher\(epochs, \.\.\.\) or None, got 12"),
        (lambda: config(analog=True, teacher=Teacher(1)), r"TrainConfig\.analog and TrainConfig\.teacher exclude"),
        (lambda: config().of_unpruned(), r"prunes nothing\. To let it: TrainConfig\(\.\.\., unpruned=Unpruned\("),
        (lambda: config(unpruned=12), r"TrainConfig\.unpruned must be Unpruned\(phases, \.\.\.\) or None, got 12"),
        (
            lambda: config(teacher=Teacher(1), unpruned=PRUNES),
            r"TrainConfig\.teacher and TrainConfig\.unpruned exclude",
        ),
        (lambda: config(analog=True, unpruned=PRUNES), r"TrainConfig\.analog and TrainConfig\.unpruned exclude"),
        (lambda: Unpruned((), None, {"w": 1}), r"Unpruned\.phases must hold at least one Phase"),
        (
            lambda: Unpruned((Phase(1, 1),)),
            r"Unpruned\.model_options must be a dict of the options that differ .*got {}",
        ),
        (lambda: config(analog=1), r"TrainConfig\.analog must be True or False, got 1"),
        (lambda: config(whiten="no"), r"TrainConfig\.whiten must be True or False, got 'no'"),
        (lambda: DualRegulation(spike=-1.0), r"DualRegulation\.spike must be 0 or more, got -1\.0"),
        (lambda: DualRegulation(rate=1.5), r"DualRegulation\.rate must lie in \[0, 1\), got 1\.5"),
        (lambda: DualRegulation(spike=math.nan), r"DualRegulation\.spike must be 0 or more, got nan"),
        (lambda: config(batch_size=0), r"TrainConfig\.batch_size must be a whole number from 1 on, got 0"),
        (lambda: config(batch_size=2.5), r"TrainConfig\.batch_size must be a whole number from 1 on, got 2\.5"),
        (lambda: config(loss="sum"), r"TrainConfig\.loss must be one of \['mean', 'steps'\], got 'sum'"),
        (
            lambda: config(gradient="ste"),
            r"TrainConfig\.gradient must be one of \('clip', .*\), got 'ste'",
        ),
        (lambda: config(augment="flip"), r"TrainConfig\.augment must be one of \['crop1', .*\], got 'flip'"),
        (lambda: config(phases=()), r"TrainConfig\.phases must hold at least one Phase"),
        (lambda: config(label_smoothing=1.0), r"TrainConfig\.label_smoothing must lie in \[0, 1\), got 1\.0"),
        (lambda: config(mixed_precision="fp8"), r"TrainConfig\.mixed_precision must be one of .*, got 'fp8'"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(make: Callable[[], object], message: str):
    with pytest.raises(ValueError, match=message):
        make()


# --- a teacher --------------------------------------------------------------------------------------


def test_a_teacher_is_trained_as_the_network_is_but_analog_on_labels_alone():
    student = config(label_smoothing=0.1, loss="steps", seed=3, teacher=Teacher(5, after=1))
    teacher = student.of_teacher()
    assert (teacher.analog, teacher.teacher, teacher.label_smoothing, teacher.loss) == (True, None, 0.0, "mean")
    assert teacher.phases == (Phase(5, 1),)
    same = ("model", "model_options", "data", "data_options", "augment", "batch_size", "optimizer", "seed")
    assert all(getattr(teacher, name) == getattr(student, name) for name in same)


def test_a_configuration_from_before_there_were_teachers_has_none():
    old = config().to_dict()
    del old["teacher"], old["analog"]
    assert TrainConfig.from_dict(old) == config()


# --- phases -----------------------------------------------------------------------------------------


def test_phases_follow_one_another():
    c = config(phases=(Phase(2, 1), Phase(1, 4), Phase(3, 2)))
    assert c.epochs == 6
    assert [c.time_steps(epoch) for epoch in range(8)] == [1, 1, 4, 2, 2, 2, 2, 2]


def test_a_phase_says_what_it_is_and_what_it_costs():
    assert str(Phase(3, 4)) == "3 at T = 4"
    assert Phase(3, 4).steps_computed == 4
    assert str(Phase(3, 4, one_pass=True)) == "3 at T = 4 in one pass"
    assert Phase(3, 4, one_pass=True).steps_computed == 1


def test_time_steps_reach_every_neuron():
    model = small_model("qsnn_resnet19")
    set_phase(model, Phase(1, 7))
    assert {m.time_steps for m in model.modules() if isinstance(m, LIF)} == {7}


def test_binary_layers_get_the_estimator_of_the_epoch_and_others_keep_theirs():
    model = small_model("qsnn_vgg_s")
    c = config(gradient="ede", phases=(Phase(5, 1),), regulation=DualRegulation(weight=False))
    for epoch, progress in ((0, 0.0), (1, 0.25), (4, 1.0), (9, 1.0)):
        set_binary(model, c, epoch)
        kinds = [m.quantizer for m in model.modules() if isinstance(m, Conv2d | Linear)]
        assert kinds[0] == Uniform(8)
        assert kinds[-1] == Uniform(8, per_channel=False)
        assert set(kinds[1:-1]) == {Binary(standardize=False, estimator=EDE(progress))}


@pytest.mark.parametrize(("name", "estimator"), [("clip", Clip()), ("straight", Straight())])
def test_the_other_estimators_are_the_same_in_every_epoch(name: str, estimator: Clip | Straight):
    model = small_model("qsnn_vgg_s")
    for epoch in (0, 3):
        set_binary(model, config(gradient=name), epoch)
        assert {m.quantizer for m in model.modules() if isinstance(m, Conv2d)} >= {Binary(estimator=estimator)}


def test_a_quantizer_that_does_not_change_stays_the_same_object():
    model, c = small_model("qsnn_vgg_s"), config(gradient="clip")
    set_binary(model, c, 0)
    before = [m.quantizer for m in model.modules() if isinstance(m, Conv2d)]
    assert before[1] == Binary(estimator=Clip())
    set_binary(model, c, 1)
    after = [m.quantizer for m in model.modules() if isinstance(m, Conv2d)]
    assert all(a is b for a, b in zip(before, after, strict=True))


def test_ede_of_a_single_epoch_starts_at_zero():
    model = small_model("qsnn_vgg_s")
    set_binary(model, config(gradient="ede", phases=(Phase(1, 1),)), 0)
    assert any(m.quantizer == Binary(estimator=EDE(0.0)) for m in model.modules() if isinstance(m, Conv2d))


# --- schedule ---------------------------------------------------------------------------------------


def test_the_learning_rate_rises_in_a_line_and_falls_along_a_cosine():
    settings = Optimizer(lr=2.0, warmup=0.2)
    rates = [learning_rate(step, 20, settings) for step in range(20)]
    assert rates[:4] == pytest.approx([0.5, 1.0, 1.5, 2.0])
    assert rates[4:] == pytest.approx([1 + math.cos(math.pi * i / 16) for i in range(16)])
    assert rates[12] == pytest.approx(1.0)
    assert all(r > 0 for r in rates)


def test_without_warm_up_the_first_step_has_the_peak():
    rates = [learning_rate(step, 10, Optimizer(lr=1.0, warmup=0.0)) for step in range(10)]
    assert rates[0] == 1.0
    assert sorted(rates, reverse=True) == rates
    assert rates[-1] < 0.05


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("warmup", [0.0, 0.5, 0.99])
def test_a_very_short_run_has_a_learning_rate(steps: int, warmup: float):
    for step in range(steps):
        assert 0 < learning_rate(step, steps, Optimizer(lr=1.0, warmup=warmup)) <= 1


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)])
def test_only_synapses_decay(name: str, kind: type):
    model = small_model("qsnn_vgg_s")
    optimizer = optimizer_of(model, Optimizer(name, lr=0.1, weight_decay=0.01))
    assert type(optimizer) is kind
    decays = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    synapses = {id(m.weight) for m in model.modules() if isinstance(m, Conv2d | Linear)}
    assert {i for i, decay in decays.items() if decay == 0.01} == synapses
    assert decays.keys() == {id(p) for p in model.parameters()}
    if name == "sgd":
        assert all(g["momentum"] == 0.9 and g["nesterov"] for g in optimizer.param_groups)


def test_gains_by_time_step_do_not_decay():
    model = small_model("bestformer_4_384")
    gains = {id(m.gain) for m in model.modules() if isinstance(m, Scale)}
    assert len(gains) == 2
    groups = optimizer_of(model, Optimizer(weight_decay=0.01)).param_groups
    assert not any(id(p) in gains for group in groups if group["weight_decay"] for p in group["params"])


@pytest.mark.parametrize("phase", [Phase(1, 2), Phase(1, 3, one_pass=True)], ids=str)
def test_a_phase_of_other_steps_than_a_layers_gains_is_refused(phase: Phase):
    model = small_model("bestformer_4_384")
    with pytest.raises(SpikeletError, match=r"behind\.0 has gains for 3 time steps, and .* lambda_by_step=False"):
        set_phase(model, phase)
    set_phase(model, Phase(1, 3))
    set_phase(small_model("bestformer_4_384", lambda_by_step=False), phase)


def test_norms_learn_at_their_own_rate():
    model = small_model("qsnn_vgg_s")
    settings = Optimizer(norm_lr=4.0)
    optimizer = optimizer_of(model, settings)
    set_learning_rate(optimizer, 0.5, settings)
    rates = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    assert all(rates[id(p)] == (2.0 if p.dim() == 1 else 0.5) for p in model.parameters())
    assert {p.dim() for p in model.parameters()} == {0, 1, 2, 4}, "0: the steps of quantized membranes"


@pytest.mark.parametrize("norm_lr", [0.0, -1.0, math.inf, math.nan])
def test_a_rate_for_norms_that_is_none_is_refused(norm_lr: float):
    with pytest.raises(ValueError, match=r"Optimizer.norm_lr must be a number above 0, got"):
        Optimizer(norm_lr=norm_lr)
