"""A command of ours as an error or a hint gives it, so that it can be pasted into a shell."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path


def command_line(*words: object) -> str:
    """`spikelet` and `words`, quoted where they must be; a path that begins with a hyphen is no option.

    command_line("eval", Path("my run")) = "spikelet eval 'my run'"
    """
    typed = ["spikelet", *map(_word, words)]
    return subprocess.list2cmdline(typed) if sys.platform == "win32" else shlex.join(typed)


def _word(word: object) -> str:
    text = str(word)
    return f"./{text}" if isinstance(word, Path) and text.startswith("-") else text
