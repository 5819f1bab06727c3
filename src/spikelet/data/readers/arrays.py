"""Signals of one's own as an .npz file: windows of T samples of C channels, and whom each came from.

    x         [N, T, C]     windows. uint8 is taken as it is, int8 as x + 128; others go on the grid of signals.py
    y         [N]           classes: whole numbers or words
    group     [N]           optional: the person, machine or day of each window; no group is in two splits
    split     [N]           optional: "train", "validation" or "test" for each window; without it all are the training
                            set, of which `load` holds out whole groups
    reach     [C] or one    optional: largest |x| of each channel that is kept, in the signal's unit. Without it the
                            smallest power of two that holds 99.9 % of the training values
    roots     [C]           optional: true for channels that are kept by their roots (signals.py)

    np.savez("mine.npz", x=windows, y=names, group=people, split=parts)        spikelet train --data mine.npz

A sample is time first, uint8 [T, C, 1, 1]. What the reach is stands in the note of the samples: a device needs it too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spikelet.base.errors import DataError, SpikeletError
from spikelet.data.readers.labels import numbered
from spikelet.data.readers.npz import read_npz
from spikelet.data.readers.reader import Request
from spikelet.data.readers.signals import to_bytes, usual_reach
from spikelet.data.readers.splits import WORDS, split_named
from spikelet.data.reading import Reading, bounded
from spikelet.data.samples import DataSplits, Samples

OPTIONAL = ("group", "split", "reach", "roots")
Arrays = dict[str, NDArray[Any]]


def read_arrays(request: Request, path: Path) -> DataSplits:
    """The data set in an .npz file.

    Raises:
        DataError: an array is missing, or not of the module's table, a group is in two splits, or the file is damaged.
        SpikeletError: time_steps are asked for that the windows do not have.
    """
    found = read_npz(path, ("x", "y"), OPTIONAL)
    _check(found, str(path))
    if request.time_steps not in (None, found["x"].shape[1]):
        raise SpikeletError(
            f"time_steps={request.time_steps}, and the windows of {path} have {found['x'].shape[1]} samples. "
            "Leave it out, or cut other windows."
        )
    part_of = _splits(found, str(path))
    group = None if "group" not in found else np.unique(found["group"], return_inverse=True)
    if group is not None:
        _require_apart(group[0], group[1], part_of, str(path))
    rows = {name: np.flatnonzero(part_of == name) for name in WORDS}
    y, labels = numbered({s: found["y"][r].tolist() for s, r in rows.items() if len(r)}, None, str(path))
    x, note = _bytes(found, rows["train"])
    parts = {
        name: Samples(
            torch.from_numpy(np.ascontiguousarray(x[r]))[..., None, None],
            torch.from_numpy(y.get(name, np.empty(0, np.int64))),
            labels,
            request.name,
            note,
            None if group is None else torch.from_numpy(group[1].reshape(-1)[r].astype(np.int64)),
        )
        for name, r in rows.items()
    }
    counts = tuple((s, tuple(torch.bincount(p.y, minlength=len(labels)).tolist())) for s, p in parts.items() if len(p))
    train, validation, test = (parts[name] for name in WORDS)
    return DataSplits(train, validation, test, Reading(request.name, 1, labels, counts))


def _check(found: Arrays, where: str) -> None:
    x, count = found["x"], len(found["x"]) if found["x"].ndim else 0
    if x.ndim != 3 or x.dtype.kind not in "uif" or 0 in x.shape or x.shape[1] > 1024:
        raise DataError(
            f"{where}: x must be windows [N, T, C] of numbers, T up to 1024, got {x.dtype} {x.shape}. "
            "Cut the signal into windows first."
        )
    for name in ("y", "group", "split"):
        if name in found and (found[name].shape != (count,) or found[name].dtype.kind not in "uiUS"):
            raise DataError(
                f"{where}: {name} must be one whole number or word for each of the {count} windows, got "
                f"{found[name].dtype} {found[name].shape}."
            )
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise DataError(f"{where}: x has values that are no numbers. Take such windows out.")
    for name, kinds in (("reach", "uif"), ("roots", "b")):
        if name in found and (found[name].shape not in ((), (x.shape[2],)) or found[name].dtype.kind not in kinds):
            raise DataError(f"{where}: {name} must be one for each of {x.shape[2]} channels, got {found[name].shape}.")
    if "reach" in found and not (np.isfinite(found["reach"]) & (found["reach"] > 0)).all():
        raise DataError(f"{where}: reach must be above 0, got {found['reach'].min()}.")


def _splits(found: Arrays, where: str) -> NDArray[np.str_]:
    """The split of every window."""
    given = found.get("split")
    if given is None:
        return np.full(len(found["x"]), "train", dtype="U10")
    words = given.astype(str)
    meant = {word: split_named(word) for word in np.unique(words).tolist()}
    if unknown := [word for word, split in meant.items() if split is None]:
        raise DataError(f"{where}: split must be train, validation or test for each window, got {unknown[0]!r}.")
    return np.array([meant[word] for word in words.tolist()])


def _require_apart(names: NDArray[Any], number: NDArray[np.integer], part_of: NDArray[np.str_], where: str) -> None:
    """Raises DataError where a group is in two splits."""
    pairs = {(int(g), str(s)) for g, s in zip(number.reshape(-1), part_of, strict=True)}
    twice = sorted({g for g, _ in pairs if sum(g == other for other, _ in pairs) > 1})
    if twice:
        named = bounded([repr(str(names[g])) for g in twice])
        raise DataError(f"{where}: a group must be in one split, and {named} is in several. Split by groups.")


def _bytes(found: Arrays, train: NDArray[np.integer]) -> tuple[NDArray[np.uint8], str]:
    """The windows as bytes, and what to say of their grid."""
    x, steps = found["x"], f"windows of {found['x'].shape[1]} samples"
    if x.dtype == np.uint8:
        return x, steps
    if x.dtype == np.int8:
        return (x.astype(np.int16) + 128).astype(np.uint8), steps
    channels = x.shape[2]
    seen = x[train] if len(train) else x
    reach = np.broadcast_to(found["reach"], channels) if "reach" in found else usual_reach(seen)
    roots = np.broadcast_to(found.get("roots", np.array(False)), channels)
    named = ", ".join(f"{r:g}{' by roots' if root else ''}" for r, root in zip(reach, roots, strict=True))
    return to_bytes(x.astype(np.float64), reach, roots), f"{steps}, reach {named}"
