"""A network without some channels is the network in which they are silent; it lowers and runs natively."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from spikelet.compression import Channels, CompressionError, find_channels, remove_channels
from spikelet.compression.channels import first_removable
from spikelet.lowering import lower
from spikelet.nn import BatchNorm2d, Conv2d, Linear
from spikelet.runtime import Program
from tests.compression.masked import in_full_precision, masked
from tests.compression.networks import MISLEADING, NETWORKS, image
from tests.equivalence.random_networks import random_network
from tests.equivalence.test_chain import assert_equal_to_torch, trained
from tests.support.catalogue import DISTINCT, QUANTIZERS
from tests.support.layouts import axis_of

SEEDS = [*range(80), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(80, 200))]
FEWER = range(0, 80, 2)
PRUNABLE = [name for name, (_, units) in NETWORKS.items() if units]


@contextmanager
def double() -> Iterator[None]:
    """Float64 throughout: where weights are floats, only rounding could tell two orders of summation apart."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def some_units(channels: Channels, seed: int) -> Tensor:
    """A share of every group, from few units to all but what each layer must keep."""
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for group in channels.groups:
        order = group.units[torch.randperm(len(group.units), generator=generator)]
        chosen.append(order[: int(torch.randint(0, len(order) + 1, (1,), generator=generator))])
    units = torch.cat(chosen) if chosen else torch.zeros(0, dtype=torch.int64)
    return first_removable(channels, units, len(units))


def without(model: nn.Module, channels: Channels, units: Tensor, x: Tensor) -> nn.Module:
    small = copy.deepcopy(model)
    remove_channels(small, channels, units, x)
    return small


@torch.no_grad()
def difference(a: nn.Module, b: nn.Module, x: Tensor) -> float:
    return float((a(x) - b(x)).abs().max())


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


# --- equal to the silenced network ------------------------------------------------------------------


@pytest.mark.parametrize("name", PRUNABLE)
def test_every_kind_of_network_without_channels_is_the_silenced_one(name: str):
    model = NETWORKS[name][0]().double()
    with double():
        channels = find_channels(model, image())
        for seed in range(5):
            units = some_units(channels, seed)
            small = without(model, channels, units, image())
            assert difference(small, masked(model, channels, units), image()) < 1e-9
            assert parameters(small) < parameters(model) or not len(units)


@pytest.mark.parametrize("name", QUANTIZERS)
def test_a_quantizer_sees_the_weights_that_stay(name: str):
    model = NETWORKS["concatenation, then sum"][0]()
    for module in model.modules():
        if isinstance(module, Conv2d | Linear):
            module.quantizer = QUANTIZERS[name]
    channels = find_channels(model, image())
    for seed in range(3):
        units = some_units(channels, seed)
        assert difference(without(model, channels, units, image()), masked(model, channels, units), image()) < 1e-5


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_network_without_channels_is_the_silenced_one_and_runs_natively(seed: int):
    net = random_network(seed)
    channels = find_channels(net.model, net.x, time_axis=axis_of(net.x))
    units = some_units(channels, seed)
    small = without(net.model, channels, units, net.x)
    silenced = masked(net.model, channels, units)
    for x in (net.x, net.others[0]):
        # spikes are equal; a mean over a 6 x 6 map is a float sum, whose order follows the number of channels
        assert difference(small, silenced, x) < 1e-6
    graph = lower(small, net.x, time_axis=axis_of(net.x))
    assert_equal_to_torch([Program(graph)], graph, small, net.x)


@pytest.mark.parametrize("seed", FEWER)
def test_with_weights_as_they_are_silencing_channels_is_all_there_is_to_it(seed: int):
    net = random_network(seed)
    model = in_full_precision(net.model).double()
    with double():
        channels = find_channels(model, net.x, time_axis=axis_of(net.x))
        units = some_units(channels, seed)
        small = without(model, channels, units, net.x)
        assert difference(small, masked(model, channels, units, quantizers=False), net.x) < 1e-5


@pytest.mark.parametrize("name", DISTINCT)
@pytest.mark.parametrize(("weight_bits", "frames"), [(1, 0), (4, 3)])
def test_a_trained_model_of_the_catalogue_without_channels_is_the_silenced_one_and_runs_natively(
    name: str, weight_bits: int, frames: int
):
    model, x = trained(name, weight_bits, 4, 3, frames)
    channels = find_channels(model, x, time_axis=axis_of(x))
    units = some_units(channels, 3)
    assert len(units) > 5
    small = without(model, channels, units, x)
    assert difference(small, masked(model, channels, units), x) == 0
    graph = lower(small, x, time_axis=axis_of(x))
    assert_equal_to_torch([Program(graph)], graph, small, x)


def test_the_random_networks_hold_what_is_claimed():
    """Residual sums, grouped convolutions and layers used twice, with units to remove."""
    removed = groups = sums = 0
    for seed in FEWER:
        net = random_network(seed)
        channels = find_channels(net.model, net.x, time_axis=axis_of(net.x))
        removed += len(some_units(channels, seed)) > 0
        groups += any(isinstance(m, nn.Conv2d) and m.groups > 1 for m in net.model.modules())
        sums += any(len(group.layers) > 1 for group in channels.groups)
    assert removed > 32
    assert groups > 8
    assert sums > 20


# --- what is left -----------------------------------------------------------------------------------


def test_kept_values_are_those_that_were_there():
    model, x = trained("qsnn_vgg_s", 1, 4, 3, 0)
    channels = find_channels(model, x, time_axis=axis_of(x))
    stage = channels.groups[0]
    small = without(model, channels, stage.units[:3], x)
    norm, smaller = (m.get_submodule("features.0.1") for m in (model, small))
    assert isinstance(norm, BatchNorm2d)
    assert isinstance(smaller, BatchNorm2d)
    assert smaller.num_features == norm.num_features - 3
    for name in ("weight", "bias", "running_mean", "running_var"):
        assert torch.equal(getattr(smaller, name), getattr(norm, name)[3:])
    head, fewer = model.get_submodule("classifier"), small.get_submodule("classifier")
    assert torch.equal(head.weight, fewer.weight)  # type: ignore[arg-type]
    conv, narrower = model.get_submodule("features.1.body.1"), small.get_submodule("features.1.body.1")
    assert isinstance(conv, Conv2d)
    assert isinstance(narrower, Conv2d)
    assert torch.equal(narrower.weight, conv.weight[3:, 3:])


def test_attributes_say_what_the_tensors_are():
    net = NETWORKS["depthwise"][0]()
    channels = find_channels(net, image())
    remove_channels(net, channels, channels.groups[0].units[:1], image())
    one, two, fc = (net.get_submodule(name) for name in ("one", "two", "fc"))
    assert isinstance(one, Conv2d)
    assert isinstance(two, Conv2d)
    assert isinstance(fc, Linear)
    assert (one.in_channels, one.out_channels, one.groups) == (3, 3, 1)
    assert (two.in_channels, two.out_channels, two.groups) == (3, 6, 3)
    assert (fc.in_features, fc.out_features) == (6 * 36, 5)
    assert "3, 6, kernel_size=(3, 3)" in repr(two)
    assert "groups=3" in repr(two)


def test_a_source_that_left_reads_as_zero_and_an_output_that_left_takes_its_entry_along():
    net = NETWORKS["channel map"][0]()
    channels = find_channels(net, image())
    one, two = (channels.layers[name].makes for name in ("one", "two"))
    assert one is not None
    assert two is not None
    remove_channels(net, channels, torch.stack([one[1], two[0], two[4]]), image())
    assert net.get_buffer("select.source").tolist() == [0, -1, 1, -1]  # of -1, 0, 1, 2, 3, -1


def test_shared_tensors_stay_shared_and_frozen_ones_frozen():
    net = NETWORKS["tied weights"][0]()
    net.get_parameter("a.weight").requires_grad = False
    channels = find_channels(net, image())
    remove_channels(net, channels, channels.groups[0].units[1:3], image())
    assert net.get_parameter("a.weight") is net.get_submodule("b").weight
    assert net.get_parameter("a.weight").shape == (2, 2, 3, 3)
    assert not net.get_parameter("a.weight").requires_grad
    assert net.get_parameter("one.weight").requires_grad


def test_a_smaller_network_trains_and_its_state_loads():
    model, x = trained("qsnn_resnet19", 1, 4, 2, 0)
    channels = find_channels(model, x, time_axis=axis_of(x))
    small = without(model, channels, some_units(channels, 1), x).train()
    small(x).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in small.parameters())
    again = without(model, channels, some_units(channels, 1), x)
    again.load_state_dict(small.state_dict())


def test_a_network_can_be_cut_again():
    model, x = trained("qsnn_vgg_s", 1, 4, 2, 0)
    channels = find_channels(model, x, time_axis=axis_of(x))
    small = without(model, channels, some_units(channels, 1), x)
    channels = find_channels(small, x)
    units = some_units(channels, 2)
    assert difference(without(small, channels, units, x), masked(small, channels, units), x) == 0


# --- refused ----------------------------------------------------------------------------------------


def test_the_last_channel_of_a_layer_is_refused():
    net = NETWORKS["chain"][0]()
    channels = find_channels(net, image())
    with pytest.raises(CompressionError, match="one: all of its 4 channels would leave; keep one"):
        remove_channels(net, channels, channels.groups[0].units, image())


def test_a_unit_that_is_none_is_refused():
    net = NETWORKS["chain"][0]()
    with pytest.raises(CompressionError, match="hold no unit 999"):
        remove_channels(net, find_channels(net, image()), torch.tensor([999]), image())


@pytest.mark.parametrize("name", MISLEADING)
def test_code_that_would_do_something_else_without_its_channels_is_refused(name: str):
    model = MISLEADING[name]()
    channels = find_channels(model, image())
    group = channels.groups[0 if len(channels.groups) == 1 else 1]
    some = torch.cat([g.units[: len(g.units) // 2] for g in channels.groups if set(g.layers) & {*group.layers, "v"}])
    with pytest.raises(CompressionError, match=r"without \d channels .* takes a number from the channels"):
        remove_channels(model, channels, some, image())


def test_a_number_of_channels_in_the_user_s_code_is_named_as_the_likely_cause():
    class Fixed(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            net = self.net
            s = net.lif(net.one(net.encode(x)))  # type: ignore[operator]
            return net.fc(s.reshape(2, -1, 144))  # type: ignore[operator]

    net = Fixed(NETWORKS["chain"][0]())
    channels = find_channels(net, image())
    with pytest.raises(
        CompressionError, match=r"does not run any more without 1 of its channels: .* may name a number"
    ):
        remove_channels(net, channels, channels.groups[0].units[:1], image())
