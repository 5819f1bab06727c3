"""MNIST, Fashion-MNIST and others of the same four files: images and labels, for training and test.

    train-images-idx3-ubyte  train-labels-idx1-ubyte  t10k-images-idx3-ubyte  t10k-labels-idx1-ubyte

each as it is or gzipped, with .gz after its name. Mirrors spell them in other ways, and these are read too: a dot for
the hyphen before idx, "test" for t10k, any capitals, and a prefix such as "emnist-letters-". A plain file goes before
its gzipped copy; any other two files for one place are refused.
Sources: LeCun et al. 1998, doi:10.1109/5.726791; Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747 (Fashion-MNIST).
Nothing is ever downloaded.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch

from spikelet.base.errors import DataError, NoSuchFile
from spikelet.data.readers.crop import crop_splits
from spikelet.data.readers.idx import read_idx
from spikelet.data.readers.reader import Request
from spikelet.data.samples import DataSplits, Samples

DIGITS = tuple("0123456789")
GARMENTS = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")  # where the package dataset-fashion-mnist puts it
_SPLITS = {"train": "train", "t10k": "test", "test": "test"}
_USUAL = {"train": "train", "test": "t10k"}
_NAME = re.compile(
    r"(?P<prefix>.+[-_])?(?P<split>train|t10k|test)[-_](?P<kind>images|labels)[-_.]idx[13][-_.]ubyte(?P<gz>\.gz)?", re.I
)
Arrays = dict[str, tuple[np.ndarray, np.ndarray]]  # split -> images [N, H, W], labels [N]


def has_idx_files(root: Path) -> bool:
    """Whether `root` holds at least one of the four files."""
    return bool(_found(root))


def read_digits(request: Request) -> DataSplits:
    """Training and test images of MNIST, or of ten digits in its layout. Raises what a damaged or missing file says."""
    return _read(request, request.folder(), DIGITS)


def read_garments(request: Request) -> DataSplits:
    """Training and test images of Fashion-MNIST. Raises what a damaged or missing file says."""
    return _read(request, request.folder(DEBIAN_FASHION_MNIST), GARMENTS)


def read_any(request: Request) -> DataSplits:
    """Training and test images of any set in these files. Labels of 0 to 9 are ten digits; of others, such as EMNIST's
    letters 1 to 26, each that occurs is a class, named as it is. Raises what a damaged or missing file says."""
    return _read(request, request.folder(), None)


def _found(root: Path) -> dict[tuple[str, str], list[Path]]:
    """The files for each place, (split, "images" or "labels"); plain ones first."""
    files: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(root.iterdir()):
        if (match := _NAME.fullmatch(path.name)) and not path.is_dir():
            files.setdefault((_SPLITS[match["split"].lower()], match["kind"].lower()), []).append(path)
    return files


def _file(files: dict[tuple[str, str], list[Path]], split: str, kind: str, root: Path) -> Path:
    """The one file of a place: the plain one, where its gzipped copy lies beside it."""
    found = files.get((split, kind), [])
    if len(found) == 2 and found[1].name == f"{found[0].name}.gz":
        found = found[:1]
    if len(found) > 1:
        raise DataError(
            f"{root} has {len(found)} files of {split} {kind}: {found[0].name}, {found[1].name}. Put each set in a "
            "folder of its own."
        )
    if not found:
        raise NoSuchFile(
            f"{root} has no {_USUAL[split]}-{kind}-idx{3 if kind == 'images' else 1}-ubyte, plain or .gz. "
            "A folder of MNIST's layout holds train-images-idx3-ubyte, train-labels-idx1-ubyte, "
            "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte. (Debian has Fashion-MNIST: "
            "apt-get install dataset-fashion-mnist.)"
        )
    return found[0]


def _read(request: Request, root: Path, labels: tuple[str, ...] | None) -> DataSplits:
    """Training and test images of a folder, x uint8 [N, 1, H, W] or cropped to `image_size`; no validation part.

    Raises:
        NoSuchFile: one of the four files is missing.
        DataError: a file is damaged, or images and labels do not fit.
    """
    files = _found(root)
    paths = {split: [_file(files, split, kind, root) for kind in ("images", "labels")] for split in _USUAL}
    read = {split: _arrays(*pair) for split, pair in paths.items()}
    classes = _classes(read) if labels is None else range(len(labels))
    for split, (_, y) in read.items():
        if len(strange := np.setdiff1d(y, classes)):
            raise DataError(
                f"{paths[split][1]} has the label {strange[0]}; those of {request.name} are 0 to {len(classes) - 1}. "
                "Give the folder by its path, and its labels are its classes."
            )
    names = tuple(map(str, classes)) if labels is None else labels

    def samples(split: str) -> Samples:
        x, y = read[split]
        number = torch.from_numpy(np.searchsorted(classes, y).astype(np.int64))
        return Samples(torch.from_numpy(x[:, None]), number, names, request.name)

    train, test = samples("train"), samples("test")
    return crop_splits(DataSplits(train, train.subset(torch.arange(0)), test), request.image_size)


def _arrays(images: Path, targets: Path) -> tuple[np.ndarray, np.ndarray]:
    x, y = read_idx(images), read_idx(targets)
    if x.ndim != 3 or y.ndim != 1 or len(x) != len(y) or 0 in x.shape[1:]:
        raise DataError(f"{images} and {targets} do not fit: images {x.shape} for labels {y.shape}.")
    return x, y


def _classes(read: Arrays) -> range | list[int]:
    """The labels that are classes: all ten digits, or those that occur."""
    seen = sorted({int(v) for _, y in read.values() for v in np.unique(y)})
    return range(10) if not seen or seen[-1] < 10 else seen
