"""The arrays of a .npz file, read without running any code that it might hold."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import DataError
from spikelet.base.regular import open_regular
from spikelet.data.readers.room import MAX_BYTES, require_room


def read_npz(path: Path, required: Sequence[str], others: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    """The arrays of these names; of `others` those that are there.

    Raises:
        DataError: the file is damaged, holds objects, is too large, or lacks an array or has one of another name.
    """
    try:
        with open_regular(path, MAX_BYTES) as file, np.load(file, allow_pickle=False) as found:
            names = set(found.files)
            require_room(sum(info.file_size for info in found.zip.infolist()), str(path))
            if lacking := [name for name in required if name not in names]:
                known = ", ".join((*required, *others))
                raise DataError(f"{path} has no array {lacking[0]!r}, but {sorted(names)}. Arrays are {known}.")
            return {name: found[name] for name in (*required, *others) if name in names}
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} can't be read as an .npz file of plain arrays: {error}. Write it by numpy.savez.") from error
