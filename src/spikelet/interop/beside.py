"""Modules that a network gets beside its own, which stand for parts of its code: its forward calls them nowhere."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from torch import nn


def put_beside(net: nn.Module, prefix: str, make: Callable[[str], nn.Module]) -> str:
    """The first name of this prefix that `net` has nothing of: it is that of what `make` makes of it from now on."""
    name = next(name for i in itertools.count() if not hasattr(net, name := f"{prefix}{i}"))
    net.add_module(name, make(name).train(net.training))
    return name


@contextmanager
def left_out(net: nn.Module, names: Collection[str]) -> Iterator[None]:
    """Inside, `net` has its own modules alone, whose code may go through them: a Sequential, or self.children()."""
    beside = {name: module for name, module in net._modules.items() if name in names}
    for name in beside:
        del net._modules[name]
    try:
        yield
    finally:
        net._modules.update(beside)
