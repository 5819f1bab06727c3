"""Small data sets to read: pictures in folders, and tables of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

datasets = pytest.importorskip("datasets")
pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
Image = pytest.importorskip("PIL.Image")

PIXELS = np.random.default_rng(0).integers(0, 256, (10, 6, 6, 3)).astype(np.uint8)
LABELS = ["cat", "dog"]


def png(array: np.ndarray, mode: str | None = None, kind: str = "PNG") -> bytes:
    """An encoded image."""
    image, buffer = Image.fromarray(array), io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind)
    return buffer.getvalue()


COLOUR = [png(p) for p in PIXELS]


def put(path: Path, level: int, kind: str = "PNG") -> Path:
    """A grey picture of one level, in a file whose folders are made too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), level, np.uint8)).save(path, kind)
    return path


def cells(images: list[bytes]) -> list[dict[str, Any] | None]:
    """The cells of an image column that holds these files."""
    return [{"bytes": data, "path": None} for data in images]


def table(path: Path, images: list[Any], labels: list[Any], kind: Any = None) -> Path:
    """A parquet file with the columns img and label."""
    path.parent.mkdir(parents=True, exist_ok=True)
    features = datasets.Features({"img": datasets.Image(), "label": kind or datasets.ClassLabel(names=LABELS)})
    content = pyarrow.table({"img": images, "label": labels}, schema=features.arrow_schema)
    parquet.write_table(content, path)
    return path


def write(root: Path, splits: dict[str, list[bytes]], labels: list[int] | None = None) -> Path:
    """A folder in the hub's parquet layout."""
    for split, images in splits.items():
        name = f"{split}-00000-of-00001.parquet"
        table(root / "data" / name, cells(images), labels or [k % 2 for k in range(len(images))])
    return root
