"""Nodes as JSON and back: what operations state of themselves, without naming one.

A node is [head] or [head, attributes]; head is its operation's word and its name with one space between:

    ["input x",{"shape":[3,32,32]}]   ["conv c1",{"bits":8,"groups":1, ...}]   ["affine b1", ...]   ["lif s1", ...]
    ["conv c2",{"bits":1}]            an attribute left out is that of the last node of the same operation
    ["add a",{"inputs":[4,7]}]        positions of the nodes it reads; left out: the node before

A graph that formats 1 and 2 can say has a file of the lower of them, so that it keeps its file, byte for byte, when a
format is added. Any other has one of format 4, which says what format 3 says in a shorter way (packed.py). Arrays are
not in the JSON: each goes to the end of one of the file's tensors (container.TENSORS), in the order of the nodes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import ArtifactError
from spikelet.base.strict_json import integers, shown, string
from spikelet.graph.file.container import ITEM_BYTES, TENSORS
from spikelet.graph.ops import OPERATIONS
from spikelet.graph.ops.operation import Operation
from spikelet.graph.ops.record import Stated, Stream

MAX_NODES = 4096
MAX_INPUTS = 64
FULL, LATEST = 3, 4  # the first format that says everything, and the shorter one that is written in its place
Operations = Sequence[type[Operation]]


@dataclasses.dataclass(frozen=True)
class Entry:
    """A node as the JSON has it: everything but its arrays. `inputs` are positions of entries."""

    operation: type[Operation]
    name: str
    inputs: tuple[int, ...]
    stated: Stated

    def __str__(self) -> str:
        return f"{self.operation.word} {self.name!r}"

    @property
    def streams(self) -> list[Stream]:
        """The node's arrays in the file."""
        return self.operation.record.streams(self.stated)

    def node(self, inputs: tuple[str, ...], arrays: list[NDArray[Any]]) -> Operation:
        """The node with these inputs and arrays."""
        return self.operation.record.make(self.name, inputs, self.stated, arrays)

    def hollow(self, inputs: tuple[str, ...]) -> Operation:
        """The node with arrays of the right shapes that take no memory."""
        return self.node(inputs, [stream.hollow() for stream in self.streams])


def known_in(version: int, operations: Operations = OPERATIONS) -> dict[str, type[Operation]]:
    """The operations that a file of format `version` may hold, by word."""
    return {op.word: op for op in operations if op.first_format <= version}


def nodes_to_json(nodes: Sequence[Operation], version: int) -> list[list[Any]]:
    """The JSON list of `nodes`, which `analyse` has accepted.

    Raises:
        ArtifactError: more than 4096 nodes, or a name that UTF-8 cannot hold.
    """
    if len(nodes) > MAX_NODES:
        raise ArtifactError(f"nodes: a file holds at most {MAX_NODES}, got {len(nodes)}.")
    position = {node.name: i for i, node in enumerate(nodes)}
    last: dict[str, Stated] = {}
    result: list[list[Any]] = []
    for i, node in enumerate(nodes):
        attributes = node.record.stated(node, version)
        before = last.get(node.word, {})
        stated = {k: v for k, v in attributes.items() if k not in before or not _same(before[k], v)}
        inputs = [position[name] for name in node.inputs]
        if inputs != _before(i, node):
            stated["inputs"] = inputs
        last[node.word] = attributes
        head = f"{node.word} {string(node.name, f'nodes[{i}]: name')}"
        result.append([head, stated] if stated else [head])
    return result


def _same(first: Any, second: Any) -> bool:
    return type(first) is type(second) and first == second


def _before(i: int, operation: Operation | type[Operation]) -> list[int]:
    """The inputs that need not be stated."""
    return [i - 1] if i and operation.arity[1] else []


def arrays_of(node: Operation, version: int) -> list[tuple[str, NDArray[Any]]]:
    """A node's arrays as the file holds them: (tensor name, little-endian elements)."""
    stated = node.record.stated(node, version)
    return [(stream.tensor, stream.write(node)) for stream in node.record.streams(stated)]


def stored_bytes(node: Operation) -> int:
    """Bytes that the node's arrays take in a file, of whatever format."""
    return _bytes(node.record.streams(node.record.stated(node, LATEST)))


def entries_of(value: Any, version: int, operations: Operations = OPERATIONS) -> list[Entry]:
    """The entries of the node list of a file of format `version`; every attribute present and of the right kind.

    Raises:
        ArtifactError: names the node and the attribute.
    """
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_NODES:
        raise ArtifactError(f"nodes: must be a list of 1 to {MAX_NODES} nodes, got {shown(value)}.")
    known = known_in(version, operations)
    last: dict[str, Stated] = {}
    entries: list[Entry] = []
    for i, item in enumerate(value):
        what = f"nodes[{i}]"
        if not isinstance(item, list) or [type(v) for v in item] not in ([str], [str, dict]):
            raise ArtifactError(f"{what}: must be [head] or [head, attributes], got {shown(item)}.")
        word, _, name = string(item[0], f"{what}: head").partition(" ")
        if word not in known:
            raise ArtifactError(f"{what}: unknown operation {shown(word)}; known are {', '.join(known)}.")
        if not name:
            raise ArtifactError(f"{what}: needs a name after its operation, got {shown(item[0])}.")
        stated = dict(item[1]) if len(item) == 2 else {}
        entry = _entry(known[word], name, i, stated, (last.get(word, {}), version, len(value)))
        last[word] = entry.stated
        entries.append(entry)
    return entries


def _entry(
    operation: type[Operation], name: str, i: int, stated: dict[str, Any], context: tuple[Stated, int, int]
) -> Entry:
    before, version, count = context
    what = f"nodes[{i}] ({operation.word} {shown(name)})"
    inputs = integers(stated.pop("inputs", _before(i, operation)), f"{what}: inputs", (0, MAX_INPUTS))
    end = count if operation.reads_later else i
    if any(j >= end for j in inputs):
        raise ArtifactError(f"{what}: inputs must be positions of earlier nodes, below {i}, got {list(inputs)}.")
    readers = operation.record.readers(version)
    for key in sorted(stated.keys() - readers.keys()):
        raise ArtifactError(f"{what}: unknown attribute {shown(key)}; known are {', '.join(['inputs', *readers])}.")
    attributes = dict(before) | {k: readers[k](v, f"{what}: {k}", version) for k, v in stated.items()}
    for key in sorted(readers.keys() - attributes.keys()):
        raise ArtifactError(f"{what}: the attribute {key!r} is missing.")
    return Entry(operation, name, inputs, attributes)


def tensor_bytes(entries: Sequence[Entry]) -> int:
    """Bytes that the arrays of `entries` take in a file; Python integers, so no size can wrap."""
    return sum(_bytes(entry.streams) for entry in entries)


def _bytes(streams: Sequence[Stream]) -> int:
    return sum(stream.elements * ITEM_BYTES[TENSORS[stream.tensor]] for stream in streams)


def hollow_nodes(entries: Sequence[Entry]) -> list[Operation]:
    """The nodes of `entries` with arrays that take no memory."""
    names = [entry.name for entry in entries]
    return [entry.hollow(tuple(names[i] for i in entry.inputs)) for entry in entries]


def filled_nodes(entries: Sequence[Entry], tensors: Mapping[str, NDArray[Any]]) -> list[Operation]:
    """The nodes of `entries`, their arrays taken from the front of the tensors' elements, in order.

    Raises:
        ArtifactError: an array that its elements can't stand for, such as codes with padding bits set.
    """
    names = [entry.name for entry in entries]
    used = dict.fromkeys(tensors, 0)
    nodes: list[Operation] = []
    for entry in entries:
        arrays = []
        for stream in entry.streams:
            first = used[stream.tensor]
            used[stream.tensor] = first + stream.elements
            try:
                array = stream.read(tensors[stream.tensor][first : used[stream.tensor]])
            except ArtifactError as error:
                raise ArtifactError(f"{entry}: {stream.tensor}: {error}") from None
            arrays.append(np.ascontiguousarray(array))
        nodes.append(entry.node(tuple(names[i] for i in entry.inputs), arrays))
    return nodes
