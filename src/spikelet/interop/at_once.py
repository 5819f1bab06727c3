"""Code that folds time and batch by itself, around neurons of a user's own that take all time steps at once.

    spikes = neuron(x)        x [B, T, C, H, W]          axis 1: networks of TET, tdBN, RecDis and kin
                              x [T, B, C, H, W]          axis 0: networks that repeat their image in time themselves

The converted neurons run over axis 0, so those of axis 1 are given their input transposed. All else is plain PyTorch on
the tensors of the code, and layers that it calls on time and batch as one axis see one step of B T samples.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from spikelet.interop.lockstep import Call, Lockstep, LoopRefused
from spikelet.interop.steps import tensors_in

REPEATING = {"repeat", "expand", "expand_as", "broadcast_to", "broadcast_tensors", "tile", "stack", "repeat_interleave"}


class AtOnce(Lockstep):
    """One run of such code.

    Args:
        time_steps: T.
        axis: where time is in what the neurons read.
        has_time: whether it is given frames; an image [B, ...] it must repeat on that axis itself.
    """

    def __init__(self, time_steps: int, axis: int, *, has_time: bool) -> None:
        super().__init__(time_steps)
        self.axis, self.has_time = axis, has_time
        self.done: set[nn.Module] = set()

    def _done(self, func: Call, args: Any, kwargs: Any) -> Any:
        output = func(*args, **kwargs)
        if not self.has_time and not self.inside and func.__name__ in REPEATING:
            read, made = tensors_in(args), tensors_in(output)
            longer = any(map(self._is_timed, made)) and not any(map(self._is_timed, read))
            self.has_time = longer or self._is_grown(read[0], made[0])
        return output

    def _is_grown(self, before: Tensor, after: Tensor) -> bool:
        """Whether a tensor got an axis of T in front, which the code may move from there."""
        return after.dim() == before.dim() + 1 and after.shape[0] == self.time_steps

    def _is_timed(self, x: Tensor) -> bool:
        return x.dim() > 2 and x.shape[self.axis] == self.time_steps

    def _neuron(self, unit: nn.Module, call: Call, x: Tensor, state: list[Any]) -> Any:
        if not (self.has_time and self._is_timed(x)) or state or unit in self.done:
            raise LoopRefused(
                f"{self.names[unit]}: is no neuron of all time steps on axis {self.axis}.", has_no_loop=True
            )
        self.done.add(unit)
        return call(x.transpose(0, self.axis)).transpose(0, self.axis).contiguous()  # the code may take a view
