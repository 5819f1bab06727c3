"""Any image data set in the Hugging Face hub's formats, by hub id or from a local folder.

The image column and the label column are found by their types. Images become bytes of one size and one form:

    [1, H, W] if every image of every split is grey, [3, H, W] RGB if not (alpha is left out)

Decoding is the slow part, so its result is kept on disk (`decoded_cache`) under a hash of the encoded
images: no change of the source goes unseen. No code that comes with a data set is ever run.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikelet.data.decoded_cache import recall
from spikelet.data.extras import need
from spikelet.data.samples import DataSplits, Samples

_SPLITS = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
_GREY = ("1", "L", "LA", "La")
_TOO_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")  # more than 8 bits a pixel
_MAX_BYTES = 16 << 30  # a split is held in memory
_FORM = b"spikelet decoded images, form 1"  # to be counted up when `_to_bytes` changes what it returns


def read_hub(
    source: str,
    name: str,
    *,
    image_size: int | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
) -> DataSplits:
    """The splits train, validation and test of a data set, x uint8 [N, C, H, W]; those it lacks are empty.

    Args:
        source: a local folder, or an id "owner/name" to be fetched from the hub or found in its local cache.
        name: what to call it.
        image_size: images are cut square about their centre and resized to this side (bilinear, antialiased);
            None takes them as they are, and they must all be of one size.
        image_column, label_column: which ones; None finds the only column of images, the only one of class labels.
    Raises:
        FileNotFoundError: there is no such data set.
        ValueError: no such column or more than one, no known split, an image that is damaged or of another size,
            or too much data to be held in memory.
        ImportError: datasets is not installed.
    """
    if image_size is not None and image_size < 1:
        raise ValueError(f"image_size must be a positive number of pixels, got {image_size}.")
    datasets = need("datasets", package="datasets", extra="data", what=f"the data set {name}")
    need("PIL.Image", package="pillow", extra="data", what=f"the data set {name}")
    try:
        found = datasets.load_dataset(source)
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"no image data set could be read from {source!r}: {error} "
            "(Give a folder of image files or of parquet files, or an id owner/name; an id must be reachable, or have "
            "been fetched before.)"
        ) from error
    parts = {split: next((found[n] for n in names if n in found), None) for split, names in _SPLITS.items()}
    present = {split: part for split, part in parts.items() if part is not None}
    if not present:
        raise ValueError(f"{name} has the splits {sorted(found)}; one named train, validation or test was expected.")
    features = next(iter(present.values())).features
    image_column = _column(features, datasets.Image, image_column, name, "image")
    label_column = _column(features, datasets.ClassLabel, label_column, name, "label")
    undecoded = datasets.Image(decode=False)
    encoded = {split: part.cast_column(image_column, undecoded)[image_column] for split, part in present.items()}
    images = {split: _decoded(column, image_size, f"{name}/{split}") for split, column in encoded.items()}
    channels = max(array.shape[1] for array in images.values())
    y = {split: np.asarray(part[label_column], np.int64) for split, part in present.items()}
    names = getattr(features[label_column], "names", None) or map(str, range(1 + max(int(v.max()) for v in y.values())))
    first = next(iter(encoded.values()))[0]
    common: dict[str, Any] = {"labels": tuple(names), "name": name, "note": f"{_format(first)} images"}
    made = {
        split: Samples(torch.from_numpy(array).repeat(1, channels // array.shape[1], 1, 1), torch.from_numpy(y[split]), **common)
        for split, array in images.items()
    }
    empty = next(iter(made.values())).subset(torch.arange(0))
    return DataSplits(**{split: made.get(split, empty) for split in _SPLITS})


def _column(features: Any, kind: type, asked: str | None, name: str, role: str) -> str:
    if asked is not None:
        if asked not in features:
            raise ValueError(f"{role}_column={asked!r} is not a column of {name}, which has {sorted(features)}.")
        return asked
    fitting = [column for column, feature in features.items() if isinstance(feature, kind)]
    if len(fitting) != 1:
        raise ValueError(
            f"{name} has {len(fitting)} columns of type {kind.__name__} ({', '.join(fitting) or 'none'}) "
            f"among {sorted(features)}. Say which to use: {role}_column=..."
        )
    return fitting[0]


def _encoded(cell: dict[str, Any]) -> bytes:
    return cell["bytes"] if cell["bytes"] is not None else Path(cell["path"]).read_bytes()


def _format(cell: dict[str, Any]) -> str:
    from PIL import Image

    with Image.open(io.BytesIO(_encoded(cell))) as image:
        return str(image.format)


def _decoded(column: Any, image_size: int | None, where: str) -> np.ndarray:
    """uint8 [N, C, H, W] from an undecoded image column, by way of the cache."""
    digest = hashlib.sha256(_FORM + repr(image_size).encode())
    for cell in column:
        data = _encoded(cell)
        digest.update(len(data).to_bytes(8, "little") + data)
    return recall(digest.hexdigest(), lambda: _stack(_arrays(column, image_size, where), len(column), where))


def _arrays(column: Any, image_size: int | None, where: str) -> Iterator[np.ndarray]:
    from PIL import UnidentifiedImageError

    for k, cell in enumerate(column):
        try:
            yield _to_bytes(_encoded(cell), image_size)
        except UnidentifiedImageError as error:
            raise ValueError(f"image {k} of {where} is of no known format.") from error
        except (OSError, ValueError) as error:
            raise ValueError(f"image {k} of {where} cannot be used: {error}") from error


def _to_bytes(data: bytes, image_size: int | None) -> np.ndarray:
    """One image, uint8 [1 or 3, H, W]."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data)) as image:
        if image.mode in _TOO_DEEP:
            raise ValueError(f"its pixels are of mode {image.mode}, more than 8 bits; convert it first.")
        image = image.convert("L" if image.mode in _GREY else "RGB")
        if image_size is not None and image.size != (image_size, image_size):
            image = ImageOps.fit(image, (image_size, image_size), Image.Resampling.BILINEAR)
        array = np.asarray(image)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _stack(arrays: Iterator[np.ndarray], count: int, where: str) -> np.ndarray:
    """All in one array [N, C, H, W]; grey images become RGB where they meet others."""
    out = np.zeros((0, 1, 1, 1), np.uint8)
    for k, array in enumerate(arrays):
        if k == 0:
            size = count * 3 * array.shape[1] * array.shape[2]
            if size > _MAX_BYTES:
                raise ValueError(
                    f"{where} would take {size >> 30} GiB of memory, more than the {_MAX_BYTES >> 30} GiB held here. "
                    "Use a smaller image_size."
                )
            out = np.empty((count, *array.shape), np.uint8)
        if array.shape[1:] != out.shape[2:]:
            raise ValueError(
                f"image {k} of {where} is {array.shape[1]} x {array.shape[2]} pixels, the first {out.shape[2]} x "
                f"{out.shape[3]}. Give them one size: image_size=..."
            )
        if len(array) > out.shape[1]:
            out = np.repeat(out, 3, axis=1)
        out[k] = array  # a grey one is spread over the three channels
    return out
