"""The network that was converted, run as its own library runs it, for a comparison with its conversion.

    one step at a time       net(x[t]) for t = 1 .. T, states reset before      snnTorch, SpikingJelly in step mode 's'
    all steps at once        net(x), x [T, B, ...]                              SpikingJelly in step mode 'm'
    its own loop             net(x)                                             where its forward takes all steps itself

Every run takes place on a copy in evaluation mode, so the network keeps its weights, modes and membranes. It is the
network as it is now: one that was trained further after the conversion differs for that reason too.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.base.time_axis import TimeAxis
from spikelet.interop.attributes import put_back
from spikelet.interop.image import Image
from spikelet.interop.steps import first_entry
from spikelet.nn.device import device_of
from spikelet.nn.evaluation import evaluation_mode
from spikelet.nn.hooks import hooks

Run = Callable[[Any, Tensor], Any]


@dataclasses.dataclass
class Original:
    """A network of another library and what its conversion was told of it.

    net: None after a copy through a file.
    image: what it was fed.
    time_steps, time_axis: as the caller gave them.
    has_loop: its forward runs all time steps by itself.
    per_step: its forward sees one time step.
    neurons: classes of neurons that are a user's own.
    batch_first: its neurons take [B, T, ...].
    folded: where time is in the one axis of time and batch that its neurons take; None where they take none.
    body: what the caller gave for its forward, where it takes what the network takes; None where nothing does.
    round_leak: leaks off the grid are rounded, those of neurons that the code writes out too.
    """

    net: nn.Module | None
    image: Image
    time_steps: int
    time_axis: TimeAxis
    has_loop: bool = False
    per_step: bool = False
    neurons: tuple[type, ...] = ()
    batch_first: bool = False
    folded: int | None = None
    body: Run | None = None
    round_leak: bool = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Original:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "net": None, "body": None}

    @contextmanager
    def running(self, net: nn.Module | None, run: Run | None) -> Iterator[Runner]:
        """A Runner on a copy of `net`, or of the network that was converted.

        Raises:
            ConversionError: there is no network, or it can't be copied.
        """
        chosen = self.net if net is None else net
        if chosen is None:
            raise ConversionError(
                "this model was read from a file, and its original is not in it. Pass original=, the network that was "
                "converted."
            )
        copied = detached_copy(chosen)
        with evaluation_mode(copied), torch.no_grad():
            yield Runner(self, copied, run)


@dataclasses.dataclass
class Runner:
    """Runs the copy `net` on bytes; `run(net, floats)` replaces the library's way where it is given."""

    original: Original
    net: nn.Module
    run: Run | None

    def __call__(
        self, x: Tensor, names: list[str], watch: AbstractContextManager[Any]
    ) -> tuple[Tensor, dict[str, list[Tensor]]]:
        """What the network gives for bytes `x`, and what each neuron of `names` gave, one tensor a call; it runs inside
        of `watch`."""
        _reset(self.net, self.original.neurons)
        leading = 1 if self.original.time_axis is None else 2
        floats = self.original.image.floats(x.to(device_of(self.net)), x.dim() - leading)
        spikes: dict[str, list[Tensor]] = {name: [] for name in names}
        hooked = (self.net.get_submodule(name).register_forward_hook(_appender(spikes[name])) for name in names)
        with put_back(self.net, lambda value: True), hooks(hooked), watch:
            try:
                output = self._output(floats)
            except (RuntimeError, TypeError, ValueError, AttributeError, IndexError) as e:
                raise self._explained(e, floats) from e
        return output, spikes

    def _explained(self, error: Exception, x: Tensor) -> Exception:
        if isinstance(error, ConversionError | torch.OutOfMemoryError) or self.run is not None:
            return error
        return ConversionError(
            f"the original network does not run on {tuple(x.shape)} by its own forward: {error} Pass run=..., a "
            "function of the network and such an input that returns its logits."
        )

    def _output(self, x: Tensor) -> Tensor:
        o = self.original
        if self.run is not None:
            return first_of(self.run(self.net, x))
        call = self.net if o.body is None else functools.partial(o.body, self.net)
        if o.has_loop:
            return first_of(call(x))
        if o.per_step:
            frames = [x] * o.time_steps if o.time_axis is None else list(x.unbind(o.time_axis))
            return torch.stack([first_of(call(frame)) for frame in frames])
        return first_of(call(x.expand(o.time_steps, *x.shape).contiguous() if o.time_axis is None else x))


def first_of(output: Any) -> Tensor:
    """A tensor, or the first of a tuple such as snnTorch's (spikes, membrane) or of a dictionary; a list of one tensor
    a step as one."""
    first = first_entry(output)
    if isinstance(first, list) and first and all(isinstance(y, Tensor) for y in first):
        return torch.stack(first)
    if not isinstance(first, Tensor):
        raise ConversionError(
            f"the original network must return a tensor, or a tuple that starts with one, got {type(first).__name__}. "
            "Pass run=, a function of the network and its input that returns its logits."
        )
    return first


def _appender(calls: list[Tensor]) -> Callable[[nn.Module, Any, Any], None]:
    return lambda module, inputs, output: calls.append(first_of(output).detach().clone())


def _reset(net: nn.Module, own: tuple[type, ...]) -> None:
    """Sets every neuron's membrane to zero, as functional.reset_net and utils.reset do."""
    for module in net.modules():
        homes = {base.__module__.partition(".")[0] for base in type(module).__mro__}
        if not homes & {"spikingjelly", "snntorch"} and not isinstance(module, own):
            continue
        for name in ("reset", "reset_mem"):
            if callable(getattr(module, name, None)):
                getattr(module, name)()
                break


def detached_copy(net: nn.Module) -> nn.Module:
    """A copy of `net`; tensors that it keeps from its last run are copied without the graph behind them.

    Raises:
        ConversionError: something else in it can't be copied.
    """
    memo: dict[int, Any] = {}
    for module in net.modules():
        for kept in (vars(module), *(v for v in vars(module).values() if isinstance(v, dict))):
            for value in kept.values():
                if isinstance(value, Tensor) and not value.is_leaf:
                    memo[id(value)] = value.detach().clone()
    try:
        return copy.deepcopy(net, memo)
    except (RuntimeError, TypeError) as e:
        raise ConversionError(
            f"{type(net).__name__} can't be copied to be run: {e}. Reset its state first (functional.reset_net(net), "
            "utils.reset(net)), and drop tensors that it keeps from the last forward pass."
        ) from e
