"""A converted network: bytes in, the network's own output out, stateless between calls.

    uint8 [B, C, H, W] or [T, B, C, H, W]  ->  Encode  ->  the network's own forward over [1 or T, B, ...]

The network's Python code runs once for all time steps, which is right for code that treats a tensor's leading axes
alike: residual sums, nn.Sequential, means over time. It is wrong for code that steps through time itself, and the
first forward pass finds that out: a neuron that is called twice in it stands in a loop over time (or is shared between
two places, which in a stateful library means that both see one membrane).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.neurons import LIF
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear

Forward = Callable[[Any, Tensor], Any]


class Converted(nn.Module):
    """See the module's text. Made by `from_spikingjelly` and `from_snntorch`.

    Args:
        net: the network, its layers swapped.
        first: name of its layer that reads the image, and that the value of a byte was folded into.
        forward: what to call instead of net's own forward, with the network and its input [1 or T, B, C, H, W].

    Of a tuple, such as snnTorch's (spikes, membranes), the first entry is the output.
    """

    def __init__(self, net: nn.Module, first: str, forward: Forward | None) -> None:
        super().__init__()
        self.encode = Encode()
        self.net = net
        self.first = first
        self.own_forward = forward
        self.tried = False

    def forward(self, x: Tensor) -> Tensor:
        """uint8 [B, C, H, W] or [T, B, C, H, W] -> what the network gives, with a time axis unless it takes a mean.

        Raises:
            ConversionError: in the first pass, if the network's code can't run time first.
        """
        current = self.encode(x)
        if self.tried:
            return self._run(current)
        with self._watched(current), self._explained():
            output = self._run(current)
        self.tried = True
        return output

    def _run(self, current: Tensor) -> Tensor:
        output = self.net(current) if self.own_forward is None else self.own_forward(self.net, current)
        output = output[0] if isinstance(output, tuple) else output
        if not isinstance(output, Tensor):
            raise ConversionError(
                f"the network must return a tensor, or a tuple that starts with one, got {type(output).__name__}. "
                f"{_WAY_OUT}"
            )
        return output

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (ConversionError, torch.OutOfMemoryError):
            raise
        except (RuntimeError, TypeError, ValueError, AttributeError, IndexError) as e:
            raise ConversionError(
                f"{type(self.net).__name__}'s forward does not run on time-first tensors [T, B, ...]: {e} {_WAY_OUT}"
            ) from e

    @contextmanager
    def _watched(self, current: Tensor) -> Iterator[None]:
        """Hooks that refuse a second call of a neuron, and a second reader of the image."""
        first = self.net.get_submodule(self.first)
        inside_first = set(first.modules())
        ran: set[str] = set()

        def watch(name: str, module: nn.Module) -> Callable[[nn.Module, tuple[Any, ...]], None]:
            def before(m: nn.Module, args: tuple[Any, ...]) -> None:
                if isinstance(module, LIF) and name in ran:
                    raise ConversionError(
                        f"{name}: ran twice in one forward pass, so it stands in a loop over time, or in two places "
                        f"that share its membrane; converted neurons take all time steps at once. {_WAY_OUT}"
                    )
                if m is not first and (self.first not in ran or _same_memory(args, current)):
                    raise ConversionError(
                        f"{name}: reads the image, and {self.first!r} was taken for the one layer that does (the value "
                        "of a byte is folded into its weights). Name the right layer: first=..."
                    )
                ran.add(name)

            return before

        with ExitStack() as stack:
            for name, module in self.net.named_modules():
                if module is first or (isinstance(module, _WATCHED) and module not in inside_first):
                    stack.callback(module.register_forward_pre_hook(watch(name, module)).remove)
            yield


_WATCHED = (Conv2d, Linear, BatchNorm2d, LIF)
_WAY_OUT = (
    "Pass forward=..., a function of the network and its input [T, B, C, H, W] that is the body of one step without "
    "the loop, such as lambda net, x: net.fc(net.features(x).flatten(2)), or convert its layers in an nn.Sequential."
)


def _same_memory(args: tuple[Any, ...], image: Tensor) -> bool:
    tensors = [a for a in args if isinstance(a, Tensor)]
    return any(t.untyped_storage().data_ptr() == image.untyped_storage().data_ptr() for t in tensors)
