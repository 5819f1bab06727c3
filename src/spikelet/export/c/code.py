"""Lines of C, indented."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

INDENT = "    "


class Code:
    """Lines that grow; `block` indents what is written within."""

    def __init__(self, depth: int = 0) -> None:
        self.lines: list[str] = []
        self._depth = depth

    def __call__(self, line: str) -> None:
        """Appends `line`."""
        self.lines.append(f"{INDENT * self._depth}{line}")

    @contextlib.contextmanager
    def block(self, head: str) -> Iterator[None]:
        """`head {`, what is written within, `}`."""
        self(f"{head} {{".lstrip())
        self._depth += 1
        yield
        self._depth -= 1
        self("}")

    @contextlib.contextmanager
    def loop(self, variable: str, count: int) -> Iterator[None]:
        """A loop of `variable` from 0 to `count` - 1. No loop is written where it runs once: the variable is 0."""
        if count == 1:
            yield
            return
        with self.block(f"for ({variable} = 0; {variable} < {count}; {variable}++)"):
            yield

    @property
    def text(self) -> str:
        """All lines."""
        return "".join(f"{line}\n" for line in self.lines)


def said(name: str, most: int = 60) -> str:
    """The name of a node, which a file chose, as a comment can hold it."""
    return re.sub(r"[^A-Za-z0-9_.#-]", "_", name)[:most] or "_"


def number(value: int) -> str:
    """An int32 as C spells it."""
    return "INT32_MIN" if value == -(2**31) else str(int(value))
