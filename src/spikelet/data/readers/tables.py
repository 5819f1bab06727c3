"""One table file, parquet or arrow, read a few rows at a time; the types of its columns as Hugging Face's datasets
wrote them into it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spikelet.base.errors import DataError, SpikeletError
from spikelet.base.optional import need
from spikelet.base.regular import open_regular

ENDINGS = (".parquet", ".arrow")
MOST_ROWS = 1 << 26
MOST_LETTERS = 1000  # of a label
_MAX_BYTES = 1 << 40
_ROWS_AT_ONCE = 16  # a few bytes of a file may stand for a large cell in each row


@dataclasses.dataclass(frozen=True)
class Table:
    """A table file. `features` is the type of each of its columns, by name."""

    path: Path
    features: dict[str, Any]

    def cells(self, column: str) -> Iterator[Any]:
        """The cells of a column, as Python's values.

        Raises:
            DataError: the file is damaged, or has more rows than any data set.
        """
        rows = 0
        with _named(self.path), open_regular(self.path, _MAX_BYTES) as file:
            for batch in _batches(self.path, file, column):
                rows += len(batch)
                if rows > MOST_ROWS:
                    raise DataError(f"{str(self.path)!r} has more than the {MOST_ROWS} rows that are read.")
                yield from batch.to_pylist()

    def labels(self, column: str) -> list[Any]:
        """The cells of a column of labels. Raises what `cells` does, and refuses a label of over 1,000 letters."""
        found = []
        for k, label in enumerate(self.cells(column)):
            if isinstance(label, str) and len(label) > MOST_LETTERS:
                raise DataError(
                    f"the label of row {k} of {str(self.path)!r} has {len(label)} letters; a class's name has at most "
                    f"{MOST_LETTERS}."
                )
            found.append(label)
        return found


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


def _parquet(file: Any) -> Any:
    return need("pyarrow.parquet", package="datasets", extra="data", what="a folder of tables").ParquetFile(file)


def _arrow(file: Any) -> Any:
    """A reader of an arrow file, which is a stream as datasets writes it, or a file with an index."""
    pyarrow = need("pyarrow", package="datasets", extra="data", what="a folder of tables")
    begin = file.read(6)
    file.seek(0)
    return (pyarrow.ipc.open_file if begin == b"ARROW1" else pyarrow.ipc.open_stream)(file)


def _batches(path: Path, file: Any, column: str) -> Iterator[Any]:
    """The arrays of a column, each of a few rows."""
    if _is_parquet(path):
        parquet = _parquet(file)
        if parquet.metadata.num_rows > MOST_ROWS:
            raise DataError(
                f"{str(path)!r} has {parquet.metadata.num_rows} rows, more than the {MOST_ROWS} that are read."
            )
        yield from (batch.column(0) for batch in parquet.iter_batches(_ROWS_AT_ONCE, columns=[column]))
        return
    reader = _arrow(file)
    whole = (reader.get_batch(k) for k in range(reader.num_record_batches)) if hasattr(reader, "get_batch") else reader
    for batch in whole:
        array = batch.column(column)
        yield from (array.slice(start, _ROWS_AT_ONCE) for start in range(0, len(array), _ROWS_AT_ONCE))


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside is said of `path`, in one sentence."""
    try:
        yield
    except SpikeletError:
        raise
    except Exception as error:  # of the library underneath, which has dozens
        why = " ".join(str(error).split())[:300] or type(error).__name__
        raise DataError(f"{str(path)!r} cannot be read as a table: {why} (Is the file damaged?)") from error
