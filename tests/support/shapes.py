"""Pictures of squares, bars and crosses in folders, as a newcomer has them: of several sizes and colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")
CLASSES = ("bar", "cross", "square")
Sides = tuple[tuple[int, int], ...]
SIDES = ((18, 24), (26, 20))


def draw(kind: str, rng: np.random.Generator, sides: Sides = SIDES) -> np.ndarray:
    """One picture, uint8 [H, W, 3], of one of these heights and widths."""
    height, width = sides[int(rng.integers(len(sides)))]
    pixels = np.full((height, width, 3), rng.integers(160, 256, 3), np.uint8)
    colour, r = rng.integers(0, 100, 3), int(rng.integers(5, 8))
    y, x = (int(side // 2 + rng.integers(-1, 2)) for side in (height, width))
    if kind == "square":
        pixels[y - r : y + r, x - r : x + r] = colour
    else:
        pixels[y - 1 : y + 2, x - r : x + r] = colour
    if kind == "cross":
        pixels[y - r : y + r, x - 1 : x + 2] = colour
    return pixels


def make_shapes(root: Path, splits: dict[str, int], mode: str = "RGB", sides: Sides = SIDES) -> Path:
    """The folder `root` with so many pictures of each class in each split; the split "" has no folder of its own."""
    rng = np.random.default_rng(0)
    for split, count in splits.items():
        for kind in CLASSES:
            folder = root / split / kind
            folder.mkdir(parents=True)
            for k in range(count):
                Image.fromarray(draw(kind, rng, sides)).convert(mode).save(folder / f"{k}.png")
    return root
