"""One way in: `load(name_or_path)` finds the source, makes bytes of it, and holds out a validation part."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from spikelet.data.digits import read_digits
from spikelet.data.fit import fit
from spikelet.data.frames import SLICERS
from spikelet.data.hub import read_hub
from spikelet.data.mnist import DEBIAN_FASHION_MNIST, DIGITS, GARMENTS, has_idx_files, read_mnist
from spikelet.data.nmnist import has_nmnist_files, read_nmnist
from spikelet.data.samples import DataSplits
from spikelet.data.split import hold_out

HUB_IDS = {"cifar10": "uoft-cs/cifar10", "cifar100": "uoft-cs/cifar100"}
_COLUMNS = {"cifar100": ("img", "fine_label")}
NAMES = {
    "digits": "scikit-learn's 8x8 digits, no download",
    "mnist": "MNIST's four idx files, plain or .gz, in root=",
    "fashion-mnist": "the same of Fashion-MNIST, in root=, or where Debian's package dataset-fashion-mnist puts them",
    "nmnist": "N-MNIST's train.zip and test.zip, or Train and Test, in root=; needs time_steps=",
    "cifar10": "from the Hugging Face hub, or its parquet files in root=",
    "cifar100": "the same, with its 100 fine labels",
}


@dataclasses.dataclass(frozen=True)
class _Request:
    """What `load` was asked for, beyond the name."""

    root: Path | None
    time_steps: int | None
    slicing: str
    image_size: int | None
    columns: tuple[str, str] | None


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
    """Reads a data set into memory.

    Example:
        >>> splits = load("digits")  # doctest: +SKIP
        >>> splits.train.x.shape, splits.test.x.dtype  # doctest: +SKIP
        (torch.Size([1293, 1, 8, 8]), torch.uint8)

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
        FileNotFoundError: no such data set; says which there are and how to get them.
        ValueError: an argument is out of range or does not fit, or a file is damaged.
        ImportError: a library is missing; names the extra that installs it.
    """
    request = _Request(None if root is None else Path(root), time_steps, slicing, image_size, columns)
    if slicing not in SLICERS:
        raise ValueError(f"slicing must be one of {sorted(SLICERS)}, got {slicing!r}.")
    if time_steps is not None and time_steps < 1:
        raise ValueError(f"time_steps must be at least 1, got {time_steps}.")
    return hold_out(_read(str(name_or_path), request), validation, seed)


def names() -> tuple[str, ...]:
    """The data sets that `load` knows by name."""
    return tuple(NAMES)


def _read(name: str, request: _Request) -> DataSplits:
    if name in NAMES:
        return _read_named(name, request)
    folder = Path(name).expanduser()
    if folder.is_dir():
        if request.root is not None:
            raise ValueError(
                f"root goes with a name, and {name!r} is a folder already; got root={str(request.root)!r}."
            )
        return _read_folder(folder, request)
    if name.count("/") == 1 and all(name.split("/")) and not name.startswith((".", "~")) and request.root is None:
        return _from_hub(name, name, request)
    listed = "\n".join(f"    {known:14s} {text}" for known, text in NAMES.items())
    raise FileNotFoundError(
        f"there is no data set {name!r}: it is no folder here, no id owner/name of the hub, and none of\n{listed}"
    )


def _read_named(name: str, request: _Request) -> DataSplits:
    if name == "digits":
        return _fitted(read_digits(), request)
    if name == "fashion-mnist":
        return _fitted(read_mnist(_root(name, request, DEBIAN_FASHION_MNIST), GARMENTS, name), request)
    if name == "mnist":
        return _fitted(read_mnist(_root(name, request), DIGITS, name), request)
    if name == "nmnist":
        return _read_events(_root(name, request), request)
    request = dataclasses.replace(request, columns=request.columns or _COLUMNS.get(name))
    return _from_hub(HUB_IDS[name] if request.root is None else str(_root(name, request)), name, request)


def _read_folder(folder: Path, request: _Request) -> DataSplits:
    if has_idx_files(folder):
        return _fitted(read_mnist(folder, DIGITS, folder.resolve().name), request)
    if has_nmnist_files(folder):
        return _read_events(folder, request)
    return _from_hub(str(folder), folder.resolve().name, request)


def _root(name: str, request: _Request, usual: Path | None = None) -> Path:
    root = usual if request.root is None else request.root.expanduser()
    if root is None or not root.is_dir():
        where = "needs root=, the folder it lies in" if root is None else f"is not at {str(root)!r}, which is no folder"
        raise FileNotFoundError(f"{name} {where}. ({name}: {NAMES[name]}.)")
    return root


def _read_events(root: Path, request: _Request) -> DataSplits:
    if request.time_steps is None:
        raise ValueError("N-MNIST needs time_steps, the number of frames a recording is cut into: time_steps=10, say.")
    return _fitted(read_nmnist(root, request.time_steps, SLICERS[request.slicing]), request)


def _from_hub(source: str, name: str, request: _Request) -> DataSplits:
    return read_hub(source, name, image_size=request.image_size, columns=request.columns)


def _fitted(splits: DataSplits, request: _Request) -> DataSplits:
    return splits.map(lambda part: fit(part, request.image_size))
