"""What a command found, in two forms: tables for people, and with --json one document for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import click

from spikelet.cli.printing import lines
from spikelet.cli.quiet import answer_programs

F = TypeVar("F", bound=Callable[..., Any])


class Answer(Protocol):
    """A result that can be printed in both forms."""

    def show(self) -> None:
        """Prints it as text."""

    def document(self) -> dict[str, Any]:
        """The same as objects, lists, texts and numbers of JSON."""
        ...


def json_option(command: F) -> F:
    """`command` with --json, given to it as `as_json`. Nothing but the document is printed then."""
    words = "Print one JSON document instead of tables, for programs."
    return click.option("--json", "as_json", is_flag=True, callback=answer_programs, help=words)(command)


def give(answer: Answer, as_json: bool) -> None:
    """Prints `answer`."""
    if as_json:
        lines(json_text(answer.document()))
    else:
        answer.show()


def json_text(document: dict[str, Any], indent: int | None = 2) -> str:
    """`document` as JSON in ASCII: what a terminal would obey, and what an encoding lacks, is escaped."""
    return json.dumps(document, indent=indent, allow_nan=False)
