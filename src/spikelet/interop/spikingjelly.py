"""Networks of SpikingJelly (2.0, older ones with the same classes, and those of clock_driven) as spikelet modules.

    theirs                                        here
    IFNode, SimpleIFNode                          LIF, leak 1
    LIFNode, SimpleLIFNode (tau, decay_input)     LIF, leak 1 - 1/tau, scale_input = decay_input
    ParametricLIFNode                             the same with tau = 1 / sigmoid(w); it is learned no further
    CUBALIFNode(c_decay, v_decay)                 Integrator with a leak of c_decay, LIF with one of v_decay
    OTTTLIFNode, SLTTLIFNode                      as LIFNode, which they are but for how they are trained
    ILIFNode                                      LIF of several spikes a step, times what one is worth; halves go up
    v_reset = r                                   Hard, threshold v_threshold - r: v' = v - r starts at 0, leaks to 0
    v_reset = None                                Soft
    v_threshold = inf, read by v or v_seq         Integrator
    NonSpikingIFNode, NonSpikingLIFNode           Integrator; decode "last_mem", "mean-mem", or none
    layer.Conv1d, Conv2d, ConvTranspose2d,        spikelet.nn
      Linear, BatchNorm1d, BatchNorm2d, pools
    layer.TemporalEffectiveBatchNorm              BatchNorm and a Scale by step
    layer.BatchNormThroughTime                    NormThroughTime
    layer.ThresholdDependentBatchNorm             BatchNorm: its alpha * v_th is in the weight it starts from
    layer.Dropout, Dropout2d                      one mask for all time steps, as theirs
    layer.VotingLayer                             the mean of each group of outputs
    layer.LinearRecurrentContainer, of a neuron   a Linear, and a neuron with feedback (nn.Recurrent)
    MultiStepLIFNode and the like, clock_driven   the same without MultiStep, in step mode 'm'
    SeqToANNContainer, MultiStepContainer,        nn.Sequential
      StepModeContainer

A membrane on the threshold fires there as here. All tensors are time first, as in their step mode 'm'; a network in
step mode 's' is converted as if `functional.set_step_mode(net, 'm')` had been called, and what asks a module for its
step_mode is told 'm'. Nothing has to be reset. Classes are known by their names, so SpikingJelly itself isn't imported.

Differences from SpikingJelly: evaluation lies on the grids of quant/grid.py; gradients pass through the reset
(detach_reset=False); a learned tau is a constant; in training, batch norm takes its statistics over all steps together,
as theirs does in step mode 'm' and not in 's'.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.base.time_axis import TimeAxis
from spikelet.base.whole import power_of_two_from
from spikelet.interop import layers, windows
from spikelet.interop.convert import convert, original_of, require_module
from spikelet.interop.converted import Converted, Forward
from spikelet.interop.dynamics import After, Dynamics, leak_on_grid, to_lif
from spikelet.interop.image import ImageOptions
from spikelet.interop.layers import Rule
from spikelet.interop.never_fires import NeverFires
from spikelet.interop.own_neurons import OwnNeurons, own_neurons
from spikelet.interop.scaler import Scaler
from spikelet.interop.site import Site
from spikelet.interop.stateless import StatelessLIF, resettable
from spikelet.interop.surrogates import fires_at_zero, of_spikingjelly
from spikelet.interop.swap import Library, Swap
from spikelet.neurons import OVER_TIME, Delay, Integrator, LIFParams, Rectangle, Soft
from spikelet.neurons.constants import off_grid
from spikelet.nn import Recurrent, Scale
from spikelet.nn.norm_through_time import NormThroughTime
from spikelet.quant.grid import FRACTION_BITS


def _neuron(node: Any, site: Site, leak: float, leak_from: str, scale_input: bool) -> nn.Module:
    if not getattr(node.surrogate_function, "spiking", True):
        raise ConversionError(f"{site.name}: its surrogate_function must be in spiking mode: set_spiking_mode(True).")
    _require_start(node, site)
    if node.v_threshold == math.inf:
        return _never_fires(node, site, leak, leak_from, scale_input)
    dynamics = Dynamics(
        leak,
        leak_from,
        threshold=node.v_threshold - (node.v_reset or 0.0),
        strictly_above=not fires_at_zero(node.surrogate_function, site.name),
        after=After.SOFT if node.v_reset is None else After.HARD,
        scale_input=scale_input,
        surrogate=of_spikingjelly(node.surrogate_function),
    )
    lif = to_lif(site.name, dynamics, site.time_steps, site.round_leak)
    return StatelessLIF(lif.time_steps, lif.params, lif.membrane)


def _require_start(node: Any, site: Site) -> None:
    """Raises ConversionError where a neuron's membrane starts somewhere else than at its reset."""
    start = torch.as_tensor(getattr(node, "_memories_rv", {}).get("v", node.v_reset or 0.0))
    if bool((start != (node.v_reset or 0.0)).any()):
        raise ConversionError(
            f"{site.name}: its membrane starts at {start.tolist()} (set_reset_value), and a converted one at "
            f"{node.v_reset or 0.0}. Leave it there, and add what it starts with to the current of the first step."
        )


def _never_fires(node: Any, site: Site, leak: float, leak_from: str, scale_input: bool) -> NeverFires:
    if node.v_reset:
        raise ConversionError(
            f"{site.name}: a neuron that never fires leaks to v_reset={node.v_reset} here. Use v_reset=0 or None."
        )
    on_grid = leak_on_grid(site.name, leak, leak_from, site.round_leak)
    integrator = Integrator(site.time_steps, on_grid, scale_input=scale_input)
    return NeverFires(integrator, site.name, per_step=site.per_step)


def _if(node: Any, site: Site) -> nn.Module:
    return _neuron(node, site, 1.0, "no leak", scale_input=False)


def _lif(node: Any, site: Site) -> nn.Module:
    return _neuron(node, site, 1 - 1 / node.tau, f"tau = {node.tau:.6g}", node.decay_input)


def _parametric_lif(node: Any, site: Site) -> nn.Module:
    share = float(torch.sigmoid(node.w.detach().double()))
    return _neuron(node, site, 1 - share, f"the learned tau = {1 / share:.6g}", node.decay_input)


class Counts(nn.Module):
    """Neurons that give whole numbers of spikes in a step, 0 to D, as the numbers themselves.

    Args:
        lif: the neurons, whose n spikes are worth n / 2^k.
    """

    def __init__(self, lif: StatelessLIF) -> None:
        super().__init__()
        self.lif = lif

    def forward(self, x: Tensor) -> Tensor:
        """Current [T, B, ...] -> counts [T, B, ...]."""
        return self.lif(x) * power_of_two_from(self.lif.params.levels)


def _integer_lif(node: Any, site: Site) -> Counts:
    """round(h / v_threshold), 0 to D, where a half goes up rather than to the even number."""
    leak = leak_on_grid(site.name, 1 - 1 / node.tau, f"tau = {node.tau:.6g}", site.round_leak)
    half = node.v_threshold / 2
    if off_grid(half):
        raise ConversionError(
            f"{site.name}: half of v_threshold={node.v_threshold:.6g} must be a multiple of 2^-{FRACTION_BITS}; choose "
            f"{round(half * 2**FRACTION_BITS) * 2.0 ** (1 - FRACTION_BITS):.10g}."
        )
    levels = node.surrogate_function.max_spike_count
    step = float(node.v_threshold) if levels > 1 else None
    params = LIFParams(
        leak, half, reset=Soft(float(node.v_threshold)), surrogate=Rectangle(float(node.v_threshold)), levels=levels,
        step=step,
    )  # fmt: skip
    return Counts(StatelessLIF(site.time_steps, params))


class Readout(nn.Module):
    """Membranes of neurons that don't spike, as a SpikingJelly's NonSpikingLIFNode decodes them.

    Args:
        integrator: gives the membranes.
        decode: "last_mem", "mean-mem", or None for a list of every step's.
    """

    def __init__(self, integrator: Integrator, decode: str | None) -> None:
        super().__init__()
        self.integrator, self.decode = integrator, decode

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Current [T, B, ...] -> [B, ...], or T of them."""
        membranes = self.integrator(x)
        if self.decode == "last_mem":
            return membranes[-1]
        return membranes.mean(0) if self.decode == "mean-mem" else list(membranes.unbind(0))


def _non_spiking(node: Any, site: Site) -> nn.Module:
    if node.decode in ("max-mem", "max-abs-mem"):
        raise ConversionError(
            f"{site.name}: {type(node).__name__} with decode={node.decode!r} compares membranes over time, which the "
            "integer graph does in neurons alone. Use decode='last_mem' or 'mean-mem'."
        )
    tau = getattr(node, "tau", None)
    if tau is None:
        return Readout(Integrator(site.time_steps), node.decode)
    leak = leak_on_grid(site.name, 1 - 1 / tau, f"tau = {tau:.6g}", site.round_leak)
    return Readout(Integrator(site.time_steps, leak, scale_input=True), node.decode)


def _cuba(node: Any, site: Site) -> nn.Module:
    """A synapse that leaks, then a neuron whose current is not scaled."""
    if node.v_reset:
        raise ConversionError(
            f"{site.name}: CUBALIFNode with v_reset={node.v_reset} leaks to 0 and is reset to another value. Use "
            "v_reset=0 or None."
        )
    told = ("c_decay", node.c_decay), ("v_decay", node.v_decay)
    synapse, membrane = (leak_on_grid(site.name, v, f"{name} = {v:.6g}", site.round_leak) for name, v in told)
    return nn.Sequential(
        Integrator(site.time_steps, synapse), _neuron(node, site, membrane, f"v_decay = {node.v_decay:.6g}", False)
    )


def _effective_norm(norm: Any, site: Site) -> nn.Module:
    """TEBN: a norm, and a learned factor a step."""
    return nn.Sequential(layers.batch_norm(norm, site), Scale(norm.scale.detach().view(-1, 1)))


def _norm_through_time(norm: Any, site: Site) -> nn.Module:
    """BNTT: a norm a step."""
    if site.time_steps != norm.T:
        raise ConversionError(
            f"{site.name}: has norms for T = {norm.T} steps, and the conversion was told of {site.time_steps}."
        )
    return NormThroughTime([layers.batch_norm(one, site) for one in norm.bn_list])


def _flatten(layer: nn.Flatten, site: Site) -> nn.Module:
    return nn.Flatten(*(d + 1 if d >= 0 else d for d in (layer.start_dim, layer.end_dim)))  # of one step in both modes


def _dropout(maps: bool) -> Rule:
    return lambda layer, site: layers.Dropout(layer.p, maps=maps, held=True)


def _linear_recurrent(container: Any, site: Site) -> nn.Module:
    """W (x, y[t-1]) + b, then the neuron, as a linear layer of x and a neuron with feedback."""
    kind = LIBRARY.kind(type(container.sub_module))
    rule = NEURONS.get(kind.__name__)
    if rule in (None, _cuba, _integer_lif) or not LIBRARY.owns(kind):
        raise ConversionError(
            f"{site.name}: LinearRecurrentContainer has a counterpart around one neuron, such as LIFNode; got "
            f"{type(container.sub_module).__name__}."
        )
    lif = rule(container.sub_module, dataclasses.replace(site, name=f"{site.name}.sub_module"))
    rc, count = container.rc, container.rc.out_features
    forward, back = (
        nn.Linear(count, count, rc.bias is not None).to(rc.weight),
        nn.Linear(count, count, False).to(rc.weight),
    )
    with torch.no_grad():
        forward.weight.copy_(rc.weight[:, :count])
        back.weight.copy_(rc.weight[:, count:])
        if rc.bias is not None:
            forward.bias.copy_(rc.bias)
    return nn.Sequential(layers.linear(forward, site), Recurrent(lif, layers.linear(back, site)))  # type: ignore[arg-type]


def _in_mode_m(rule: Rule) -> Rule:
    def marked(module: Any, site: Site) -> nn.Module:
        new = rule(module, site)
        new.step_mode = "m"  # type: ignore[assignment]
        if any(isinstance(part, OVER_TIME) for part in new.modules()):
            resettable(new)
        return new

    return marked


NEURONS: dict[str, Rule] = {
    "IFNode": _if, "LIFNode": _lif, "ParametricLIFNode": _parametric_lif, "SimpleIFNode": _if, "SimpleLIFNode": _lif,
    "CUBALIFNode": _cuba, "ILIFNode": _integer_lif, "OTTTLIFNode": _lif, "SLTTLIFNode": _lif,
}  # fmt: skip
MULTI_STEP = "MultiStep"  # how clock_driven, the package before activation_based, named what takes all time steps
NEURONS = {**NEURONS, **{f"{MULTI_STEP}{name}": rule for name, rule in NEURONS.items()}}
READOUTS: Mapping[str, Rule] = {"NonSpikingIFNode": _non_spiking, "NonSpikingLIFNode": _non_spiking}
LAYERS: dict[str, Rule] = {
    "Conv1d": layers.convolution,
    "Conv2d": layers.convolution,
    "ConvTranspose2d": layers.transposed_convolution,
    "Linear": layers.linear,
    "BatchNorm1d": layers.batch_norm,
    "BatchNorm2d": layers.batch_norm,
    "ThresholdDependentBatchNorm1d": layers.batch_norm,
    "ThresholdDependentBatchNorm2d": layers.batch_norm,
    "TemporalEffectiveBatchNorm1d": _effective_norm,
    "TemporalEffectiveBatchNorm2d": _effective_norm,
    "BatchNormThroughTime1d": _norm_through_time,
    "BatchNormThroughTime2d": _norm_through_time,
    "VoltageScaler": lambda scaler, site: Scaler(float(scaler.scale)),
    "MaxPool2d": layers.max_pool,
    "AvgPool2d": layers.average_pool,
    "AdaptiveAvgPool2d": layers.adaptive_pool,
    "MaxPool1d": windows.largest,
    "AvgPool1d": windows.mean_of_sequences,
    "AdaptiveAvgPool1d": windows.adaptive(windows.Average2d),
    "Upsample": layers.upsample,
    "Flatten": _flatten,
    "VotingLayer": lambda voting, site: windows.Voting(voting.voting_size),
    "LinearRecurrentContainer": _linear_recurrent,
    "Delay": lambda layer, site: Delay(site.time_steps, layer.delay_steps),
    "Dropout": _dropout(maps=False),
    "Dropout2d": _dropout(maps=True),
}
OF_SEQUENCES = (*NEURONS, "Dropout", "Dropout2d", "ThresholdDependentBatchNorm1d", "ThresholdDependentBatchNorm2d")
LAYERS = {**LAYERS, **{f"{MULTI_STEP}{name}": LAYERS[name] for name in OF_SEQUENCES if name in LAYERS}}
ATTENTION = (
    "SpikingSelfAttention", "QKAttention", "TokenQKAttention", "ChannelQKAttention", "SpikeDrivenSelfAttention",
)  # fmt: skip
LIBRARY = Library(
    "spikingjelly",
    {name: _in_mode_m(rule) for name, rule in (NEURONS | READOUTS | LAYERS).items()},
    frozenset((*NEURONS, *READOUTS)),
    sequence_layers=frozenset((*READOUTS, *(n for n in (NEURONS | LAYERS) if n.startswith(MULTI_STEP)))),
    step_containers=frozenset({"SeqToANNContainer", "MultiStepContainer", "StepModeContainer"}),
    kept=(
        "spikingjelly.activation_based.model.",
        "spikingjelly.clock_driven.model.",
        *(f"spikingjelly.activation_based.layer.attention.{name}" for name in ATTENTION),
    ),
    harmless=frozenset({"StepModule", "SingleModule", "MultiStepModule"}),
)


def _free_modes(net: nn.Module, neurons: Collection[type]) -> dict[str, str]:
    """The step modes of neurons outside of containers, which must be one; `neurons` are a user's own classes.

    Raises:
        ConversionError: there are two.
    """
    loops = [m for m in net.modules() if type(m).__name__ == "LinearRecurrentContainer" and LIBRARY.owns(type(m))]
    own = {id(part) for loop in loops for part in loop.modules() if part is not loop}  # always one step at a time
    steps = (*NEURONS, "LinearRecurrentContainer")
    kinds = {n: LIBRARY.kind(type(m)) for n, m in net.named_modules()}
    known = {n: m for n, m in net.named_modules() if kinds[n].__name__ in steps and LIBRARY.owns(kinds[n])}
    known |= {n: m for n, m in net.named_modules() if type(m) in neurons}
    modes = {n: _step_mode(m) for n, m in known.items() if id(m) not in own}
    inside = [n for n, m in net.named_modules() if type(m).__name__ in LIBRARY.step_containers]
    free = {n: mode for n, mode in modes.items() if not any(n.startswith(f"{outer}.") or not outer for outer in inside)}
    if len(set(free.values())) > 1:
        raise ConversionError(
            f"all neurons must have one step_mode, got {free}. Call functional.set_step_mode(net, 'm')."
        )
    return free


def _step_mode(neuron: nn.Module) -> Any:
    """'m' or 's', which the name says in clock_driven."""
    return "m" if LIBRARY.kind(type(neuron)).__name__.startswith(MULTI_STEP) else getattr(neuron, "step_mode", "s")


def _is_per_step(net: nn.Module, free: Mapping[str, object]) -> bool:
    """Whether net's code outside of containers sees one time step at a time.

    The neurons there say so; where all neurons are in containers, a container that takes sequences says that it does
    not."""
    containers = [m for m in net.modules() if type(m).__name__ in LIBRARY.step_containers]
    return "m" not in free.values() if free else all(getattr(m, "step_mode", "m") == "s" for m in containers)


def from_spikingjelly(
    net: nn.Module,
    *,
    time_steps: int,
    time_axis: TimeAxis = None,
    round_leak: bool = False,
    forward: Forward | None = None,
    neurons: OwnNeurons | None = None,
    **image: Unpack[ImageOptions],
) -> Converted:
    """A SpikingJelly network as a module of spikelet layers: full-precision weights, bytes in, time first, no state.

    A network without neurons, whose loop writes them out, is converted too (neurons_in_code.py).
    `model.compare(batches)` says how many spikes and classes differ from net's own. `spikelet.check(model, images)`
    says what of it integers will refuse, before anything is compressed.

    Example:
        >>> from spikingjelly.activation_based import functional, layer, neuron
        >>> net = torch.nn.Sequential(layer.Conv2d(1, 4, 3), neuron.LIFNode(), layer.Flatten(), layer.Linear(144, 10))
        >>> functional.set_step_mode(net, "m")
        >>> model = spikelet.from_spikingjelly(net, time_steps=4)
        >>> model(torch.zeros((2, 1, 8, 8), dtype=torch.uint8)).shape
        torch.Size([4, 2, 10])

    Args:
        net: the network, left alone. Its own Python code is kept, and run as it was written (ways.py).
        time_steps: T.
        time_axis: None for still images [B, C, H, W]; 0 for frames [T, B, ...]; 1 for frames [B, T, ...], which net's
            forward (or `forward`) makes time first itself.
        round_leak: round a leak off the grid of leaks (neurons/params.py) to its nearest multiple. It is refused
            otherwise.
        forward: `forward(net, x)` instead of net's own, with x of [1, B, C, H, W] or the frames; or with what net
            itself takes, [B, C, H, W] or the frames, where it runs so: `lambda net, x: net(x)["box"]` gives that entry.
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
        uint8 images or frames -> what net gives, in evaluation on the grids of lowering.
    Raises:
        ConversionError: a module, neuron or constant has no counterpart; names it, and the way out.
    """
    require_module(net)
    own = own_neurons(neurons)
    free = _free_modes(net, own)
    swap = Swap(net, LIBRARY.joined_by(own), time_steps, round_leak)
    original = original_of(net, image, time_steps, time_axis, forward is not None)
    original.neurons, original.round_leak = tuple(own), round_leak
    original.per_step = _is_per_step(net, free)
    model = convert(swap, original, image, forward, per_step=original.per_step)
    for module in model.modules():
        if hasattr(module, "step_mode"):
            module.step_mode = "m"  # type: ignore[assignment]
    return model
