"""What a network learns from a teacher: each lesson by hand, two heads, features of any shape, and what is refused."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.models import create_model
from spikelet.train import (
    Distillation,
    DualRegulation,
    GramMatrices,
    HardLogits,
    Phase,
    SoftLogits,
    Teacher,
    TokenFeature,
)
from spikelet.train.analog import to_analog
from spikelet.train.features import features
from spikelet.train.gram import gram, gram_loss, paired
from spikelet.train.lessons import OUTPUT, lessons_of
from spikelet.train.losses import mean_cross_entropy
from spikelet.train.objective import Objective
from tests.support.training_runs import small_config

X = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
Y = torch.arange(4) % 3


def network(**options: object) -> nn.Module:
    torch.manual_seed(0)
    sizes = {"width": 16, "depth": 2, "heads": 2, "image_size": 8, "num_classes": 3, "time_steps": 2}
    return create_model("bestformer_2_128", **{**sizes, **options}).train()


def learned(model: nn.Module, distillation: Distillation) -> Tensor:
    distillation.meet(model, ("a", "b", "c"))
    unpulled = DualRegulation(spike=0.0)
    config = small_config(loss="mean", label_smoothing=0.0, phases=(Phase(1, 2),), regulation=unpulled)
    return Objective(model, config.plain(), distillation)(X, Y)[0]


# --- logits -----------------------------------------------------------------------------------------


def test_each_of_two_heads_has_a_loss_of_its_own():
    """BESTformer's: half of the labels on the first, half of the teacher's classes on the second."""
    model = network()
    teacher = to_analog(network(width=8))
    loss = learned(model, Distillation(teacher, HardLogits(0.5, head="heads.1"), labels="heads.0"))
    with features(model, ["heads.0", "heads.1"]) as seen:
        logits = model(X)
    told = teacher.eval()(X).mean(0).argmax(1)
    expected = 0.5 * mean_cross_entropy(seen["heads.0"], Y, 0.0) + 0.5 * F.cross_entropy(seen["heads.1"].mean(0), told)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.allclose(logits, (seen["heads.0"] + seen["heads.1"]) / 2)
    loss.backward()
    assert all(bool((head[-1].weight.grad != 0).any()) for head in model.heads)


def test_lessons_add_up_and_leave_the_rest_to_the_labels():
    logits, told = torch.randn(2, 4, 3), torch.randn(4, 3)

    class Told(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return told

    distillation = Distillation(Told(), SoftLogits(0.25, temperature=2.0), HardLogits(0.5))
    loss = distillation(X, {OUTPUT: logits}, lambda given: torch.tensor(8.0))
    soft = SoftLogits(0.25, temperature=2.0).loss({OUTPUT: logits}, {OUTPUT: told})
    hard = HardLogits(0.5).loss({OUTPUT: logits}, {OUTPUT: told})
    assert loss.item() == pytest.approx((0.25 * 8 + soft + hard).item(), rel=1e-6)
    assert hard.item() == pytest.approx(0.5 * F.cross_entropy(logits.mean(0), told.argmax(1)).item(), rel=1e-6)


# --- features ---------------------------------------------------------------------------------------


def test_a_gram_matrix_by_hand():
    tokens = torch.randn(2, 6, 2, 2)
    made = gram(tokens, 3)
    head = tokens.flatten(2)[1, 2:4].T
    product = head @ head.T
    assert torch.allclose(made[1, 1], product / product.norm(), atol=1e-5)
    assert made.shape == (2, 3, 4, 4)
    assert torch.allclose(made.norm(dim=(-2, -1)), torch.ones(2, 3), atol=1e-4)


def test_silent_tokens_have_a_finite_gradient():
    tokens = torch.zeros(2, 3, 4, 2, 2, requires_grad=True)
    feature = TokenFeature("x", 2)
    gram_loss(tokens, torch.randn(3, 4, 2, 2), feature, feature).backward()
    assert bool(torch.isfinite(tokens.grad).all())


@pytest.mark.parametrize(
    ("shape", "feature"),
    [
        ((3, 10, 4, 4), TokenFeature("t", 2)),  # wider heads
        ((3, 12, 4, 4), TokenFeature("t", 3)),  # more heads
        ((3, 10, 7, 7), TokenFeature("t", 2)),  # more tokens
        ((3, 10, 2, 2), TokenFeature("t", 5)),  # fewer tokens, more heads
        ((3, 16, 10), TokenFeature("t", 2, "tokens")),
        ((2, 3, 16, 10), TokenFeature("t", 2, "tokens")),
    ],
)
def test_a_teacher_may_have_other_widths_heads_and_tokens(shape: tuple[int, ...], feature: TokenFeature):
    own = torch.rand(2, 3, 8, 4, 4, requires_grad=True)
    loss = gram_loss(own, torch.randn(shape), TokenFeature("s", 2), feature)
    loss.backward()
    assert 0 < loss.item() <= 4
    assert bool((own.grad != 0).any())


def test_equal_features_have_nothing_to_learn_whatever_their_size():
    x = torch.rand(1, 3, 8, 4, 4)
    feature = TokenFeature("x", 2)
    assert gram_loss(x, 7 * x, feature, feature).item() == pytest.approx(0, abs=1e-6)


def test_q_k_and_v_are_paired_with_the_attention_at_the_same_depth():
    shallow, deep = network(depth=2), network(depth=4)
    pairs = paired(shallow, deep)
    assert [(own.module, other.module) for own, other in pairs[::3]] == [
        ("blocks.bodies.0.query", "blocks.bodies.2.query"),
        ("blocks.bodies.2.query", "blocks.bodies.6.query"),
    ]
    assert {own.heads for own, _ in pairs} == {2}


def test_features_of_every_attention_are_learned():
    model = network()
    teacher = to_analog(network(width=32, heads=4))
    loss = learned(model, Distillation(teacher, GramMatrices(3.0)))
    loss.backward()
    labels = mean_cross_entropy(model(X), Y, 0.0)
    assert loss.item() > labels.item()
    assert bool((model.blocks.bodies[2].query[0].weight.grad != 0).any())


def test_any_module_may_teach_by_the_names_of_its_features():
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Conv2d(3, 6, 2, 2)
            self.head = nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.tokens(x.float()).mean((2, 3)))

    pairs = ((TokenFeature("blocks.bodies.0.query", 2), TokenFeature("tokens", 1)),)
    assert learned(network(), Distillation(Plain(), GramMatrices(pairs=pairs))).requires_grad


# --- refused ----------------------------------------------------------------------------------------


def test_features_of_blocks_that_are_run_backwards_are_refused():
    model = network(recompute=True)
    teacher = to_analog(network())
    with pytest.raises(SpikeletError, match=r"blocks\.bodies\.0\.query carries no gradient\. .*recompute=False"):
        learned(model, Distillation(teacher, GramMatrices()))


@pytest.mark.parametrize(
    ("lesson", "message"),
    [
        (
            HardLogits(head="head.1"),
            r"HardLogits\.head names the module 'head\.1', which Bestformer does not have",
        ),
        (GramMatrices(pairs=((TokenFeature("a"), TokenFeature("b")),)), r"GramMatrices\.pairs names the module 'a'"),
    ],
)
def test_a_module_that_is_not_there_is_refused_and_told_which_come_close(lesson: HardLogits, message: str):
    with pytest.raises(SpikeletError, match=message):
        learned(network(), Distillation(to_analog(network()), lesson))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HardLogits(0.0), r"HardLogits\.weight must lie in \(0, 1\], got 0\.0"),
        (lambda: SoftLogits(2.0), r"SoftLogits\.weight must lie in \(0, 1\], got 2\.0"),
        (lambda: GramMatrices(0.0), r"GramMatrices\.weight must be a number above 0, got 0\.0"),
        (lambda: GramMatrices(pairs=(("q", "q"),)), r"GramMatrices\.pairs must be pairs \(TokenFeature, T"),
        (lambda: TokenFeature("q", 0), r"TokenFeature\.heads must be a whole number from 1"),
        (lambda: TokenFeature("q", layout="grid"), r"TokenFeature\.layout must be one of"),
        (lambda: Distillation(nn.Identity()), r"Distillation\.lessons must be one or more of"),
        (lambda: Distillation(nn.Identity(), SoftLogits(0.9), HardLogits(0.5)), r"leave the labels 0 or more, got"),
        (lambda: Teacher(1, logits="soft-ish"), r"Teacher\.logits must be one of"),
        (lambda: Teacher(1, logits="none"), r"Teacher\.logits=\"none\" leaves features to learn from"),
        (lambda: Teacher(1, model_options={"width": 3}), r"Teacher\.model_options must be a dict of"),
        (lambda: Teacher(1, gram=-1.0), r"Teacher\.gram must be 0 or more"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused_by_name(make: object, message: str):
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


# --- configurations ---------------------------------------------------------------------------------


def test_a_configuration_says_which_lessons_its_teacher_gives():
    assert lessons_of(Teacher(1)) == [SoftLogits(0.9, temperature=4.0)]
    assert lessons_of(Teacher(1, 0.5, logits="hard", head="heads.1")) == [HardLogits(0.5, "heads.1")]
    assert lessons_of(Teacher(1, logits="none", gram=2.0)) == [GramMatrices(2.0)]


def test_another_network_of_the_catalogue_may_teach():
    teacher = Teacher(2, model="qsnn_vgg_s", model_options={"widths": [8, 8], "in_channels": 1, "image_size": 8})
    config = small_config(teacher=teacher)
    of_teacher = config.of_teacher()
    assert (of_teacher.model, of_teacher.analog, of_teacher.epochs) == ("qsnn_vgg_s", True, 2)
    assert of_teacher.model_options == teacher.model_options
    assert type(config).from_dict(config.to_dict()) == config
