"""Modules whose calls go through something else for a while, hooks and all.

Each is of a class of its own inside, a subclass whose call does this: so hooks, names and types outside are those of
the plain modules.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

Call = Callable[..., Any]
Through = Callable[[nn.Module, Call, tuple[Any, ...], dict[str, Any]], Any]
"""`through(module, call, args, kwargs)` in place of `call(*args, **kwargs)`, the module's plain call."""


@contextmanager
def called_through(ways: Mapping[nn.Module, Through]) -> Iterator[None]:
    """Inside, each module is called through its entry in `ways`."""
    classes = {module: type(module) for module in ways}
    calling = functools.cache(_calling)
    try:
        for module, cls in classes.items():
            module.__class__ = calling(ways[module], cls)
        yield
    finally:
        for module, cls in classes.items():
            module.__class__ = cls


def _calling(through: Through, cls: type[nn.Module]) -> type[nn.Module]:
    """`cls` with a call that goes through `through`."""

    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return through(self, functools.partial(cls.__call__, self), args, kwargs)

    made: Any = type(cls)
    return made(cls.__name__, (cls,), {"__call__": call, "__module__": cls.__module__})
