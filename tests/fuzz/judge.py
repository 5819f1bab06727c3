"""What reading a damaged file may do: give something, or say one sentence. All else is a fault, as is taking long."""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Callable, Iterator
from typing import Any

from click.testing import CliRunner

from spikelet.cli.app import app

SECONDS = 20
LONGEST = 1000  # characters of a sentence, with the names of files in it


class Fault(AssertionError):
    """What reading may not do."""


class Hang(BaseException):
    """Reading took too long. (No Exception, so that no reader takes it for a damaged file.)"""


def read(call: Callable[[], Any]) -> Any:
    """What `call` gives, or None where it raises one sentence. Raises Fault for anything else."""
    try:
        return call()
    except (ValueError, OSError) as error:
        _sentence(str(error))
        return None


def command(*words: object) -> str | None:
    """What a command prints, or None where it prints one line of error with code 2. Raises Fault for anything else."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise Fault(f"{words[0]} raised {done.exception!r:.500}") from done.exception
    if done.exit_code == 0:
        return done.stdout
    errors = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    if done.exit_code != 2 or len(errors) != 1 or not errors[0].startswith("error: "):
        raise Fault(f"{words[0]} ended with code {done.exit_code} and {done.stderr[:1000]!r}")
    _sentence(errors[0])
    return None


def _sentence(text: str) -> None:
    unclear = re.search("object at 0x|unexpected [A-Z]", text)
    if not 0 < len(text) <= LONGEST or not text.isprintable() or unclear:
        raise Fault(f"not one clear sentence: {text[: 2 * LONGEST]!r}")


@contextlib.contextmanager
def in_time() -> Iterator[None]:
    """Raises Hang in a block that takes more than `SECONDS`."""

    def stop(*_: object) -> None:
        raise Hang(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
