"""A Sphinx extension: our docstrings, which are plain text, as the reStructuredText that autodoc reads.

    an indented block, or lines in columns      as they stand
    Example:                                    what is indented below is code
    `word`                                      code
    name: text, line after line                 a list
    * text                                      a list too
    | \\ and a last _                            themselves, with no meaning

All else, such as the sections Args, Returns and Raises, is left to napoleon.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

SECTION = re.compile(r"(?:Args|Returns|Raises|Warns|Yields|Attributes):$")
EXAMPLE = re.compile(r"Examples?:$")
ITEM = re.compile(r"\* |[a-z_]\w*(?:, [a-z_]\w*)*: ")
COLUMNS = re.compile(r"\S {3,}\S")
BLOCK = 4  # blanks before a line of a block


def setup(app: Any) -> dict[str, bool]:
    """Lets Sphinx call `read` before napoleon, whose priority is 500."""
    app.connect("autodoc-process-docstring", read, priority=400)
    return {"parallel_read_safe": True}


def read(app: Any, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Puts reStructuredText in the place of the docstring's lines."""
    lines[:] = rst("\n".join(lines)).split("\n")


def rst(text: str) -> str:
    """`text` as reStructuredText that shows it as it was meant."""
    out: list[str] = []
    before = ""  # what stands above: "section", "example" or ""
    for lines in _paragraphs(text.expandtabs().split("\n")):
        is_indented = _indent(lines[0]) >= BLOCK
        if EXAMPLE.match(lines[0]):
            before = "example"
            out += [".. rubric:: Example", "", *_code(lines[1:], "python")]
        elif SECTION.match(lines[0]):
            before = "section"
            out += _escaped(lines)
        elif is_indented and before:
            out += _escaped(lines) if before == "section" else _code(lines, "python")
        else:
            before = ""
            is_table = is_indented or any(COLUMNS.search(line) for line in lines)
            out += _code(lines, "text") if is_table else _prose(lines)
        out.append("")
    return "\n".join(out)


def _paragraphs(lines: list[str]) -> Iterator[list[str]]:
    """Lines up to the next blank one, or to the head of a section."""
    part: list[str] = []
    for line in lines:
        if part and (not line.strip() or EXAMPLE.match(line) or (SECTION.match(line) and not SECTION.match(part[0]))):
            yield part
            part = []
        part += [line] if line.strip() else []
    if part:
        yield part


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _code(lines: list[str], language: str) -> Iterator[str]:
    """The lines as a block of code, without the blanks that all of them begin with."""
    if lines:
        least = min(map(_indent, lines))
        kind = "pycon" if lines[0].lstrip().startswith(">>>") else language
        yield from (f".. code-block:: {kind}", "", *(f"    {line[least:]}" for line in lines))


def _prose(lines: list[str]) -> Iterator[str]:
    """Sentences; a list where lines begin as its items do; a block where lines are indented below anything else."""
    part: list[str] = []
    for k, line in enumerate(lines):
        is_item = bool(ITEM.match(line))
        is_block = _indent(line) >= BLOCK and not any(ITEM.match(above) for above in lines[:k])
        if part and (is_item or is_block != (_indent(part[0]) >= BLOCK)):
            yield from _shown(part)
            part = []
        part.append(line)
    yield from _shown(part)


def _shown(part: list[str]) -> Iterator[str]:
    """One sentence, item or block, with a blank line behind it."""
    if _indent(part[0]) >= BLOCK:
        yield from _code(part, "text")
    elif ITEM.match(part[0]):
        first, *others = _escaped([part[0].removeprefix("* "), *part[1:]])
        yield from (f"* {first}", *(f"  {line.lstrip()}" for line in others))
    else:
        yield from _escaped(part)
    yield ""


def _escaped(lines: list[str]) -> list[str]:
    """The lines with Markdown's code as reStructuredText's, and with no other markup."""
    parts = re.split(r"(`[^`]+`)", "\n".join(lines))
    prose = [re.sub(r"([*|\\`]|_\b(?!\w))", r"\\\1", part) for part in parts[::2]]
    goes_on = re.compile(r"\w")  # as in `unit`s and `name`_run
    parts[::2] = prose[:1] + [rf"\ {part}" if goes_on.match(part) else part for part in prose[1:]]
    parts[1::2] = [f"`{part}`" for part in parts[1::2]]
    return "".join(parts).split("\n")
