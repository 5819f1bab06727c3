"""Code that folds time and batch by itself, around neurons of a user's own that take all time steps at once.

    spikes = neuron(x)        x [B, T, C, H, W]          axis 1: networks of TET, tdBN, RecDis and kin
                              x [T, B, C, H, W]          axis 0: networks that repeat their image in time themselves
                              x [T B, C, H, W]           folded: time and batch as one axis, as QCFS and kin have them

The converted neurons run over axis 0, so those of axis 1 are given their input transposed, and those of a folded axis
their input unfolded. All else is plain PyTorch on the tensors of the code, and layers that it calls on time and batch
as one axis see one step of B T samples.
"""

from __future__ import annotations

import abc
from typing import Any

from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from spikelet.interop.lockstep import Call, Lockstep, LoopRefused
from spikelet.interop.steps import tensors_in
from spikelet.interop.writes import written

REPEATING = {"repeat", "expand", "expand_as", "broadcast_to", "broadcast_tensors", "tile", "stack", "repeat_interleave"}


MAKING_COPIES = REPEATING | {"cat", "concat", "concatenate"}


class TimeFollowed(Lockstep, abc.ABC):
    """One run of code that makes T steps of the image by itself: which tensors come from the image, and which of them
    hold all steps. Those of parameters, which code may repeat as well, do neither.

    Args:
        time_steps: T.
        repeating: names of the functions that may put time into a tensor.
    """

    def __init__(self, time_steps: int, repeating: set[str]) -> None:
        super().__init__(time_steps)
        self.repeating = repeating
        self.of_image, self.timed = WeakTensorKeyDictionary(), WeakTensorKeyDictionary()

    def image(self, x: Tensor, *, has_time: bool) -> Tensor:
        """`x`, known as the image [B, ...], or as frames of all time steps."""
        self.of_image[x] = True
        if has_time:
            self.timed[x] = True
        return x

    @abc.abstractmethod
    def gets_time(self, read: list[Tensor], made: list[Tensor]) -> bool:
        """Whether a function that repeats has put time into what it made."""

    def called(self, unit: nn.Module, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """See Lockstep."""
        return self._followed(super().called(unit, call, args, kwargs), (args, kwargs))

    def in_one(self, unit: nn.Module, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """See Lockstep."""
        return self._followed(super().in_one(unit, call, args, kwargs), (args, kwargs))

    def _done(self, func: Call, args: Any, kwargs: Any) -> Any:
        output = func(*args, **kwargs)
        if self.inside:
            return output
        self._follow((args, kwargs), tensors_in(output) or written(func, args, kwargs), func.__name__)
        return output

    def _followed(self, output: Any, given: Any) -> Any:
        self._follow(given, tensors_in(output))
        return output

    def _follow(self, given: Any, made: list[Tensor], name: str = "") -> None:
        images = [x for x in tensors_in(given) if x in self.of_image]
        if images and made:
            self.of_image.update(dict.fromkeys(made, True))
            if any(x in self.timed for x in images) or (name in self.repeating and self.gets_time(images, made)):
                self.timed.update(dict.fromkeys(made, True))


class AtOnce(TimeFollowed):
    """One run of such code.

    Args:
        time_steps: T.
        axis: where time is in what the neurons read.
    """

    def __init__(self, time_steps: int, axis: int) -> None:
        super().__init__(time_steps, REPEATING)
        self.axis = axis
        self.done: set[nn.Module] = set()

    def gets_time(self, read: list[Tensor], made: list[Tensor]) -> bool:
        """See TimeFollowed; an axis of T in front may be moved from there."""
        longer = any(map(self._has_axis, made)) and not any(map(self._has_axis, read))
        before, after = read[0], made[0]
        return longer or (after.dim() == before.dim() + 1 and after.shape[0] == self.time_steps)

    def _has_axis(self, x: Tensor) -> bool:
        return x.dim() > 2 and x.shape[self.axis] == self.time_steps

    def _neuron(self, unit: nn.Module, call: Call, x: Tensor, state: list[Any]) -> Any:
        if not (x in self.timed and self._has_axis(x)) or state or unit in self.done:
            raise LoopRefused(
                f"{self.names[unit]}: is no neuron of all time steps on axis {self.axis}.", has_no_loop=True
            )
        self.done.add(unit)
        return call(x.transpose(0, self.axis)).transpose(0, self.axis).contiguous()  # the code may take a view


class AtOnceFolded(TimeFollowed):
    """One run of code whose neurons take time and batch as one axis.

    The image must be repeated by the code itself, T times as often as before, or be frames that it folds.

    Args:
        time_steps: T.
        time_at: where time is of the two axes that were folded, 0 or 1; None where this run, of an image or of frames
            that are the same at every step, is to find it.
    """

    def __init__(self, time_steps: int, time_at: int | None) -> None:
        super().__init__(time_steps, MAKING_COPIES)
        self.time_at = time_at
        self.done: set[nn.Module] = set()

    def gets_time(self, read: list[Tensor], made: list[Tensor]) -> bool:
        """See TimeFollowed."""
        return made[0].numel() == self.time_steps * read[0].numel()

    def _neuron(self, unit: nn.Module, call: Call, x: Tensor, state: list[Any]) -> Any:
        if x not in self.timed or len(x) % self.time_steps or x.dim() < 2 or state or unit in self.done:
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
