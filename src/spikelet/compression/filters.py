"""Which layers a pass is about: small conditions that combine.

    by_name("features.*") & ~last()         all but the last layer of the features
    by_type(Linear) | first()

A condition sees one layer at a time, with its place among the layers that the pass could change, in the order in
which they run.
"""

from __future__ import annotations

import abc
import dataclasses
import fnmatch
from collections.abc import Sequence

from torch import nn

from spikelet.base.errors import CompressionError


@dataclasses.dataclass(frozen=True, eq=False)
class Candidate:
    """A layer that a pass could change, with its full name: number `position` of `count`."""

    name: str
    module: nn.Module
    position: int
    count: int


class Filter(abc.ABC):
    """A condition on a layer."""

    @abc.abstractmethod
    def __call__(self, layer: Candidate) -> bool:
        """Whether the filter matches the layer."""

    def __and__(self, other: Filter) -> Filter:
        return _Both(self, other)

    def __or__(self, other: Filter) -> Filter:
        return _Either(self, other)

    def __invert__(self) -> Filter:
        return _Not(self)


@dataclasses.dataclass(frozen=True)
class _Both(Filter):
    a: Filter
    b: Filter

    def __call__(self, layer: Candidate) -> bool:
        return self.a(layer) and self.b(layer)

    def __str__(self) -> str:
        return f"({self.a} & {self.b})"


@dataclasses.dataclass(frozen=True)
class _Either(Filter):
    a: Filter
    b: Filter

    def __call__(self, layer: Candidate) -> bool:
        return self.a(layer) or self.b(layer)

    def __str__(self) -> str:
        return f"({self.a} | {self.b})"


@dataclasses.dataclass(frozen=True)
class _Not(Filter):
    a: Filter

    def __call__(self, layer: Candidate) -> bool:
        return not self.a(layer)

    def __str__(self) -> str:
        return f"~{self.a}"


@dataclasses.dataclass(frozen=True)
class _ByName(Filter):
    patterns: tuple[str, ...]

    def __call__(self, layer: Candidate) -> bool:
        return any(fnmatch.fnmatchcase(layer.name, pattern) for pattern in self.patterns)

    def __str__(self) -> str:
        return f"by_name({', '.join(map(repr, self.patterns))})"


@dataclasses.dataclass(frozen=True)
class _ByType(Filter):
    types: tuple[type[nn.Module], ...]

    def __call__(self, layer: Candidate) -> bool:
        return isinstance(layer.module, self.types)

    def __str__(self) -> str:
        return f"by_type({', '.join(t.__name__ for t in self.types)})"


@dataclasses.dataclass(frozen=True)
class _At(Filter):
    name: str
    position: int  # -1 is the last one

    def __call__(self, layer: Candidate) -> bool:
        return layer.position == self.position % layer.count

    def __str__(self) -> str:
        return f"{self.name}()"


@dataclasses.dataclass(frozen=True)
class _Everything(Filter):
    def __call__(self, layer: Candidate) -> bool:
        return True

    def __str__(self) -> str:
        return "everything()"


def by_name(*patterns: str) -> Filter:
    """Layers whose full name is one of `patterns`, which may hold the wildcards *, ? and [...]."""
    return _ByName(patterns)


def by_type(*types: type[nn.Module]) -> Filter:
    """Layers of one of `types`, or of a class derived from it."""
    return _ByType(types)


def first() -> Filter:
    """The first layer of those that the pass could change."""
    return _At("first", 0)


def last() -> Filter:
    """The last layer of those that the pass could change."""
    return _At("last", -1)


def everything() -> Filter:
    """Every layer that the pass could change."""
    return _Everything()


def select(layers: Sequence[tuple[str, nn.Module]], where: Filter, owner: str) -> list[tuple[str, nn.Module]]:
    """The (name, module) pairs of `layers` that match the filter, in execution order.

    Raises:
        CompressionError: no layer matches; names `owner`, the pass, and all layers.
    """
    count = len(layers)
    chosen = [layer for i, layer in enumerate(layers) if where(Candidate(*layer, i, count))]
    if not chosen:
        names = ", ".join(name for name, _ in layers) or "none"
        raise CompressionError(f"{owner}: the filter {where} matches no layer. The model's layers are: {names}.")
    return chosen
