"""SpikingJelly's networks do here what they do there: float for float in training, spike for spike on ties."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.neurons import LIF, ATan, Sigmoid
from spikelet.nn import BatchNorm2d, Conv2d, Linear, MaxPool2d, SumPool2d
from spikelet.quant import FullPrecision

pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
from spikingjelly.activation_based import base, functional, layer, neuron, surrogate

T = 4


class Residual(nn.Module):
    """s -> LIF(norm(conv(s))) + s, in either step mode."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = layer.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = layer.BatchNorm2d(channels)
        self.neuron = neuron.LIFNode(tau=2.0, surrogate_function=surrogate.ATan(), detach_reset=True)

    def forward(self, s: Tensor) -> Tensor:
        return self.neuron(self.norm(self.conv(s))) + s


class Net(nn.Module):
    """Stem, residual block, pool and classifier; asks a layer for its step mode, as SpikingJelly's own models do."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(layer.Conv2d(3, 8, 3, padding=1), layer.BatchNorm2d(8), neuron.IFNode(v_reset=None))
        self.block = Residual(8)
        self.pool = layer.AvgPool2d(2)
        self.fc = layer.Linear(8 * 4 * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.block(self.stem(x)))
        return self.fc(x.flatten(1 if self.pool.step_mode == "s" else 2))


def containers() -> nn.Module:
    """The same layers by containers, in step mode 'm'."""
    return nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8)),
        neuron.ParametricLIFNode(init_tau=4.0, decay_input=False, step_mode="m"),
        layer.StepModeContainer(False, "m", nn.Conv2d(8, 8, 2, bias=False), nn.MaxPool2d(2)),
        layer.SeqToANNContainer(nn.BatchNorm2d(8)),
        layer.MultiStepContainer(nn.Sequential(nn.Identity(), neuron.IFNode())),
        layer.SeqToANNContainer(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)),
    )


def sequential() -> nn.Module:
    """Torch's layers and SpikingJelly's side by side, in step mode 's', with an average over 3 x 3."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding="same"),
        layer.BatchNorm2d(6),
        neuron.LIFNode(tau=4.0, decay_input=False, v_threshold=0.5, v_reset=-0.25),
        layer.MaxPool2d(2),
        nn.Conv2d(6, 6, 2, groups=2),
        nn.BatchNorm2d(6, affine=False),
        neuron.IFNode(v_threshold=0.75),
        nn.AvgPool2d(3),
        layer.Flatten(),
        nn.Linear(6, 10, bias=False),
        neuron.LIFNode(v_threshold=0.0625, v_reset=None),
    )


def networks() -> dict[str, Callable[[], nn.Module]]:
    def in_mode_m(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        def made() -> nn.Module:
            net = make()
            functional.set_step_mode(net, "m")
            return net

        return made

    return {"class-s": Net, "class-m": in_mode_m(Net), "containers": containers, "sequential": sequential}


every_network = pytest.mark.parametrize("make", networks().values(), ids=list(networks()))


def image(batch: int = 4) -> Tensor:
    return torch.randint(0, 256, (batch, 3, 8, 8), dtype=torch.uint8)


def theirs(net: nn.Module, x: Tensor) -> Tensor:
    """What SpikingJelly gives for float images x, [T, B, ...], from reset neurons."""
    functional.reset_net(net)
    frames = x.unsqueeze(0).repeat(T, 1, 1, 1, 1)
    multi = any(m.step_mode == "m" for m in net.modules() if isinstance(m, neuron.BaseNode))
    made = net(frames) if multi else torch.stack([net(frame) for frame in frames])
    functional.reset_net(net)
    return made


def settled(net: nn.Module) -> nn.Module:
    """Batch norm statistics from some batches."""
    net.train()
    for _ in range(8):
        theirs(net, image(8).float() / 255)
    return net


# --- neurons ----------------------------------------------------------------------------------------------------------

NODES = {
    **{
        f"IF-{threshold}-{reset}": lambda threshold=threshold, reset=reset: neuron.IFNode(threshold, reset)
        for threshold, reset in ((1.0, 0.0), (1.0, None), (0.75, -0.5), (1.0, 0.25))
    },
    **{
        f"LIF-{tau:.3g}-{decay}-{reset}": lambda tau=tau, decay=decay, reset=reset: neuron.LIFNode(
            tau, decay, 1.0, reset
        )
        for (tau, decay), reset in itertools.product(
            ((2.0, True), (2.0, False), (4.0, True), (4.0, False), (4 / 3, False)), (0.0, None, -0.5, 0.25)
        )
    },
    "PLIF": lambda: neuron.ParametricLIFNode(4.0),
    "PLIF-undecayed": lambda: neuron.ParametricLIFNode(2.0, decay_input=False, v_reset=None),
}
every_node = pytest.mark.parametrize("make", NODES.values(), ids=list(NODES))


def converted_node(node: nn.Module, steps: int) -> LIF:
    """The LIF of a node; a network needs a layer that reads the image."""
    return spikelet.from_spikingjelly(nn.Sequential(nn.Linear(1, 1), node), time_steps=steps).net[1]  # type: ignore


@every_node
@pytest.mark.parametrize("training", [True, False])
def test_every_spike_of_a_neuron_is_the_same_on_ties(make: Callable[[], Any], training: bool) -> None:
    """Currents of eighths: 3 steps of leaking quarters stay on the grid, and many charges lie on the threshold."""
    node, other = make(), make()
    lif = converted_node(make(), 3).train(training)
    x = torch.randint(-8, 17, (3, 1, 3000)) / 8 / lif.params.input_gain
    other.v_threshold += 1e-6  # only what lies on the threshold can see it
    for one in (node, other):
        functional.set_step_mode(one, "m")
    expected = node(x)
    assert torch.equal(lif(x), expected)
    assert 0.02 < expected.mean() < 0.98
    assert (other(x) != expected).any(), "no charge lies on the threshold"


@every_node
def test_training_gives_the_same_spikes_for_any_currents(make: Callable[[], Any]) -> None:
    node = make()
    x = torch.randn(T, 2, 2000) + 0.3
    functional.set_step_mode(node, "m")
    assert torch.equal(converted_node(make(), T).train()(x), node(x))


@pytest.mark.parametrize(
    ("theirs", "ours"), [(lambda: surrogate.ATan(3.0), ATan(3.0)), (lambda: surrogate.Sigmoid(5.0), Sigmoid(5.0))]
)
def test_two_surrogates_are_ours_by_another_name(theirs: Callable[[], Any], ours: object) -> None:
    assert converted_node(neuron.IFNode(surrogate_function=theirs()), T).params.surrogate == ours


def test_neurons_that_are_all_in_containers_do_not_hide_the_time_axis() -> None:
    net = nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(3, 8, 3)),
        layer.MultiStepContainer(neuron.IFNode()),
        nn.Flatten(2),
        layer.SeqToANNContainer(nn.Linear(8 * 36, 10)),
    )
    model = spikelet.from_spikingjelly(net, time_steps=T)
    assert model(torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)).shape == (T, 2, 10)


@pytest.mark.parametrize("name", ["ATan", "Sigmoid", "PiecewiseQuadratic", "Erf", "SoftSign", "LeakyKReLU"])
@pytest.mark.parametrize("v_reset", [0.0, None])
def test_the_gradient_is_theirs_for_every_surrogate(name: str, v_reset: float | None) -> None:
    node = neuron.LIFNode(v_reset=v_reset, surrogate_function=getattr(surrogate, name)(), step_mode="m")
    ours = converted_node(neuron.LIFNode(v_reset=v_reset, surrogate_function=getattr(surrogate, name)()), T).train()
    x = (torch.randn(T, 2, 50) + 0.5).requires_grad_()
    (expected,) = torch.autograd.grad(node(x).square().sum(), x)
    (made,) = torch.autograd.grad(ours(x).square().sum(), x)
    assert torch.allclose(made, expected, rtol=1e-4, atol=1e-6)


# --- networks ---------------------------------------------------------------------------------------------------------


@every_network
def test_training_gives_what_they_give_float_for_float(make: Callable[[], nn.Module]) -> None:
    """Batch norm takes its statistics over all steps, so those of single steps are left in evaluation."""
    net, x = settled(make()), image()
    in_steps = not any(m.step_mode == "m" for m in net.modules() if isinstance(m, neuron.BaseNode))
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms if in_steps else ():
        norm.eval()
    model = spikelet.from_spikingjelly(net, time_steps=T)
    assert model.training
    made, expected = model(x), theirs(net, x.float() / 255)
    assert torch.allclose(made, expected, rtol=1e-4, atol=2e-4 if not in_steps else 2e-2)
    assert made.std() > 0.01


@every_network
def test_evaluation_differs_by_the_grid_only(make: Callable[[], nn.Module]) -> None:
    net, x = settled(make()).eval(), image(16)
    model = spikelet.from_spikingjelly(net, time_steps=T)
    assert not model.training
    made, expected = model(x), theirs(net, x.float() / 255)
    assert torch.quantile((made - expected).abs(), 0.9) < 0.01
    assert (made - expected).abs().mean() < 0.01


def test_a_normalised_image_is_folded_into_the_first_layer_with_its_borders() -> None:
    net, x = settled(networks()["class-m"]()), image()
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    model = spikelet.from_spikingjelly(net, time_steps=T, mean=mean, std=std)
    normalised = (x.float() / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    assert torch.allclose(model(x), theirs(net, normalised), rtol=1e-3, atol=1e-3)


def test_frames_of_event_counts_are_taken_as_they_are() -> None:
    net = settled(networks()["class-m"]())
    frames = torch.randint(0, 4, (T, 2, 3, 8, 8), dtype=torch.uint8)
    model = spikelet.from_spikingjelly(net, time_steps=T, time_axis=0, scale=1.0)
    expected = net(frames.float())
    assert torch.allclose(model(frames), expected, rtol=1e-4, atol=2e-4)


def test_both_step_modes_become_the_same_model() -> None:
    net, x = settled(Net()), image()
    first = spikelet.from_spikingjelly(net, time_steps=T)
    functional.set_step_mode(net, "m")
    second = spikelet.from_spikingjelly(net, time_steps=T)
    assert torch.equal(first.eval()(x), second.eval()(x))


@every_network
def test_layers_become_ours_with_full_precision_weights(make: Callable[[], nn.Module]) -> None:
    model = spikelet.from_spikingjelly(make(), time_steps=T)
    leaves = [m for m in model.modules() if not list(m.children()) and not type(m).__module__.startswith("torch.")]
    assert all(type(m).__module__.startswith("spikelet.") for m in leaves)
    assert {type(m) for m in leaves} >= {Conv2d, Linear, BatchNorm2d}
    assert all(m.quantizer == FullPrecision() for m in leaves if isinstance(m, Conv2d | Linear))


@every_network
def test_the_network_is_left_alone_and_keeps_its_state(make: Callable[[], nn.Module]) -> None:
    net = make()
    if make is Net:
        functional.set_step_mode(net, "m")
    for _ in range(2):  # its neurons hold membranes with gradients behind them
        frame = image().float() / 255
        net(frame if make is sequential else frame.expand(T, -1, -1, -1, -1))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modules = [(name, id(m), type(m), m.training) for name, m in net.named_modules()]
    membranes = [m.v for m in net.modules() if isinstance(m, neuron.BaseNode)]
    model = spikelet.from_spikingjelly(net, time_steps=T)
    model(image()).sum().backward()
    torch.optim.SGD(model.parameters(), lr=1.0).step()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [(name, id(m), type(m), m.training) for name, m in net.named_modules()] == modules
    after = [m.v for m in net.modules() if isinstance(m, neuron.BaseNode)]
    assert all(now is then for now, then in zip(after, membranes, strict=True))
    mine = {p.data_ptr() for p in model.parameters()}
    assert mine.isdisjoint(p.data_ptr() for p in net.parameters())


@every_network
def test_nothing_is_kept_between_calls_and_a_copy_does_the_same(make: Callable[[], nn.Module]) -> None:
    model, x = spikelet.from_spikingjelly(make(), time_steps=T).eval(), image()
    first = model(x)
    assert torch.equal(model(x), first)
    assert torch.equal(copy.deepcopy(model)(x), first)
    assert torch.equal(torch.cat([model(x[:1]), model(x[1:])], 1), first)


def test_frozen_parameters_and_modes_stay_so() -> None:
    net = Net()
    net.block.conv.weight.requires_grad_(False)
    net.block.norm.eval()
    model = spikelet.from_spikingjelly(net, time_steps=T)
    assert not model.net.block.conv.weight.requires_grad  # type: ignore[union-attr]
    assert not model.net.block.norm.training  # type: ignore[union-attr]
    assert model.net.fc.weight.requires_grad  # type: ignore[union-attr]


def test_a_layer_that_is_shared_stays_shared() -> None:
    conv = layer.Conv2d(4, 4, 3, padding=1)
    net = nn.Sequential(nn.Conv2d(3, 4, 1), neuron.IFNode(), conv, neuron.IFNode(), conv, neuron.IFNode())
    model = spikelet.from_spikingjelly(net, time_steps=T)
    assert model.net[2] is model.net[4]  # type: ignore[index]
    assert model.net[1] is not model.net[3]  # type: ignore[index]


def test_threshold_dependent_batch_norm_is_the_batch_norm_that_it_is() -> None:
    norm = layer.ThresholdDependentBatchNorm2d(0.5, 1.0, 8)
    norm.running_mean.fill_(0.25)
    model = spikelet.from_spikingjelly(nn.Sequential(nn.Conv2d(3, 8, 1), norm), time_steps=T)
    ours = model.net[1]  # type: ignore[index]
    assert type(ours) is BatchNorm2d
    assert ours.weight.tolist() == [0.5] * 8
    assert ours.running_mean.tolist() == [0.25] * 8


def test_dropout_holds_one_mask_for_all_steps() -> None:
    for theirs_, maps in ((layer.Dropout(0.5), False), (layer.Dropout2d(0.5), True)):
        net = nn.Sequential(nn.Conv2d(3, 8, 1), theirs_)
        ours = spikelet.from_spikingjelly(net, time_steps=T).net[1].train()  # type: ignore[index]
        made = ours(torch.ones(T, 5, 8, 6, 6))
        assert set(made.unique().tolist()) == {0.0, 2.0}
        assert all(torch.equal(made[0], made[t]) for t in range(T))
        assert maps == bool((made.amin((3, 4)) == made.amax((3, 4))).all())
        assert torch.equal(ours.eval()(made), made)


def test_pools_are_exact_ones() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1), layer.AvgPool2d(2), layer.MaxPool2d(3, 2, 1), nn.AvgPool2d(4))
    model = spikelet.from_spikingjelly(net, time_steps=T)
    assert [type(m) for m in model.net.children()] == [Conv2d, SumPool2d, MaxPool2d, SumPool2d]


def test_a_user_s_own_step_module_is_kept() -> None:
    class Both(nn.Module, base.StepModule):
        def __init__(self) -> None:
            super().__init__()
            self.conv = layer.Conv2d(3, 4, 1)
            self.step_mode = "s"

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x).flatten(1 if self.step_mode == "s" else 2)

    model = spikelet.from_spikingjelly(Both(), time_steps=T)
    assert model(image()).shape == (1, 4, 4 * 64)
