"""Modules that a network gets beside its own, which stand for parts of its code: its forward calls them nowhere."""

from __future__ import annotations

import functools
import itertools
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from torch import nn


class InOrder(nn.Sequential):
    """A Sequential whose code sees its first `own` modules alone."""

    own: int

    def __iter__(self) -> Iterator[nn.Module]:
        """Each of them, as Sequential's forward runs them."""
        return itertools.islice(super().__iter__(), self.own)

    def __len__(self) -> int:
        return self.own

    def __getitem__(self, idx: Any) -> Any:
        """One of them, or some in a row."""
        if not isinstance(idx, slice):
            return super().__getitem__(idx)
        return nn.Sequential(OrderedDict(list(self._modules.items())[: self.own][idx]))  # type: ignore[arg-type]


@functools.cache
def _in_order(cls: type[nn.Sequential]) -> type[InOrder]:
    """`cls`, a user's Sequential, as an InOrder."""
    return InOrder if cls is nn.Sequential else type(cls.__name__, (InOrder, cls), {"__module__": InOrder.__module__})


def put_beside(net: nn.Module, name: str, module: nn.Module) -> None:
    """Gives `net` a module that its own forward does not run."""
    if isinstance(net, nn.Sequential) and not isinstance(net, InOrder):
        own = len(net)
        net.__class__ = _in_order(type(net))
        net.own = own  # type: ignore[assignment]
    net.add_module(name, module.train(net.training))
