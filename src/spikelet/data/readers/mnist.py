"""MNIST, Fashion-MNIST and others of the same four files.

    train-images-idx3-ubyte  train-labels-idx1-ubyte  t10k-images-idx3-ubyte  t10k-labels-idx1-ubyte

each as it is or gzipped, with .gz after its name.
Sources: LeCun et al. 1998, doi:10.1109/5.726791; Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747 (Fashion-MNIST).
Nothing is ever downloaded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from spikelet.data.readers.crop import crop_splits
from spikelet.data.readers.idx import read_idx
from spikelet.data.readers.reader import Request
from spikelet.data.samples import DataSplits, Samples

DIGITS = tuple("0123456789")
GARMENTS = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")  # where the package dataset-fashion-mnist puts it
_STEMS = {"train": "train", "test": "t10k"}


def has_idx_files(root: Path) -> bool:
    """Whether `root` holds at least one of the four files."""
    return any(_find(root, stem, kind) for stem in _STEMS.values() for kind in ("images-idx3", "labels-idx1"))


def _find(root: Path, stem: str, kind: str) -> Path | None:
    plain = root / f"{stem}-{kind}-ubyte"
    return next((path for path in (plain, plain.with_name(plain.name + ".gz")) if path.is_file()), None)


def _read_split(root: Path, stem: str, labels: tuple[str, ...], name: str) -> Samples:
    images, targets = _find(root, stem, "images-idx3"), _find(root, stem, "labels-idx1")
    if images is None or targets is None:
        raise FileNotFoundError(
            f"{root} has no {stem}-{'images-idx3' if images is None else 'labels-idx1'}-ubyte, plain or .gz. "
            "A folder of MNIST's layout holds train-images-idx3-ubyte, train-labels-idx1-ubyte, "
            "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte. (Debian has Fashion-MNIST: "
            "apt-get install dataset-fashion-mnist.)"
        )
    x, y = read_idx(images), read_idx(targets)
    if x.ndim != 3 or y.ndim != 1 or len(x) != len(y):
        raise ValueError(f"{images} and {targets} do not fit: images {x.shape} for labels {y.shape}.")
    return Samples(torch.from_numpy(x[:, None].copy()), torch.from_numpy(y.astype(np.int64)), labels, name)


def read_digits(request: Request) -> DataSplits:
    """Training and test images of MNIST, or of ten digits in its layout. Raises what a damaged or missing file says."""
    return _read(request, request.folder(), DIGITS)


def read_garments(request: Request) -> DataSplits:
    """Training and test images of Fashion-MNIST. Raises what a damaged or missing file says."""
    return _read(request, request.folder(DEBIAN_FASHION_MNIST), GARMENTS)


def _read(request: Request, root: Path, labels: tuple[str, ...]) -> DataSplits:
    """Training and test images of a folder, x uint8 [N, 1, 28, 28] or cropped to `image_size`; no validation part.

    Raises:
        FileNotFoundError: one of the four files is missing.
        ValueError: a file is damaged, or images and labels do not fit.
    """
    train, test = (_read_split(root, stem, labels, request.name) for stem in _STEMS.values())
    return crop_splits(DataSplits(train, train.subset(torch.arange(0)), test), request.image_size)
