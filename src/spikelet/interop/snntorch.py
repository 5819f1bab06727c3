"""Networks of snnTorch (1.0, and older ones with the same classes) as spikelet modules.

snnTorch's Leaky, and RLeaky with feedback, reset a step late unless told otherwise, and fire above a threshold only:

    h[t+1] = beta * m[t] + x[t+1] - threshold * s[t]          reset_mechanism="subtract"
    h[t+1] = beta * m[t] * (1 - s[t]) + x[t+1]                "zero"
    h[t+1] = beta * m[t] + x[t+1]                             "none"            s[t] = 1[m[t] > threshold], m = h

    theirs, reset_delay          here
    "zero", True or False        Hard: with or without the delay, the membrane that fired counts for nothing
    "subtract", True             Soft(threshold / beta): what is subtracted late is subtracted before the leak
    "none", True or False        Soft(0)
    Lapicque, R = 1              the same with a leak of 1 - 1/C and a gain of 1/C = -ln beta
    "subtract", False            refused, see below
    RLeaky, all_to_all=False     Soft((threshold - V) / beta): its own last spike adds V where the threshold goes
    Synaptic, RSynaptic          an Integrator with a leak of alpha, then the same
    threshold from 4096 on       an Integrator for the membrane, and no spikes: float32 ends there on the grid 2^-12
    threshold                    the next value above it on the grid 2^-12: a membrane on snnTorch's threshold is silent

With "subtract" and reset_delay=False, a neuron whose rest is above its threshold is compared after one threshold has
been subtracted, and gets it back if it is silent: with beta = 1 and a rest of 1.5 it is silent for ever, where a soft
reset fires once more. LIF has no such rule.

`spk, mem = lif(x, mem)` works in converted networks too: mem is then the membrane before the step's reset, as theirs is
with reset_delay=True, and computed where the code looks at it; no state is kept.

See dynamics.py for the exact statements. Differences from snnTorch: evaluation lies on the grids of quant/grid.py;
gradients pass through the reset; beta and threshold, one number or one a channel, learned or not, are constants; in
training, batch norm takes its statistics over all steps together, not step by step.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.base.time_axis import TimeAxis
from spikelet.interop.convert import convert, original_of, require_module
from spikelet.interop.converted import Converted, Forward
from spikelet.interop.dynamics import After, Dynamics, leak_on_grid, to_lif
from spikelet.interop.image import ImageOptions
from spikelet.interop.layers import convolution, linear
from spikelet.interop.lockstep import LoopRefused
from spikelet.interop.membranes import Membrane, no_membrane, require_initial
from spikelet.interop.own_neurons import OwnNeurons, own_neurons
from spikelet.interop.site import Site
from spikelet.interop.surrogates import fires_at_zero, of_snntorch
from spikelet.interop.swap import Library, Swap
from spikelet.neurons import LIF, Integrator, Membranes
from spikelet.neurons.constants import Real, numbers
from spikelet.nn import Recurrent
from spikelet.quant.grid import FRACTION_BITS

NEVER_REACHED = 2.0 ** (24 - FRACTION_BITS)


class WithMembrane(nn.Module):
    """A neuron that is called as `spikes, membrane = neuron(current, membrane)`."""

    def __init__(self, lif: LIF | OverVectors) -> None:
        super().__init__()
        self.lif: nn.Module = lif
        self.membranes: nn.Module = Membranes(lif.lif if isinstance(lif, OverVectors) else lif)  # type: ignore[arg-type]

    def forward(self, x: Tensor, mem: Any = None) -> tuple[Tensor, Membrane]:
        """Spikes of a current [T, B, ...], and its membranes.

        Raises:
            ConversionError: `mem` is a membrane that is not zero.
        """
        require_initial(mem)
        return self.lif(x), Membrane(self, functools.partial(self.membranes, x))

    def fed_back_by(self, synapses: nn.Module) -> None:
        """Gives the neurons feedback through these synapses; their membranes can then only be handed on."""
        if isinstance(self.lif, LIF):
            self.lif = Recurrent(self.lif, synapses).train(self.training)
        elif isinstance(self.lif, OverVectors):
            self.lif.fed_back_by(synapses)
        self.membranes = NotGiven()

    def reset_mem(self) -> Tensor:
        """See no_membrane."""
        return no_membrane()

    init_leaky = init_lapicque = reset_mem


class NotGiven(nn.Module):
    """In the place of the membranes of a recurrent neuron."""

    def forward(self, x: Tensor) -> Tensor:
        """Raises LoopRefused."""
        raise LoopRefused(
            "the network returns or computes with the membrane of a neuron that its loop feeds back to, which a "
            "converted one does not give. Use its spikes."
        )


class Silent(nn.Module):
    """A neuron that never fires, called as `WithMembrane` is."""

    def __init__(self, integrator: Integrator) -> None:
        super().__init__()
        self.integrator = integrator

    def forward(self, x: Tensor, mem: Any = None) -> tuple[Tensor, Membrane]:
        """Zeros, and the membranes of a current [T, B, ...]. Raises ConversionError as WithMembrane does."""
        require_initial(mem)
        membranes = self.integrator(x)
        return torch.zeros_like(membranes), Membrane(self, lambda: membranes)

    reset_mem = init_leaky = WithMembrane.reset_mem


class WithSynapse(nn.Module):
    """Neurons behind synapses that leak, called as `spikes, synapse, membrane = neuron(current, synapse, membrane)`."""

    def __init__(self, synapse: Integrator, lif: LIF) -> None:
        super().__init__()
        self.synapse, self.lif = synapse, lif
        self.membranes = Membranes(lif)

    def forward(self, x: Tensor, syn: Any = None, mem: Any = None) -> tuple[Tensor, Membrane, Membrane]:
        """Spikes of a current [T, B, ...], the currents of its synapses, and its membranes.

        Raises:
            ConversionError: `syn` or `mem` is not zero.
        """
        require_initial(syn, mem)
        current = self.synapse(x)
        states = (Membrane(self, lambda: current), Membrane(self, functools.partial(self.membranes, current), which=1))
        return self.lif(current), *states

    def reset_mem(self) -> tuple[Tensor, Tensor]:
        """See no_membrane."""
        return no_membrane(), no_membrane()

    init_synaptic = reset_mem


class SilentWithSynapse(nn.Module):
    """A neuron behind synapses that never fires, called as `WithSynapse` is."""

    def __init__(self, synapse: Integrator, integrator: Integrator) -> None:
        super().__init__()
        self.synapse, self.integrator = synapse, integrator

    def forward(self, x: Tensor, syn: Any = None, mem: Any = None) -> tuple[Tensor, Membrane, Membrane]:
        """Zeros, the currents of the synapses, and the membranes. Raises ConversionError as WithSynapse does."""
        require_initial(syn, mem)
        current = self.synapse(x)
        membranes = self.integrator(current)
        return torch.zeros_like(membranes), Membrane(self, lambda: current), Membrane(self, lambda: membranes, which=1)

    reset_mem = init_synaptic = WithSynapse.reset_mem


class OverVectors(nn.Module):
    """A neuron whose beta or threshold, of shape [C], goes along the last axis: its currents must be vectors [T, B, C].

    snnTorch takes the last axis of maps [T, B, C, H, W] too, W; LIF takes their channels.
    """

    def __init__(self, lif: LIF, name: str) -> None:
        super().__init__()
        self.lif: nn.Module = lif
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of a current [T, B, C]. Raises ConversionError for maps."""
        if x.dim() != 3:
            raise ConversionError(
                f"{self.name}: beta and threshold of shape [C] go along the last axis of {tuple(x.shape[1:])}, which "
                "isn't its channels. Give them the shape [C, 1, 1]."
            )
        return self.lif(x)

    def fed_back_by(self, synapses: nn.Module) -> None:
        """Gives the neurons feedback through these synapses."""
        assert isinstance(self.lif, LIF), "feedback is given once"
        self.lif = Recurrent(self.lif, synapses).train(self.training)


class RecurrentWithMembrane(nn.Module):
    """A layer with feedback that is called as `spikes, membrane = layer(current, spikes, membrane)`, or where its
    synapses leak as `spikes, synapse, membrane = layer(current, spikes, synapse, membrane)`."""

    def __init__(self, recurrent: nn.Module, name: str, states: int = 1) -> None:
        super().__init__()
        self.layer, self.name, self.states = recurrent, name, states

    def forward(self, x: Tensor, spk: Any = None, *states: Any) -> tuple[Tensor, *tuple[Membrane, ...]]:
        """Spikes of a current [T, B, ...], and states that can only be handed on.

        Raises:
            ConversionError: `spk` or a state is not zero.
        """
        require_initial(spk, *states, name=self.name)
        return self.layer(x), *(Membrane(self, self._refused, which=i) for i in range(self.states))

    def reset_mem(self) -> tuple[Tensor, ...]:
        """See no_membrane."""
        return tuple(no_membrane() for _ in range(1 + self.states))

    init_rleaky = init_rsynaptic = reset_mem

    def _refused(self) -> Tensor:
        raise LoopRefused(
            f"{self.name}: the network returns or computes with the membrane of a recurrent neuron, which a "
            "converted one does not give. Use its spikes."
        )


def _leaky(neuron: Any, site: Site) -> nn.Module:
    beta = _constant(neuron.beta.clamp(0, 1), site.name, "beta")  # clamped as its forward does
    if _is_silent(neuron):
        _require_plain(neuron, site.name)
        return Silent(_integrator(beta, "beta", site))
    return _with_state(neuron, site, _lif(neuron, site, beta, "beta", scale_input=False))


def _is_silent(neuron: Any) -> bool:
    """Whether a neuron never fires, and gives the code its membrane."""
    return bool((neuron.threshold >= NEVER_REACHED).all()) and not (neuron.init_hidden and not neuron.output)


def _synaptic(neuron: Any, site: Site) -> nn.Module:
    if _is_silent(neuron):
        _require_plain(neuron, site.name)
        beta = _constant(neuron.beta.clamp(0, 1), site.name, "beta")
        return SilentWithSynapse(_synapse(neuron, site), _integrator(beta, "beta", site))
    lif, synapse = _that_subtracts(neuron, site), _synapse(neuron, site)
    if neuron.init_hidden and not neuron.output:
        return nn.Sequential(synapse, lif)
    return WithSynapse(synapse, lif)


def _synapse(neuron: Any, site: Site) -> Integrator:
    return _integrator(_constant(neuron.alpha.clamp(0, 1), site.name, "alpha"), "alpha", site)


def _that_subtracts(neuron: Any, site: Site) -> LIF:
    if neuron.reset_mechanism == "zero":
        raise ConversionError(
            f'{site.name}: {type(neuron).__name__} with reset_mechanism="zero" also drops the current of the step '
            'after a spike, which has no counterpart here. Use "subtract".'
        )
    return _lif(neuron, site, _constant(neuron.beta.clamp(0, 1), site.name, "beta"), "beta", scale_input=False)


def _integrator(leak: Real, leak_from: str, site: Site) -> Integrator:
    if isinstance(leak, tuple):
        raise ConversionError(
            f"{site.name}: {leak_from} must be one number for all neurons where a sum leaks by it, got {len(leak)}."
        )
    return Integrator(site.time_steps, leak_on_grid(site.name, leak, f"{leak_from} = {leak:.6g}", site.round_leak))


def _lapicque(neuron: Any, site: Site) -> nn.Module:
    if bool((neuron.R != 1).any()):
        raise ConversionError(
            f"{site.name}: Lapicque with R = {neuron.R.tolist()} multiplies its current by it, which has no "
            "counterpart here. Give beta alone, which sets R to 1, and multiply the weights before it by R."
        )
    leak = _constant(1 - (neuron.time_step / neuron.C).double(), site.name, "1 - 1 / C")
    if neuron.reset_mechanism == "zero":
        raise ConversionError(
            f'{site.name}: Lapicque with reset_mechanism="zero" also drops the current of the step after a spike, '
            'which has no counterpart here. Use "subtract", or Leaky.'
        )
    return _with_state(neuron, site, _lif(neuron, site, leak, "1 - 1 / C", scale_input=True))


def _recurrent(neuron: Any, site: Site) -> nn.Module:
    if not neuron.all_to_all:
        return _to_itself(neuron, site)
    lif, integrator = _that_subtracts(neuron, site), _synapse(neuron, site) if hasattr(neuron, "alpha") else None
    feedback = neuron.recurrent
    inner = dataclasses.replace(site, name=f"{site.name}.recurrent")
    synapses = linear(feedback, inner) if isinstance(feedback, nn.Linear) else convolution(feedback, inner)
    recurrent = Recurrent(lif, synapses, integrator=integrator)
    if neuron.init_hidden and not neuron.output:
        return recurrent
    return RecurrentWithMembrane(recurrent, site.name, states=1 if integrator is None else 2)


def _to_itself(neuron: Any, site: Site) -> nn.Module:
    """A neuron that reads its own last spike times V, and has its threshold subtracted in the same step: it takes
    threshold - V."""
    given = {"V": neuron.recurrent.V, "threshold": neuron.threshold, "beta": neuron.beta.clamp(0, 1)}
    fed_back, threshold, beta = (_constant(value, site.name, what) for what, value in given.items())
    largest, least = max(numbers(fed_back)), min(numbers(threshold))
    if hasattr(neuron, "alpha") or neuron.reset_mechanism != "subtract" or largest > least:
        raise ConversionError(
            f"{site.name}: {type(neuron).__name__} with all_to_all=False multiplies each neuron's own spikes by V, "
            'which has a counterpart in RLeaky alone, with reset_mechanism="subtract" and V up to the threshold, got '
            f'V = {largest:g}, threshold = {least:g} and reset_mechanism="{neuron.reset_mechanism}". Use '
            "linear_features=..., or conv2d_channels=... and kernel_size=..."
        )
    made: nn.Module = _lif(neuron, site, beta, "beta", scale_input=False, fed_back=fed_back)
    if _goes_along_last(*given.values()):
        made = OverVectors(made, site.name)  # type: ignore[arg-type]
    return made if neuron.init_hidden and not neuron.output else RecurrentWithMembrane(made, site.name)


def _lif(neuron: Any, site: Site, leak: Real, leak_from: str, *, scale_input: bool, fed_back: Real = 0.0) -> LIF:
    _require_plain(neuron, site.name)
    dynamics = Dynamics(
        leak,
        leak_from=f"{leak_from} = {leak:.6g}" if isinstance(leak, float) else leak_from,
        threshold=_constant(neuron.threshold, site.name, "threshold"),
        strictly_above=not fires_at_zero(neuron.spike_grad, site.name),
        after=_after(neuron, site.name),
        scale_input=scale_input,
        surrogate=of_snntorch(neuron.spike_grad),
        fed_back=fed_back,
    )
    return to_lif(site.name, dynamics, site.time_steps, site.round_leak)


def _with_state(neuron: Any, site: Site, lif: LIF) -> nn.Module:
    made = OverVectors(lif, site.name) if _goes_along_last(neuron.beta, neuron.threshold) else lif
    if neuron.init_hidden and not neuron.output:
        made.reset_mem = made.init_leaky = no_membrane  # type: ignore[assignment]
        return made
    return WithMembrane(made)


def _goes_along_last(*constants: Any) -> bool:
    """Whether one of a neuron's constants differs along the last axis, as [C] does; [C, 1, 1] is for maps."""
    return any(v.dim() == 1 and len(v.unique()) > 1 for v in map(torch.as_tensor, constants))


def _after(neuron: Any, name: str) -> After:
    mechanism = neuron.reset_mechanism
    if mechanism == "subtract" and not getattr(neuron, "reset_delay", True):
        raise ConversionError(
            f'{name}: reset_mechanism="subtract" with reset_delay=False fires by a rule of its own where a rest stays '
            'above the threshold. Use reset_delay=True (snnTorch\'s default), or reset_mechanism="zero".'
        )
    return {"subtract": After.LATE, "zero": After.HARD, "none": After.NEVER}[mechanism]


def _require_plain(neuron: Any, name: str) -> None:
    kind, graded = type(neuron).__name__, torch.as_tensor(getattr(neuron, "graded_spikes_factor", 1.0))
    for argument, wrong, way_out in (
        ("inhibition", neuron.inhibition, "Set it to False."),
        ("state_quant", neuron.state_quant, "Set it to False, and give the LIF a QuantizedMembrane after conversion."),
        (
            "graded_spikes_factor",
            bool((graded != 1).any()),
            "Set it to 1, and multiply the next layer's weights by it.",
        ),
    ):
        if wrong:
            raise ConversionError(f"{name}: {kind} with {argument} has no counterpart here. {way_out}")


def _constant(value: Tensor, name: str, what: str) -> Real:
    """One number, or one a channel from a tensor [C], [C, 1, 1] or the like."""
    values = torch.as_tensor(value).detach().double()
    if len(values.unique()) == 1:
        return float(values.flatten()[0])
    axis = values.dim() - 3 if values.dim() > 2 else values.dim() - 1  # of [.., C, H, W] or [.., C]
    if values.numel() != values.shape[axis]:
        raise ConversionError(
            f"{name}: {what} must be one number, or one a channel of shape [C] for vectors and [C, 1, 1] for maps, got "
            f"shape {tuple(values.shape)}."
        )
    return tuple(values.flatten().tolist())


NEURONS = {
    "Leaky": _leaky, "Lapicque": _lapicque, "RLeaky": _recurrent, "Synaptic": _synaptic, "RSynaptic": _recurrent,
}  # fmt: skip
LIBRARY = Library("snntorch", NEURONS, frozenset(NEURONS))


def from_snntorch(
    net: nn.Module,
    *,
    time_steps: int,
    time_axis: TimeAxis = None,
    round_leak: bool = False,
    forward: Forward | None = None,
    neurons: OwnNeurons | None = None,
    **image: Unpack[ImageOptions],
) -> Converted:
    """A snnTorch network as a module of spikelet layers: full-precision weights, bytes in, time first, no state.

    The model takes the image once and gives what net gives for T steps, [T, B, ...] where it gives spikes of each. A
    class with a loop over time in its forward is converted as it stands, with or without neurons in modules; every
    layer then runs once for all steps (lockstep.py, neurons_in_code.py). Where it can't be, it is refused by name, and
    the body of the loop takes its place, with tensors of [T, B, ...]:

        def body(net, x):
            spk1, _ = net.lif1(net.conv1(x))
            return net.fc(spk1.flatten(2))
        model = spikelet.from_snntorch(net, time_steps=8, forward=body)

    `model.compare(batches)` says how far it is from net, `spikelet.check(model, images)` what integers will refuse.

    Example:
        >>> import snntorch
        >>> leaky = snntorch.Leaky(beta=0.5, init_hidden=True)
        >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), leaky, torch.nn.Flatten(), torch.nn.Linear(144, 10))
        >>> model = spikelet.from_snntorch(net, time_steps=8)
        >>> model(torch.zeros((2, 1, 8, 8), dtype=torch.uint8)).shape
        torch.Size([8, 2, 10])

    Args:
        net: the network, left alone.
        time_steps: T.
        time_axis: None for still images [B, C, H, W]; 0 for frames [T, B, ...]; 1 for frames [B, T, ...], which net's
            forward (or `forward`) makes time first itself.
        round_leak: round a beta such as 0.9 to the nearest on the grid of leaks (neurons/params.py), else refused.
        forward: `forward(net, x)` instead of net's own, with x of [1, B, C, H, W] or the frames; or with what net
            takes itself, where it runs so: `lambda net, x: net(x)[1]` gives the membranes.
        neurons: {YourNeuron: LIFParams(...)} for classes of neurons that are your own (own_neurons.py); the constants,
            or a function that makes them of a module.
        image: scale, mean, std: net was fed (scale * byte - mean) / std, mean and std one a channel or one for all.
            Frames need a scale; still images have 1/255 unless given. They are folded into the weights of the layers
            that read the image exactly, also at zero-padded borders (pixels.py). first: names of these layers; unless
            given, those that read it in the first pass, or with a mean the first that net defines. first=(): none, the
            image itself is scaled, on the grid 2^-12. A scale that is a power of two without mean and std, such as that
            of counts, is exact for every use of the image.
            levels: the largest byte of the data where it is known, such as 1 for spikes: range then goes to weights.
    Returns:
        uint8 images or frames -> what net gives (the first entry of a tuple), on the grids of lowering.
    Raises:
        ConversionError: a module, neuron or constant has no counterpart; names it, and the way out.
    """
    require_module(net)
    own = own_neurons(neurons)
    swap = Swap(net, LIBRARY.joined_by(own), time_steps, round_leak)
    original = original_of(net, image, time_steps, time_axis, forward is not None)
    original.neurons, original.per_step, original.round_leak = tuple(own), True, round_leak
    return convert(swap, original, image, forward, per_step=True)
