"""How an operation stands in a model file: attributes in the JSON, arrays in shared tensors (docs/spec/artifact.md).

A `Record` lists attributes, each with the JSON value of a node, the reader that checks a value, and the format that
first states it; and streams, each with the tensor, the elements and the array they stand for. Writing and reading
use the one description.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import ArtifactError
from spikelet.base.strict_json import integer, integers, shown

Stated = dict[str, Any]
Reader = Callable[[Any, str, int], Any]


@dataclasses.dataclass(frozen=True)
class Attribute:
    """A field of the JSON.

    of: the node's value: an integer, a string, None, or a tuple of integers.
    read: the same from JSON; arguments are the value, its place for errors, and the file's format.
    since: the first format that states it.
    """

    name: str
    of: Callable[[Any, int], Any]
    read: Reader
    since: int = 1


@dataclasses.dataclass(frozen=True)
class Stream:
    """An array of a node: `elements` elements at the end of a tensor, which stand for an array of `shape`, `dtype`."""

    tensor: str
    elements: int
    shape: tuple[int, ...]
    dtype: Any
    write: Callable[[Any], NDArray[Any]]  # a node's elements
    read: Callable[[NDArray[Any]], NDArray[Any]]  # the array of elements

    def hollow(self) -> NDArray[Any]:
        """An array of the right shape and type that takes no memory."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)


@dataclasses.dataclass(frozen=True)
class Record:
    """Attributes, streams, and what makes a node.

    streams: from the attributes' values.
    make: (name, inputs, attributes' values, arrays) -> node.
    """

    attributes: tuple[Attribute, ...]
    make: Callable[[str, tuple[str, ...], Stated, list[NDArray[Any]]], Any]
    streams: Callable[[Stated], list[Stream]] = lambda stated: []

    def stated(self, node: Any, version: int) -> Stated:
        """The values that a file of format `version` states of `node`."""
        return {a.name: a.of(node, version) for a in self.attributes if a.since <= version}

    def readers(self, version: int) -> dict[str, Reader]:
        """What reads each attribute of a file of format `version`."""
        return {a.name: a.read for a in self.attributes if a.since <= version}


# Attributes.


def field(name: str, read: Reader, since: int = 1) -> Attribute:
    """An attribute that is a field of the node."""
    return Attribute(name, lambda node, version: plain(getattr(node, name)), read, since)


def plain(value: Any) -> Any:
    """A field as attributes hold it: tuples for sequences, Python's integers."""
    if isinstance(value, (tuple, list)):
        return tuple(int(v) for v in value)
    return value if value is None or isinstance(value, str) else int(value)


def whole(value: Any, what: str, version: int) -> int:
    """An integer from 0 on."""
    return integer(value, what)


def signed(value: Any, what: str, version: int) -> int:
    """An integer of 32 bits."""
    return integer(value, what, low=-(2**31))


def between(low: int, high: int) -> Reader:
    """An integer in low..high."""
    return lambda value, what, version: integer(value, what, low, high)


def pair(value: Any, what: str, version: int) -> tuple[int, ...]:
    """Two integers from 0 on."""
    return integers(value, what, (2, 2))


def square(name: str) -> Attribute:
    """A pair: a number where both are the same, which formats below 3 demand."""

    def of(node: Any, version: int) -> Any:
        first, second = getattr(node, name)
        return int(first) if first == second else (int(first), int(second))

    def read(value: Any, what: str, version: int) -> Any:
        if version >= 3 and isinstance(value, list):
            return integers(value, what, (2, 2))
        return integer(value, what)

    return Attribute(name, of, read)


def as_pair(value: Any) -> tuple[int, int]:
    """A number as a pair of it; a pair as it is."""
    first, second = value if isinstance(value, (tuple, list)) else (value, value)
    return first, second


def dims(few: int, many: int) -> Reader:
    """`few` to `many` integers from 1 on."""
    return lambda value, what, version: integers(value, what, (few, many), low=1)


def one_of(*words: str) -> Reader:
    """One of `words`."""

    def read(value: Any, what: str, version: int) -> str:
        if value not in words:
            raise ArtifactError(f"{what}: must be {' or '.join(map(repr, words))}, got {shown(value)}.")
        return value

    return read


def width(value: Any, what: str, version: int) -> int:
    """16 or 32: bits of an element."""
    if type(value) is not int or value not in (16, 32):
        raise ArtifactError(f"{what}: must be 16 or 32, got {shown(value)}.")
    return value


# Streams.


def width_of(values: NDArray[Any]) -> int:
    """The smallest of 16 and 32 bits that holds every element."""
    return 16 if int(values.min()) >= -(2**15) and int(values.max()) < 2**15 else 32


def numbers(
    tensor: str, bits: int, shape: tuple[int, ...], write: Callable[[Any], NDArray[Any]], dtype: Any = np.int32
) -> Stream:
    """Integers of `bits` bits in `<tensor>.i16` or `<tensor>.i32`."""
    return Stream(
        f"{tensor}.i{bits}",
        int(np.prod(shape, dtype=object)),
        shape,
        dtype,
        lambda node: write(node).reshape(-1).astype(f"<i{bits // 8}"),
        lambda elements: elements.astype(dtype).reshape(shape),
    )
