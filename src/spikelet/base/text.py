r"""Text from outside made fit to print: it moves no cursor, turns no reading direction, hides nothing and ends.

printable("a\x1b[2J")         a\x1b[2J      what a terminal would obey, or not show, as Python writes it
shortened("abcdefghij", 9)   abcd...ij
one_line("a\n  b")            a b
"""

from __future__ import annotations

import re

LINE = 900  # characters of a line that is no table: what a sentence needs, and below a kilobyte
DOTS = "..."
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_BREAK = re.compile(r"[^\S\n]*\n\s*")


def printable(text: str) -> str:
    """`text` with what `str.isprintable` denies, and letters that have no width or no ink, escaped as repr does.

    Controls, both halves of a surrogate pair, separators of lines, marks of direction and of no width are among them.
    """
    if text.isprintable() and not _INVISIBLE.search(text):
        return text
    return "".join(map(_seen, text))


def _seen(letter: str) -> str:
    if letter.isprintable() and not _INVISIBLE.match(letter):
        return letter
    return letter.encode("unicode_escape").decode("ascii")


def shortened(text: str, limit: int = LINE) -> str:
    """`text`, or its first two thirds and its end around three dots, where it has more than `limit` characters."""
    if len(text) <= limit:
        return text
    end = (limit - len(DOTS)) // 3
    return f"{text[: limit - len(DOTS) - end]}{DOTS}{text[len(text) - end :]}"


def fit_to_print(text: str, limit: int = LINE) -> str:
    """`text`, printable and at most `limit` characters long."""
    return shortened(printable(shortened(text, limit)), limit)


def one_line(text: str, limit: int = LINE) -> str:
    """`text` on one line, as a sentence is: a line break and the spaces about it are one space."""
    return fit_to_print(_BREAK.sub(" ", shortened(text.strip(), 8 * limit)), limit)
