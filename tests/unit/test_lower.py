"""Lowering of modules that users write: what is understood, what is refused and in which words, and that nothing is left behind."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.graph import ir
from spikelet.graph.errors import GraphError, OverflowRefused
from spikelet.graph.reference import Reference
from spikelet.lower import LoweringError, lower
from spikelet.neurons import LIF, LIFParams, QuantizedMembrane
from spikelet.neurons.membrane import BatchMaxMembrane
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear, MaxPool2d, SumPool2d
from spikelet.quant import Binary, FullPrecision, Uniform

SHAPE = (4, 3, 6, 6)
T = 2


def conv(inputs: int = 3, outputs: int = 4, **options: Any) -> Conv2d:
    return Conv2d(inputs, outputs, 3, Uniform(4), padding=1, **options)


def classifier(features: int = 144, classes: int = 5, **options: Any) -> Linear:
    return Linear(features, classes, Uniform(8, per_channel=False), **options)


def neuron(threshold: float = 0.25) -> LIF:
    return LIF(T, LIFParams(threshold=threshold))


def images() -> Tensor:
    return torch.randint(0, 256, SHAPE, dtype=torch.uint8)


class User(nn.Module):
    """Somebody's module: parts by name, and any Python as its forward."""

    def __init__(self, body: Callable[[User, Tensor], Any], **parts: nn.Module) -> None:
        super().__init__()
        self.encode = Encode()
        for name, part in parts.items():
            self.add_module(name, part)
        self.body = body

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name)

    def forward(self, x: Tensor) -> Any:
        return self.body(self, self.encode(x))


def user(body: Callable[[User, Tensor], Any], **parts: nn.Module) -> User:
    """A User with a convolution, a neuron and a classifier besides `parts`, in evaluation mode."""
    return User(body, **{"conv": conv(), "lif": neuron(), "fc": classifier(), **parts}).eval()


def plain() -> User:
    return user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)))


def assert_exact(model: nn.Module, x: Tensor | None = None) -> ir.IntGraph:
    """Lowers, and finds no spike and no logit that differs from the model's evaluation."""
    x = images() if x is None else x
    graph = lower(model, x)
    result = graph.verify(model, [(x, torch.zeros(x.shape[-4], dtype=torch.long))])
    assert result.mismatches == 0, str(result)
    assert 0 < sum(s.sum() for s in Reference(graph).spikes(x.numpy()).values()) < result.spikes
    return graph


# --- understood -------------------------------------------------------------------------------------


class Doubly(nn.Module):
    """No parameters, no children: only Python."""

    def forward(self, x: Tensor) -> Tensor:
        return x + x


class Branches(nn.Module):
    """Nested modules that add."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Sequential(conv(4, 4), BatchNorm2d(4))
        self.right = nn.ModuleDict({"inner": nn.Sequential(nn.Identity(), conv(4, 4, bias=True))})

    def forward(self, s: Tensor) -> Tensor:
        return self.left(s) + self.right["inner"](s)


def with_statistics(model: nn.Module) -> nn.Module:
    """`model` after its batch norms have seen images."""
    model.train()(images())
    return model.eval()


UNDERSTOOD: dict[str, Callable[[], nn.Module]] = {
    "plain": plain,
    "a sequence": lambda: nn.Sequential(Encode(), conv(), neuron(), nn.Flatten(2), classifier()),
    "nested": lambda: with_statistics(
        user(lambda m, x: m.fc(m.lif2(m.branches(m.lif(m.conv(x)))).flatten(2)), branches=Branches(), lif2=neuron())
    ),
    "a module of Python only": lambda: user(lambda m, x: m.fc(m.twice(m.lif(m.conv(x))).flatten(2)), twice=Doubly()),
    "flatten by function": lambda: user(lambda m, x: m.fc(torch.flatten(m.lif(m.conv(x)), 2))),
    "flatten by reshape": lambda: user(lambda m, x: m.fc(m.lif(m.conv(x)).reshape(T, SHAPE[0], -1))),
    "flatten by view": lambda: user(
        lambda m, x: (lambda s: m.fc(s.view(s.size(0), s.shape[1], -1)))(m.lif(m.conv(x)).contiguous())
    ),
    "a layer called by keyword": lambda: user(lambda m, x: m.fc(x=m.lif(x=m.conv(x=x)).flatten(2))),
    "a mean over time": lambda: user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)).mean(0)),
    "a mean over time before the classifier": lambda: user(
        lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2).mean(dim=0)), fc=classifier(bias=True)
    ),
    "a mean over time that keeps its axis": lambda: user(
        lambda m, x: m.fc(m.lif(m.conv(x)).mean(0, keepdim=True).flatten(2))
    ),
    "a mean over the map": lambda: user(lambda m, x: m.fc(m.lif(m.conv(x)).mean((-2, -1))), fc=classifier(4)),
    "torch.add": lambda: user(
        lambda m, x: m.fc(m.lif(torch.add(m.conv(x), other=m.conv2(x))).flatten(2)), conv2=conv()
    ),
    "an addition in place": lambda: user(
        lambda m, x: m.fc(m.lif(m.conv(x).add_(m.conv2(x))).flatten(2)), conv2=conv()
    ),
    "Python's sum": lambda: user(
        lambda m, x: m.fc(sum([m.lif(m.conv(x)), m.lif(m.conv2(x)), m.lif(m.conv(x))]).flatten(2)), conv2=conv()
    ),
    "a current of one step added to every step": lambda: user(
        lambda m, x: m.fc(m.lif2(m.conv2(m.lif(m.conv(x))) + m.conv(x)).flatten(2)), conv2=conv(4, 4), lif2=neuron()
    ),
    "logits added": lambda: user(
        lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)) + m.skip(x.flatten(2)), skip=classifier(108)
    ),
    "means added": lambda: user(
        lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)).mean(0) + m.skip(x.flatten(2)).mean(0), skip=classifier(108)
    ),
    "channels of many scales flattened": lambda: user(
        lambda m, x: m.fc(m.lif(m.conv(x).flatten(2))), conv=Conv2d(3, 4, 3, Binary(standardize=False), padding=1)
    ),
    "a classifier of many scales": lambda: user(
        lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)), fc=Linear(144, 5, Uniform(4))
    ),
    "clone, contiguous, detach": lambda: user(
        lambda m, x: m.fc(m.lif(m.conv(x).clone()).contiguous().detach().flatten(2)).clone()
    ),
    "dropout": lambda: user(
        lambda m, x: m.fc(m.drop(m.lif(m.conv(x))).flatten(2)), drop=nn.Dropout(0.5), drop2=nn.Dropout2d(0.1)
    ),
    "a neuron named add": lambda: user(lambda m, x: m.fc(m.add(m.conv(x) + m.conv(x)).flatten(2)), add=neuron(0.5)),
    "a neuron named input": lambda: user(lambda m, x: m.fc(m.input(m.conv(x)).flatten(2)), input=neuron()),
    "a neuron named logits": lambda: user(lambda m, x: m.fc(m.logits(m.conv(x)).flatten(2)), logits=neuron()),
}


@pytest.mark.parametrize("make", UNDERSTOOD.values(), ids=list(UNDERSTOOD))
def test_python_composition_is_understood_and_exact(make: Callable[[], nn.Module]):
    assert_exact(make())


def test_frames_are_lowered_like_images():
    frames = torch.randint(0, 256, (T, *SHAPE), dtype=torch.uint8)
    assert_exact(plain(), frames)


def test_one_neuron_at_two_places_is_two_nodes_of_its_name():
    model = user(lambda m, x: m.fc(m.lif(m.conv2(m.lif(m.conv(x)))).flatten(2)), conv2=conv(4, 4))
    assert [n.name for n in assert_exact(model).of_type(ir.Lif)] == ["lif", "lif#2"]


def test_what_the_output_does_not_need_is_left_out_and_need_not_have_an_integer_form():
    def body(m: User, x: Tensor) -> Tensor:
        s = m.lif(m.conv(x))
        m.seen = (s.sigmoid() * 3).sum()  # somebody's statistics
        m.spare(x)
        return m.fc(s.flatten(2))

    graph = assert_exact(user(body, spare=nn.Conv2d(3, 1, 1, dtype=torch.float32) if False else Doubly()))
    assert [type(n).__name__ for n in graph.nodes] == [
        "Input", "Conv", "Affine", "Lif", "Flatten", "Linear", "SumTime"
    ]  # fmt: skip


def test_a_use_that_leads_nowhere_counts_in_the_names():
    def body(m: User, x: Tensor) -> Tensor:
        m.lif(x)
        return m.fc(m.lif(m.conv(x)).flatten(2))

    assert [n.name for n in assert_exact(user(body)).of_type(ir.Lif)] == ["lif#2"]


def test_control_flow_on_shapes_is_run_once_and_recorded():
    def body(m: User, x: Tensor) -> Tensor:
        for _ in range(x.dim() - 3):
            x = m.lif(m.square(x))
        return m.fc(x.flatten(2)) if x.is_floating_point() else x

    graph = assert_exact(user(body, square=conv(3, 3), fc=classifier(108), lif=neuron(0.05)))
    assert len(graph.of_type(ir.Lif)) == 2


def test_labels_meta_and_scale_are_kept():
    model, x = plain(), images()
    graph = lower(model, x, labels=list("abcde"), meta={"seed": "1"})
    assert graph.labels == ("a", "b", "c", "d", "e")
    assert graph.meta == {"seed": "1"}
    assert graph.time_steps == T
    with torch.no_grad():
        real = model(x).mean(0).numpy()
    assert np.array_equal(Reference(graph)(x.numpy()) * graph.logit_scale, real)


# --- refused ----------------------------------------------------------------------------------------


class Wider(Conv2d):
    """A layer of ours with somebody's own forward."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 2


class Hidden(nn.Module):
    """Work that no torch function shows."""

    def forward(self, x: Tensor) -> Tensor:
        return _Opaque.apply(x)  # type: ignore[return-value]


class _Opaque(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        return grad


def after_conv(part: nn.Module) -> User:
    return user(lambda m, x: m.fc(m.lif(m.part(m.conv(x))).flatten(2)), part=part)


def on_spikes(function: Callable[[Tensor], Any]) -> User:
    return user(lambda m, x: m.fc(function(m.lif(m.conv(x)))))


def nan_weight() -> User:
    model = plain()
    with torch.no_grad():
        model.conv.weight[0, 0, 0, 0] = math.nan
    return model


def nan_step() -> User:
    membrane = QuantizedMembrane(2)
    with torch.no_grad():
        membrane.log2_step.fill_(math.nan)
    return user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)), lif=LIF(T, None, membrane))


def huge_gain() -> User:
    model = after_conv(BatchNorm2d(4))
    with torch.no_grad():
        model.conv.weight.mul_(1e20)
    return model


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a float convolution": (
        lambda: user(lambda m, x: m.fc(m.lif(m.raw(x[0])[None]).flatten(2)), raw=nn.Conv2d(3, 4, 3, padding=1)),
        r"the model \(__getitem__\): the tensor function '__getitem__' has no integer form\. Supported: ",
    ),
    "float weights": (
        lambda: user(lambda m, x: m.raw(m.lif(m.conv(x)).flatten(2)), raw=nn.Linear(144, 5)),
        r"raw \(Linear\): this layer has no integer form\. .* Its weights are floats: use spikelet\.nn\.Linear with a q",
    ),
    "full precision": (
        lambda: user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)), fc=Linear(144, 5, FullPrecision())),
        r"^fc: full-precision weights have no integer codes",
    ),
    "a layer norm": (lambda: after_conv(nn.LayerNorm(6)), r"^part \(LayerNorm\): this layer has no integer form\. Supp"),
    "an activation": (lambda: after_conv(nn.ReLU()), r"^part \(relu\): the tensor function 'relu' has no integer form"),
    "torch's pooling": (
        lambda: user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)[:, :, ::1])), r"\(__getitem__\)"
    ),
    "a subclass": (
        lambda: after_conv(Wider(4, 4, 3, Uniform(4), padding=1)), r"^part \(Wider\): this layer has no integer form",
    ),
    "an autograd function": (lambda: after_conv(Hidden()), r"^part \(Hidden\): this layer has no integer form"),
    "a functional call": (
        lambda: on_spikes(lambda s: F.relu(s).flatten(2)), r"the model \(relu\): the tensor function 'relu'"
    ),
    "a product": (lambda: on_spikes(lambda s: s.flatten(2) * 2), r"the tensor function '(__mul__|mul)' has no"),
    "a constant added": (lambda: on_spikes(lambda s: s.flatten(2) + 1), r"only the sum of two tensors that depend on"),
    "a parameter added": (
        lambda: on_spikes(lambda s: s.flatten(2) + torch.ones(144)), r"only the sum of two tensors that depend on"
    ),
    "a weighted sum": (
        lambda: on_spikes(lambda s: torch.add(s, s, alpha=2).flatten(2)), r"only the sum of two tensors that depend on"
    ),
    "a broadcast sum": (
        lambda: on_spikes(lambda s: (s + s.mean((3, 4))[..., None, None]).flatten(2)), r"'__getitem__' has no integer"
    ),
    "sums of other shapes": (
        lambda: user(lambda m, x: m.fc((m.lif(m.conv(x)) + m.lif(m.one(x))).flatten(2)), one=Conv2d(3, 1, 3, Uniform(4), padding=1)),
        r"the model \(add\): can't add tensors of shapes \(4, 6, 6\) and \(1, 6, 6\)",
    ),
    "time and no time": (
        lambda: user(lambda m, x: (lambda y: y.mean(0) + y)(m.fc(m.lif(m.conv(x)).flatten(2)))),
        r"can't add a tensor with a time axis to a mean over time",
    ),
    "batch flattened": (
        lambda: user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(0, 1).flatten(1)[None])),
        r"can only flatten \[T, B, C, H, W\] to \[T, B, C\*H\*W\], got \(2, 4, 4, 6, 6\) -> \(8, 4, 6, 6\)",
    ),
    "a mean over channels": (
        lambda: user(lambda m, x: m.fc(m.lif(m.conv(x)).mean(2).flatten(2)), fc=classifier(36)),
        r"only the mean over time \(0\) or over a square map \(3, 4\) can be lowered, got \(2,\)",
    ),
    "the data of a tensor": (
        lambda: on_spikes(lambda s: s.data.flatten(2)), r"the tensor function '__get__' has no integer form"
    ),
    "two scales before a convolution": (
        lambda: user(
            lambda m, x: m.fc(m.lif(m.next(m.conv(x))).flatten(2)),
            conv=Conv2d(3, 4, 3, Binary(standardize=False), padding=1), next=conv(4, 4),
        ),
        r"^next: reads a tensor whose channels have different scales\. Put a batch norm or a neuron before it",
    ),
    "a mean over 36 before a neuron": (
        lambda: user(lambda m, x: m.fc(m.lif2(m.lif(m.conv(x)).mean((3, 4)))), lif2=neuron(), fc=classifier(4)),
        r"^lif2\.grid: reads a mean over a number of values that is no power of two",
    ),
    "a flat batch norm with a time axis": (
        lambda: user(
            lambda m, x: m.norm(m.fc(m.lif(m.conv(x)).flatten(2))), fc=classifier(144, 4), norm=nn.BatchNorm1d(4)
        ),
        r"^norm \(BatchNorm1d\): reads 3 axes and normalises axis 1, which is no channel",
    ),
    "a rectangular window": (lambda: after_conv(MaxPool2d((2, 1))), r"^part: kernel_size must be square, got \(2, 1\)"),
    "a dilated window": (lambda: after_conv(MaxPool2d(2, dilation=2)), r"^part: max pooling with dilation or ceil_mode"),
    "a rounded-up map": (
        lambda: after_conv(MaxPool2d(4, ceil_mode=True)), r"^part: max pooling with dilation or ceil_mode"
    ),
    "a membrane scaled by the batch": (
        lambda: user(
            lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)), lif=LIF(T, None, BatchMaxMembrane(2))  # type: ignore[arg-type]
        ),
        r"^lif: BatchMaxMembrane has no integer form",
    ),
    "weights that are no numbers": (nan_weight, r"^conv: its weights must be finite numbers"),
    "a membrane step that is no number": (nan_step, r"^lif: its membrane's log2_step must be finite"),
    "a gain beyond 32 bits": (huge_gain, r"^part: a gain of .* does not fit 32 bits"),
    "a tuple": (lambda: user(lambda m, x: (m.fc(m.lif(m.conv(x)).flatten(2)),)), r"the model's output must be one tensor"),
    "an output from elsewhere": (
        lambda: user(lambda m, x: torch.zeros(T, m.lif(x).shape[1], 5)), r"the model's output must be one tensor"
    ),
    "the input itself": (lambda: User(lambda m, x: m.same, same=neuron()), r"the model's output must be one tensor"),
    "no neuron": (
        lambda: nn.Sequential(Encode(), nn.Flatten(2), classifier(108)),
        r"the model has no LIF layer; there is nothing spiking to lower",
    ),
    "two lengths of time": (
        lambda: user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)), other=LIF(3)),
        r"all LIF layers must have the same time_steps, got \{'lif': 2, 'other': 3\}",
    ),
}  # fmt: skip


def without_running_statistics() -> nn.Module:
    return after_conv(BatchNorm2d(4, track_running_stats=False))


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=list(REFUSED))
def test_what_has_no_integer_form_is_refused_by_name_and_reason(make: Callable[[], nn.Module], message: str):
    with pytest.raises(LoweringError, match=message):
        lower(make(), images())


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.Linear])
def test_float_weights_are_told_which_layer_to_use(kind: type[nn.Module]):
    class Folded(nn.Module):
        """Runs a layer of torch's on [T, B, C, H, W] without a function that lowering would see first."""

        def __init__(self) -> None:
            super().__init__()
            self.raw = nn.Conv3d(3, 4, 1) if kind is nn.Conv2d else nn.Linear(6, 6)

        def forward(self, x: Tensor) -> Tensor:
            return self.raw(x)

    hint = r"use spikelet\.nn\.Linear with a quantizer" if kind is nn.Linear else r"Conv3d\): this layer has no integer form"
    body = (lambda m, x: m.fc(m.lif(m.part(x)).flatten(2))) if kind is nn.Linear else (lambda m, x: m.part(x))
    with pytest.raises((LoweringError, RuntimeError), match=hint if kind is nn.Linear else "."):
        lower(user(body, part=Folded(), fc=classifier(108)), images())


@pytest.mark.parametrize(
    ("example", "words"),
    [
        (torch.zeros(SHAPE), r"torch\.float32 \(4, 3, 6, 6\)"),
        (torch.zeros(3, 6, 6, dtype=torch.uint8), r"torch\.uint8 \(3, 6, 6\)"),
    ],
)
def test_an_example_that_is_no_batch_of_bytes_is_refused(example: Tensor, words: str):
    with pytest.raises(LoweringError, match=rf"example must be a uint8 batch \[B, C, H, W\] .* got {words}"):
        lower(plain(), example)


def test_overflow_is_refused_by_the_name_of_the_layer():
    model = user(
        lambda m, x: m.fc(m.lif(m.big(m.norm(m.conv(x)))).flatten(2)),
        norm=BatchNorm2d(4), big=Conv2d(4, 300, 6, Uniform(8)), fc=classifier(300),
    )  # fmt: skip
    with torch.no_grad():
        model.norm.weight.fill_(1e3)
        model.big.weight.fill_(1.0)
    with pytest.raises(OverflowRefused, match=r"^big: output may reach \[-?\d+, \d+\], beyond 32 bits"):
        lower(model, images())


def test_a_map_of_logits_is_refused():
    with pytest.raises(GraphError, match="the last node must give one vector of logits"):
        lower(user(lambda m, x: m.lif(m.conv(x))), images())


def test_labels_that_do_not_count_the_classes_are_refused():
    with pytest.raises(GraphError, match="labels must name 5 classes, got 2"):
        lower(plain(), images(), labels=["a", "b"])


# --- nothing is left behind -------------------------------------------------------------------------


def traces(model: nn.Module) -> dict[str, Any]:
    """Everything of a model and of torch that lowering might change."""
    return {
        "modes": [m.training for m in model.modules()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()],
        "state": {k: v.clone() for k, v in model.state_dict().items()},
        "grad": [p.grad for p in model.parameters()],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "generator": torch.get_rng_state(),
        "grad mode": torch.is_grad_enabled(),
    }


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    for name in before:
        if name == "state":
            assert before[name].keys() == after[name].keys()
            assert all(torch.equal(before[name][k], after[name][k]) for k in before[name])
        elif name == "generator":
            assert torch.equal(before[name], after[name])
        else:
            assert before[name] == after[name], name


def half_trained() -> nn.Module:
    """In training, but for a frozen batch norm."""
    model = after_conv(nn.Sequential(BatchNorm2d(4), nn.Dropout(0.5)))
    model.train()
    model.part[0].eval()
    return model


def test_the_model_is_as_before_after_success():
    model, x = half_trained(), images()
    before = traces(model)
    lower(model, x)
    assert_same(before, traces(model))


@pytest.mark.parametrize("how", ["a layer without a rule", "an error inside of a layer", "overflow", "an interrupt"])
def test_the_model_is_as_before_after_failure(how: str):
    model, x = half_trained(), images()
    if how == "a layer without a rule":
        model.part.append(nn.ReLU())
    elif how == "an error inside of a layer":
        model.fc = classifier(17)
    elif how == "overflow":
        model.conv.weight.data.fill_(2.0**80)
    else:
        model.lif.register_forward_hook(interrupt)
    before = traces(model)
    with pytest.raises((ValueError, RuntimeError, KeyboardInterrupt)):
        lower(model, x)
    assert_same(before, traces(model))


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_model_can_be_lowered_and_trained_on():
    model, x = half_trained(), images()
    lower(model, x)
    model(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


# --- torch's own batch norm -------------------------------------------------------------------------


def test_torch_s_own_batch_norm_is_lowered_and_verify_reports_what_differs():
    model = user(
        lambda m, x: m.norm(m.fc(m.lif(m.conv(x)).flatten(2)).mean(0)), fc=classifier(144, 8), norm=nn.BatchNorm1d(8)
    )
    with_statistics(model)
    x = images()
    result = lower(model, x).verify(model, [(x, torch.zeros(4, dtype=torch.long))])
    assert result.spike_mismatches == {"lif": 0}
    assert 0 < result.logit_mismatches < 32
    assert result.mismatches == result.logit_mismatches
    assert f"differ: 0 and {result.logit_mismatches}" in str(result)


def test_verify_counts_a_neuron_that_has_changed_since_lowering():
    model, x = plain(), images()
    graph = lower(model, x)
    model.lif.params = LIFParams(threshold=0.5)
    result = graph.verify(model, [(x, torch.zeros(4, dtype=torch.long))])
    assert result.spike_mismatches["lif"] > 0


def test_sum_pooling_by_a_divisor_that_is_no_square_stays_exact():
    assert_exact(user(lambda m, x: m.fc(m.pool(m.lif(m.conv(x))).flatten(2)), pool=SumPool2d(3), fc=classifier(16)))
    assert_exact(user(lambda m, x: m.fc(m.lif(m.pool(m.conv(x))).flatten(2)), pool=SumPool2d(3), fc=classifier(16)))
