"""Where time stands in a batch: the caller says so, and no shape is asked.

    time_axis   a batch of images       a batch of vectors
    None        [B, C, H, W]            [B, F]                still inputs, held for T steps
    0           [T, B, C, H, W]         [T, B, F]             frames, time first
    1           [B, T, C, H, W]         [B, T, F]             frames, batch first

An extent of 1, an extent that equals another, or the number of axes never decides: a batch of one frame and a still
image look alike, and so do [T, B, ...] and [B, T, ...] where B is T.
"""

from __future__ import annotations

from collections.abc import Sequence

from spikelet.base.errors import TimeAxisError
from spikelet.base.whole import is_whole

TimeAxis = int | None

_LAYOUT = {None: "[B, ...]", 0: "[T, B, ...]", 1: "[B, T, ...]"}


def check_time_axis(time_axis: TimeAxis) -> TimeAxis:
    """`time_axis` itself.

    Raises:
        TimeAxisError: it is not None, 0 or 1.
    """
    if not (time_axis is None or is_whole(time_axis)) or time_axis not in _LAYOUT:
        raise TimeAxisError(
            f"time_axis must be None, 0 or 1, got {time_axis!r}. None: still inputs [B, ...]; 0: frames, time first, "
            "[T, B, ...]; 1: frames, batch first, [B, T, ...]."
        )
    return time_axis


def split_shape(
    shape: Sequence[int],
    time_axis: TimeAxis,
    *,
    what: str = "x",
    time_steps: int | None = None,
    sample_axes: int | None = None,
) -> tuple[int, int, tuple[int, ...]]:
    """The time steps, the batch size and the shape of one sample (or one frame of it) in a batch of `shape`.

    Args:
        shape: of the batch.
        time_axis: where time stands in it; without one there is 1 step.
        what: name of the batch, for errors.
        time_steps: T, which frames must have. Not looked at without a time axis.
        sample_axes: how many axes a sample without its time has, such as 3 for [C, H, W].
    Raises:
        TimeAxisError: `time_axis` is not None, 0 or 1, or `shape` is not of the layout that it declares.
    """
    check_time_axis(time_axis)
    leading = 1 if time_axis is None else 2
    got, layout = tuple(int(n) for n in shape), _LAYOUT[time_axis]
    if len(got) < leading or (sample_axes is not None and len(got) != leading + sample_axes):
        wanted = "more" if sample_axes is None else f"{leading + sample_axes}"
        raise TimeAxisError(
            f"{what} has {len(got)} axes, shape {got}; with time_axis={time_axis} it must be {layout}, of {wanted} "
            f"axes. {_way_out(time_axis)}"
        )
    if time_axis is None:
        return 1, got[0], got[1:]
    steps, batch = got[time_axis], got[1 - time_axis]
    if time_steps is not None and steps != time_steps:
        raise TimeAxisError(
            f"{what} has {steps} time steps, shape {got} being {layout} with time_axis={time_axis}; the neurons have "
            f"time_steps={time_steps}. {_way_out(time_axis)}"
        )
    return steps, batch, got[2:]


def join_shape(steps: int, batch: int, sample: Sequence[int], time_axis: TimeAxis) -> tuple[int, ...]:
    """The inverse of `split_shape`; without a time axis `steps` is dropped."""
    check_time_axis(time_axis)
    if time_axis is None:
        return (batch, *sample)
    return (steps, batch, *sample) if time_axis == 0 else (batch, steps, *sample)


def require_agreement(model: object, time_axis: TimeAxis, what: str) -> None:
    """Raises TimeAxisError where `model` declares batch-first frames and `what`, such as a data set, other ones, or
    the other way round. A model without a `time_axis` declares nothing.
    """
    declared = getattr(model, "time_axis", time_axis)
    if (declared == 1) != (time_axis == 1):
        raise TimeAxisError(
            f"the model declares time_axis={declared}, {_LAYOUT[declared]}, and {what} time_axis={time_axis}, "
            f"{_LAYOUT[time_axis]}. Declare one of the two for both. (Batches of spikelet.data are time first.)"
        )


def declared_by(model: object, time_axis: TimeAxis) -> TimeAxis:
    """`time_axis`, or where that is None the one that `model` declares, as a converted network of frames does."""
    return getattr(model, "time_axis", None) if time_axis is None else time_axis


def batch_axis(time_axis: TimeAxis) -> int:
    """The axis that counts samples: 1 for time-first frames, else 0."""
    return 1 if check_time_axis(time_axis) == 0 else 0


def _way_out(time_axis: TimeAxis) -> str:
    if time_axis is None:
        return "Pass time_axis=0 for frames [T, B, ...], or time_axis=1 for frames [B, T, ...]."
    other = 1 - time_axis
    return f"Pass time_axis={other} if it is {_LAYOUT[other]}, or time_axis=None for still inputs [B, ...]."
