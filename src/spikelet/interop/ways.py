"""The ways in which a network's own code can be run on an image or frames.

    AllSteps     once, on time-first tensors [T, B, ...]; for code that treats leading axes alike
    OwnLoop      once, on what the network was written for: the image [B, ...], over which it loops itself or which it
                 repeats in time, or frames, whose steps it takes itself
    NormsByStep  the same, with norms of its own at every step (own_norms.py)
    AllAtOnce    once, on frames or the image [B, ...], which it repeats in time, for neurons of all steps (at_once.py)
    AllFolded    the same, for neurons of time and batch as one axis
    StepByStep   T times, on one step [B, ...] each, whose answers are stacked; for code that is called in a loop

In all but the first every layer still runs once (lockstep.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.base.time_axis import TimeAxis
from spikelet.interop.at_once import AtOnce, AtOnceFolded
from spikelet.interop.joined_feedback import LoopWithJoins
from spikelet.interop.lockstep import Lockstep, in_lockstep
from spikelet.interop.loop_with_neurons import LoopWithNeurons
from spikelet.interop.membranes import Membrane
from spikelet.interop.neurons_in_code import in_code_of
from spikelet.interop.own_norms import OwnNorms
from spikelet.interop.steps import first_entry

Code = Callable[[nn.Module, Tensor], Any]


class NoTensor(ConversionError):
    """Raised where a network's code runs, and gives something else than a tensor."""


class Way(Protocol):
    """One of them: what `code(net, x)` gives for `current`, [1, B, ...] of an image or frames as the user lays them
    out."""

    def __call__(self, code: Code, net: nn.Module, current: Tensor) -> Any: ...


class AllSteps:
    """All time steps at once."""

    def __call__(self, code: Code, net: nn.Module, current: Tensor) -> Any:
        """See Way."""
        return code(net, current)


class OwnLoop:
    """The network's own loop, or its own repetition in time.

    Args:
        layers: names of the layers that were written for one step's tensors.
        time_steps, time_axis: as the caller of the conversion gave them.
        cut: the axis from which the code takes steps of other tensors than the frames, such as a repeated image.
    """

    def __init__(self, layers: Sequence[str], time_steps: int, time_axis: TimeAxis, cut: int | None = None) -> None:
        self.layers, self.time_steps, self.time_axis, self.cut = layers, time_steps, time_axis, cut

    def loop(self, net: nn.Module) -> Lockstep:
        """One run of it."""
        neurons = in_code_of(net)
        if neurons:
            return LoopWithNeurons(self.time_steps, self.cut, neurons)
        return LoopWithJoins(self.time_steps, self.cut)

    def __call__(self, code: Code, net: nn.Module, current: Tensor) -> Any:
        """See Way."""
        loop, frames = self.loop(net), current.transpose(0, 1) if self.time_axis == 1 else current
        with in_lockstep(net, self.layers, loop):
            if self.time_axis is None:
                return computed_output(loop.given(code(net, loop.still(current))))
            loop.watch(frames)
            return computed_output(loop.given(code(net, current)))


class NormsByStep(OwnLoop):
    """A loop over time whose step t has norms of its own, `self.norms[t]`; see OwnLoop."""

    def loop(self, net: nn.Module) -> Lockstep:
        """See OwnLoop."""
        return OwnNorms(self.time_steps, net)


class AllAtOnce(OwnLoop):
    """Code whose neurons take all time steps on axis `axis`, and which folds time and batch itself; see OwnLoop."""

    def __init__(self, layers: Sequence[str], time_steps: int, time_axis: TimeAxis, axis: int) -> None:
        super().__init__(layers, time_steps, time_axis)
        self.axis = axis

    def __call__(self, code: Code, net: nn.Module, current: Tensor) -> Any:
        """See Way."""
        loop, is_image = AtOnce(self.time_steps, self.axis), self.time_axis is None
        with in_lockstep(net, self.layers, loop):
            return computed_output(code(net, loop.image(current[0] if is_image else current, has_time=not is_image)))


class AllFolded(OwnLoop):
    """Code whose neurons take all time steps, time and batch as one axis; see OwnLoop.

    time_at: where time is of the two axes that the code folds, which the first run finds.
    """

    time_at: int | None = None

    def __call__(self, code: Code, net: nn.Module, current: Tensor) -> Any:
        """See Way."""
        if self.time_at is None:
            first = current.narrow(self.time_axis or 0, 0, 1)
            self.time_at = self._run(code, net, first.expand_as(current).contiguous())[1]
        return self._run(code, net, current)[0]

    def _run(self, code: Code, net: nn.Module, current: Tensor) -> tuple[Any, int | None]:
        loop, is_image = AtOnceFolded(self.time_steps, self.time_at), self.time_axis is None
        with in_lockstep(net, self.layers, loop):
            x = loop.image(current[0] if is_image else current, has_time=not is_image)
            return computed_output(code(net, x)), loop.time_at


class StepByStep(OwnLoop):
    """The loop that stands around the network; see OwnLoop."""

    def __call__(self, code: Code, net: nn.Module, current: Tensor) -> Any:
        """See Way."""
        loop = self.loop(net)
        with in_lockstep(net, self.layers, loop):
            if self.time_axis is None:
                image = loop.still(current)
                outputs = [computed_output(code(net, image)) for _ in range(self.time_steps)]
            else:
                frames = loop.steps_of(current if self.time_axis == 0 else current.transpose(0, 1))
                outputs = [computed_output(code(net, frame)) for frame in frames]
            return torch.stack(outputs) if all(isinstance(y, Tensor) for y in outputs) else outputs[0]


def computed_output(output: Any) -> Any:
    """The first of a tuple or dictionary such as (spikes, membranes), T tensors of a list as one, a membrane's
    numbers."""
    first = first_entry(output)
    if isinstance(first, list) and first and all(isinstance(y, Tensor | Membrane) for y in first):
        every = [computed_output(y) for y in first]
        shapes = list(dict.fromkeys(tuple(y.shape) for y in every))
        if len(shapes) > 1:
            raise NoTensor(
                f"the network returns a list of tensors of several shapes, {' and '.join(map(str, shapes))}. Say which "
                "of them is the answer, such as the last: forward=lambda net, x: net(x)[-1]."
            )
        return torch.stack(every)
    return first.tensor() if isinstance(first, Membrane) else first
