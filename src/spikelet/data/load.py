"""`load(name_or_path)`: finds a data set, reads it into bytes, and holds out a validation part."""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from typing import Any, TypedDict, Unpack

from spikelet.base import numbers
from spikelet.base.errors import DataWarning, NoSuchFile, SpikeletError, WrongType
from spikelet.base.ground import Ground
from spikelet.base.numbers import plain
from spikelet.base.picture import MAX_PIXELS
from spikelet.data.readers import READERS
from spikelet.data.readers.folder import FILES, beside, is_of_sound, read_file, read_folder
from spikelet.data.readers.frames import SLICERS
from spikelet.data.readers.hub import is_hub_id, read_hub
from spikelet.data.readers.objects import read_object
from spikelet.data.readers.reader import Request, file_at, folder_at
from spikelet.data.reading import bounded
from spikelet.data.samples import DataSplits
from spikelet.data.shared import shared
from spikelet.data.split import hold_out

MAX_TIME_STEPS = 1024  # no integer graph has more
MAX_SIDE = math.isqrt(MAX_PIXELS)


class Form(TypedDict, total=False):
    """The form that samples are brought to, as `load` takes it."""

    time_steps: int | None
    slicing: str
    image_size: int | None
    columns: tuple[str, str] | None
    ground: str
    sound: dict[str, Any] | None
    held_out: str | None


def load(
    name_or_path: Any,
    *,
    root: str | Path | None = None,
    validation: float = 0.1,
    seed: int = 0,
    **form: Unpack[Form],
) -> DataSplits:
    """Training, validation and test set of a data set, read into memory.

    Example:
        splits = load("digits")
        splits.train.x.shape        # torch.Size([1293, 1, 8, 8])

    Args:
        name_or_path: one of `names()`; or a folder with idx files, N-MNIST's recordings, pictures that lie as
            <class>/<picture> or <split>/<class>/<picture>, sounds (.wav) that lie so, or the hub's parquet files; or
            one such table, a zip of such pictures or sounds, or an .npz of signals (readers/arrays.py); or the id
            "owner/name" of a data set on Hugging Face's hub. Or a data set that another library made: datasets'
            Dataset or DatasetDict, a torch Dataset such as torchvision's or tonic's, or a dict of such by split
            (readers/objects.py).
        root: where a named data set lies on this machine.
        validation: share of each class of the training set that is held out, 0 for none. A validation split that a
            data set brings along is used as it is, and nothing else is held out.
        seed: chooses which samples are held out; it never moves a test sample.
        time_steps: T, frames to cut a recording of events into; None. Still images are not cut: the model holds each
            for its own T, and this number says nothing about them.
        slicing: "duration" or "count": frames of equal time (the default), or of equal numbers of events.
        image_size: side in pixels. Digits, garments and events are cut or padded with zeros about their centre;
            other images are cut square and resized.
        columns: names of the image and of the label column of a hub data set that has several.
        sound: numbers of the front end that hears sounds, such as {"bands": 32, "hop": 128}; the others are those of
            LogMel (base/logmel.py). time_steps frames are heard of each sound.
        held_out: the speaker of "fsdd" who is the test set, in place of the official one.
        ground: colour that transparent pixels of pictures are laid on: "white" (the default), "black" or "#rrggbb".
    Returns:
        Training, validation and test set. A part that the source lacks is empty. `reading` says which files of a folder
        gave how many samples of each class, and which were left out.
    Raises:
        NoSuchFile: the data set was not found; lists those that are known and how to get them.
        SpikeletError: an argument is out of range or does not fit, or a file is damaged.
        ImportError: a library is missing; names the extra that installs it.
        WrongType: an argument of another name.
    Warns:
        DataWarning: files were left out, the test set has a class of its own, or two parts hold the same sample.
    """
    validation, seed = plain(validation, "load.validation"), plain(seed, "load.seed")
    numbers.share("load", " (0.1 holds out a tenth of the training set.)", validation=validation)
    numbers.seed("load", seed=seed)
    place = None if root is None else Path(root)
    if isinstance(name_or_path, str | os.PathLike):
        found = _read(_request(os.fspath(name_or_path), place, form))
    else:
        found = _read_object(name_or_path, place, form)
    splits = hold_out(found, validation, seed)
    for sentence in (*(splits.reading.warnings() if splits.reading else ()), *shared(splits)):
        warnings.warn(sentence, DataWarning, stacklevel=2)
    return splits


def _read_object(source: Any, root: Path | None, form: Form) -> DataSplits:
    name = type(next(iter(source.values()), source) if isinstance(source, Mapping) else source).__name__
    if root is not None:
        raise SpikeletError(f"root goes with a name, and a {name} is a data set already; got root={str(root)!r}.")
    return read_object(source, _request(name, None, form))


def _request(name: str, root: Path | None, form: Form) -> Request:
    if unknown := sorted({*form} - {*Form.__annotations__}):
        known = ", ".join(("root", "validation", "seed", *Form.__annotations__))
        raise WrongType(f"load has no argument {str(unknown[0])[:40]!r}; it takes {known}.")
    request = Request(name, "", root, **{**form, "ground": Ground.named(form.get("ground", "white"))})
    numbers.one_of("load", sorted(SLICERS), slicing=request.slicing)
    _check_count("time_steps", request.time_steps, MAX_TIME_STEPS)
    _check_count("image_size", request.image_size, MAX_SIDE)
    return request


def _check_count(name: str, value: int | None, most: int) -> None:
    """Raises SpikeletError unless `value` is None or a whole number of 1 to `most`."""
    if value is not None and (not isinstance(value, Integral) or isinstance(value, bool) or not 1 <= value <= most):
        raise SpikeletError(f"{name} must be a whole number, 1 to {most}, got {value!r:.40}.")


def names() -> tuple[str, ...]:
    """The data sets that `load` knows by name."""
    return tuple(READERS)


def has_own_size(name_or_path: str) -> bool:
    """Whether the samples of a data set are of one size by themselves: a known name, or a folder of idx files or
    recordings, an .npz of signals, or sounds. Others are pictures, which `image_size` brings to one."""
    folder = folder_at(Path(name_or_path))
    found = [] if folder is None else [r for r in READERS.values() if r.is_in is not None and r.is_in(folder)]
    is_npz = Path(name_or_path).suffix.casefold() == ".npz"
    return name_or_path in READERS or is_npz or bool(found) or is_of_sound(name_or_path)


def _read(request: Request) -> DataSplits:
    name = request.name
    if name in READERS:
        return READERS[name].read(dataclasses.replace(request, about=READERS[name].about))
    folder = folder_at(Path(name)) if name.strip() else None
    if folder is not None:
        if request.root is not None:
            raise SpikeletError(
                f"root goes with a name, and {name!r} is a folder already; got root={str(request.root)!r}."
            )
        return _read_folder(dataclasses.replace(request, name=folder.resolve().name, root=folder))
    file = file_at(Path(name)) if Path(name).suffix.casefold() in FILES else None
    if file is not None and request.root is None:
        return read_file(dataclasses.replace(request, name=file.resolve().stem, root=file.parent), file)
    if is_hub_id(name) and request.root is None:
        return read_hub(name, request)
    files, listed = ", ".join(FILES), "\n".join(f"    {known:14s} {reader.about}" for known, reader in READERS.items())
    raise NoSuchFile(
        f"data set {name[:200]!r} was not found: it must be a folder, an id owner/name of the hub, a file ({files}), "
        f"or one of\n{listed}"
    )


def _read_folder(request: Request) -> DataSplits:
    folder = request.folder()
    for reader in READERS.values():
        if reader.is_in is not None and reader.is_in(folder):
            found = reader.read(request)
            if others := beside(folder):
                what = f"{request.name}: pictures and tables beside the files that were read are left out"
                warnings.warn(f"{what}: {bounded(list(map(repr, others)))}.", DataWarning, stacklevel=4)
            return found
    return read_folder(request)
