"""run.json: what a run was made from besides its configuration, which a resumed run must have again.

    classes     names of the classes, in the order of the logits
    processes   among which a batch is divided
    data        for each split: samples, their shape, the note, and SHA-256 of the images and of the labels with names
    versions    of spikelet and of torch

Other data or another number of processes would go on silently, with other steps, learning rates and statistics, and
mix two trainings in one history: they are refused by name. Where the same data lies makes no difference. Another
version of spikelet or torch may round differently: that is a warning. Precision and compilation stand in config.json.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import warnings
from pathlib import Path

import torch

from spikelet.base.errors import CheckpointError, SpikeletError
from spikelet.base.files import atomic_write
from spikelet.base.regular import read_regular
from spikelet.base.strict_json import shown
from spikelet.data.classes import check_class_names
from spikelet.data.samples import DataSplits, Samples
from spikelet.train.weights import first_line

FILE = "run.json"
MAX_BYTES = 2**24  # of this file and of result.json
SCHEMA = "spikelet.run/1"
SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """What makes a split the same: equal where samples, order, labels, names of classes and note are."""

    samples: int
    shape: tuple[int, ...]
    note: str
    images: str
    labels: str

    @staticmethod
    def of(part: Samples) -> Fingerprint:
        """The fingerprint of a split. The data set's name and folder have no part in it."""
        names = json.dumps(part.labels).encode()
        shape = part.sample_shape if len(part) else ()
        return Fingerprint(len(part), shape, part.note, _digest(part.x), _digest(part.y, names if len(part) else b""))

    def difference(self, before: Fingerprint) -> str:
        """In which way this split is not the one of `before`; "" where it is."""
        for name in ("samples", "shape", "note"):
            now, then = getattr(self, name), getattr(before, name)
            if now != then:
                return f"{name} {shown(now)}, before {shown(then)}"
        return next(
            (f"other {name}" for name in ("images", "labels") if getattr(self, name) != getattr(before, name)), ""
        )


@dataclasses.dataclass(frozen=True)
class Origin:
    """What run.json holds."""

    classes: tuple[str, ...]
    processes: int
    data: dict[str, Fingerprint]
    versions: dict[str, str]

    @staticmethod
    def of(data: DataSplits, processes: int) -> Origin:
        """The origin of a run that starts now."""
        versions = {"spikelet": _version(), "torch": str(torch.__version__)}
        parts = {name: Fingerprint.of(getattr(data, name)) for name in SPLITS}
        return Origin(data.train.labels, processes, parts, versions)

    def save(self, folder: Path) -> None:
        """Writes run.json."""
        text = json.dumps({"schema": SCHEMA, **dataclasses.asdict(self)}, indent=1)
        with atomic_write(folder / FILE) as file:
            file.write(f"{text}\n".encode())

    def require_same(self, before: Origin, folder: Path) -> None:
        """Warns where a version is not that of `before`, which `folder` holds.

        Raises:
            CheckpointError: the data, or the number of processes, is another; says which.
        """
        differences = {name: part.difference(before.data[name]) for name, part in self.data.items()}
        found = [f"{name}: {what}" for name, what in differences.items() if what]
        if found:
            raise CheckpointError(
                f"{folder} was trained on other data ({'; '.join(found)}). Resume it on the data it began with "
                "(--data-root says where that lies now), or train in another folder."
            )
        if self.processes != before.processes:
            raise CheckpointError(
                f"{folder} was trained by {before.processes} process(es), and now there are {self.processes}, whose "
                f"batches are of another size. Resume it with {before.processes} (accelerate launch --num_processes "
                f"{before.processes}), or train in another folder."
            )
        others = [
            f"{k} {v}, now {self.versions.get(k)}" for k, v in before.versions.items() if self.versions.get(k) != v
        ]
        if others:
            warnings.warn(
                f"{folder} was begun with {' and '.join(others)}: it goes on, but not bit for bit as it would have.",
                UserWarning,
                stacklevel=4,
            )


def load_origin(folder: Path) -> Origin | None:
    """What run.json says; None without that file, as before there was one.

    Raises:
        CheckpointError: it is damaged.
    """
    path = folder / FILE
    if not path.exists() and not path.is_symlink():
        return None
    try:
        fields = json.loads(read_regular(path, MAX_BYTES))
        if fields.pop("schema") != SCHEMA:
            raise SpikeletError(f"schema must be {SCHEMA!r}")
        parts = {name: Fingerprint(**part) for name, part in fields["data"].items()}
        if set(parts) != set(SPLITS) or type(fields["processes"]) is not int:
            raise SpikeletError("data must be of three splits, and processes a number")
        parts = {name: dataclasses.replace(part, shape=tuple(part.shape)) for name, part in parts.items()}
        return Origin(
            check_class_names(fields["classes"], "classes"), fields["processes"], parts, dict(fields["versions"])
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is damaged ({first_line(error)}). Copy it anew; or remove it, and resuming compares no data."
        ) from error


def class_names_in(folder: Path) -> tuple[str, ...]:
    """Names of the classes of the run in `folder`: from run.json, else from result.json; () where neither has them.

    Raises:
        CheckpointError: run.json is damaged.
    """
    if (origin := load_origin(folder)) is not None:
        return origin.classes
    try:
        return check_class_names(json.loads(read_regular(folder / "result.json", MAX_BYTES))["labels"], "labels")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ()


def _version() -> str:
    """The version of spikelet that is installed."""
    try:
        return importlib.metadata.version("spikelet")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _digest(tensor: torch.Tensor, more: bytes = b"") -> str:
    made = hashlib.sha256(tensor.detach().cpu().contiguous().numpy().reshape(-1).view("u1").data)
    made.update(more)
    return made.hexdigest()
