"""Files that a command writes: looked at before the work, and never dearer than the work.

What was asked for by --out must be writable before anything begins, and must not be a file that the command reads. A
side file, such as a run's result.json, that can't be written costs a warning, and what was measured is printed before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from spikelet.base.errors import SpikeletError
from spikelet.base.folders import require_open
from spikelet.cli.printing import warn

OTHER_KINDS = {
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin"), "weights of PyTorch"),
    ".onnx": "an ONNX model",
    ".tflite": "a TensorFlow Lite model",
    **dict.fromkeys((".c", ".h"), "C (spikelet export writes that)"),
    **dict.fromkeys((".json", ".png", ".npy", ".npz", ".csv", ".zip"), "a file of its ending"),
}
FILES_OF_A_RUN = ("config.json", "checkpoint.pt", "metrics.jsonl", "run.json", "weights.safetensors", "result.json")


def require_file(path: Path, read: Sequence[Path], option: str = "--out") -> None:
    """Raises SpikeletError unless `path` can be written: it is a regular file or none yet, its folder is there and
    open to us, and it is neither among `read`, the files and run folders that the command reads, nor a file of such
    a run."""
    if path.is_dir():
        raise SpikeletError(f"{option} must be a file, and {path} is a folder. Name a file in it.")
    if path.exists() and not path.is_file():
        raise SpikeletError(f"{option} must be a regular file, and {path} is a device or the like. Name another file.")
    if any(_is_one(path, place) for place in read):
        raise SpikeletError(
            f"{option}: {path} is a file that this command reads, and would be lost. Name another file."
        )
    if not path.parent.is_dir():
        raise SpikeletError(f"{option}: there is no folder {path.parent} for {path.name}. Make it first.")
    require_open(path.parent, option)


def _is_one(path: Path, place: Path) -> bool:
    files = [place / name for name in FILES_OF_A_RUN] if place.is_dir() else [place]
    return path.exists() and any(file.exists() and path.samefile(file) for file in files)


def require_packed(path: Path, read: Sequence[Path], option: str = "--out") -> None:
    """Raises SpikeletError unless a packed file can be written to `path` (`require_file`), whose name may not say that
    it is a file of another kind."""
    if (kind := OTHER_KINDS.get(path.suffix.casefold())) is not None:
        raise SpikeletError(
            f"{option} writes integers as a packed file, and {path.name} would be taken for {kind}. Name it "
            f"{path.with_suffix('.safetensors').name}."
        )
    require_file(path, read, option)


def require_folder(path: Path, option: str = "--out") -> None:
    """Raises SpikeletError unless a folder `path` is there, or can be made, and files can be written into it."""
    there = next(place for place in (path, *path.absolute().parents) if place.exists() or place.is_symlink())
    if not there.is_dir():
        raise SpikeletError(f"{option} must be a folder, and {there} is something else.")
    require_open(there, option)


@contextlib.contextmanager
def side_file(path: Path) -> Iterator[None]:
    """A block that writes `path`, whose failure is a warning."""
    try:
        yield
    except OSError as error:
        warn(f"{path} was not written ({error.strerror or error}).")
