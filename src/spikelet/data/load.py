"""`load(name_or_path)`: finds a data set, reads it into bytes, and holds out a validation part."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from spikelet.data.readers import READERS
from spikelet.data.readers.frames import SLICERS
from spikelet.data.readers.hub import read_hub
from spikelet.data.readers.reader import Request
from spikelet.data.samples import DataSplits
from spikelet.data.split import hold_out


def load(
    name_or_path: str | Path,
    *,
    root: str | Path | None = None,
    time_steps: int | None = None,
    slicing: str = "duration",
    validation: float = 0.1,
    seed: int = 0,
    image_size: int | None = None,
    columns: tuple[str, str] | None = None,
) -> DataSplits:
    """Training, validation and test set of a data set, read into memory.

    Example:
        splits = load("digits")
        splits.train.x.shape        # torch.Size([1293, 1, 8, 8])

    Args:
        name_or_path: one of `names()`; or a folder with idx files, N-MNIST's recordings, or images in any layout
            that Hugging Face's `datasets` reads; or the id "owner/name" of such a data set on the hub.
        root: where a named data set lies on this machine.
        time_steps: T, frames to cut a recording of events into. Still images are not cut: the model holds each
            for its own T, and this number says nothing about them.
        slicing: "duration" or "count": frames of equal time, or of equal numbers of events.
        validation: share of each class of the training set that is held out, 0 for none. A validation split that a
            data set brings along is used as it is, and nothing else is held out.
        seed: chooses which samples are held out; it never moves a test sample.
        image_size: side in pixels. Digits, garments and events are cut or padded with zeros about their centre;
            other images are cut square and resized.
        columns: names of the image and of the label column of a hub data set that has several.
    Returns:
        Training, validation and test set, which share no sample. A part that the source lacks is empty.
    Raises:
        FileNotFoundError: the data set was not found; lists those that are known and how to get them.
        ValueError: an argument is out of range or does not fit, or a file is damaged.
        ImportError: a library is missing; names the extra that installs it.
    """
    if slicing not in SLICERS:
        raise ValueError(f"slicing must be one of {sorted(SLICERS)}, got {slicing!r}.")
    if time_steps is not None and time_steps < 1:
        raise ValueError(f"time_steps must be at least 1, got {time_steps}.")
    place = None if root is None else Path(root)
    request = Request(str(name_or_path), "", place, time_steps, slicing, image_size, columns)
    return hold_out(_read(request), validation, seed)


def names() -> tuple[str, ...]:
    """The data sets that `load` knows by name."""
    return tuple(READERS)


def _read(request: Request) -> DataSplits:
    name = request.name
    if name in READERS:
        return READERS[name].read(dataclasses.replace(request, about=READERS[name].about))
    folder = Path(name).expanduser()
    if folder.is_dir():
        if request.root is not None:
            raise ValueError(
                f"root goes with a name, and {name!r} is a folder already; got root={str(request.root)!r}."
            )
        return _read_folder(dataclasses.replace(request, name=folder.resolve().name, root=folder))
    if name.count("/") == 1 and all(name.split("/")) and not name.startswith((".", "~")) and request.root is None:
        return read_hub(name, name, image_size=request.image_size, columns=request.columns)
    listed = "\n".join(f"    {known:14s} {reader.about}" for known, reader in READERS.items())
    raise FileNotFoundError(
        f"data set {name!r} was not found: it must be a folder, an id owner/name of the hub, or one of\n{listed}"
    )


def _read_folder(request: Request) -> DataSplits:
    folder = request.folder()
    for reader in READERS.values():
        if reader.is_in is not None and reader.is_in(folder):
            return reader.read(request)
    return read_hub(str(folder), request.name, image_size=request.image_size, columns=request.columns)
