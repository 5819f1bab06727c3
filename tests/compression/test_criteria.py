"""Criteria: one score a channel, the dead ones lowest, equal to the papers' equations written as plain loops."""

from __future__ import annotations

import copy
import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from spikelet.compression import Channels, find_channels
from spikelet.compression.channels import Group
from spikelet.compression.criteria import (
    SVS,
    Absolute,
    Criterion,
    MembraneL1,
    NormScale,
    Random,
    Relative,
    Scores,
    WeightL1,
    stability,
    unit_scores,
)
from spikelet.compression.criteria.stability import mean_cosine
from spikelet.neurons import LIF
from spikelet.nn import BatchNorm2d, Conv2d
from tests.compression.networks import NETWORKS, image
from tests.equivalence.test_chain import trained
from tests.support.catalogue import model_input, small_model
from tests.support.layouts import axis_of

CRITERIA: dict[str, Criterion] = {
    "svs": SVS(),
    "svs-relative": SVS(Relative()),
    "membrane-l1": MembraneL1(),
    "weight-l1": WeightL1(),
    "norm-scale": NormScale(),
    "random": Random(3),
}
every_criterion = pytest.mark.parametrize("name", CRITERIA)


def scored(name: str, model: nn.Module, inputs: list[Tensor]) -> tuple[Channels, dict[str, Tensor]]:
    """Scores of every group by its name."""
    channels = find_channels(model, inputs[0], time_axis=axis_of(inputs[0]))
    scores = CRITERIA[name].scores(model, channels, inputs)
    made = {group.name: unit_scores(group, scores) for group in channels.groups}
    return channels, {name: values for name, values in made.items() if values is not None}


def test_every_criterion_is_in_the_catalogue():
    assert {type(c) for c in CRITERIA.values()} == set(Criterion.__subclasses__())


# --- the contract -----------------------------------------------------------------------------------


@every_criterion
@pytest.mark.parametrize("frames", [0, 3])
def test_every_unit_of_a_trained_network_gets_a_finite_score(name: str, frames: int):
    model, x = trained("qsnn_resnet19", 1, 4, 3, frames)
    channels, scores = scored(name, model, [x])
    assert set(scores) == {group.name for group in channels.groups}
    for group in channels.groups:
        assert scores[group.name].shape == group.units.shape
        assert torch.isfinite(scores[group.name]).all()
        assert (scores[group.name] >= 0).all()


@every_criterion
def test_scores_do_not_depend_on_the_order_of_samples_or_on_how_they_are_batched(name: str):
    model, x = trained("qsnn_vgg_s", 1, 4, 3, 0)
    x = torch.cat([x, model_input("qsnn_vgg_s", 3)])
    _, whole = scored(name, model, [x])
    _, mixed = scored(name, model, [x[[4, 1, 5]], x[[0, 3, 2]]])
    assert all(torch.allclose(values, mixed[group], rtol=1e-12) for group, values in whole.items())


@every_criterion
def test_scoring_leaves_the_model_as_it_was(name: str):
    model, x = trained("qsnn_vgg_s", 1, 4, 3, 0)
    model.train()
    state = copy.deepcopy(model.state_dict())
    params = {m: m.params for m in model.modules() if isinstance(m, LIF)}
    scored(name, model, [x])
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert all(neuron.params is p for neuron, p in params.items())
    assert all(m.training and not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("name", [name for name in CRITERIA if name != "random"])
def test_a_dead_channel_scores_lowest(name: str):
    net = NETWORKS["norm"][0]()
    conv, norm = net.get_submodule("one"), net.get_submodule("norm")
    assert isinstance(conv, Conv2d)
    assert isinstance(norm, BatchNorm2d)
    with torch.no_grad():
        conv.weight[2] = 0
        norm.weight[2] = 0
        norm.bias.zero_()
    channels, scores = scored(name, net, [image()])
    (group,) = channels.groups
    assert float(scores[group.name][2]) == 0
    assert scores[group.name].argmin() == 2
    assert (scores[group.name] > 0).sum() >= 2


def test_random_scores_are_those_of_the_seed():
    net = NETWORKS["frames in a row"][0]()
    channels = find_channels(net, image())
    first, again, other = (Random(seed).scores(net, channels, []) for seed in (1, 1, 2))
    assert all(torch.equal(a.values, b.values) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0].values, other[0].values)


@pytest.mark.parametrize("name", [name for name, c in CRITERIA.items() if c.needs_data])
def test_each_use_of_a_neuron_is_scored_for_its_own_channels(name: str):
    net = NETWORKS["frames in a row"][0]()  # one LIF behind both convolutions
    channels = find_channels(net, image())
    scores = CRITERIA[name].scores(net, channels, [image()])
    assert [s.units.tolist() for s in scores] == [group.units.tolist() for group in channels.groups]
    assert not torch.equal(scores[0].values, scores[1].values)


@pytest.mark.parametrize("name", [name for name, c in CRITERIA.items() if c.needs_data])
def test_neurons_of_a_linear_layer_are_scored(name: str):
    _, scores = scored(name, NETWORKS["hidden linear"][0](), [image()])
    assert scores["hidden"].shape == (7,)
    assert scores["hidden"].max() > 0


# --- SVS --------------------------------------------------------------------------------------------


class Play(nn.Module):
    """A convolution whose LIF fires given spikes, so that maps can be chosen: [T, B, C, H, W] behind `lif`."""

    def __init__(self, spikes: Tensor) -> None:
        super().__init__()
        self.spikes = spikes
        self.inner = NETWORKS["chain"][0]()
        self.inner.lif.register_forward_hook(lambda module, args, output: spikes)  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


def maps(seed: int = 0) -> Tensor:
    """Random spikes [2, 3, 4, 6, 6]; channel 1 never fires, channel 2 fires everywhere, channel 3 on a diagonal."""
    generator = torch.Generator().manual_seed(seed)
    spikes = (torch.rand(2, 3, 4, 6, 6, generator=generator) < 0.3).float()
    spikes[:, :, 1] = 0
    spikes[:, :, 2] = 1
    spikes[:, :, 3] = torch.eye(6)
    return spikes


def svs(spikes: Tensor, tolerance: Absolute | Relative) -> Tensor:
    model = Play(spikes)
    channels = find_channels(NETWORKS["chain"][0](), image())
    layers = {f"inner.{name}": layer for name, layer in channels.layers.items()}
    (scores,) = SVS(tolerance).scores(model, Channels(layers, channels.groups, {}, channels.values), [image()])
    return scores.values


def test_the_rank_is_that_of_a_loop_over_samples_and_channels():
    spikes = maps()
    average = spikes.double().mean(0)
    ranks = [[int(torch.linalg.matrix_rank(average[b, c])) for c in range(4)] for b in range(3)]
    expected = torch.tensor(ranks, dtype=torch.float64).mean(0)
    assert expected[1:].tolist() == [0, 1, 6]
    for tolerance in (Absolute(), Relative()):
        assert torch.equal(torch.floor(svs(spikes, tolerance) * 3 + 1e-9) / 3, torch.floor(expected * 3) / 3)


def test_the_relative_rank_is_the_library_s_default_in_float32():
    spikes = maps(1)
    ranks = torch.linalg.matrix_rank(spikes.mean(0)).double().mean(0)
    assert torch.equal(torch.floor(svs(spikes, Relative()) * 3 + 1e-9) / 3, torch.floor(ranks * 3 + 1e-9) / 3)


def test_an_absolute_tolerance_counts_what_lies_above_it():
    spikes = maps()
    assert svs(spikes, Absolute(1e-6))[3] >= 6  # the diagonal's singular values are all 1
    assert svs(spikes, Absolute(0.999))[3] >= 6
    assert svs(spikes, Absolute(1.001))[3] < 1


def test_ties_are_broken_by_the_nuclear_norm_and_by_no_more():
    spikes = torch.zeros(2, 3, 4, 6, 6)
    spikes[:, :, 0, 0, 0] = 1  # rank 1, nuclear norm 1
    spikes[0, :, 1, 0, 0] = 1  # rank 1, nuclear norm 1/2
    spikes[:, :, 2, 0] = 1  # rank 1, nuclear norm sqrt(6)
    spikes[:, 0, 3] = torch.eye(6)  # rank 6 in one of three samples
    spikes[:, 1:, 3] = 0
    scores = svs(spikes, Absolute())
    assert scores.argsort().tolist() == [1, 0, 2, 3]
    assert (scores - torch.tensor([1, 1, 1, 2])).min() > 0
    assert (scores - torch.tensor([1, 1, 1, 2])).max() <= 1 / 6 + 1e-12  # half a third


def test_on_small_maps_ranks_tie_and_scores_do_not():
    model = small_model("qsnn_vgg_s").eval()
    x = model_input("qsnn_vgg_s", 8)
    channels = find_channels(model, x)
    (last,) = [s for s in SVS().scores(model, channels, [x]) if s.layer == "features.4"]
    ranks = torch.floor(last.values * 8 + 1e-9)
    alive = last.values > 0
    assert len(ranks[alive].unique()) < int(alive.sum())
    assert len(last.values[alive].unique()) > len(ranks[alive].unique())


# --- the others -------------------------------------------------------------------------------------


def test_the_membrane_s_norm_is_that_of_the_neuron_s_equation():
    net = NETWORKS["chain"][0]()
    currents: list[Tensor] = []
    net.lif.register_forward_pre_hook(lambda module, args: currents.append(args[0]))  # type: ignore[union-attr]
    channels = find_channels(net, image())
    (scores,) = MembraneL1().scores(net, channels, [image()])
    x = torch.floor(currents[-1][0].double() * 4096 + 0.5) / 4096  # a still image, held
    total, v = torch.zeros(4, dtype=torch.float64), torch.zeros_like(x)
    for _ in range(2):
        h = torch.floor((0.5 * v + x) * 4096) / 4096
        total += h.abs().sum((0, 2, 3))
        v = h * (h < 0.125)
    assert torch.allclose(scores.values, total / (2 * 3), rtol=1e-12)


def test_weights_and_gains_are_scored_by_their_size():
    model, x = trained("qsnn_vgg_s", 1, 4, 2, 0)
    channels = find_channels(model, x)
    conv, norm = model.get_submodule("features.0.0"), model.get_submodule("features.0.1")
    weights = {s.layer: s for s in WeightL1().scores(model, channels, [])}["features.0.0"]
    gains = {s.layer: s for s in NormScale().scores(model, channels, [])}["features.0.1"]
    assert torch.equal(weights.units, gains.units)
    assert torch.allclose(weights.values, conv.weight.double().abs().sum((1, 2, 3)))  # type: ignore[operator, union-attr]
    assert torch.equal(gains.values, norm.weight.double().abs())  # type: ignore[operator, union-attr]


# --- units of several layers ------------------------------------------------------------------------


def test_a_unit_s_score_is_the_mean_of_its_layers_each_divided_by_its_own_mean():
    group = Group(("a", "b"), torch.tensor([3, 5, 8]))
    one = Scores("a", torch.tensor([3, 5, 8]), torch.tensor([1.0, 2.0, 3.0]).double())
    two = Scores("b", torch.tensor([8, 5, 8, 0]), torch.tensor([10.0, 0.0, 30.0, 40.0]).double())
    assert unit_scores(group, [one]).tolist() == [0.5, 1, 1.5]  # type: ignore[union-attr]
    assert unit_scores(group, [one, two]).tolist() == [0.5, 0.5, (1.5 + 1) / 2]  # type: ignore[union-attr]
    silent = Scores("c", torch.tensor([3, 5, 8]), torch.zeros(3).double())
    assert unit_scores(group, [silent]).tolist() == [0, 0, 0]  # type: ignore[union-attr]
    assert unit_scores(Group(("d",), torch.tensor([99])), [one, two]) is None


# --- stability --------------------------------------------------------------------------------------


def test_stability_is_the_mean_cosine_of_all_pairs():
    scores = torch.tensor([[1.0, 0, 2], [1, 1, 1], [0, 3, 1]]).double()
    pairs = itertools.combinations(scores, 2)
    expected = [float(a @ b) / math.sqrt(float(a @ a) * float(b @ b)) for a, b in pairs]
    assert mean_cosine(scores) == pytest.approx(sum(expected) / 3, rel=1e-12)
    assert mean_cosine(scores[:1].repeat(4, 1)) == pytest.approx(1)
    assert mean_cosine(torch.eye(3).double()) == 0


def test_a_criterion_of_weights_is_perfectly_stable_and_one_of_activity_less_so():
    model, x = trained("qsnn_vgg_s", 1, 4, 3, 0)
    channels = find_channels(model, x)
    inputs = [model_input("qsnn_vgg_s", 4) for _ in range(3)]
    weights = stability(WeightL1(), model, channels, inputs)
    assert list(weights) == ["features.0.0", "features.1.body.1", "features.2.1", "features.3.body.1", "classifier"]
    assert all(value == pytest.approx(1) for value in weights.values())
    ranks = stability(SVS(), model, channels, inputs)
    assert all(0.5 < value <= 1 + 1e-12 for value in ranks.values())
    assert min(ranks.values()) < 1 - 1e-6


def test_one_batch_has_no_stability():
    model, x = trained("qsnn_vgg_s", 1, 4, 2, 0)
    with pytest.raises(ValueError, match="inputs must hold two at least, got 1"):
        stability(SVS(), model, find_channels(model, x), [x])
