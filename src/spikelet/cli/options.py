"""A command whose options are the fields of a dataclass, for commands with many."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, get_type_hints

Options = TypeVar("Options")


def with_options(kind: type[Options]) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Makes a function of one `kind` into one of its fields by keyword, which is how typer learns of them.

    Args:
        kind: a dataclass; each field's annotation is typer's.
    """
    hints = get_type_hints(kind, include_extras=True)
    parameters = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in dataclasses.fields(kind)  # type: ignore[arg-type]
    ]

    def decorate(command: Callable[[Options], None]) -> Callable[..., None]:
        @functools.wraps(command)
        def by_keyword(**values: Any) -> None:
            command(kind(**values))

        by_keyword.__annotations__ = {p.name: p.annotation for p in parameters}
        by_keyword.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return by_keyword

    return decorate
