"""Networks of snnTorch (1.0, and older ones with the same classes) as spikelet modules.

snnTorch's Leaky resets a step late unless it is told otherwise, and fires strictly above its threshold:

    h[t+1] = beta * m[t] + x[t+1] - threshold * s[t]          reset_mechanism="subtract"
    h[t+1] = beta * m[t] * (1 - s[t]) + x[t+1]                "zero"
    h[t+1] = beta * m[t] + x[t+1]                             "none"            s[t] = 1[m[t] > threshold], m = h

    theirs, reset_delay          here
    "zero", True or False        Hard: with or without the delay, the membrane that fired counts for nothing
    "subtract", True             Soft(threshold / beta): what is subtracted late is subtracted before the leak
    "none", True or False        Soft(0)
    "subtract", False            refused, see below
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

import functools
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.base.time_axis import TimeAxis
from spikelet.interop.convert import convert, original_of, require_module
from spikelet.interop.converted import Converted, Forward
from spikelet.interop.dynamics import After, Dynamics, to_lif
from spikelet.interop.image import ImageOptions
from spikelet.interop.membranes import Membrane, is_initial, no_membrane
from spikelet.interop.site import Site
from spikelet.interop.surrogates import of_snntorch
from spikelet.interop.swap import Library, Swap
from spikelet.neurons import LIF, Membranes
from spikelet.neurons.constants import Real


class WithMembrane(nn.Module):
    """A neuron that is called as `spikes, membrane = neuron(current, membrane)`."""

    def __init__(self, lif: LIF | OverVectors) -> None:
        super().__init__()
        self.lif = lif
        self.membranes = Membranes(lif if isinstance(lif, LIF) else lif.lif)

    def forward(self, x: Tensor, mem: Any = None) -> tuple[Tensor, Membrane]:
        """Spikes of a current [T, B, ...], and its membranes.

        Raises:
            ConversionError: `mem` is a membrane that is not zero.
        """
        if not isinstance(mem, Membrane) and not is_initial(mem):
            raise ConversionError("a converted neuron starts from a membrane of zero, and got another one.")
        return self.lif(x), Membrane(self, functools.partial(self.membranes, x))

    def reset_mem(self) -> Tensor:
        """See no_membrane."""
        return no_membrane()

    init_leaky = reset_mem


class OverVectors(nn.Module):
    """A neuron whose beta or threshold, of shape [C], goes along the last axis: its currents must be vectors [T, B, C].

    snnTorch takes the last axis of maps [T, B, C, H, W] too, W; LIF takes their channels.
    """

    def __init__(self, lif: LIF, name: str) -> None:
        super().__init__()
        self.lif, self.name = lif, name

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of a current [T, B, C]. Raises ConversionError for maps."""
        if x.dim() != 3:
            raise ConversionError(
                f"{self.name}: beta and threshold of shape [C] go along the last axis of {tuple(x.shape[1:])}, which "
                "isn't its channels. Give them the shape [C, 1, 1]."
            )
        return self.lif(x)


def _leaky(neuron: Any, site: Site) -> nn.Module:
    _require_plain(neuron, site.name)
    beta = _constant(neuron.beta.clamp(0, 1), site.name, "beta")  # clamped as its forward does
    threshold = _constant(neuron.threshold, site.name, "threshold")
    dynamics = Dynamics(
        beta,
        leak_from=f"beta = {beta:.6g}" if isinstance(beta, float) else "beta",
        threshold=threshold,
        strictly_above=True,
        after=_after(neuron, site.name),
        scale_input=False,
        surrogate=of_snntorch(neuron.spike_grad),
    )
    lif = to_lif(site.name, dynamics, site.time_steps, site.round_leak)
    for tensor, constant in ((neuron.beta, beta), (neuron.threshold, threshold)):
        if isinstance(constant, tuple) and tensor.dim() == 1:
            lif = OverVectors(lif, site.name)
            break
    if neuron.init_hidden and not neuron.output:
        lif.reset_mem = lif.init_leaky = no_membrane  # type: ignore[assignment]
        return lif
    return WithMembrane(lif)


def _after(neuron: Any, name: str) -> After:
    mechanism = neuron.reset_mechanism
    if mechanism == "subtract" and not getattr(neuron, "reset_delay", True):
        raise ConversionError(
            f'{name}: reset_mechanism="subtract" with reset_delay=False fires by a rule of its own where a rest stays '
            'above the threshold. Use reset_delay=True (snnTorch\'s default), or reset_mechanism="zero".'
        )
    return {"subtract": After.LATE, "zero": After.HARD, "none": After.NEVER}[mechanism]


def _require_plain(neuron: Any, name: str) -> None:
    graded = torch.as_tensor(getattr(neuron, "graded_spikes_factor", 1.0))
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
            raise ConversionError(f"{name}: Leaky with {argument} has no counterpart here. {way_out}")


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


LIBRARY = Library("snntorch", {"Leaky": _leaky})


def from_snntorch(
    net: nn.Module,
    *,
    time_steps: int,
    time_axis: TimeAxis = None,
    round_leak: bool = False,
    forward: Forward | None = None,
    **image: Unpack[ImageOptions],
) -> Converted:
    """A snnTorch network as a module of spikelet layers: full-precision weights, bytes in, time first, no state.

        net = nn.Sequential(nn.Conv2d(1, 8, 3), snn.Leaky(beta=0.5, init_hidden=True), nn.Flatten(), nn.Linear(288, 10))
        model = spikelet.from_snntorch(net, time_steps=8)

    The model takes the image once and gives what net gives for T steps, [T, B, ...] where it gives spikes of each. A
    class with a loop over time in its forward is converted as it stands; every layer then runs once for all steps
    (lockstep.py). Where it can't be, it is refused by name, and the body of the loop takes its place, with tensors of
    [T, B, ...]:

        def body(net, x):
            spk1, _ = net.lif1(net.conv1(x))
            return net.fc(spk1.flatten(2))
        model = spikelet.from_snntorch(net, time_steps=8, forward=body)

    `model.compare(batches)` says how many spikes and classes differ from net's own.

    Args:
        net: the network, left alone.
        time_steps: T.
        time_axis: None for still images [B, C, H, W]; 0 for frames [T, B, ...]; 1 for frames [B, T, ...], which net's
            forward (or `forward`) makes time first itself.
        round_leak: round a beta off the grid of leaks (neurons/params.py), such as 0.9, to its nearest multiple. It is
            refused otherwise.
        forward: `forward(net, x)` instead of net's own, with x of [1, B, C, H, W] or the frames.
        image: scale, mean, std: net was fed (scale * byte - mean) / std, mean and std one a channel or one for all.
            Frames need a scale; still images have 1/255 unless given. They are folded into the weights of the layers
            that read the image exactly, also at zero-padded borders (pixels.py). first: names of these layers; unless
            given, the first that net defines. first=(): none, the image itself is scaled, on the grid 2^-12. A scale
            that is a power of two without mean and std, such as that of counts, is exact for every use of the image.
    Returns:
        uint8 images or frames -> what net gives (the first entry of a tuple), on the grids of lowering.
    Raises:
        ConversionError: a module, neuron or constant has no counterpart; names it, and the way out.
    """
    require_module(net)
    swap = Swap(net, LIBRARY, time_steps, round_leak)
    original = original_of(net, image, time_steps, time_axis, forward is not None)
    original.per_step = True
    return convert(swap, original, image, forward, per_step=True)
