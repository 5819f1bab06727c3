"""Whether somebody watches a stream: a terminal or a notebook, where a line can be written over, or neither."""

from __future__ import annotations

import re
from typing import TextIO, cast

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # such as "hide the cursor"


class Notebook:
    """The output of a notebook's cell as a terminal: `\\r` goes back to the start of a line, and there is no cursor."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self.encoding = stream, "utf-8"

    def write(self, text: str) -> int:
        """Writes `text` without its control sequences."""
        self._stream.write(_CONTROL.sub("", text))
        return len(text)

    def flush(self) -> None:
        """Shows what was written."""
        self._stream.flush()

    def isatty(self) -> bool:
        """True: a line can be written over."""
        return True


def watched(stream: TextIO) -> TextIO | None:
    """`stream` where it is a terminal, a notebook's output as one, None for files, pipes and logs."""
    if any(base.__module__.partition(".")[0] == "ipykernel" for base in type(stream).__mro__):
        return cast(TextIO, Notebook(stream))
    asks = getattr(stream, "isatty", None)  # a logger in the place of a stream may lack it
    return stream if asks is not None and not getattr(stream, "closed", False) and asks() else None
