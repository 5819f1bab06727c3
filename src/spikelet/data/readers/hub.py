"""Any image data set of the Hugging Face hub, by its id, fetched or from the local cache by the library datasets.

No code that comes with a data set is ever run: from version 4 on the library can't. A sample's file is read only where
it lies in the library's own caches.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spikelet.base.errors import DataError, MissingLibrary, NoSuchFile
from spikelet.base.optional import need
from spikelet.base.strict_json import shown
from spikelet.data.readers.assembly import Source, assembled
from spikelet.data.readers.columns import image_and_label
from spikelet.data.readers.encoded import Encoded, of_cells
from spikelet.data.readers.reader import Request
from spikelet.data.readers.splits import WORDS
from spikelet.data.reading import LeftOut
from spikelet.data.samples import DataSplits

_OLDEST = 4  # version of datasets that runs no code of a data set
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)


def is_hub_id(name: str) -> bool:
    """Whether `name` has the form owner/name, and no file of that name exists."""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*", name) is not None and not Path(name).exists()


def read_hub(source: str, request: Request) -> DataSplits:
    """The splits train, validation and test of a data set, x uint8 [N, C, H, W], with the report on its reading; those
    it lacks, or that have no labels, are empty. Labels are numbered as labels.py says.

    Args:
        source: an id "owner/name".
        request: its image_size, columns and ground count.
    Raises:
        NoSuchFile: the data set was not found.
        DataError: no such column or more than one, a split that would be left out, missing labels, a damaged file, or
            a cache that can't be written to.
        SpikeletError: an image is damaged, of another size, or there are too many to be held in memory.
        ImportError: datasets is not installed, or too old.
    """
    datasets = library_of(request.name)
    parts, left_out = known_splits(_loaded(datasets, source), request.name)
    return read_tables(parts, request, _places(datasets, source), left_out)


def read_tables(
    parts: Mapping[str, Any], request: Request, places: Sequence[Path] | None, left_out: tuple[LeftOut, ...] = ()
) -> DataSplits:
    """The data set of the library's tables by split, which are not empty.

    Args:
        parts: a Dataset for each split.
        request: its image_size, columns and ground count.
        places: the folders in which files that cells name may lie; None where any will do, as in tables that the caller
            made.
        left_out: for the report.
    Raises:
        DataError, SpikeletError: as `read_hub`.
    """
    datasets = library_of(request.name)
    features = next(iter(parts.values())).features
    image, label = image_and_label(features, request.columns, request.name, (datasets.Image, datasets.ClassLabel))
    undecoded, places = datasets.Image(decode=False), [Path(Path.cwd().anchor)] if places is None else places
    pictures = {
        split: _pictures(part.select_columns([image]).cast_column(image, undecoded), f"{request.name}/{split}", places)
        for split, part in parts.items()
    }
    labels = {split: list(part[label]) for split, part in parts.items()}
    names = getattr(features[label], "names", None)
    return assembled(Source(pictures, labels, names, left_out=left_out), request)


def library_of(name: str) -> Any:
    """The library datasets, for the data set `name`. Raises MissingLibrary where it is absent or too old."""
    datasets = need("datasets", package="datasets", extra="data", what=f"the data set {name}")
    if int(datasets.__version__.split(".")[0]) < _OLDEST:
        raise MissingLibrary(
            f"datasets {datasets.__version__} can run code that comes with a data set. Install {_OLDEST} or newer: "
            "pip install 'spikelet[data]'"
        )
    return datasets


def _loaded(datasets: Any, source: str) -> Any:
    try:
        return datasets.load_dataset(source)
    except Exception as error:  # of four libraries
        if (trouble := _cache_trouble(error)) is not None:
            raise DataError(
                f"the library datasets cannot write to its cache {str(datasets.config.HF_DATASETS_CACHE)!r}: {trouble}"
                ". Set HF_HOME to a folder that can be written to."
            ) from error
        if isinstance(error, datasets.exceptions.DatasetGenerationError):
            raise DataError(
                f"the data set {source!r} was found and cannot be read: {_said(error.__cause__ or error)} (Is a file "
                "damaged?)"
            ) from error
        if isinstance(error, OSError | ValueError | datasets.exceptions.DatasetsError):
            raise NoSuchFile(
                f"no image data set could be read from {source!r}: {_said(error)} (An id owner/name must be reachable, "
                "or have been fetched before.)"
            ) from error
        raise DataError(
            f"the data set {source!r} cannot be read: {_said(error)} (No code that comes with a data set is run.)"
        ) from error


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:500]


def _cache_trouble(error: BaseException | None) -> str | None:
    """What kept a file from being written, if that was the cause of an error."""
    while error is not None:
        homeless = isinstance(error, RuntimeError) and "home directory" in str(error)
        if homeless or (isinstance(error, OSError) and error.errno in _NOT_WRITABLE):
            return _said(error)
        error = error.__cause__ or error.__context__
    return None


def _places(datasets: Any, source: str) -> list[Path]:
    """The folders in which the library keeps the files of `source`."""
    hub = need(
        "huggingface_hub", package="datasets", extra="data", what=f"the data set {source}"
    ).constants.HF_HUB_CACHE
    return [Path(hub) / f"datasets--{source.replace('/', '--')}", Path(datasets.config.HF_DATASETS_CACHE) / "downloads"]


def _pictures(part: Any, where: str, places: Sequence[Path]) -> Encoded:
    def cells() -> Iterator[Any]:
        for batch in part.iter(128):
            yield from next(iter(batch.values()))

    return of_cells(len(part), cells, where, places)


def known_splits(found: Mapping[str, Any], name: str) -> tuple[dict[str, Any], tuple[LeftOut, ...]]:
    """The splits that hold samples, by the names train, validation and test, and those that are left out.

    Raises:
        DataError: one split has two names, or none of the three has samples, or one of another name would be left out.
    """
    for split, part in found.items():
        if not hasattr(part, "__len__"):
            raise DataError(f"{name}: the split {shown(split)} must hold samples by number, got {shown(part)}.")
    named = {split: [n for n in words if n in found and len(found[n])] for split, words in WORDS.items()}
    twice = next((names for names in named.values() if len(names) > 1), None)
    if twice:
        raise DataError(f"{name} has the splits {twice}, which are one. Join or rename them.")
    parts = {split: found[names[0]] for split, names in named.items() if names}
    strange = sorted(set(found) - {n for words in WORDS.values() for n in words})
    if not parts and not strange:
        raise DataError(f"{name} has no samples.")
    if not parts or (strange and not {"train", "test"} <= set(parts)):
        raise DataError(
            f"{name} has the splits {sorted(found)}; train, validation and test are known, and {strange} would be left "
            "out. Rename them."
        )
    return parts, tuple(LeftOut(n, f"a split of {len(found[n])} samples, none of the three known") for n in strange)
