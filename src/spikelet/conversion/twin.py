"""The spiking twin of a network: bytes in, logits of every step out, stateless between calls.

    bytes [B, ...] -> the network's own code on [T * B, ...] -> [T, B, K]          torch's layers, plain code
    bytes [B, ...] -> the network's own code on [T, B, ...]  -> [T, B, K]          spikelet's layers

T is 1 with the barrier schedule, whose neurons count. The logits after t steps are the mean of the first t.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.conversion.flow import is_whole
from spikelet.conversion.numbered import numbered
from spikelet.conversion.rewrites import Rewrite
from spikelet.conversion.schedules import Schedule
from spikelet.interop.pixels import ScaledImage
from spikelet.lowering.trace import tensors
from spikelet.nn import Encode, RunningSum, Scale


class Twin(nn.Module):
    """A converted network. Made by `spikelet.convert`.

    Args:
        net: the network, its layers swapped.
        schedule: of its neurons.
        rewrites: what takes the place of functions of its code, by the number of the call.
        unit: of its output.
        sample_dims: axes of a sample, where its code is plain and takes no bytes; None where it takes them.
        image: gives plain code what it was fed, where no layer holds it.
        sample_shape: of the samples that it was converted for.
    """

    def __init__(
        self,
        net: nn.Module,
        schedule: Schedule,
        rewrites: dict[int, Rewrite],
        unit: float,
        sample_dims: int | None,
        image: ScaledImage | None,
        sample_shape: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.encode = None if sample_dims is None else Encode(sample_dims)
        self.image = image
        self.sample_shape = sample_shape
        self.net = net
        self.rewrites = nn.ModuleDict({str(number): rewrite for number, rewrite in rewrites.items()})
        self.unit = None if unit == 1 else Scale(unit, learn=False)
        self.schedule, self.time_steps, self.steps = schedule.name, schedule.time_steps, schedule.steps

    def forward(self, x: Tensor) -> Tensor:
        """uint8 [B, ...] -> logits of each step [T, B, K].

        Raises:
            ConversionError: the samples have another size than those that the network was converted for, and it does
                not run on them.
        """
        try:
            return self._logits(x)
        except (RuntimeError, ValueError, IndexError) as error:
            if isinstance(error, torch.OutOfMemoryError) or tuple(x.shape[1:]) == self.sample_shape:
                raise
            raise ConversionError(
                f"the twin was converted for samples of shape {list(self.sample_shape)} and does not run on "
                f"{list(x.shape[1:])}. Resize the images, or convert the network anew with an example of that size."
            ) from error

    def _logits(self, x: Tensor) -> Tensor:
        if self.encode is None:
            y = self._run(x)
        else:
            current = self.encode(x)
            current = current if self.image is None else self.image(current)
            if self.steps > 1:
                current = current.expand(self.steps, *current.shape[1:])
            y = self._run(current.flatten(0, 1)).unflatten(0, (self.steps, -1))
        return y if self.unit is None else self.unit(y)

    def every_step(self) -> nn.Module:
        """This network with the sum of its logits so far at every step, [T, B, K]."""
        return nn.Sequential(self, RunningSum()).train(self.training)

    def _run(self, x: Tensor) -> Tensor:
        if not self.rewrites:
            return first_of(self.net(x))
        with numbered(self.net, is_whole, self._rewritten):
            return first_of(self.net(x))

    def _rewritten(self, number: int, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = str(number)
        return self.rewrites[name](function, args, kwargs) if name in self.rewrites else function(*args, **kwargs)

    def extra_repr(self) -> str:
        return f"schedule={self.schedule!r}, time_steps={self.time_steps}"


def first_of(output: Any) -> Tensor:
    """The first tensor of what a network returns."""
    for tensor in tensors(output):
        return tensor
    raise ConversionError(f"the model must return a tensor, or several with the logits first, got {type(output)}.")
