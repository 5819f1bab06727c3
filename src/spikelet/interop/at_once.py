"""Code that folds time and batch by itself, around neurons of a user's own that take all time steps at once.

    spikes = neuron(x)        x [B, T, C, H, W]          axis 1: networks of TET, tdBN, RecDis and kin
                              x [T, B, C, H, W]          axis 0: networks that repeat their image in time themselves
                              x [T B, C, H, W]           folded: time and batch as one axis, as QCFS and kin have them

The converted neurons run over axis 0, so those of axis 1 are given their input transposed, and those of a folded axis
their input unfolded. All else is plain PyTorch on the tensors of the code, and layers that it calls on time and batch
as one axis see one step of B T samples.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from spikelet.interop.lockstep import Call, Lockstep, LoopRefused
from spikelet.interop.steps import tensors_in

REPEATING = {"repeat", "expand", "expand_as", "broadcast_to", "broadcast_tensors", "tile", "stack", "repeat_interleave"}


MAKING_COPIES = REPEATING | {"cat", "concat", "concatenate"}


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


class AtOnceFolded(Lockstep):
    """One run of code whose neurons take time and batch as one axis.

    The image must be repeated by the code itself, T times as often as before, or be frames that it folds.

    Args:
        time_steps: T.
        time_at: where time is of the two axes that were folded, 0 or 1; None where this run, of an image or of frames
            that are the same at every step, is to find it.
        has_time: whether it is given frames.
    """

    def __init__(self, time_steps: int, time_at: int | None, *, has_time: bool) -> None:
        super().__init__(time_steps)
        self.time_at, self.has_time = time_at, has_time
        self.done: set[nn.Module] = set()

    def _done(self, func: Call, args: Any, kwargs: Any) -> Any:
        output = func(*args, **kwargs)
        if not self.has_time and not self.inside and func.__name__ in MAKING_COPIES:
            read, made = tensors_in(args), tensors_in(output)
            self.has_time = made[0].numel() == self.time_steps * read[0].numel()
        return output

    def _neuron(self, unit: nn.Module, call: Call, x: Tensor, state: list[Any]) -> Any:
        if not self.has_time or len(x) % self.time_steps or x.dim() < 2 or state or unit in self.done:
            raise LoopRefused(
                f"{self.names[unit]}: is no neuron of time and batch as one axis of T B samples.", has_no_loop=True
            )
        self.done.add(unit)
        if self.time_at is None:
            self.time_at = self._found(unit, x)
        return fold(call(unfold(x, self.time_steps, self.time_at)), self.time_at)

    def _found(self, unit: nn.Module, x: Tensor) -> int:
        """Where time is: the first neurons are shown the same at every step."""
        unfolded = {at: unfold(x.detach(), self.time_steps, at) for at in (0, 1)}
        fits = [at for at, steps in unfolded.items() if bool(steps.eq(steps[:1]).all())]
        if len(fits) != 1:
            raise LoopRefused(f"{self.names[unit]}: its axis of T B samples shows no image at every step.")
        return fits[0]


def unfold(x: Tensor, time_steps: int, time_at: int) -> Tensor:
    """[T, B, ...] of time and batch as one axis, in which time was at `time_at`."""
    return x.unflatten(0, (time_steps, -1) if time_at == 0 else (-1, time_steps)).transpose(0, time_at)


def fold(x: Tensor, time_at: int) -> Tensor:
    """The same turned round."""
    return x.transpose(0, time_at).flatten(0, 1)
