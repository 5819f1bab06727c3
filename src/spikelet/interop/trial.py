"""Which way of running a network's code is right, found by running it on a batch whose axes can't be confused.

Its size is neither 1 nor T. So a neuron that gets another first axis than time refuses it; one that is called twice
stands in a loop over time (or is shared between two places, which in a stateful library means that both see one
membrane); and every use of the image is followed (uses.py). Time-first code runs once and fast, so it comes first.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.base.time_axis import TimeAxis
from spikelet.interop.feedback import FedBack
from spikelet.interop.joined_feedback import JoinedFeedback
from spikelet.interop.lockstep import STATEFUL, LoopRefused
from spikelet.interop.original import Original
from spikelet.interop.places import SeveralPlaces
from spikelet.interop.refused_currents import WAY_OUT
from spikelet.interop.stateless import NoState
from spikelet.interop.uses import followed, require_folded
from spikelet.interop.ways import AllSteps, NoTensor, StepByStep, Way
from spikelet.interop.weights_in_code import WeightsInCode


class Tried(Protocol):
    """What a trial asks of a Converted."""

    first: tuple[str, ...]
    finds_first: bool
    time_axis: TimeAxis
    original: Original

    @property
    def is_folded(self) -> bool: ...

    @property
    def has_body(self) -> bool: ...

    def ways(self) -> tuple[Way, ...]: ...

    def run(self, way: Way, net: nn.Module, current: Tensor) -> Tensor: ...


@torch.no_grad()
def choose(model: Tried, net: nn.Module, current: Tensor) -> tuple[Way, Tensor]:
    """The first way in which `net`, the model's network or a copy that evaluates, runs on `current`, and what it gave.

    Where it runs on all steps at once and step by step, and gives the same shape and other numbers, it was written for
    one step.

    Raises:
        FedBack: neurons read their own spikes, and would run with them as one layer.
        SeveralPlaces: a neuron stands in several places, and would run with neurons for each.
        ConversionError: there is none, or the network uses the image as no folded scale allows.
    """
    if not model.has_body:
        _require_one_input(net)
    refusals: list[ConversionError] = []
    ways = list(model.ways())
    for way in ways:
        try:
            with _explained(net, model.time_axis):
                output = _followed(model, way, net, current)
        except _RunsNot as e:
            refusals.append(e.reason)
            continue
        per_step = way is ways[0] and isinstance(ways[-1], StepByStep) and not model.has_body
        single = _by_steps(model, ways[-1], net, current) if per_step else None
        if single is not None and single.shape == output.shape and not torch.equal(single, output):
            return ways[-1], single
        return way, output
    raise _most_telling(refusals)


def _require_one_input(net: nn.Module) -> None:
    """Raises ConversionError where the network must be given more than one tensor."""
    asked = inspect.signature(net.forward).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in asked if p.kind in kinds and p.default is inspect.Parameter.empty]
    if len(names) > 1:
        raise ConversionError(
            f"{type(net).__name__}'s forward takes {len(names)} inputs ({', '.join(names)}), and integers read one. "
            "Say the others in forward=...: of two images side by side, lambda net, x: net(x[:, :2], x[:, 2:]); a "
            "number, lambda net, x: net(x, 25); states of one step by the loop that hands them on, def loop(net, x)."
        )


def _by_steps(model: Tried, way: Way, net: nn.Module, current: Tensor) -> Tensor | None:
    try:
        return _followed(model, way, net, current)
    except Exception:  # it was not written for one step
        return None


def _followed(model: Tried, way: Way, net: nn.Module, current: Tensor) -> Tensor:
    current = current.view_as(current)  # the code may give it another shape in place
    with _once_each(net) if isinstance(way, AllSteps) else nullcontext():
        if not model.is_folded:
            return model.run(way, net, current)
        with followed(net, current, model.original.image) as uses:
            output = model.run(way, net, current)
        first = tuple(dict.fromkeys(uses.readers)) if model.finds_first else ()
        try:
            require_folded(uses, first or model.first, type(net).__name__)
        except ConversionError as e:
            raise _Misused(e) from None
        model.first = first or model.first
        return output


class _Misused(Exception):
    """The code runs, and uses the image as it may not."""


class _RunsNot(Exception):
    """The code does not run; `reason` says why."""

    def __init__(self, reason: ConversionError) -> None:
        super().__init__(str(reason))
        self.reason = reason


@contextmanager
def _explained(net: nn.Module, time_axis: TimeAxis) -> Iterator[None]:
    try:
        yield
    except _Misused as e:
        raise e.args[0] from None
    except torch.OutOfMemoryError:
        raise
    except ConversionError as e:
        raise _RunsNot(e) from e
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError) as e:
        what = f"{type(net).__name__}'s forward does not run on {LAYOUT[time_axis]}: {e} {ADVICE}"
        raise _RunsNot(ConversionError(what)) from e


def _most_telling(refusals: list[ConversionError]) -> ConversionError:
    """What runs but for its feedback, its places or its answer; what the loop refuses; else what the first way met."""
    found = next((e for e in refusals if isinstance(e, FOUND)), None)
    loops = [e for e in refusals if isinstance(e, LoopRefused) and not e.has_no_loop]
    return found or (loops or refusals)[0]


FOUND = (WeightsInCode, FedBack, JoinedFeedback, SeveralPlaces, NoTensor, NoState)
LAYOUT = {
    None: "time-first tensors [T, B, ...] (the image has T = 1)",
    0: "time-first tensors [T, B, ...] (time_axis=0)",
    1: "batch-first frames [B, T, ...] that it makes time first itself (time_axis=1)",
}
ADVICE = (
    f"Nor does it run as a loop over time, or one step at a time. {WAY_OUT} Such as lambda net, x: "
    "net.fc(net.features(x).flatten(2)); or convert its layers in an nn.Sequential. A network that takes [B, T, ...] "
    "and transposes it needs time_axis=1."
)


@contextmanager
def _once_each(net: nn.Module) -> Iterator[None]:
    """Refuses a second call of a neuron."""
    ran: set[str] = set()

    def watch(name: str) -> Callable[[nn.Module, Any], None]:
        def before(module: nn.Module, args: Any) -> None:
            if name in ran:
                raise ConversionError(
                    f"{name}: ran twice in one forward pass, so it stands in a loop over time, or in two places "
                    f"that share its membrane; converted neurons take all time steps at once. {ADVICE}"
                )
            ran.add(name)

        return before

    with ExitStack() as stack:
        for name, module in net.named_modules():
            if isinstance(module, STATEFUL):
                stack.callback(module.register_forward_pre_hook(watch(name)).remove)
        yield
