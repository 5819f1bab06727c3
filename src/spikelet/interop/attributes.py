"""What a network's code keeps on its modules while it runs, such as `self.mem`, put back to what it was before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

_MISSING = object()


@contextmanager
def put_back(net: nn.Module, which: Callable[[Any], bool]) -> Iterator[None]:
    """Inside, code may set attributes of the modules of `net`; behind, those that hold what `which` says are as before.

    A state that a step leaves for the next one is so dropped, as no converted network keeps one between calls.
    """
    before = [(module, dict(vars(module))) for module in net.modules()]
    try:
        yield
    finally:
        for module, attributes in before:
            for name, value in list(vars(module).items()):
                old = attributes.get(name, _MISSING)
                if value is old or not which(value):
                    continue
                if old is _MISSING:
                    del vars(module)[name]
                else:
                    vars(module)[name] = old
