"""Random folders of pictures, each with what reading it must give, or that it must be refused."""

from __future__ import annotations

import dataclasses
import os
import random
from pathlib import Path

from tests.data.sources import put

SPLITS = {"train": ("train", "Train", "training"), "validation": ("val", "Valid", "DEV"), "test": ("test", "TEST")}
CLASSES = ("ant", "bee", "train", "test", "__x__", "a b", "[ab]*", "é", "0", "val", "train-2", "9.png")


@dataclasses.dataclass
class Expected:
    """The levels of the pictures by split and class, the number of files, and those to be named."""

    samples: dict[str, dict[str, list[int]]]
    files: int
    left_out: list[str]


def random_folder(root: Path, draw: random.Random) -> Expected | None:
    """Fills `root`; None where it must be refused: by a rule of layout.py, a link or an archive."""
    named = draw.random() < 0.6
    expected = Expected({}, 0, [])
    levels = iter(draw.sample(range(256), 256))
    classes = draw.sample(
        CLASSES if named else [c for c in CLASSES if c not in ("train", "test", "val")], draw.randint(1, 5)
    )
    for split in draw.sample(list(SPLITS), draw.randint(1, 3)) if named else ["train"]:
        top = root / draw.choice(SPLITS[split]) if named else root
        for name in draw.sample(classes, draw.randint(1, len(classes))):
            for _ in range(draw.randint(1, 4)):
                level = next(levels)
                put(top / name / _name(level, draw), level, draw.choice(("PNG", "BMP", "PPM")))
                expected.samples.setdefault(split, {}).setdefault(name, []).append(level)
                expected.files += 1
    for split_of in expected.samples.values():
        for values in split_of.values():
            values.sort()
    _litter(root, draw, expected)
    return None if _spoilt(root, draw, named) else expected


def _name(level: int, draw: random.Random) -> str:
    begin, end = (
        draw.choice(("", "test_", "train-", "val.", "IMG ")),
        draw.choice((".png", ".BMP", "", ".dat", ".Jpeg")),
    )
    return f"{begin}{level}{end}"


def _litter(root: Path, draw: random.Random, expected: Expected) -> None:
    """Files that are no pictures, anywhere."""
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    for k in range(draw.choice((0, 0, 1, 3))):
        folder = draw.choice(folders)
        name = draw.choice(
            (f".hidden{k}.png", f"Thumbs{k}.db", f"notes{k}.txt", f"fifo{k}.png", f".git{k}/0.png", f"void{k}")
        )
        path = folder / name
        if name.startswith("fifo"):
            os.mkfifo(path)
        elif name.startswith("."):
            put(path, k)
        else:
            path.write_bytes(b"" if name.startswith("void") else b"a text, and not a picture")
        expected.files += 1
        expected.left_out.append(path.relative_to(root).as_posix())


def _spoilt(root: Path, draw: random.Random, named: bool) -> bool:
    """Whether something was added for which the folder must be refused."""
    how = draw.choice((*(None,) * 6, "loose", "deep", "mixed", "link", "archive"))
    top = next(path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith("."))
    if how == "loose":
        put((top if named else root) / "loose.png", 1)
    elif how == "deep":
        put(top / "deep" / "deeper" / "1.png", 1)
    elif how == "mixed":
        put(root / ("other" if named else "Test") / ("x" if named else "") / "1.png", 1)
    elif how == "link":
        (top / "link.png").symlink_to(root.parent)
    elif how == "archive":
        (top / "more.zip").write_bytes(b"PK")
    return how is not None
