"""The packed model file: an IntGraph as one deterministic safetensors file (docs/spec/artifact.md).

    save(graph, path)      load(path) -> IntGraph          dumps(graph) -> bytes      loads(bytes) -> IntGraph

One graph has one file: the same bytes on every machine, and a file loads only if it is, byte for byte, what `dumps`
of its graph gives, or gave before format 4 took the place of format 3. Loading trusts nothing: sizes before memory,
the checksum, every field, then `analysis.analyse` anew. It runs no code from the file and returns a whole graph or
raises.
"""

from __future__ import annotations

import contextlib
import hashlib
import operator
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import ArtifactError, IsAFolder, SpikeletError
from spikelet.base.files import atomic_write
from spikelet.base.paths import path_of
from spikelet.base.strict_json import fields, integer, shown, strict, string
from spikelet.base.whole import whole
from spikelet.graph.analysis import MAX_OUTPUTS, analyse
from spikelet.graph.file.container import (
    ITEM_BYTES,
    MAX_HEADER_BYTES,
    MAX_TENSOR_BYTES,
    TENSORS,
    Container,
    header_of,
    require_header,
    split,
)
from spikelet.graph.file.document import (
    FULL,
    LATEST,
    Entry,
    Operations,
    arrays_of,
    entries_of,
    filled_nodes,
    hollow_nodes,
    nodes_to_json,
    tensor_bytes,
)
from spikelet.graph.file.format import format_of
from spikelet.graph.file.limits import footprint, memory_for, operations, operations_for
from spikelet.graph.file.packed import DOCUMENT, packed, unpacked
from spikelet.graph.graph import IntGraph, Output
from spikelet.graph.ops import OPERATIONS
from spikelet.graph.ops.operation import Operation

FORMATS = (1, 2, 3, 4)  # that are read; `format_of` says which is written
MAX_FILE_BYTES = 8 + MAX_HEADER_BYTES + MAX_TENSOR_BYTES
_HEAD = {"checksum", "format"}
_FIELDS = {"labels", "meta", "nodes", "time_steps"}
_SCALES = {1: "logit_scale", 2: "logit_scale", 3: "outputs", 4: "outputs"}  # what says the outputs
_CHECKSUM = re.compile(r'\{"checksum":"([0-9a-f]{64})",')
_NUMPY = {"I32": "<i4", "I16": "<i2", "U8": "|u1"}


def save(graph: IntGraph, path: str | os.PathLike[str]) -> None:
    """Writes `graph` to `path`, atomically.

    Example:
        >>> spikelet.save(spikelet.load("qsnn-vgg-s-nmnist"), "copy.safetensors")
        >>> spikelet.load("copy.safetensors").time_steps
        5

    Raises:
        GraphError: the graph has no meaning (nothing is written).
        ArtifactError: it passes a limit of the format (nothing is written).
        OSError: the file can't be written; `path` is what it was before.
    """
    data = dumps(graph)
    with atomic_write(path) as file:
        file.write(data)


def load(
    path: str | os.PathLike[str],
    *,
    max_bytes: int | None = None,
    max_operations: int | None = None,
    known: Operations = OPERATIONS,
) -> IntGraph:
    """The graph in the file `path`.

    Args:
        path: a file of `save`.
        max_bytes: the most memory that the file and the graph may take, each. Unless given, 4 GiB or, if that is more,
            64 times what the file has: more than a network's own weights can need, and no small file may ask for.
        max_operations: the most multiply-accumulates, values and the like that one sample may take, all time steps
            together (docs/spec/artifact.md). Unless given, 2^36, which is four minutes at most on the slowest kernels,
            or 2^16 for each byte of the file.
        known: the operations that the file may hold; with yours, `(*OPERATIONS, Yours)`.
    Raises:
        ArtifactError: not a valid file, too large or too slow; names the field.
        GraphError: a valid file of a graph without meaning; names the node.
        OSError: the file can't be read.
    """
    path_of(path, "path")
    at_most, _ = _limits(max_bytes, max_operations, MAX_FILE_BYTES)
    at_most = MAX_FILE_BYTES if max_bytes is None else at_most
    if Path(os.fsdecode(path)).is_dir():
        raise IsAFolder(
            f"{os.fspath(path)!r} is a folder and no packed file. (spikelet pack DIR --out FILE makes one of a run.)"
        )
    with open(path, "rb", opener=_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ArtifactError(f"path: must be a regular file, got {os.fspath(path)!r}.")
        if status.st_size > at_most:
            raise ArtifactError(
                f"file: has {status.st_size} bytes, max_bytes allows {at_most}. "
                "Pass a larger max_bytes if you trust the file."
            )
        with _naming(path):
            require_header(file, status.st_size)
            file.seek(0)
            data = file.read(status.st_size)
            return loads(data, max_bytes=max_bytes, max_operations=max_operations, known=known)


@contextlib.contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Puts the file's name before every error about what it holds."""
    try:
        yield
    except SpikeletError as error:
        raise type(error)(f"{os.fsdecode(path)}: {error}") from None


def _without_waiting(path: str, flags: int) -> int:
    """Opens a named pipe that nobody writes to, so that it can be refused."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def dumps(graph: IntGraph) -> bytes:
    """The bytes of `graph`'s file. The same graph gives the same bytes everywhere.

    Raises:
        GraphError: the graph has no meaning.
        ArtifactError: it passes a limit of the format.
    """
    version = format_of(graph, analyse(graph))
    text, document = packed(_document(graph, version))
    streams: dict[str, list[bytes]] = {name: [] for name in TENSORS}
    streams[DOCUMENT].append(document)
    for node in graph.nodes:
        for name, values in arrays_of(node, version):
            streams[name].append(values.tobytes())
    tensors = {name: b"".join(chunks) for name, chunks in streams.items()}
    body = b"".join(tensors.values())
    return _header(text, _digest(body, text), {name: len(data) for name, data in tensors.items()}) + body


def loads(
    data: bytes,
    *,
    max_bytes: int | None = None,
    max_operations: int | None = None,
    known: Operations = OPERATIONS,
) -> IntGraph:
    """The graph of a file's bytes; see `load`. `known`: the operations that it may hold."""
    max_bytes, max_operations = _limits(max_bytes, max_operations, len(data))
    file = split(data)
    version, document = _opened(file)
    entries = entries_of(document["nodes"], version, known)
    time_steps = integer(document["time_steps"], "time_steps", 1, 1024)
    _require_at_most(min(max_bytes, MAX_TENSOR_BYTES), tensor_bytes(entries), "need", "bytes of memory", "max_bytes")
    hollow = hollow_nodes(entries)
    _require_at_most(max_bytes, footprint(hollow), "need", "bytes of memory", "max_bytes")
    _require_at_most(max_operations, operations(hollow, time_steps), "take", "operations a sample", "max_operations")
    arrays = {name: content for name, content in file.tensors.items() if name != DOCUMENT}
    graph = IntGraph(
        nodes=_nodes(entries, arrays),
        time_steps=time_steps,
        outputs=_outputs(document[_SCALES[version]], version, [entry.name for entry in entries]),
        labels=_labels(document["labels"]),
        meta=_meta(document["meta"]),
    )
    if not _is_file_of(graph, version, file):
        raise ArtifactError("header: is not the one canonical text of its graph (see docs/spec/artifact.md).")
    return graph


def _limits(max_bytes: object, max_operations: object, size: int) -> tuple[int, int]:
    """The limits as given, or those of a file of `size` bytes."""
    memory = memory_for(size) if max_bytes is None else max_bytes
    work = operations_for(size) if max_operations is None else max_operations
    return whole(memory, "max_bytes", 1, error=ArtifactError), whole(work, "max_operations", 1, error=ArtifactError)


def _require_at_most(limit: int, value: int, verb: str, what: str, name: str) -> None:
    if value > limit:
        raise ArtifactError(
            f"nodes: {verb} up to {value} {what}, {name} allows {limit}. Pass a larger {name} if you trust the file."
        )


# --- the document: all but the arrays -------------------------------------------------------------


def _document(graph: IntGraph, version: int) -> dict[str, Any]:
    """The JSON object without its checksum, in a format that can say `graph`, which `analyse` has accepted."""
    position = {node.name: i for i, node in enumerate(graph.nodes)}
    scales = [float(output.scale).hex() for output in graph.outputs]
    named = [[position[output.node], scale] for output, scale in zip(graph.outputs, scales, strict=True)]
    return {
        "format": version,
        "labels": list(_labels(list(graph.labels))),
        _SCALES[version]: named if version >= FULL else scales[0],
        "meta": _meta(dict(graph.meta)),
        "nodes": nodes_to_json(graph.nodes, version),
        "time_steps": operator.index(graph.time_steps),
    }


def _opened(file: Container) -> tuple[int, dict[str, Any]]:
    """The format of a file, and the fields of its document, whose checksum holds.

    Raises:
        ArtifactError: another version, a field or the document's tensor missing or unknown, or a damaged file.
    """
    stated = strict(file.text, "spikelet")
    version = stated.get("format") if isinstance(stated, dict) else None
    if version not in FORMATS or type(version) is not int:
        fields(stated, _HEAD | _FIELDS | {"logit_scale"}, "spikelet")
        raise ArtifactError(
            f"format: this is version {shown(version)}, this spikelet reads versions {FORMATS[0]} to {FORMATS[-1]}. "
            "Upgrade spikelet, or save the model again."
        )
    names = _FIELDS | {_SCALES[version]}
    fields(stated, _HEAD if version >= LATEST else _HEAD | names, "spikelet")
    if (DOCUMENT in file.tensors) != (version >= LATEST):
        raise ArtifactError(f"tensor {DOCUMENT}: must be there in format {LATEST} alone, this is format {version}.")
    _require_checksum(file)
    return version, fields(unpacked(file.tensors[DOCUMENT]), names, DOCUMENT) if version >= LATEST else stated


def _is_file_of(graph: IntGraph, version: int, file: Container) -> bool:
    """Whether `file` is what `graph` is written as; in format 3, what it was written as before there was a format 4."""
    written = format_of(graph, analyse(graph))
    if version != written and (version, written) != (FULL, LATEST):
        return False
    text, document = packed(_document(graph, version))
    if document != file.tensors.get(DOCUMENT, b""):
        return False
    sizes = {name: len(file.tensors.get(name, b"")) for name in TENSORS}
    return _header(text, _digest(file.body, text), sizes) == file.header


def _outputs(value: Any, version: int, names: Sequence[str]) -> tuple[Output, ...]:
    if version < FULL:
        return (Output(names[-1], _scale(value, "logit_scale")),)
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_OUTPUTS:
        raise ArtifactError(f"outputs: must be a list of 1 to {MAX_OUTPUTS} pairs, got {shown(value)}.")
    outputs = []
    for i, item in enumerate(value):
        if not isinstance(item, list) or len(item) != 2:
            raise ArtifactError(f"outputs[{i}]: must be [position of a node, scale], got {shown(item)}.")
        place = integer(item[0], f"outputs[{i}]: position", 0, len(names) - 1)
        outputs.append(Output(names[place], _scale(item[1], f"outputs[{i}]: scale")))
    return tuple(outputs)


def _labels(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ArtifactError(f"labels: must be a list of strings, got {shown(value)}.")
    return tuple(string(v, f"labels[{i}]") for i, v in enumerate(value))


def _meta(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ArtifactError(f"meta: must be an object of strings, got {shown(value)}.")
    return {string(k, "meta: key"): string(v, f"meta: {shown(k)}") for k, v in value.items()}


def _scale(value: Any, what: str) -> float:
    text = string(value, what)
    try:
        scale = float.fromhex(text)
    except (ValueError, OverflowError):
        raise ArtifactError(f"{what}: must be a hexadecimal float, got {shown(value)}.") from None
    if scale.hex() != text:
        raise ArtifactError(f"{what}: must be written as {scale.hex()!r}, got {shown(value)}.")
    return scale


# --- header and checksum --------------------------------------------------------------------------


def _header(text: str, checksum: str, sizes: Mapping[str, int]) -> bytes:
    """The header of a document `text` without a checksum; "checksum" is the first key in sorted order."""
    elements = {name: size // ITEM_BYTES[TENSORS[name]] for name, size in sizes.items()}
    return header_of(f'{{"checksum":"{checksum}",{text[1:]}', elements)


def _digest(body: bytes | memoryview, text: str) -> str:
    """SHA-256 of the tensors' bytes, then of the document without its checksum."""
    digest = hashlib.sha256(body)
    digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _require_checksum(file: Container) -> None:
    match = _CHECKSUM.match(file.text)
    if match is None:
        raise ArtifactError("checksum: must come first in the document, as 64 hexadecimal digits.")
    found = _digest(file.body, "{" + file.text[match.end() :])
    if found != match[1]:
        raise ArtifactError(f"checksum: the file says {match[1]}, its content gives {found}. The file is damaged.")


# --- arrays ---------------------------------------------------------------------------------------


def _nodes(entries: Sequence[Entry], tensors: Mapping[str, memoryview]) -> tuple[Operation, ...]:
    """Nodes with their arrays, taken from the tensors in order.

    Raises:
        ArtifactError: a tensor is missing, too long or too short, or codes have padding bits set.
    """
    wanted = dict.fromkeys(TENSORS, 0)
    for entry in entries:
        for stream in entry.streams:
            wanted[stream.tensor] += stream.elements
    elements: dict[str, NDArray[Any]] = {}
    for name, count in wanted.items():
        elements[name] = np.frombuffer(tensors.get(name, b""), dtype=_NUMPY[TENSORS[name]])
        if elements[name].size != count:
            raise ArtifactError(f"tensor {name}: the nodes need {count} elements, got {elements[name].size}.")
    return tuple(filled_nodes(entries, elements))
