"""Modules that a network gets beside its own, which stand for parts of its code: its forward calls them nowhere."""

from __future__ import annotations

import itertools
from typing import Any

from torch import nn


class InOrder(nn.Sequential):
    """A Sequential that runs its first `own` modules alone."""

    own: int

    def forward(self, input: Any) -> Any:
        """What the last of them gives."""
        for module in itertools.islice(self._modules.values(), self.own):
            assert module is not None, "a Sequential holds modules"
            input = module(input)
        return input


def put_beside(net: nn.Module, name: str, module: nn.Module) -> None:
    """Gives `net` a module that its own forward does not run."""
    if type(net) is nn.Sequential:
        own = len(net)
        net.__class__ = InOrder
        net.own = own  # type: ignore[assignment]
    net.add_module(name, module.train(net.training))
