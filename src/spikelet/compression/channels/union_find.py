"""Channel ids: whole numbers that are joined where channels can only leave together.

    a, b = ids.new(4), ids.new(4)     eight channels
    ids.join(a, b)                    an addition: a[c] and b[c] are one from now on
    ids.freeze(a[:1], "why")          this one, and all that is joined to it now or later, stays

Joined ids form a tree, whose root stands for all of them (union-find).
"""

from __future__ import annotations

import torch
from torch import Tensor


class UnionFind:
    """Ids, the joins between them, and why some must stay."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._reasons: dict[int, str] = {}

    def new(self, count: int) -> Tensor:
        """Fresh ids, int64 [count]."""
        first = len(self._parent)
        self._parent.extend(range(first, first + count))
        return torch.arange(first, first + count)

    def join(self, a: Tensor, b: Tensor) -> None:
        """Makes a[i] and b[i] one, for tensors that broadcast."""
        pairs = torch.stack(torch.broadcast_tensors(a, b)).reshape(2, -1).unique(dim=1)
        for x, y in zip(*pairs.tolist(), strict=True):
            x, y = self._root(x), self._root(y)
            if x != y:
                first, second = min(x, y), max(x, y)
                self._parent[second] = first
                if second in self._reasons:
                    self._reasons.setdefault(first, self._reasons[second])

    def freeze(self, ids: Tensor, reason: str) -> None:
        """Marks `ids` as staying; the first reason given is the one that is told."""
        for x in ids.unique().tolist():
            self._reasons.setdefault(self._root(x), reason)

    def frozen(self, reason: str) -> Tensor:
        """One fresh id that stays, int64 [1]."""
        made = self.new(1)
        self.freeze(made, reason)
        return made

    def roots(self, ids: Tensor) -> Tensor:
        """The id that stands for each of `ids`, of the same shape."""
        return torch.tensor([self._root(x) for x in ids.flatten().tolist()], dtype=torch.int64).view(ids.shape)

    def reason(self, x: int) -> str | None:
        """Why the id `x` stays; None where it may leave."""
        return self._reasons.get(self._root(x))

    def _root(self, x: int) -> int:
        while self._parent[x] != x:
            self._parent[x] = self._parent[self._parent[x]]
            x = self._parent[x]
        return x
