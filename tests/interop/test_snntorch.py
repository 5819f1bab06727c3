"""snnTorch's networks do here what they do there: strictly above the threshold, and reset a step late."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.interop import ConversionError
from spikelet.interop.surrogates import of_snntorch
from spikelet.neurons import LIF, ATan, Hard, Sigmoid, Soft
from spikelet.neurons.constants import LEAK_BITS

pytest.importorskip("snntorch", reason="needs snnTorch")
import snntorch as snn
from snntorch import surrogate, utils

T = 4
STEP = 2.0**-12


def image(batch: int = 4) -> Tensor:
    return torch.randint(0, 256, (batch, 1, 8, 8), dtype=torch.uint8)


def their_spikes(neuron: snn.Leaky, x: Tensor) -> Tensor:
    """What a Leaky with init_hidden=False does with currents [T, ...]."""
    mem, spikes = torch.zeros_like(x[0]), []
    for current in x:
        spk, mem = neuron(current, mem)
        spikes.append(spk)
    return torch.stack(spikes)


def converted_neuron(neuron: snn.Leaky, steps: int, round_leak: bool = False) -> LIF:
    """The LIF of a Leaky; a network needs a layer that reads the image."""
    net = nn.Sequential(nn.Linear(1, 1), neuron)
    (lif,) = (
        m for m in spikelet.from_snntorch(net, time_steps=steps, round_leak=round_leak).modules() if isinstance(m, LIF)
    )
    return lif


# --- neurons ----------------------------------------------------------------------------------------------------------

LEAKY = {
    f"{beta}-{threshold}-{mechanism}{'' if delay else '-at-once'}": lambda b=beta, th=threshold, m=mechanism, d=delay: (
        snn.Leaky(beta=b, threshold=th, reset_mechanism=m, reset_delay=d)
    )
    for beta, threshold, (mechanism, delay) in itertools.product(
        (0.25, 0.5, 0.75, 1.0),
        (1.0, 0.75),
        (("subtract", True), ("zero", True), ("zero", False), ("none", True), ("none", False)),
    )
} | {"0.0-1.0-zero": lambda: snn.Leaky(beta=0.0, reset_mechanism="zero")}
every_leaky = pytest.mark.parametrize("make", LEAKY.values(), ids=list(LEAKY))


@every_leaky
def test_every_spike_of_a_neuron_is_the_same_on_ties(make: Callable[[], snn.Leaky]) -> None:
    """Currents of eighths: 4 steps of leaking quarters stay on the grid, and many charges lie on the threshold."""
    x = torch.randint(-8, 17, (T, 1, 2000)) / 8
    expected = their_spikes(make(), x)
    assert torch.equal(converted_neuron(make(), T).eval()(x), expected)
    lower = make()
    lower.threshold -= 1e-6  # only what lies on the threshold can see it
    assert (their_spikes(lower, x) != expected).any(), "no charge lies on the threshold"


@every_leaky
@pytest.mark.parametrize("training", [True, False])
def test_away_from_ties_spikes_are_the_same_for_any_currents(make: Callable[[], snn.Leaky], training: bool) -> None:
    """Two of their neurons, a few grid steps apart, say which spikes are certain up to a step."""
    x, spikes = torch.randn(T, 1, 4000) + 0.3, []
    for shift in (-12 * STEP, 0.0, 12 * STEP):
        neuron = make()
        neuron.threshold += shift
        spikes.append(their_spikes(neuron, x))
    certain = ((spikes[0] == spikes[1]) & (spikes[1] == spikes[2])).cumprod(0).bool()
    ours = converted_neuron(make(), T).train(training)(x)
    assert torch.equal(ours[certain], spikes[1][certain])
    assert certain.float().mean() > 0.97


def test_a_learned_beta_and_threshold_are_taken_as_they_are() -> None:
    neuron = snn.Leaky(beta=0.9, threshold=0.3, learn_beta=True, learn_threshold=True)
    lif = converted_neuron(neuron, T, round_leak=True)
    assert lif.params.leak == round(0.9 * 2**LEAK_BITS) / 2**LEAK_BITS
    assert 0 < lif.params.threshold - neuron.threshold.item() <= STEP


PER_CHANNEL = {
    "betas": lambda shape: snn.Leaky(beta=torch.tensor([0.25, 0.5, 0.75]).view(shape)),
    "thresholds": lambda shape: snn.Leaky(beta=0.5, threshold=torch.tensor([0.5, 0.75, 1.0]).view(shape)),
    "both, learned": lambda shape: snn.Leaky(
        beta=torch.tensor([0.25, 0.5, 1.0]).view(shape),
        threshold=torch.tensor([0.5, 0.75, 1.5]).view(shape),
        learn_beta=True,
        learn_threshold=True,
        reset_mechanism="zero",
    ),
}


@pytest.mark.parametrize("make", PER_CHANNEL.values(), ids=list(PER_CHANNEL))
@pytest.mark.parametrize(("shape", "sample"), [((3,), (3,)), ((1, 3), (3,)), ((3, 1, 1), (3, 4, 5))])
def test_constants_by_channel_give_the_same_spikes(
    make: Callable[[tuple[int, ...]], snn.Leaky], shape: tuple[int, ...], sample: tuple[int, ...]
) -> None:
    x = torch.randint(-8, 17, (T, 300, *sample)) / 8
    expected = their_spikes(make(shape), x)
    net = nn.Sequential(nn.Linear(1, 1), make(shape))
    ours = spikelet.from_snntorch(net, time_steps=T).eval().net[1].lif
    assert torch.equal(ours(x), expected)
    rates = expected.transpose(0, 2).flatten(1).mean(1)
    assert len(rates.unique()) == 3


def test_constants_along_the_last_axis_of_a_map_are_refused() -> None:
    """snnTorch lets beta of shape [5] go along W, which channels would be mistaken for."""
    net = nn.Sequential(nn.Conv2d(1, 6, 3), snn.Leaky(beta=torch.rand(6), init_hidden=True))
    with pytest.raises(ConversionError, match=r"1: beta and threshold of shape .* the shape \[C, 1, 1\]"):
        spikelet.from_snntorch(net, time_steps=T, round_leak=True)(image())


def test_a_beta_outside_0_to_1_is_clamped_as_there() -> None:
    assert converted_neuron(snn.Leaky(beta=1.5), T).params.leak == 1
    assert converted_neuron(snn.Leaky(beta=-1.0, reset_mechanism="zero"), T).params.leak == 0


def test_each_reset_mechanism_has_its_reset() -> None:
    made = {m: converted_neuron(snn.Leaky(0.5, reset_mechanism=m), T).params for m in ("subtract", "zero", "none")}
    assert {m: p.reset for m, p in made.items()} == {"subtract": Soft(2.0), "zero": Hard(), "none": Soft(0.0)}
    assert {p.threshold for p in made.values()} == {1 + STEP}


def test_reset_at_once_by_subtraction_is_no_soft_reset() -> None:
    """Why it is refused: a rest of 1.5 thresholds is silent there for ever; after a soft reset it fires once more."""
    neuron = snn.Leaky(beta=1.0, reset_delay=False)
    assert their_spikes(neuron, torch.tensor([[2.5], [0.0], [0.0]])).flatten().tolist() == [1, 0, 0]
    with pytest.raises(
        ConversionError, match=r'1: reset_mechanism="subtract" with reset_delay=False .*reset_delay=True'
    ):
        converted_neuron(neuron, T)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [(None, ATan(2.0)), (surrogate.atan(alpha=3.0), ATan(3.0)), (surrogate.sigmoid(slope=5), Sigmoid(5.0))],
)
def test_two_surrogates_are_ours_by_another_name(theirs: Callable[[Tensor], Tensor] | None, ours: object) -> None:
    assert converted_neuron(snn.Leaky(beta=0.5, spike_grad=theirs), T).params.surrogate == ours


@pytest.mark.parametrize("name", ["atan", "sigmoid", "fast_sigmoid", "triangular", "straight_through_estimator"])
def test_the_slope_is_theirs_for_every_surrogate(name: str) -> None:
    function = getattr(surrogate, name)()
    x = torch.linspace(-1.01, 1.02, 200, requires_grad=True)
    (expected,) = torch.autograd.grad(function(x).sum(), x)
    made = converted_neuron(snn.Leaky(beta=0.5, spike_grad=function), T).params.surrogate
    assert torch.allclose(made.slope(x.detach()), expected, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        assert torch.allclose(made.slope(x), expected, rtol=1e-5, atol=1e-5)


def test_a_surrogate_that_is_switched_off_has_no_slope() -> None:
    function = of_snntorch(snn.Leaky(beta=0.5, surrogate_disable=True).spike_grad)
    x = torch.randn(5)
    assert torch.equal(function.slope(x), torch.zeros(5))


def test_a_borrowed_surrogate_has_no_primitive() -> None:
    made = converted_neuron(snn.Leaky(beta=0.5, spike_grad=surrogate.fast_sigmoid()), T).params.surrogate
    with pytest.raises(TypeError, match="is known by its backward pass only"):
        made.primitive(torch.zeros(1))


# --- networks ---------------------------------------------------------------------------------------------------------


class Residual(nn.Module):
    """A block with hidden states: s -> leaky(norm(conv(s)) + s)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.leaky = snn.Leaky(beta=0.75, init_hidden=True)

    def forward(self, s: Tensor) -> Tensor:
        return self.leaky(self.norm(self.conv(s)) + s)


def sequential() -> nn.Sequential:
    """The tutorials' network: hidden states, the loop outside, spikes and membrane at the end."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3),
        nn.BatchNorm2d(6),
        snn.Leaky(beta=0.5, init_hidden=True, spike_grad=surrogate.fast_sigmoid(slope=25)),
        Residual(),
        nn.MaxPool2d(2),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(54, 10),
        snn.Leaky(beta=0.5, threshold=0.25, init_hidden=True, output=True, reset_mechanism="zero"),
    ).eval()


def run_sequential(net: nn.Module, x: Tensor) -> Tensor:
    utils.reset(net)
    for m in net.modules():
        if isinstance(m, snn.Leaky):
            m.reset_mem()
    return torch.stack([net(x)[0] for _ in range(T)])


class Loop(nn.Module):
    """A class with the loop over time in its forward."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3)
        self.lif1 = snn.Leaky(beta=0.5, threshold=0.25)
        self.fc = nn.Linear(216, 10)
        self.lif2 = snn.Leaky(beta=0.75, threshold=0.25)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        spikes, membranes = [], []
        for _ in range(T):
            spk1, mem1 = self.lif1(self.conv(x), mem1)
            spk2, mem2 = self.lif2(self.fc(spk1.flatten(1)), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes), torch.stack(membranes)


class OneStep(Loop):
    """The same for one step, with the membranes passed in and out."""

    def forward(self, x: Tensor, mem1: Tensor, mem2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        spk1, mem1 = self.lif1(self.conv(x), mem1)
        spk2, mem2 = self.lif2(self.fc(spk1.flatten(1)), mem2)
        return spk2, mem1, mem2


def body(net: Loop, x: Tensor) -> tuple[Tensor, Tensor]:
    """Loop's step, for all steps at once."""
    mem1, mem2 = net.lif1.reset_mem(), net.lif2.init_leaky()
    spk1, mem1 = net.lif1(net.conv(x), mem1)
    spk2, mem2 = net.lif2(net.fc(spk1.flatten(2)), mem2)
    return spk2, mem2


def test_a_sequential_network_gives_the_same_spikes() -> None:
    net, x = sequential(), image(16)
    for _ in range(3):
        net.train()
        run_sequential(net, image(16).float() / 255)
    net.eval()
    expected = run_sequential(net, x.float() / 255)
    model = spikelet.from_snntorch(net, time_steps=T)
    assert not model.training
    made = model(x)
    assert made.shape == (T, 16, 10)
    assert 0.02 < expected.mean() < 0.98
    assert (made != expected).float().mean() < 0.02  # batch norm's grid


def test_a_class_with_a_loop_is_converted_with_the_loop_s_body() -> None:
    net, x = Loop(), image(32)
    expected, _ = net(x.float() / 255)
    model = spikelet.from_snntorch(net, time_steps=T, forward=body)
    assert 0.02 < expected.mean() < 0.98
    for training in (True, False):
        assert (model.train(training)(x) != expected).float().mean() < 0.005  # charges within 2^-12 above a threshold


def test_a_class_with_a_loop_is_converted_as_it_stands() -> None:
    net, x = Loop(), image(32)
    model, by_hand = (spikelet.from_snntorch(net, time_steps=T, forward=f) for f in (None, body))
    for training in (True, False):
        assert torch.equal(model.train(training)(x), by_hand.train(training)(x))


def test_a_step_that_takes_membranes_from_outside_is_refused_with_the_way_out() -> None:
    model = spikelet.from_snntorch(OneStep(), time_steps=T)
    with pytest.raises(ConversionError, match=r"takes 3 inputs \(x, mem1, mem2\).* by the loop that hands them on"):
        model(image())


def test_the_network_is_left_alone_after_a_run_with_gradients() -> None:
    net = sequential().train()
    run_sequential(net, image().float() / 255)  # every Leaky now holds a membrane with a graph behind it
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modules = [(name, id(m)) for name, m in net.named_modules()]
    model = spikelet.from_snntorch(net, time_steps=T)
    model(image()).sum().backward()
    torch.optim.SGD(model.parameters(), lr=1.0).step()
    assert [(name, id(m)) for name, m in net.named_modules()] == modules
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert len(before) == len(net.state_dict())


def test_a_tensor_that_the_network_keeps_from_a_run_is_named() -> None:
    net = Loop()
    net.last = net.conv(torch.zeros(1, 1, 8, 8))
    with pytest.raises(ConversionError, match=r"Loop can't be copied: .* drop tensors that it keeps from the last"):
        spikelet.from_snntorch(net, time_steps=T)


# --- refused ----------------------------------------------------------------------------------------------------------


class OwnLeaky(snn.Leaky):
    """A user's neuron."""

    def fire(self, mem: Tensor) -> Tensor:
        return super().fire(2 * mem)


def quiet_inhibition() -> nn.Module:
    with pytest.warns(UserWarning, match="Inhibition"):
        return snn.Leaky(beta=0.5, inhibition=True)


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "another neuron": (
        lambda: snn.Alpha(0.9, 0.8),
        r"1: Alpha has no counterpart here\. Its reset also drops the current",
    ),
    "Lapicque with a resistance": (
        lambda: snn.Lapicque(R=2.0, C=1.5),
        r"1: Lapicque with R = 2.0 multiplies its current by it, .* Give beta alone",
    ),
    "Lapicque reset to zero": (
        lambda: snn.Lapicque(beta=0.5, reset_mechanism="zero"),
        '1: Lapicque with reset_mechanism="zero" also drops the current of the step after',
    ),
    "a recurrent neuron reset to zero": (
        lambda: snn.RLeaky(beta=0.5, linear_features=4, reset_mechanism="zero"),
        '1: RLeaky with reset_mechanism="zero" also drops the current of the step after',
    ),
    "recurrence one to one": (
        lambda: snn.RLeaky(beta=0.5, all_to_all=False, V=2.0),
        "1: RLeaky with all_to_all=False multiplies each neuron's own spikes by V",
    ),
    "a subclass": (lambda: OwnLeaky(beta=0.5), "1: OwnLeaky is a Leaky with code of its own"),
    "inhibition": (quiet_inhibition, "1: Leaky with inhibition has no counterpart here. Set it to False."),
    "a quantized state": (
        lambda: snn.Leaky(beta=0.5, state_quant=torch.round),
        "1: Leaky with state_quant has no counterpart here. .*QuantizedMembrane",
    ),
    "graded spikes": (
        lambda: snn.Leaky(beta=0.5, graded_spikes_factor=2.0),
        "1: Leaky with graded_spikes_factor has no counterpart here. Set it to 1, and multiply",
    ),
    "betas of a map": (
        lambda: snn.Leaky(beta=torch.rand(4, 3, 3)),
        r"1: beta must be one number, or one a channel of shape \[C\] for vectors and .* got shape \(4, 3, 3\)",
    ),
    "thresholds of a map": (
        lambda: snn.Leaky(beta=0.5, threshold=torch.rand(4, 2)),
        r"1: threshold must be one number, or one a channel .* got shape \(4, 2\)",
    ),
    "the tutorials' beta": (
        lambda: snn.Leaky(beta=0.9),
        rf"1: beta = 0.9 is a leak of 0.9, and integers need a multiple of 2\^-{LEAK_BITS}. Pass round_leak=True",
    ),
    "subtraction without a leak": (lambda: snn.Leaky(beta=0.0), '1: subtracts its threshold a step late, .*"zero"'),
    "a threshold of 0": (
        lambda: snn.Leaky(beta=0.5, threshold=-0.5),
        "1: its neuron can't become a LIF: .*threshold",
    ),
}


@pytest.mark.parametrize(("make", "said"), REFUSED.values(), ids=list(REFUSED))
def test_what_has_no_counterpart_is_refused_by_name(make: Callable[[], nn.Module], said: str) -> None:
    with pytest.raises(ConversionError, match=said):
        spikelet.from_snntorch(nn.Sequential(nn.Conv2d(1, 4, 1), make()), time_steps=T)


def test_the_first_layer_must_be_the_one_that_reads_the_image() -> None:
    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(216, 10)
            self.conv = nn.Conv2d(1, 6, 3)
            self.lif = snn.Leaky(beta=0.5, init_hidden=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.lif(self.conv(x)).flatten(2))

    model = spikelet.from_snntorch(Late(), time_steps=T)
    assert model(image()).shape == (T, 4, 10)
    assert model.first == ("conv",)
    model = spikelet.from_snntorch(Late(), time_steps=T, mean=0.5)
    with pytest.raises(ConversionError, match=r"image is read by conv, and .* folded into fc.*first=\('conv',\)"):
        model(image())
    assert spikelet.from_snntorch(Late(), time_steps=T, first="conv")(image()).shape == (T, 4, 10)
    with pytest.raises(
        ConversionError, match=r"first must name the Conv1d, Conv2d or Linear .* got 'lif'; there are \['fc', 'c"
    ):
        spikelet.from_snntorch(Late(), time_steps=T, first="lif")


@pytest.mark.parametrize("padding", [0, 1])
def test_an_average_of_the_normalised_image_is_folded_too(padding: int) -> None:
    net = nn.Sequential(nn.AvgPool2d(3), nn.Conv2d(1, 4, 2, padding=padding), snn.Leaky(beta=0.5, init_hidden=True))
    currents: list[Tensor] = []
    model = spikelet.from_snntorch(net, time_steps=T, mean=(0.4,), std=(0.25,))
    model.net[2].register_forward_pre_hook(lambda m, args: currents.append(args[0]))
    x = torch.randint(0, 256, (4, 1, 9, 9), dtype=torch.uint8)
    model(x)
    assert torch.allclose(currents[0][0], net[1](net[0]((x.float() / 255 - 0.4) / 0.25)), atol=2**-12)


def test_a_network_needs_a_layer_that_reads_the_image() -> None:
    with pytest.raises(ConversionError, match="Sequential has no Conv1d, Conv2d or Linear"):
        spikelet.from_snntorch(nn.Sequential(nn.Flatten(), snn.Leaky(beta=0.5)), time_steps=T)


def test_bytes_go_in() -> None:
    model = spikelet.from_snntorch(sequential(), time_steps=T)
    with pytest.raises(TypeError, match="Encode takes uint8 pixels"):
        model(image().float())


def test_a_network_of_the_other_library_is_sent_there() -> None:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    with pytest.raises(ConversionError, match="1: IFNode comes from spikingjelly, whose networks from_spiking"):
        spikelet.from_snntorch(nn.Sequential(nn.Linear(1, 1), neuron.IFNode()), time_steps=T)
    with pytest.raises(ConversionError, match="1: Leaky comes from snntorch, whose networks from_snntorch converts"):
        spikelet.from_spikingjelly(nn.Sequential(nn.Linear(1, 1), snn.Leaky(beta=0.5)), time_steps=T)
