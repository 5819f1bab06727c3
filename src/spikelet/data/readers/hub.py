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

from spikelet.base.optional import need
from spikelet.data.readers.decoded_cache import recall
from spikelet.data.readers.labels import numbered
from spikelet.data.samples import DataSplits, Samples

_SPLITS = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
_GREY = ("1", "L", "LA", "La")
_TOO_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")  # more than 8 bits a pixel
_MAX_BYTES = 16 << 30  # a split is held in memory
_FORM = b"spikelet decoded images, form 2"  # to be counted up when `_to_bytes` changes what it returns


def read_hub(
    source: str,
    name: str,
    *,
    image_size: int | None = None,
    columns: tuple[str, str] | None = None,
) -> DataSplits:
    """The splits train, validation and test of a data set, x uint8 [N, C, H, W]; those it lacks, or that have no
    labels, are empty. Labels are numbered as labels.py says.

    Args:
        source: a local folder, or an id "owner/name" to be fetched from the hub or found in its local cache.
        name: what to call it.
        image_size: images are cut square about their centre and resized to this side (bilinear, antialiased);
            None takes them as they are, and they must all be of one size.
        columns: names of the image and of the label column; None finds the only ones of these types.
    Raises:
        FileNotFoundError: the data set was not found.
        ValueError: no such column or more than one, a split that would be left out, missing labels, a damaged file, an
            image that is damaged or of another size, or too much data to be held in memory.
        ImportError: datasets is not installed.
    """
    if image_size is not None and image_size < 1:
        raise ValueError(f"image_size must be a positive number of pixels, got {image_size}.")
    datasets = need("datasets", package="datasets", extra="data", what=f"the data set {name}")
    try:
        found = datasets.load_dataset(source)
    except datasets.exceptions.DatasetGenerationError as error:
        raise ValueError(
            f"the data set in {source!r} was found and cannot be read: {error.__cause__ or error} (Is a file damaged?)"
        ) from error
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise FileNotFoundError(
            f"no image data set could be read from {source!r}: {error} "
            "(Give a folder of image files or of parquet files, or an id owner/name; an id must be reachable, or have "
            "been fetched before.)"
        ) from error
    parts = _known(found, name)
    features = next(iter(parts.values())).features
    image_column, label_column = _columns(features, columns, name, (datasets.Image, datasets.ClassLabel))
    raw = {split: list(part[label_column]) for split, part in parts.items()}
    y, labels = numbered(raw, getattr(features[label_column], "names", None), name)
    parts = {split: parts[split] for split in y}
    undecoded = datasets.Image(decode=False)
    encoded = {
        split: p.select_columns([image_column]).cast_column(image_column, undecoded) for split, p in parts.items()
    }
    x = {split: _decoded(part, image_size, f"{name}/{split}") for split, part in encoded.items()}
    channels = max(images.shape[1] for images in x.values())
    note = f"{_format(next(iter(encoded.values())))} images"

    def samples(split: str) -> Samples:
        pixels = torch.from_numpy(_spread(x[split], channels))
        return Samples(pixels, torch.from_numpy(y[split]), labels, name, note)

    made = {split: samples(split) for split in parts}
    empty = next(iter(made.values())).subset(torch.arange(0))
    return DataSplits(**{split: made.get(split, empty) for split in _SPLITS})


def _known(found: Any, name: str) -> dict[str, Any]:
    """The splits that hold samples, by the names train, validation and test."""
    parts: dict[str, Any] = {
        split: next((found[n] for n in names if n in found), ()) for split, names in _SPLITS.items()
    }
    parts = {split: part for split, part in parts.items() if len(part)}
    strange = sorted(set(found) - {n for names in _SPLITS.values() for n in names})
    if not parts or (strange and not {"train", "test"} <= set(parts)):
        raise ValueError(
            f"{name} has the splits {sorted(found)}; train, validation and test are known, and {strange} would be left "
            "out. Rename them."
        )
    return parts


def _columns(features: Any, asked: tuple[str, str] | None, name: str, kinds: tuple[type, type]) -> tuple[str, str]:
    if asked is not None:
        image, label = (features.get(column) for column in asked)
        if not isinstance(image, kinds[0]) or not (isinstance(label, kinds[1]) or _may_be_labels(label)):
            raise ValueError(
                f"columns={asked!r} must be a column of images and one of labels, integers or words; {name} has "
                f"{features}."
            )
        return asked
    fitting = [[column for column, feature in features.items() if isinstance(feature, kind)] for kind in kinds]
    if not fitting[1] and _may_be_labels(features.get("label")):
        fitting[1] = ["label"]
    if [len(found) for found in fitting] != [1, 1]:
        raise ValueError(
            f"{name} has image columns {fitting[0]} and label columns {fitting[1]} among {sorted(features)}; one of "
            "each was expected. Say which to use: columns=(image, label)."
        )
    return fitting[0][0], fitting[1][0]


def _may_be_labels(feature: Any) -> bool:
    kind = str(getattr(feature, "dtype", ""))
    return "int" in kind or kind in ("string", "large_string")


def _spread(images: np.ndarray, channels: int) -> np.ndarray:
    """Grey images [N, 1, H, W] as `channels` equal channels; others as they are."""
    return images if images.shape[1] == channels else np.repeat(images, channels, axis=1)


def _encoded(part: Any) -> Iterator[bytes]:
    """The encoded images of a data set whose only column holds them undecoded."""
    for batch in part.iter(1024):
        for cell in next(iter(batch.values())):
            yield cell["bytes"] if cell["bytes"] is not None else Path(cell["path"]).read_bytes()


def _format(part: Any) -> str:
    """What kind of file the first image is, such as "JPEG"."""
    from PIL import Image

    with Image.open(io.BytesIO(next(_encoded(part)))) as image:
        return str(image.format)


def _decoded(part: Any, image_size: int | None, where: str) -> np.ndarray:
    """uint8 [N, C, H, W] from an undecoded image column, by way of the cache."""
    digest = hashlib.sha256(_FORM + repr(image_size).encode())
    for data in _encoded(part):
        digest.update(len(data).to_bytes(8, "little") + data)
    return recall(digest.hexdigest(), lambda: _stack(_arrays(part, image_size, where), len(part), where))


def _arrays(part: Any, image_size: int | None, where: str) -> Iterator[np.ndarray]:
    for k, data in enumerate(_encoded(part)):
        try:
            yield _to_bytes(data, image_size)
        except (OSError, ValueError) as error:
            raise ValueError(f"image {k} of {where} cannot be used: {error}") from error


def _to_bytes(data: bytes, image_size: int | None) -> np.ndarray:
    """One image, uint8 [1 or 3, H, W]."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data)) as opened:
        if opened.mode in _TOO_DEEP:
            raise ValueError(f"its pixels are of mode {opened.mode}, more than 8 bits; convert it first.")
        image = ImageOps.exif_transpose(opened)  # upright, as `spikelet run` sees it
        form = "L" if image.mode in _GREY else "RGB"
        pixels = image if image.mode == form else image.convert(form)
        if image_size is not None and image.size != (image_size, image_size):
            pixels = ImageOps.fit(pixels, (image_size, image_size), Image.Resampling.BILINEAR)
        array = np.asarray(pixels)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _stack(arrays: Iterator[np.ndarray], count: int, where: str) -> np.ndarray:
    """One array [N, C, H, W] of all images; grey ones become RGB where they meet others."""
    out: np.ndarray = np.zeros((0, 1, 1, 1), np.uint8)
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
            out = _spread(out, 3)
        out[k] = array  # a grey one is spread over the three channels
    return out
