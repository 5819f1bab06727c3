"""One table file, parquet or arrow, read a few rows at a time; the types of its columns as Hugging Face's datasets
wrote them into it.

A few bytes of such a file may stand for millions of rows, or for a large cell in each of them. So a file of more rows
than bytes is refused, and so is one whose cells unpack to more than 1 GiB and 64 times its own length.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spikelet.base.errors import DataError, SpikeletError
from spikelet.base.optional import need
from spikelet.base.regular import open_regular
from spikelet.base.stand_in import LONGEST, stand_in

ENDINGS = (".parquet", ".arrow")
MOST_ROWS = 1 << 24
FEW_ROWS = 1 << 16  # so many may be stored in fewer bytes
MOST_LETTERS = 1000  # of a label
MOST_UNPACKED = 1 << 30
MOST_TIMES = 64
_MAX_BYTES = 1 << 40
_IMAGES_AT_ONCE, _LABELS_AT_ONCE = 4, 1 << 16


@dataclasses.dataclass(frozen=True)
class Table:
    """A table file. `features` is the type of each of its columns, by name."""

    path: Path
    features: dict[str, Any]

    def cells(self, column: str) -> Iterator[Any]:
        """The cells of a column of images, as Python's values.

        Raises:
            DataError: the file is damaged, has more rows than any data set, or unpacks to far more than it is long.
        """
        unpacked, most = 0, max(MOST_UNPACKED, MOST_TIMES * self.path.stat().st_size)
        for array in self._arrays(column, _IMAGES_AT_ONCE):
            unpacked += array.nbytes
            if unpacked > most:
                raise DataError(
                    f"the cells of {column!r} in {str(self.path)!r} take more than {most} bytes, over "
                    f"{MOST_TIMES} times what the file does. Store the pictures as they are, each once."
                )
            for k in range(len(array)):
                yield array[k].as_py()

    def labels(self, column: str) -> list[Any]:
        """The cells of a column of labels. Raises what `cells` does, and refuses a label of over 1,000 letters."""
        found: list[Any] = []
        for array in self._arrays(column, _LABELS_AT_ONCE):
            words = array.dictionary.to_pylist() if hasattr(array, "dictionary") else None
            long = next((word for word in words or () if word is not None and len(word) > MOST_LETTERS), None)
            if long is not None:
                raise DataError(
                    f"a label of {str(self.path)!r} has {len(long)} letters; a class's name has at most {MOST_LETTERS}."
                )
            found += (
                array.to_pylist()
                if words is None
                else [None if k is None else words[k] for k in array.indices.to_pylist()]
            )
        return found

    def _arrays(self, column: str, rows_at_once: int) -> Iterator[Any]:
        """The arrays of a column, each of a few rows; words as a dictionary of them."""
        rows = 0
        with _named(self.path), open_regular(self.path, _MAX_BYTES) as file:
            for array in _batches(self.path, file, column, rows_at_once):
                rows += len(array)
                _require_likely(rows, self.path)
                yield array


def open_table(path: Path) -> Table:
    """The table in a file.

    Raises:
        DataError: it is damaged, or no regular file.
        ImportError: datasets is not installed.
    """
    datasets = need("datasets", package="datasets", extra="data", what="a folder of tables")
    with _named(path), open_regular(path, _MAX_BYTES) as file:
        schema = _parquet(file).schema_arrow if _is_parquet(path) else _arrow(file).schema
        return Table(path, dict(datasets.Features.from_arrow_schema(schema)))


def _is_parquet(path: Path) -> bool:
    return path.suffix.casefold() == ".parquet"


def _parquet(file: Any, words: list[str] | None = None) -> Any:
    module = need("pyarrow.parquet", package="datasets", extra="data", what="a folder of tables")
    return module.ParquetFile(file, read_dictionary=words)


def _arrow(file: Any) -> Any:
    """A reader of an arrow file, which is a stream as datasets writes it, or a file with an index."""
    pyarrow = need("pyarrow", package="datasets", extra="data", what="a folder of tables")
    begin = file.read(6)
    file.seek(0)
    return (pyarrow.ipc.open_file if begin == b"ARROW1" else pyarrow.ipc.open_stream)(file)


def _batches(path: Path, file: Any, column: str, rows: int) -> Iterator[Any]:
    pyarrow = need("pyarrow", package="datasets", extra="data", what="a folder of tables")
    if _is_parquet(path):
        parquet = _parquet(file, [column] if rows == _LABELS_AT_ONCE else None)
        _require_likely(parquet.metadata.num_rows, path)
        yield from (batch.column(0) for batch in parquet.iter_batches(rows, columns=[column]))
        return
    reader = _arrow(file)
    whole = (reader.get_batch(k) for k in range(reader.num_record_batches)) if hasattr(reader, "get_batch") else reader
    for batch in whole:
        array = batch.column(column)
        array = array.dictionary_encode() if pyarrow.types.is_string(array.type) else array
        yield from (array.slice(start, rows) for start in range(0, len(array), rows))


def _require_likely(rows: int, path: Path) -> None:
    size = path.stat().st_size
    if rows > MOST_ROWS or rows > max(FEW_ROWS, size):
        raise DataError(
            f"{str(path)!r} has {rows} rows in {size} bytes; at most {MOST_ROWS} rows are read, and no more than bytes."
        )


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside is said of `path`, in one sentence."""
    try:
        yield
    except SpikeletError:
        raise
    except Exception as error:  # of the library underneath, which has dozens
        what = f"{str(path)!r} cannot be read as a table"
        if instead := _instead(path):
            raise DataError(f"{what}: it is {instead}.") from error
        why = " ".join(str(error).split())[:300] or type(error).__name__
        raise DataError(f"{what}: {why} (Is the file damaged?)") from error


def _instead(path: Path) -> str | None:
    try:
        with open_regular(path, _MAX_BYTES) as file:
            return stand_in(file.read(LONGEST))
    except (OSError, SpikeletError):
        return None
