"""What a command says of an exception: one sentence that names what it is about, and never a traceback."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from spikelet.base.errors import SpikeletError, in_words

EXPECTED = (ValueError, OSError, ImportError, FloatingPointError, MemoryError, RecursionError, Warning)


def sentence_of(error: BaseException) -> str:
    """The words of an exception; of one that nobody raises on purpose, its type and how to see more."""
    text = in_words(error)
    if isinstance(error, MemoryError):
        return f"there is not enough memory ({text})." if text else "there is not enough memory."
    if isinstance(error, RecursionError):
        return "it is nested too deep to be read."
    if isinstance(error, EXPECTED) and text:
        return text
    name = type(error).__name__
    return f"unexpected {name}: {text} (spikelet --debug COMMAND ... shows where)" if text else f"unexpected {name}"


@contextlib.contextmanager
def naming(what: object) -> Iterator[None]:
    """Lets exceptions of a block say `what` they are about: a file, a folder, or a data set.

    Raises:
        SpikeletError: `what`, and the sentence of an exception that didn't name it.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, EXPECTED) and re.search(rf"(?<!\w){re.escape(str(what))}(?!\w)", str(error)):
            raise
        raise SpikeletError(f"{what}: {sentence_of(error)}") from error
