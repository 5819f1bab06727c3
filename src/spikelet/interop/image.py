"""The input of a network of another library, (scale * byte - mean) / std, one mean and std a channel or one for all.

    scale = 1/255     x.float() / 255, or torchvision's ToTensor         the default for still images
    scale = 1         event counts, or spikes of 0 and 1, as they are; exact for every use, as all powers of two are
    levels = n        counts end at n, of spikes 1: integers then hold larger weights (nn/encode.py)

Frames have no default: an event count of 3 is worth 3 to one network and 3/255 to another, and nothing but the caller
knows.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import TypedDict

import torch
from torch import Tensor

from spikelet.base.errors import ConversionError
from spikelet.base.strict_json import shown
from spikelet.base.time_axis import TimeAxis, check_time_axis
from spikelet.base.whole import is_whole


class ImageOptions(TypedDict, total=False):
    """The keywords with which a caller of `from_spikingjelly` or `from_snntorch` describes the network's input.

    scale: the value of one byte. 1/255 for still images unless given; frames (time_axis=0 or 1) need it.
    mean, std: one number a channel, or one for all; 0 and 1 unless given.
    first: names of the Conv1d, Conv2d or Linear layers that read the image, into whose weights scale, mean and std are
        folded; unless given, the first that the network defines. (): none, the image itself is scaled, on the grid
        2^-12.
    levels: the largest byte of the data, such as 1 for spikes; a byte above it counts as `levels`. Any unless given.
    """

    scale: float | None
    mean: float | Sequence[float] | None
    std: float | Sequence[float] | None
    first: str | Sequence[str] | None
    levels: int | None


@dataclasses.dataclass(frozen=True)
class Image:
    """The module's equation. Raises ConversionError unless scale and std are above 0 and mean is finite."""

    scale: float
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    levels: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ConversionError(
                f"scale must be a positive number, the value of one byte, got {self.scale}. (ToTensor: 1/255.)"
            )
        if not (all(map(math.isfinite, self.mean)) and all(math.isfinite(s) and s > 0 for s in self.std)):
            raise ConversionError(f"mean and std must be finite, std above 0, got mean={self.mean}, std={self.std}.")
        if self.levels is not None and (not is_whole(self.levels) or self.levels not in range(1, 256)):
            raise ConversionError(
                "levels must be the largest byte of the data, 1 to 255 (1 for spikes, 4 for counts up to 4), got "
                f"{shown(self.levels)}. Leave it out where any byte may come."
            )
        lengths = {len(self.mean), len(self.std)}
        if 0 in lengths or len(lengths - {1}) > 1:
            raise ConversionError(
                f"mean and std must have one number a channel, or one for all, got mean={self.mean}, std={self.std}."
            )

    @property
    def unit(self) -> float | None:
        """A power of two u with which the network was fed u * byte / 256, such as 256 for event counts; else None.

        It only moves the binary point, so nothing has to be folded and any code may use the image.
        """
        unit = 256 * self.scale / self.std[0]
        is_exact = not self.has_mean and len(set(self.std)) == 1 and math.frexp(unit)[0] == 0.5
        return unit if is_exact else None

    @property
    def is_factor(self) -> bool:
        """Whether it is a factor that is no power of two, a channel's or one for all, and nothing else."""
        return self.unit is None and not self.has_mean

    @property
    def has_mean(self) -> bool:
        """Whether a byte of 0 was fed as another number than 0."""
        return any(self.mean)

    @property
    def is_uniform(self) -> bool:
        """Whether all channels share mean and std."""
        return len(set(self.mean)) == len(set(self.std)) == 1

    def gain_and_offset(self) -> tuple[Tensor, Tensor]:
        """f and o, float64 [1 or C], with (scale * byte - mean) / std = f * byte / 256 + o."""
        mean, std = (torch.tensor(values, dtype=torch.float64) for values in (self.mean, self.std))
        return 256 * self.scale / std, -mean / std

    def floats(self, x: Tensor, sample_axes: int = 3) -> Tensor:
        """The network's input, float32, for bytes `x` [..., C, H, W], or with fewer axes behind C."""
        sample = tuple(x.shape[x.dim() - sample_axes :])
        gain, offset = (_spread(values, sample).to(x.device) for values in self.gain_and_offset())
        return (gain * (x.double() / 256) + offset).float()


def _spread(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """One value for all, one a channel, or one an element, shaped to go with samples of `shape`, channels first."""
    if len(values) in (1, shape[0]):
        return values.view(-1, *[1] * (len(shape) - 1))
    if len(values) == math.prod(shape):
        return values.view(shape)
    raise ConversionError(f"mean and std must have one number a channel of {shape[0]}, got {len(values)}.")


def _numbers(given: object) -> tuple[float, ...]:
    values = given if isinstance(given, Iterable) else (given,)
    try:
        return tuple(float(v) for v in values)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ConversionError(f"mean and std must be numbers, one or one a channel, got {shown(given)}.") from None


def image_of(options: ImageOptions, time_axis: TimeAxis) -> Image:
    """The Image that a caller's options describe.

    Raises:
        ConversionError: frames without a scale, or numbers out of range.
    """
    scale = options.get("scale")
    if check_time_axis(time_axis) is not None and scale is None:
        raise ConversionError(
            f"scale must be given for frames (time_axis={time_axis}): the value that one byte of a frame had for the "
            "network. Pass scale=1.0 for event counts as they are, scale=1/255 for frames that were divided by 255."
        )
    told = {"mean": options.get("mean"), "std": options.get("std")}
    given = {name: _numbers(values) for name, values in told.items() if values is not None}
    return Image(1 / 255 if scale is None else float(scale), **given, levels=options.get("levels"))
