"""Data sets that other libraries made, as they are in Python.

    load(torchvision_set)    load({"train": a, "test": b}, time_steps=10)    load(dataset_of_the_hub)

    datasets' Dataset, DatasetDict    as the hub's data sets are read (hub.py)
    a torch Dataset                   samples (x, label, ...) by number: torchvision's, tonic's, one's own, a Subset

x is a picture of Pillow's or uint8 pixels [H, W], [C, H, W] or [H, W, C]; events of tonic's form, an array with fields
x, y, t and p beside a `sensor_size` (W, H, P), which are cut into frames (frames.py); or frames [T, C, H, W] of whole
numbers from 0 to 255. A label is an integer or a word, and `classes`, where the set has them, name the integers.
Each sample is asked for once, in order. Floats are refused: networks read the bytes themselves.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikelet.base.errors import DataError, SpikeletError
from spikelet.base.strict_json import shown
from spikelet.data.readers.assembly import Source, assembled
from spikelet.data.readers.crop import crop_splits
from spikelet.data.readers.encoded import Encoded
from spikelet.data.readers.frames import SLICERS, frames
from spikelet.data.readers.hub import known_splits, read_tables
from spikelet.data.readers.labels import numbered
from spikelet.data.readers.reader import Request
from spikelet.data.readers.room import room_for
from spikelet.data.readers.splits import WORDS
from spikelet.data.samples import DataSplits, Samples

FIELDS = ("x", "y", "t", "p")
POLARITIES = 2


def is_data_set(source: object) -> bool:
    """Whether `source` holds samples by number, or parts by name; not our own `Samples`, which are one part."""
    return not isinstance(source, str | bytes | Samples) and all(
        hasattr(source, name) for name in ("__len__", "__getitem__")
    )


def read_object(source: Any, request: Request) -> DataSplits:
    """The parts of `source` as bytes; one without parts is the training set.

    Raises:
        DataError: samples of another form, without labels, of several sizes, or too many; names the first.
        SpikeletError: a picture that can't be used.
        SpikeletError: events, and no time_steps.
    """
    if not is_data_set(source):
        raise DataError(
            f"a data set must hold samples by number, or be a dict of such by split, got {type(source).__name__}. "
            "(One that only iterates must be made into a list first.)"
        )
    parts, left_out = known_splits(source if isinstance(source, Mapping) else {"train": source}, request.name)
    if all(type(part).__module__.split(".")[0] == "datasets" for part in parts.values()):
        return read_tables(parts, request, None, left_out)
    if request.columns is not None:
        raise DataError(f"columns={request.columns!r} goes with tables; samples of {request.name} are (x, label, ...).")
    made = {split: list(_samples(part, f"{request.name}/{split}")) for split, part in parts.items()}
    labels = {split: [label for _, label in samples] for split, samples in made.items()}
    values = {split: [x for x, _ in samples] for split, samples in made.items()}
    names = next((names for part in parts.values() if (names := _attribute(part, ("classes", "labels")))), None)
    if not all(type(label) is int for part in labels.values() for label in part):
        names = None
    if _is_over_time(next(iter(values.values()))[0]):
        sizes = {split: _attribute(part, ("sensor_size",)) for split, part in parts.items()}
        return _frames(values, labels, names, sizes, request)
    pictures = {split: _encoded(xs, f"{request.name}/{split}") for split, xs in values.items()}
    splits = assembled(Source(pictures, labels, names, left_out=left_out), request)
    note = f"{type(next(iter(parts.values()))).__name__} object"
    return splits.map(lambda part: dataclasses.replace(part, note=part.note.replace("PNG images", note)))


def _samples(part: Any, where: str) -> Iterator[tuple[Any, int | str]]:
    for k in range(len(part)):
        sample = part[k]
        if not isinstance(sample, tuple | list) or len(sample) < 2:
            raise DataError(f"sample {k} of {where} must be (x, label), got {type(sample).__name__}.")
        yield _value(sample[0], f"sample {k} of {where}"), _label(sample[1], f"sample {k} of {where}")


def _label(label: Any, sample: str) -> int | str:
    array = label.numpy(force=True) if isinstance(label, Tensor) else label
    value = array.item() if isinstance(array, np.ndarray | np.generic) and array.size == 1 else array
    if isinstance(value, int | str):
        return int(value) if isinstance(value, int) else value
    raise DataError(f"the label of {sample} must be an integer or a word, got {shown(label)}.")


def _value(x: Any, sample: str) -> Any:
    """A picture of Pillow's as it is, anything else as an array."""
    if hasattr(x, "getbands"):
        return x
    array = x.numpy(force=True) if isinstance(x, Tensor) else x
    if not isinstance(array, np.ndarray):
        raise DataError(f"{sample} must be a picture, pixels, events or frames, got {type(x).__name__}.")
    if array.dtype.names is None and array.dtype.kind not in "uib":
        raise DataError(
            f"{sample} holds {array.dtype}; networks read bytes, 0 to 255. Leave out what makes floats of it, such as "
            "transform=ToTensor() or Normalize, or convert: (x * 255).round().to(torch.uint8)."
        )
    return array


def _is_over_time(x: Any) -> bool:
    """Whether a sample is events or frames."""
    return isinstance(x, np.ndarray) and (x.dtype.names is not None or x.ndim == 4)


def _attribute(part: Any, names: tuple[str, ...]) -> Any:
    """What a data set, or the one that it is a part of, says under one of `names`; None where neither does."""
    while part is not None:
        for name in names:
            if isinstance(value := getattr(part, name, None), list | tuple):
                return value
        part = getattr(part, "dataset", None)
    return None


# --- pictures ---------------------------------------------------------------------------------------


def _encoded(values: Sequence[Any], where: str) -> Encoded:
    """The pictures as PNG, which loses nothing, so that they are read as all others are."""
    files = [(f"sample {k} of {where}", _png(x, f"sample {k} of {where}")) for k, x in enumerate(values)]
    return Encoded(len(files), lambda: iter(files))


def _png(x: Any, sample: str) -> bytes:
    from PIL import Image

    if isinstance(x, np.ndarray):
        x = Image.fromarray(_pixels(x, sample))
    buffer = io.BytesIO()
    try:
        (x if x.mode in ("1", "L", "LA", "P", "RGB", "RGBA") else x.convert("RGB")).save(
            buffer, "PNG", compress_level=1
        )
    except (OSError, ValueError) as error:
        raise DataError(f"{sample} cannot be used: {error}.") from error
    return buffer.getvalue()


def _pixels(x: np.ndarray, sample: str) -> np.ndarray:
    """Pixels [H, W] or [H, W, 3] of any of the module's forms."""
    if x.dtype != np.uint8:
        raise DataError(f"{sample} holds {x.dtype}; pixels are bytes, uint8.")
    first, last = x.ndim == 3 and x.shape[0] in (1, 3), x.ndim == 3 and x.shape[2] in (1, 3)
    if x.ndim == 2:
        return x
    if first == last:
        raise DataError(
            f"{sample} has the shape {x.shape}; pixels are [H, W], [C, H, W] or [H, W, C] with 1 or 3 channels, and it "
            "must be clear which."
        )
    by_pixel = x.transpose(1, 2, 0) if first else x
    return np.ascontiguousarray(by_pixel[..., 0] if by_pixel.shape[2] == 1 else by_pixel)


# --- events -----------------------------------------------------------------------------------------


def _frames(
    values: Mapping[str, Sequence[np.ndarray]],
    labels: Mapping[str, Sequence[Any]],
    names: Sequence[str] | None,
    sizes: Mapping[str, Any],
    request: Request,
) -> DataSplits:
    y, classes = numbered(labels, names, request.name)
    made = {
        split: Samples(
            torch.from_numpy(_stacked(values[split], sizes[split], request, f"{request.name}/{split}")),
            torch.from_numpy(y[split]),
            classes,
            request.name,
        )
        for split in WORDS
        if split in y
    }
    first = next(iter(made.values()))
    note = f"{first.sample_shape[0]} frames"
    named = {split: dataclasses.replace(part, note=note) for split, part in made.items()}
    empty = first.subset(torch.arange(0))
    train, validation, test = (named.get(split, empty) for split in WORDS)
    return crop_splits(DataSplits(train, validation, test), request.image_size)


def _stacked(values: Sequence[np.ndarray], size: Any, request: Request, where: str) -> np.ndarray:
    """uint8 [N, T, C, H, W]."""
    out = None
    for k, value in enumerate(values):
        frame = _sliced(value, size, request, f"sample {k} of {where}")
        if out is None:
            out = room_for((len(values), *frame.shape), where)
        if frame.shape != out.shape[1:]:
            raise DataError(f"sample {k} of {where} has frames {frame.shape}, others have {out.shape[1:]}.")
        out[k] = frame
    assert out is not None
    return out


def _sliced(value: np.ndarray, size: Any, request: Request, sample: str) -> np.ndarray:
    if value.dtype.names is None:
        if value.ndim != 4 or value.min(initial=0) < 0 or value.max(initial=0) > 255:
            raise DataError(
                f"{sample} must be frames [T, C, H, W] of numbers from 0 to 255, got {value.shape} of "
                f"{value.min(initial=0)} to {value.max(initial=0)}."
            )
        return value.astype(np.uint8)
    if request.time_steps is None:
        raise SpikeletError(f"{request.name} holds events and needs time_steps, the frames a recording is cut into.")
    if not set(FIELDS) <= set(value.dtype.names) or size is None or len(size) != 3 or size[2] > POLARITIES:
        raise DataError(
            f"{sample} must be events with fields {', '.join(FIELDS)} of a sensor_size (W, H, P) with at most "
            f"{POLARITIES} polarities, got {', '.join(value.dtype.names)} of {size}."
        )
    limits = dict(zip(("x", "y", "p"), (*size[:2], POLARITIES), strict=True))
    if not len(value) or any(value[f].min() < 0 or value[f].max() >= limit for f, limit in limits.items()):
        raise DataError(f"{sample} has no event, or one outside of its sensor_size {tuple(size)}.")
    return frames(value, request.time_steps, SLICERS[request.slicing], size[1], size[0])
