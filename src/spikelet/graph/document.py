"""Nodes as JSON and back; weights and constants as streams of numbers.

A node is [head] or [head, attributes]; head is its operation and its name with one space between:

    ["input x",{"shape":[3,32,32]}]   ["conv c1",{"bits":8,"groups":1, ...}]   ["affine b1", ...]   ["lif s1", ...]
    ["conv c2",{"bits":1}]            an attribute left out is that of the last node of the same operation
    ["add a",{"inputs":[4,7]}]        positions of the nodes it reads; left out: the node before

`grid` of a conv or linear, a number as `reset` of a lif and the operation channelmap are new in format 2. A file has
the lowest format that can say what its graph is, so that graphs of format 1 keep their files, byte for byte.

Arrays are not in the JSON. Each goes to the end of one of the file's tensors (container.TENSORS), in
the order of the nodes: codes to "weight", packed and padded to a byte for each node; shifts to "shift";
multipliers and offsets to their 16-bit tensor where all of the node's fit, to the 32-bit one otherwise; channels of a
channelmap to "source".
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.bits import pack, packed_bytes, unpack
from spikelet.base.codes import GRIDS, Codes
from spikelet.base.errors import ArtifactError, GraphError
from spikelet.graph import ir
from spikelet.graph.strict_json import integer, integers, shown, string

MAX_NODES = 4096


@dataclasses.dataclass(frozen=True)
class Entry:
    """A node as the JSON has it: everything but its arrays. `inputs` are positions of earlier entries."""

    op: str
    name: str
    inputs: tuple[int, ...]
    attributes: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.op} {self.name!r}"


@dataclasses.dataclass(frozen=True)
class Part:
    """One array of a node in the file: which tensor it goes to, and its elements there."""

    tensor: str
    elements: int


# --- what each operation states -------------------------------------------------------------------


def _integer(value: Any, what: str) -> int:
    return integer(value, what)


def _pair(value: Any, what: str) -> tuple[int, ...]:
    return integers(value, what, (2, 2))


def _dims(few: int, many: int) -> Callable[[Any, str], tuple[int, ...]]:
    return lambda value, what: integers(value, what, (few, many), low=1)


def _reset(value: Any, what: str) -> str | int:
    if type(value) is int:
        return integer(value, what)
    if value not in ("hard", "soft"):
        raise ArtifactError(f"{what}: must be 'hard', 'soft' or a whole number, got {shown(value)}.")
    return value


def _membrane(value: Any, what: str) -> tuple[int, ...] | None:
    return None if value is None else _pair(value, what)


def _widths(value: Any, what: str) -> tuple[int, ...]:
    widths = _pair(value, what)
    if not set(widths) <= {16, 32}:
        raise ArtifactError(f"{what}: must be two of 16 and 32, got {shown(value)}.")
    return widths


def _grid(value: Any, what: str) -> str:
    if value not in GRIDS:
        raise ArtifactError(f"{what}: must be 'symmetric' or 'odd', got {shown(value)}.")
    return value


def _code_bits(value: Any, what: str) -> int:
    return integer(value, what, 1, 8)


ATTRIBUTES: dict[str, dict[str, Callable[[Any, str], Any]]] = {
    "input": {"shape": _dims(1, 3)},
    "conv": {
        "bits": _code_bits,
        "grid": _grid,
        "groups": _integer,
        "padding": _pair,
        "shape": _dims(4, 4),
        "stride": _pair,
    },
    "linear": {"bits": _code_bits, "grid": _grid, "shape": _dims(2, 2)},
    "affine": {"bits": _widths, "shape": _dims(1, 1)},
    "add": {},
    "lif": {
        "gain": _integer,
        "leak": _integer,
        "leak_bits": _integer,
        "membrane": _membrane,
        "reset": _reset,
        "threshold": _integer,
    },
    "maxpool": {"kernel": _integer, "padding": _integer, "stride": _integer},
    "sumpool": {"kernel": _integer},
    "flatten": {},
    "sumtime": {},
    "channelmap": {"shape": _dims(1, 1), "stride": _integer},
}
NEW_IN_2 = ("channelmap", "grid")  # operations and attributes


def format_of(nodes: Sequence[ir.Node]) -> int:
    """The lowest format of a file that can hold `nodes`."""
    return 2 if any(_is_new_in_2(node) for node in nodes) else 1


def _is_new_in_2(node: ir.Node) -> bool:
    match node:
        case ir.Conv() | ir.Linear():
            return node.grid != "symmetric"
        case ir.Lif():
            return not isinstance(node.reset, str)
        case ir.ChannelMap():
            return True
    return False


def attributes_of(op: str, version: int) -> dict[str, Callable[[Any, str], Any]] | None:
    """What an operation states in files of a format, None where there is no such operation."""
    if op not in ATTRIBUTES or (version < 2 and op in NEW_IN_2):
        return None
    return {k: check for k, check in ATTRIBUTES[op].items() if version >= 2 or k not in NEW_IN_2}


def _attributes(node: ir.Node) -> dict[str, Any]:
    match node:
        case ir.Input():
            return {"shape": _plain(node.shape)}
        case ir.Conv():
            return {
                "bits": operator.index(node.bits),
                "grid": str(node.grid),
                "groups": operator.index(node.groups),
                "padding": _plain(node.padding),
                "shape": _plain(node.weight.shape),
                "stride": _plain(node.stride),
            }
        case ir.Linear():
            return {"bits": operator.index(node.bits), "grid": str(node.grid), "shape": _plain(node.weight.shape)}
        case ir.Affine():
            return {"bits": [_width(node.multiplier), _width(node.offset)], "shape": _plain(node.shift.shape)}
        case ir.Lif():
            return {
                "gain": operator.index(node.gain),
                "leak": operator.index(node.leak),
                "leak_bits": operator.index(node.leak_bits),
                "membrane": None if node.membrane is None else _plain((node.membrane.bits, node.membrane.shift)),
                "reset": node.reset if type(node.reset) is int else str(node.reset),
                "threshold": operator.index(node.threshold),
            }
        case ir.MaxPool():
            return {k: operator.index(getattr(node, k)) for k in ("kernel", "padding", "stride")}
        case ir.SumPool():
            return {"kernel": operator.index(node.kernel)}
        case ir.ChannelMap():
            return {"shape": _plain(node.source.shape), "stride": operator.index(node.stride)}
        case ir.Add() | ir.Flatten() | ir.SumTime():
            return {}
    raise GraphError(f"{node.name}: no such operation as {type(node).__name__}.")


def _plain(values: Sequence[int]) -> list[int]:
    return [operator.index(v) for v in values]


def _width(values: NDArray[np.int32]) -> int:
    return 16 if int(values.min()) >= -(2**15) and int(values.max()) < 2**15 else 32


# --- nodes to JSON --------------------------------------------------------------------------------


def nodes_to_json(nodes: Sequence[ir.Node]) -> list[list[Any]]:
    """The JSON list of `nodes`, which `analyse` has accepted, in the format `format_of(nodes)`.

    Raises:
        ArtifactError: more than 4096 nodes, or a name that UTF-8 cannot hold.
    """
    if len(nodes) > MAX_NODES:
        raise ArtifactError(f"nodes: a file holds at most {MAX_NODES}, got {len(nodes)}.")
    position = {node.name: i for i, node in enumerate(nodes)}
    last: dict[str, dict[str, Any]] = {}
    result: list[list[Any]] = []
    version = format_of(nodes)
    for i, node in enumerate(nodes):
        op = type(node).__name__.lower()
        attributes = _attributes(node)
        attributes = {k: v for k, v in attributes.items() if version >= 2 or k not in NEW_IN_2}
        stated = {k: v for k, v in attributes.items() if op not in last or last[op][k] != v}
        inputs = [position[name] for name in node.inputs]
        if inputs != _before(i):
            stated["inputs"] = inputs
        last[op] = attributes
        head = f"{op} {string(node.name, f'nodes[{i}]: name')}"
        result.append([head, stated] if stated else [head])
    return result


def _before(i: int) -> list[int]:
    return [i - 1] if i else []


def arrays(node: ir.Node) -> list[tuple[str, NDArray[Any]]]:
    """A node's arrays as the file holds them: (tensor name, little-endian elements)."""
    match node:
        case ir.Conv() | ir.Linear():
            return [("weight", pack(node.weight, node.bits, node.grid))]
        case ir.Affine():
            m, d = _width(node.multiplier), _width(node.offset)
            return [
                (f"multiplier.i{m}", node.multiplier.astype(f"<i{m // 8}")),
                ("shift", node.shift),
                (f"offset.i{d}", node.offset.astype(f"<i{d // 8}")),
            ]
        case ir.ChannelMap():
            return [("source", node.source.astype("<i2"))]
    return []


# --- JSON to nodes --------------------------------------------------------------------------------


def entries_of(value: Any, version: int) -> list[Entry]:
    """The entries of the node list of a file of format `version`; every attribute present and of the right kind.

    Raises:
        ArtifactError: names the node and the attribute.
    """
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_NODES:
        raise ArtifactError(f"nodes: must be a list of 1 to {MAX_NODES} nodes, got {shown(value)}.")
    last: dict[str, dict[str, Any]] = {}
    entries: list[Entry] = []
    for i, item in enumerate(value):
        entry = _entry(item, i, last, version)
        last[entry.op] = entry.attributes
        entries.append(entry)
    return entries


def _entry(item: Any, i: int, last: dict[str, dict[str, Any]], version: int) -> Entry:
    what = f"nodes[{i}]"
    if not isinstance(item, list) or [type(v) for v in item] not in ([str], [str, dict]):
        raise ArtifactError(f"{what}: must be [head] or [head, attributes], got {shown(item)}.")
    op, _, name = string(item[0], f"{what}: head").partition(" ")
    known = attributes_of(op, version)
    if known is None:
        names = ", ".join(name for name in ATTRIBUTES if attributes_of(name, version) is not None)
        raise ArtifactError(f"{what}: unknown operation {shown(op)}; known are {names}.")
    if not name:
        raise ArtifactError(f"{what}: needs a name after its operation, got {shown(item[0])}.")
    what = f"{what} ({op} {shown(name)})"
    stated = dict(item[1]) if len(item) == 2 else {}
    inputs = integers(stated.pop("inputs", _before(i)), f"{what}: inputs", (0, 64))
    if any(j >= i for j in inputs):
        raise ArtifactError(f"{what}: inputs must be positions of earlier nodes, below {i}, got {list(inputs)}.")
    for key in sorted(stated.keys() - known.keys()):
        raise ArtifactError(f"{what}: unknown attribute {shown(key)}; known are {', '.join(['inputs', *known])}.")
    attributes = dict(last.get(op, {})) | {k: known[k](v, f"{what}: {k}") for k, v in stated.items()}
    for key in sorted(known.keys() - attributes.keys()):
        raise ArtifactError(f"{what}: the attribute {key!r} is missing.")
    return Entry(op, name, inputs, attributes)


def parts(entry: Entry) -> list[Part]:
    """What `arrays` of the entry's node gives, before there is a node."""
    a = entry.attributes
    if entry.op in ("conv", "linear"):
        return [Part("weight", packed_bytes(codes(entry), a["bits"]))]
    if entry.op == "affine":
        (n,), (m, d) = a["shape"], a["bits"]
        return [Part(f"multiplier.i{m}", n), Part("shift", n), Part(f"offset.i{d}", n)]
    if entry.op == "channelmap":
        return [Part("source", a["shape"][0])]
    return []


def codes(entry: Entry) -> int:
    """Weight codes of an entry, 0 where it has none."""
    if entry.op not in ("conv", "linear"):
        return 0
    return math.prod(entry.attributes["shape"])


def grid_of(entry: Entry) -> ir.Grid:
    """The grid of an entry's codes; format 1 has but one."""
    return entry.attributes.get("grid", "symmetric")


def node_of(entry: Entry, inputs: tuple[str, ...], values: Sequence[NDArray[Any]]) -> ir.Node:
    """The node of an entry.

    Args:
        entry: checked by `entries_of`.
        inputs: names of the nodes it reads.
        values: its arrays, as `parts` lists them.
    Raises:
        ArtifactError: padding bits that are not zero.
    """
    a, name = entry.attributes, entry.name
    match entry.op:
        case "input":
            return ir.Input(name, inputs, a["shape"])
        case "conv":
            return ir.Conv(
                name, inputs, _weight(entry, values), a["bits"], a["stride"], a["padding"], a["groups"], grid_of(entry)
            )
        case "linear":
            return ir.Linear(name, inputs, _weight(entry, values), a["bits"], grid_of(entry))
        case "affine":
            multiplier, shift, offset = values
            return ir.Affine(name, inputs, multiplier.astype(np.int32), shift.astype(np.uint8), offset.astype(np.int32))
        case "lif":
            membrane = None if a["membrane"] is None else ir.Membrane(*a["membrane"])
            return ir.Lif(name, inputs, a["leak"], a["gain"], a["leak_bits"], a["threshold"], a["reset"], membrane)
        case "maxpool":
            return ir.MaxPool(name, inputs, a["kernel"], a["stride"], a["padding"])
        case "sumpool":
            return ir.SumPool(name, inputs, a["kernel"])
        case "channelmap":
            return ir.ChannelMap(name, inputs, values[0].astype(np.int16), a["stride"])
    return ir.OPERATIONS[entry.op](name, inputs)


def _weight(entry: Entry, values: Sequence[NDArray[Any]]) -> Codes:
    try:
        flat = unpack(values[0], codes(entry), entry.attributes["bits"], grid_of(entry))
    except ArtifactError as error:
        raise ArtifactError(f"{entry}: weight: {error}") from None
    return flat.reshape(entry.attributes["shape"])
