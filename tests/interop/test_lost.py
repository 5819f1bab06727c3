"""What a user's network does beside the code of its classes: done by its conversion too, or refused by name."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

import spikelet
from spikelet.base.errors import ConversionError

pytest.importorskip("snntorch", reason="needs snnTorch")
pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
import snntorch as snn
from snntorch import utils
from spikingjelly.activation_based import functional, layer, neuron

T = 4


class Hooked(neuron.LIFNode):
    """Its own hook, registered where defaults are set."""

    def __init__(self) -> None:
        super().__init__(v_threshold=0.25, v_reset=None)
        self.register_forward_hook(lambda module, inputs, output: 1 - output)


class PreHooked(snn.Leaky):
    def __init__(self) -> None:
        super().__init__(beta=0.5, init_hidden=True)
        self.register_forward_pre_hook(lambda module, inputs: (2 * inputs[0],))


class OnItself(neuron.IFNode):
    """Its forward is another one on each of its modules."""

    def __init__(self) -> None:
        super().__init__()
        self.forward = lambda x: x  # type: ignore[method-assign]


class Charges(neuron.SimpleLIFNode):
    """Another charge, set on the module."""

    def __init__(self) -> None:
        super().__init__(2.0, True)
        self.neuronal_charge = lambda x: None  # type: ignore[method-assign]


class Fires(neuron.SimpleLIFNode):
    def neuronal_fire(self) -> Tensor:
        return self.surrogate_function(self.v - 2 * self.v_threshold)


class Resets(neuron.SimpleLIFNode):
    def neuronal_reset(self, spike: Tensor) -> None:
        self.v = self.v - 2 * spike


class Adapts(neuron.IFNode):
    """A threshold that is computed anew at every step."""

    @property
    def v_threshold(self) -> float:
        return 1.0 + float(torch.as_tensor(self.v).mean())

    @v_threshold.setter
    def v_threshold(self, value: float) -> None:
        """Left out."""


class Charged(neuron.IFNode):
    """A membrane that does not start from its reset."""

    def __init__(self) -> None:
        super().__init__()
        self.set_reset_value("v", 0.5)


def hooked(how: str, hook: Callable[..., Any]) -> nn.Module:
    fc = nn.Linear(8, 8)
    getattr(fc, how)(hook)
    return fc


def with_gradient_hook(how: str) -> nn.Module:
    fc = nn.Linear(8, 8)
    getattr(fc.weight, how)(lambda *given: None)
    return fc


def replaced() -> nn.Module:
    fc = nn.Linear(8, 8)
    fc.forward = lambda x: 2 * x  # type: ignore[method-assign]
    return fc


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a hook of a subclass": (Hooked, r"1: has a forward hook, Hooked\.__init__\.<locals>\.<lambda>, which its"),
    "a pre-hook of a subclass": (PreHooked, "1: has a forward pre-hook, .* Remove it before"),
    "forward, by __init__": (OnItself, "1: its forward was set on this OnItself alone, which would be lost"),
    "neuronal_charge, by __init__": (Charges, "1: its neuronal_charge was set on this Charges alone"),
    "neuronal_fire": (lambda: Fires(2.0, True), "1: Fires is a SimpleLIFNode with code of its own, .*: neuronal_fire"),
    "neuronal_reset": (lambda: Resets(2.0, True), "1: Resets is a SimpleLIFNode with code .*: neuronal_reset"),
    "v_threshold as a property": (Adapts, "1: Adapts is a IFNode with code of its own, .*: v_threshold"),
    "a membrane that starts elsewhere": (Charged, r"1: its membrane starts at 0\.5 \(set_reset_value\)"),
    "a hook of a layer": (lambda: hooked("register_forward_hook", lambda m, i, o: 2 * o), "1: has a forward hook"),
    "a pre-hook of a layer": (lambda: hooked("register_forward_pre_hook", lambda m, i: i), "1: has a forward pre-hook"),
    "a backward hook": (
        lambda: hooked("register_full_backward_hook", lambda m, i, o: None), "1: has a backward hook",
    ),
    "a backward pre-hook": (
        lambda: hooked("register_full_backward_pre_hook", lambda m, o: None), "1: has a backward pre-hook",
    ),
    "a hook of a gradient": (lambda: with_gradient_hook("register_hook"), r"1\.weight: has a hook of its gradient"),
    "a hook after a gradient": (
        lambda: with_gradient_hook("register_post_accumulate_grad_hook"), r"1\.weight: has a hook of its gradient",
    ),
    "forward of a layer": (replaced, "1: its forward was set on this Linear alone"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_copy_would_lose_is_refused(name: str) -> None:
    make, words = REFUSED[name]
    part = make()
    net = nn.Sequential(nn.Linear(8, 8), part)
    convert = spikelet.from_snntorch if isinstance(part, snn.SpikingNeuron) else spikelet.from_spikingjelly
    with pytest.raises(ConversionError, match=words):
        convert(net, time_steps=T)


def test_hooks_of_a_container_that_is_taken_apart_are_refused() -> None:
    inner = layer.SeqToANNContainer(nn.Linear(8, 8))
    inner.register_forward_hook(lambda module, inputs, output: 2 * output)
    with pytest.raises(ConversionError, match="0: has a forward hook"):
        spikelet.from_spikingjelly(nn.Sequential(inner, neuron.IFNode(step_mode="m")), time_steps=T)


class OwnContainer(layer.SeqToANNContainer):
    """Sets defaults alone."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4))


def test_a_subclass_of_a_container_is_one() -> None:
    net = nn.Sequential(OwnContainer(), neuron.IFNode(v_threshold=0.25, step_mode="m"))
    net.append(nn.Sequential(layer.Flatten(step_mode="m"), layer.Linear(4 * 36, 3, step_mode="m")))
    same(net.eval(), torch.randint(0, 2, (T, 2, 2, 8, 8), dtype=torch.uint8), time_axis=0)


# --- what is done by the copy too --------------------------------------------------------------------------------


def same(net: nn.Module, x: Tensor, **options: Any) -> None:
    """The conversion gives the original's spikes, nearly all of them, and its answer but for grids."""
    convert = spikelet.from_snntorch
    if not any(isinstance(m, snn.SpikingNeuron) for m in net.modules()):
        convert = spikelet.from_spikingjelly
    model = convert(net, time_steps=T, scale=1.0, **options)
    report = model.compare([(x, torch.zeros(2, dtype=torch.long))])
    assert report.compared > 0
    assert report.different <= 0.02 * report.compared, str(report)
    assert sum(spikes.original for spikes in report.layers) > 0


def in_a_row(first: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    nn.init.normal_(first.weight, 0, 0.5)  # type: ignore[arg-type]
    return nn.Sequential(first, snn.Leaky(0.5, init_hidden=True, threshold=0.25), nn.Linear(8, 3)).eval()


class Doubled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


def doubled() -> nn.Module:
    fc = nn.Linear(8, 8)
    parametrize.register_parametrization(fc, "weight", Doubled())
    return fc


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize(
    ("make", "learned"),
    [
        (lambda: weight_norm(nn.Linear(8, 8)), "weight_g"),
        (lambda: spectral_norm(nn.Linear(8, 8)), "weight_orig"),
        (lambda: prune.l1_unstructured(nn.Linear(8, 8), "weight", 0.5), "weight_orig"),
        (lambda: parametrizations.weight_norm(nn.Linear(8, 8)), "parametrizations.weight.original0"),
        (lambda: parametrizations.spectral_norm(nn.Linear(8, 8)), "parametrizations.weight.original"),
        (doubled, "parametrizations.weight.original"),
    ],
    ids=["weight_norm", "spectral_norm", "prune", "weight_norm, new", "spectral_norm, new", "a parametrization"],
)
def test_a_weight_that_is_computed_is_the_one_of_now(make: Callable[[], Any], learned: str) -> None:
    net = nn.Sequential(make(), snn.Leaky(0.5, init_hidden=True, threshold=0.25), nn.Linear(8, 3))
    torch.manual_seed(0)
    net(torch.rand(2, 8))
    with torch.no_grad():
        net[0].get_parameter(learned).mul_(-1.5)  # after the last call, as by an optimizer or load_state_dict
    utils.reset(net)
    before = copy.deepcopy(net.state_dict())
    same(net.eval(), torch.randint(0, 4, (2, 8), dtype=torch.uint8))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_frozen_parameters_stay_frozen() -> None:
    net = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), snn.Leaky(0.5, init_hidden=True))
    for parameter in (net[0].weight, net[1].bias):
        parameter.requires_grad_(False)  # type: ignore[union-attr]
    net.train()[1].eval()
    model = spikelet.from_snntorch(net, time_steps=T)
    trained = {name: p.requires_grad for name, p in model.named_parameters()}
    assert trained == {"net.0.weight": False, "net.0.bias": True, "net.1.weight": True, "net.1.bias": False}
    assert [m.training for m in (model.net[0], model.net[1])] == [True, False]  # type: ignore[index]


class WithHook(nn.Module):
    """A hook of a module whose code is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(8, 8), snn.Leaky(0.5, init_hidden=True, threshold=0.25)

    def forward(self, x: Tensor) -> Tensor:
        return self.lif(self.fc(x))


def test_hooks_of_code_that_is_kept_are_called() -> None:
    torch.manual_seed(0)
    net = WithHook().eval()
    x, labels = torch.randint(0, 4, (2, 8), dtype=torch.uint8), torch.zeros(2, dtype=torch.long)
    plain = spikelet.from_snntorch(net, time_steps=T, scale=1.0)
    net.register_forward_hook(lambda module, inputs, output: 1 - output)
    hooked = spikelet.from_snntorch(net, time_steps=T, scale=1.0)
    assert torch.equal(hooked(x), 1 - plain(x))
    assert hooked.compare([(x, labels)]).agreement == 1


def by_closure() -> nn.Module:
    net = WithHook()
    net.forward = lambda x: net.lif(2 * net.fc(x))  # type: ignore[method-assign]
    return net


def hook_by_closure() -> nn.Module:
    net = WithHook()
    net.register_forward_hook(lambda module, inputs, output, fc=net.fc: fc(output))
    return net


@pytest.mark.parametrize(
    ("make", "words"),
    [(by_closure, "WithHook: forward, .* holds the network by itself"),
     (hook_by_closure, "WithHook: a forward hook, .* holds fc by itself")],
)  # fmt: skip
def test_functions_that_hold_the_original_are_refused(make: Callable[[], nn.Module], words: str) -> None:
    with pytest.raises(ConversionError, match=words):
        spikelet.from_snntorch(make(), time_steps=T)


# --- what one pass leaves for the next -----------------------------------------------------------------------------


class Counts(WithHook):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.lif(self.fc(x) * self.calls)


class Writes(WithHook):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("gain", torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        self.gain.mul_(0.5)
        return self.lif(self.fc(x) * self.gain)


class Replaces(Writes):
    def forward(self, x: Tensor) -> Tensor:
        self.gain = self.gain + 1
        return self.lif(self.fc(x))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Counts, "Counts: its forward gives something else when it runs again on the same input"),
        (Writes, r"net\.gain: the network's forward writes into it"),
        (Replaces, r"net\.gain: the network's forward writes into it"),
    ],
)
def test_what_a_pass_leaves_for_the_next_is_refused(make: Callable[[], nn.Module], words: str) -> None:
    with pytest.raises(ConversionError, match=words):
        spikelet.from_snntorch(make(), time_steps=T)(torch.zeros((2, 8), dtype=torch.uint8))


class Larger(nn.Module):
    """A loop that asks its layer for an output size."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.lif = nn.ConvTranspose2d(1, 2, 3, stride=2, padding=1), snn.Leaky(0.5, threshold=0.25)

    def forward(self, x: Tensor) -> Tensor:
        mem, out = self.lif.init_leaky(), []
        for _ in range(T):
            spikes, mem = self.lif(self.up(x, output_size=(8, 8)), mem)
            out.append(spikes)
        return torch.stack(out)


def test_what_a_layer_is_given_beside_its_input_is_refused() -> None:
    model = spikelet.from_snntorch(Larger(), time_steps=T)
    with pytest.raises(ConversionError, match=r"net\.up: is given more than its input, output_size"):
        model(torch.zeros((2, 1, 4, 4), dtype=torch.uint8))


# --- resets, steps, axes -----------------------------------------------------------------------------------------


class Twice(nn.Module):
    """The same neurons on all steps twice, reset in between."""

    def __init__(self, neurons: nn.Module) -> None:
        super().__init__()
        self.fc, self.neurons, self.out = layer.Linear(8, 8), neurons, layer.Linear(8, 3)
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        functional.reset_net(self)
        first = self.neurons(self.fc(x))
        functional.reset_net(self)
        return self.out(first + self.neurons(self.fc(x.flip(0))))


def recurrent() -> nn.Module:
    return layer.LinearRecurrentContainer(neuron.IFNode(v_threshold=0.25, v_reset=None), 8, 8)


def test_recurrent_neurons_that_go_on_from_another_place_are_refused() -> None:
    net = Twice(recurrent())
    net.forward = types.MethodType(lambda net, x: net.neurons(net.fc(x)) + net.neurons(net.fc(x)), net)  # type: ignore[method-assign]
    model = spikelet.from_spikingjelly(net, time_steps=T, time_axis=0, scale=1.0)
    with pytest.raises(ConversionError, match=r"ran on all time steps twice in one forward pass"):
        model(torch.zeros((T, 2, 8), dtype=torch.uint8))


@pytest.mark.parametrize("make", [recurrent, lambda: neuron.CUBALIFNode(0.5, 0.5, v_threshold=0.25, v_reset=None)])
def test_neurons_that_are_reset_in_between_may_run_twice(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    same(Twice(make()).eval(), torch.randint(0, 4, (T, 2, 8), dtype=torch.uint8), time_axis=0)


class Steps(nn.Module):
    """One step of a user's own neuron."""

    def __init__(self) -> None:
        super().__init__()
        self.v: Any = 0.0

    def forward(self, x: Tensor) -> Tensor:
        v = 0.5 * self.v + x
        spikes = (v >= 0.25).float()
        self.v = v - 0.25 * spikes
        return spikes

    def reset(self) -> None:
        self.v = 0.0


class OfChannels(nn.Module):
    """As many channels as steps, and a parameter that is repeated as often."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.neuron, self.fc = nn.Conv2d(1, T, 3, padding=1), Steps(), nn.Linear(T * 16, 3)
        self.gain = nn.Parameter(torch.full((1, 1), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        gains = self.gain.expand(T, 1, 1).reshape(1, T, 1, 1)
        return self.fc(self.neuron(self.conv(x) * gains).view(x.shape[0], -1))


def test_channels_are_no_steps_where_a_parameter_is_repeated() -> None:
    torch.manual_seed(0)
    neurons = {Steps: spikelet.neurons.LIFParams(0.5, 0.25, reset=spikelet.neurons.Soft())}
    same(OfChannels().eval(), torch.randint(0, 4, (2, 1, 4, 4), dtype=torch.uint8), neurons=neurons)


class CurrentFirst(nn.Module):
    """The current of the image at the first step, spikes of the one before at the others."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.one, self.two = (
            layer.Linear(8, 8),
            neuron.IFNode(v_threshold=0.25),
            neuron.IFNode(v_threshold=0.25),
        )
        self.out = layer.Linear(8, 3)
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        current = self.fc(x.unsqueeze(0))
        spikes = self.one(current.repeat(T, 1, 1))
        return self.out(self.two(torch.cat([current, spikes[:-1]])))


def test_a_still_current_may_stand_at_the_first_step() -> None:
    torch.manual_seed(0)
    net = CurrentFirst().eval()
    x, labels = torch.randint(0, 4, (2, 8), dtype=torch.uint8), torch.zeros(2, dtype=torch.long)
    model = spikelet.from_spikingjelly(net, time_steps=T, scale=1.0)
    assert model.compare([(x, labels)]).different <= 1
    for m in model.modules():
        if isinstance(m, spikelet.nn.Linear):
            m.quantizer = spikelet.quant.Uniform(4, per_channel=False)
    assert spikelet.verify(spikelet.lower(model, x), model, [(x, labels)]).mismatches == 0
