"""Lowering of modules that users write: what is understood, and that nothing is left behind in the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikelet.base.errors import GraphError, LoweringError, SpikeletError
from spikelet.graph import ir
from spikelet.graph.reference import Reference
from spikelet.lowering import lower, verify
from spikelet.neurons import LIF, Hard, LIFParams, Soft
from spikelet.neurons.reset import Reset
from spikelet.nn import BatchNorm2d, ChannelMap, Conv2d, Encode, Linear, SumPool2d
from spikelet.quant import Binary, ReScaW, Uniform
from tests.support.user_modules import (
    SHAPE,
    T,
    User,
    after_conv,
    assert_exact,
    classifier,
    conv,
    images,
    neuron,
    plain,
    user,
    with_statistics,
)

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


def added_in_place(s: Tensor, body: nn.Module) -> Tensor:
    """Changes the very tensor that a neuron returned."""
    s += body(s)
    return s


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
    "a mean over the map that keeps its axes": lambda: user(
        lambda m, x: m.fc(m.lif(m.conv(x)).mean((3, 4), True).flatten(2)), fc=classifier(4)
    ),
    "torch.add": lambda: user(
        lambda m, x: m.fc(m.lif(torch.add(m.conv(x), other=m.conv2(x))).flatten(2)), conv2=conv()
    ),
    "an addition in place": lambda: user(lambda m, x: m.fc(m.lif(m.conv(x).add_(m.conv2(x))).flatten(2)), conv2=conv()),
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
    "an addition in place to spikes": lambda: user(
        lambda m, x: m.fc(added_in_place(m.lif(m.conv(x)), m.conv2).flatten(2)), conv2=conv(4, 4)
    ),
    "a channel map of pixels": lambda: user(
        lambda m, x: m.fc(m.lif(m.map(x)).flatten(2)), map=ChannelMap.padded(3, 5, 2), fc=classifier(45)
    ),
    "a channel map of spikes": lambda: user(
        lambda m, x: m.fc(m.map(m.lif(m.conv(x))).flatten(2)), map=ChannelMap([3, -1, 0, 0]), fc=classifier(144)
    ),
    "a channel map of sums of spikes": lambda: user(
        lambda m, x: m.fc(m.map(sum([m.lif(m.conv(x))] * 3)).flatten(2)), map=ChannelMap([1, -1], 3), fc=classifier(8)
    ),
    "a channel map of channels of many scales": lambda: user(
        lambda m, x: m.fc(m.lif(m.map(m.conv(x))).flatten(2)),
        conv=Conv2d(3, 4, 3, Binary(standardize=False), padding=1),
        map=ChannelMap([2, 1, -1, 0]),
    ),
    "odd codes": lambda: user(
        lambda m, x: m.fc(m.lif(m.conv2(m.lif(m.conv(x)))).flatten(2)),
        conv=Conv2d(3, 4, 3, ReScaW(8), padding=1),
        conv2=Conv2d(4, 4, 3, ReScaW(2), padding=1, groups=2),
        fc=Linear(144, 5, ReScaW(5, per_channel=False)),
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
    assert_exact(plain(), frames, time_axis=0)


def test_one_neuron_at_two_places_is_two_nodes_of_its_name():
    model = user(lambda m, x: m.fc(m.lif(m.conv2(m.lif(m.conv(x)))).flatten(2)), conv2=conv(4, 4))
    assert [n.name for n in assert_exact(model).of_type(ir.Lif)] == ["lif", "lif#2"]


def test_what_the_output_does_not_need_is_left_out_and_need_not_have_an_integer_form():
    def body(m: User, x: Tensor) -> Tensor:
        s = m.lif(m.conv(x))
        m.seen = (s.sigmoid() * 3).sum()  # somebody's statistics
        m.spare(x[0])
        return m.fc(s.flatten(2))

    nodes = assert_exact(user(body, spare=nn.Conv2d(3, 1, 1))).nodes
    assert [type(n) for n in nodes] == [ir.Input, ir.Conv, ir.Affine, ir.Lif, ir.Flatten, ir.Linear, ir.SumTime]


def test_a_number_that_is_only_looked_at_is_plain_python():
    def body(m: User, x: Tensor) -> Tensor:
        s = m.lif(m.conv(x))
        m.rate = s.mean().item()
        return m.fc(s.flatten(2))

    assert_exact(user(body))


def test_a_constant_that_is_written_into_afterwards_is_what_it_was():
    def body(m: User, x: Tensor) -> Tensor:
        s = m.lif(m.conv(x)).flatten(2)
        total = torch.ones_like(s[0])
        for one in s:
            total += one
        return m.fc(total)

    assert_exact(user(body))


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

    graph = assert_exact(user(body, square=conv(3, 3), fc=classifier(108), lif=neuron(0.0625)))
    assert len(graph.of_type(ir.Lif)) == 2


@pytest.mark.parametrize(
    ("reset", "stated"),
    [(Hard(), "hard"), (Soft(), "soft"), (Soft(0.75), "soft"), (Soft(1.5), 6144), (Soft(0.0), 0)],
)
def test_a_reset_is_stated_in_one_way(reset: Reset, stated: str | int):
    model = nn.Sequential(Encode(), LIF(1, LIFParams(threshold=0.75, reset=reset)), nn.Flatten(2))
    (node,) = lower(model, torch.zeros(1, 1, 2, 2, dtype=torch.uint8)).of_type(ir.Lif)
    assert node.reset == stated


def test_labels_meta_and_scale_are_kept():
    model, x = plain(), images()
    graph = lower(model, x, labels=list("abcde"), meta={"seed": "1"})
    assert graph.labels == ("a", "b", "c", "d", "e")
    assert graph.meta == {"seed": "1"}
    assert graph.time_steps == T
    with torch.no_grad():
        real = model(x).mean(0).numpy()
    assert np.array_equal(Reference(graph)(x.numpy()) * graph.logit_scale, real)


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
        model.part.append(nn.Tanh())
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
    assert model.conv.weight.grad is not None
    assert model.conv.weight.grad.abs().sum() > 0


# --- torch's own batch norm -------------------------------------------------------------------------


def test_torch_s_own_batch_norm_is_lowered_and_verify_reports_what_differs():
    model = user(
        lambda m, x: m.norm(m.fc(m.lif(m.conv(x)).flatten(2)).mean(0)), fc=classifier(144, 8), norm=nn.BatchNorm1d(8)
    )
    with_statistics(model)
    x = images()
    result = verify(lower(model, x), model, [(x, torch.zeros(4, dtype=torch.long))])
    assert result.spike_mismatches == {"lif": 0}
    assert 0 < result.logit_mismatches < 32
    assert result.mismatches == result.logit_mismatches
    assert f"differ: 0 and {result.logit_mismatches}" in str(result)


def test_verify_puts_every_mode_back():
    model, x = half_trained(), images()
    graph, before = lower(model, x), traces(model)
    verify(graph, model, [(x, torch.zeros(4, dtype=torch.long))])
    assert_same(before, traces(model))


def test_a_tensor_changed_in_place_and_not_read_under_its_old_name_is_lowered():
    def body(m: User, x: Tensor) -> Tensor:
        current = m.conv(x)
        current += m.conv2(x)
        return m.fc(m.lif(current).flatten(2))

    assert_exact(user(body, conv2=conv()))


def test_lowering_works_in_inference_mode():
    with torch.inference_mode():
        assert_exact(plain(), images())


def test_verify_counts_a_neuron_that_has_changed_since_lowering():
    model, x = plain(), images()
    graph = lower(model, x)
    model.lif.params = LIFParams(threshold=0.5)
    result = verify(graph, model, [(x, torch.zeros(4, dtype=torch.long))])
    assert result.spike_mismatches["lif"] > 0


def test_sum_pooling_by_a_divisor_that_is_no_square_stays_exact():
    assert_exact(user(lambda m, x: m.fc(m.pool(m.lif(m.conv(x))).flatten(2)), pool=SumPool2d(3), fc=classifier(16)))
    assert_exact(user(lambda m, x: m.fc(m.lif(m.pool(m.conv(x))).flatten(2)), pool=SumPool2d(3), fc=classifier(16)))


def test_verify_refuses_another_model_and_what_is_no_pair():
    model, x, labels = plain(), images(), torch.zeros(4, dtype=torch.long)
    graph = lower(model, x)
    wider = user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)), conv=conv(3, 6), fc=classifier(216))
    with pytest.raises(GraphError, match=r"^lif: is \(4, 6, 6\) in the graph and \(6, 6, 6\) in the model"):
        verify(graph, wider, [(x, labels)])
    more = user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)), fc=classifier(144, 7))
    with pytest.raises(GraphError, match=r"^output: the graph gives \(4, 5\), the model \(2, 4, 7\), for 4 labels"):
        verify(graph, more, [(x, labels)])
    with pytest.raises(GraphError, match=r"for 3 labels; .* one label a sample"):
        verify(graph, model, [(x, labels[:3])])
    shapes = [(x, labels.float())], [(x, labels[:, None])], [(x[:0], labels[:0])]
    for wrong in ([x], [(x,)], x, [(x, labels, labels)], [("x", labels)], *shapes):
        with pytest.raises(ValueError, match=r"^batches must be pairs \(x, y\) of a uint8 input .* got"):
            verify(graph, model, wrong)  # type: ignore[arg-type]


def test_what_is_no_module_is_refused():
    with pytest.raises(LoweringError, match=r"^model must be a torch\.nn\.Module, got NoneType\."):
        lower(None, images())  # type: ignore[arg-type]


def test_a_model_in_half_precision_is_refused_for_that_reason():
    with pytest.raises(SpikeletError, match=r"^conv\.weight is torch\.float16, in which evaluation is not exact"):
        lower(plain().half(), images())


@pytest.mark.parametrize("batch", [1, 4, 5])
def test_logits_of_every_step_are_judged_by_the_last(batch: int):
    model = user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)).cumsum(0))
    x = torch.randint(0, 256, (batch, 3, 6, 6), dtype=torch.uint8)
    with torch.no_grad():
        labels = model(x)[-1].argmax(1)
    result = verify(lower(model, images()), model, [(x, labels)])
    assert result.mismatches == 0
    assert result.float_accuracy == result.integer_accuracy == 1.0
    assert result.logits == T * batch * 5


PICTURES = {
    "maps of every step": lambda m, x: m.lif(m.conv(x)),
    "a sum of maps": lambda m, x: m.lif(m.conv(x)).sum(0),
    "turned round": lambda m, x: m.lif(m.conv(x)).mean(0).flip(1).transpose(2, 3),
    "positions on one axis": lambda m, x: m.lif(m.conv(x)).flatten(3).sum(0),
    "one step": lambda m, x: m.lif(m.conv(x))[-1],
}


@pytest.mark.parametrize("run", PICTURES.values(), ids=list(PICTURES))
@pytest.mark.parametrize("batch", [1, 3])
def test_pictures_are_vectors_in_their_own_order(run: Callable[..., Any], batch: int):
    model = user(run)
    x = torch.randint(0, 256, (batch, 3, 6, 6), dtype=torch.uint8)
    graph = lower(model, images())
    assert verify(graph, model, [(x, torch.zeros(batch, dtype=torch.long))]).mismatches == 0
    with torch.no_grad():
        wanted = model.eval()(x)
    wanted = wanted.mean(0) if len(wanted) == T and wanted.dim() > 3 and wanted.shape[:2] == (T, batch) else wanted
    made = Reference(graph)(x.numpy()) * graph.outputs[0].scale
    np.testing.assert_allclose(made, wanted.flatten(1).numpy(), atol=1e-6)


def test_pictures_in_a_mixed_order_are_refused():
    with pytest.raises(
        LoweringError, match=r"output: gives the elements of its maps in another order .*move their axes outside"
    ):
        lower(user(lambda m, x: m.lif(m.conv(x)).mean(0).flatten(2).mT), images())


def test_labels_that_do_not_count_the_classes_are_refused():
    with pytest.raises(GraphError, match="labels must name 5 classes, got 2"):
        lower(plain(), images(), labels=["a", "b"])
