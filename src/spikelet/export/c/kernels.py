"""Which kernel sources a program needs: those of the functions that it calls, and of those that they call."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "kernels"


@cache
def sources() -> dict[str, str]:
    """Text of every kernel file by name, headers included."""
    files = (path for path in sorted(FOLDER.iterdir()) if path.suffix in (".c", ".h"))
    return {path.name: path.read_text(encoding="utf-8") for path in files}


@cache
def homes() -> dict[str, str]:
    """The source that defines each function."""
    return {
        function: name
        for name, text in sources().items()
        if name.endswith(".c")
        for function in re.findall(r"^[a-z]\w* \*?(spk_\w+)\(", text, re.MULTILINE)
    }


def needed(text: str) -> dict[str, str]:
    """Kernel files, by name, that a program with this text needs."""
    found: set[str] = set()
    waiting = _included(text) | _called(text)
    while waiting:
        name = waiting.pop()
        found.add(name)
        further = _included(sources()[name]) | (_called(sources()[name]) if name.endswith(".c") else set())
        waiting |= further - found
    return {name: sources()[name] for name in sorted(found)}


def _called(text: str) -> set[str]:
    """Sources of the kernels that `text` calls."""
    return {homes()[name] for name in re.findall(r"\b(spk_\w+)\(", text) if name in homes()}


def _included(text: str) -> set[str]:
    """Headers of kernels that `text` includes."""
    return {name for name in re.findall(r'#include "(\w+\.h)"', text) if name in sources()}
