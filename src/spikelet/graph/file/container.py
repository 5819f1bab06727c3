"""The safetensors container: 8 bytes of length, a JSON header, the tensors' bytes.

    u64 little-endian N | N bytes of JSON, padded with spaces to a multiple of 8 | tensor bytes

The header holds one metadata entry, "spikelet", and at most one tensor of each of the names below,
in this order, without gaps; the names are in the order in which the safetensors library sorts them. The
library reads such a file; this reader accepts no other safetensors file.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, BinaryIO

from spikelet.base.errors import ArtifactError
from spikelet.base.stand_in import LONGEST
from spikelet.base.strict_json import fields, integers, shown, strict, string
from spikelet.graph.file.lookalikes import WEIGHTS, looks_like

MAX_HEADER_BYTES = 2**20
MAX_TENSOR_BYTES = 2**31 - 1
TENSORS: dict[str, str] = {
    "multiplier.i32": "I32",
    "offset.i32": "I32",
    "value.i32": "I32",
    "multiplier.i16": "I16",
    "offset.i16": "I16",
    "source": "I16",
    "value.i16": "I16",
    "document": "U8",
    "shift": "U8",
    "weight": "U8",
}
ITEM_BYTES = {"I32": 4, "I16": 2, "U8": 1}
Places = dict[str, tuple[int, int]]


@dataclasses.dataclass(frozen=True)
class Container:
    """What a file holds: its header as read, the metadata string, each tensor's bytes, all tensors' bytes."""

    header: bytes
    text: str
    tensors: Mapping[str, memoryview]
    body: memoryview


def header_of(metadata: str, sizes: Mapping[str, int]) -> bytes:
    """The bytes before the tensors.

    Args:
        metadata: the string under "spikelet".
        sizes: elements of each tensor, in the order of `TENSORS`; empty ones are left out.
    Raises:
        ArtifactError: the header passes 1 MiB, or the tensors 2 GiB.
    """
    entries: dict[str, Any] = {"__metadata__": {"spikelet": metadata}}
    end = 0
    for name, size in sizes.items():
        begin, end = end, end + size * ITEM_BYTES[TENSORS[name]]
        if size:
            entries[name] = {"dtype": TENSORS[name], "shape": [size], "data_offsets": [begin, end]}
    if end > MAX_TENSOR_BYTES:
        raise ArtifactError(f"tensors: take {end} bytes, files of up to {MAX_TENSOR_BYTES} are supported.")
    # unlike `canonical`, keys stay in the order of the tensors, as the safetensors library writes them
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False)
    header = text.encode("utf-8")
    header += b" " * (-len(header) % 8)
    if len(header) > MAX_HEADER_BYTES:
        raise ArtifactError(
            f"header: takes {len(header)} bytes, at most {MAX_HEADER_BYTES} are allowed. Shorten meta, labels or names."
        )
    return len(header).to_bytes(8, "little") + header


def split(data: bytes) -> Container:
    """A file's parts, checked against the file's length; no tensor is copied.

    Raises:
        ArtifactError: names the part that is wrong.
    """
    length = header_length(data[:LONGEST], len(data))
    header, body = data[: 8 + length], memoryview(data)[8 + length :]
    text, places = _parts(header, len(body))
    return Container(header, text, {name: body[first:last] for name, (first, last) in places.items()}, body)


def require_header(file: BinaryIO, size: int) -> None:
    """Reads the beginning of a file of `size` bytes, and no more than its header.

    Raises:
        ArtifactError: it is no packed file, or its tensors don't fill it.
    """
    head = file.read(LONGEST)
    length = header_length(head, size)
    _parts((head + file.read(max(8 + length - len(head), 0)))[: 8 + length], size - 8 - length)


def header_length(head: bytes, size: int) -> int:
    """Bytes of the header of a file of `size` bytes that begins with `head`.

    Raises:
        ArtifactError: it has no header that could be ours; says what it looks like.
    """
    length = int.from_bytes(head[:8], "little")
    if size >= 8 and length <= MAX_HEADER_BYTES and 8 + length <= size and head[8:9] == b"{":
        return length
    what = looks_like(head)
    if what is not None:
        raise ArtifactError(f"this is no packed file of spikelet; it looks like {what}.")
    if size < 8:
        raise ArtifactError(f"file: has {size} bytes, fewer than the 8 of the header's length.")
    if length > MAX_HEADER_BYTES:
        raise ArtifactError(f"header: is said to take {length} bytes, at most {MAX_HEADER_BYTES} are allowed.")
    if 8 + length > size:
        raise ArtifactError(f"header: is said to take {length} bytes, the file has {size - 8} after its length.")
    first = head[8 : 8 + min(length, 1)]
    raise ArtifactError(f"header: must start with '{{', got {first!r}. Is it a safetensors file?")


def _parts(header: bytes, body_size: int) -> tuple[str, Places]:
    """The metadata's string, and from where to where each tensor lies in a body of `body_size` bytes."""
    entries = _entries(header[8:])
    metadata = entries.pop("__metadata__", None)
    if not (isinstance(metadata, dict) and "spikelet" in metadata) and entries.keys() - TENSORS.keys():
        raise ArtifactError(f"this is no packed file of spikelet; it looks like {WEIGHTS}.")
    text = string(fields(metadata, {"spikelet"}, "__metadata__")["spikelet"], "__metadata__.spikelet")
    return text, _places(entries, body_size)


def _entries(header: bytes) -> dict[str, Any]:
    try:
        text = header.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"header: is not UTF-8 ({error.reason} at byte {error.start}).") from None
    entries = strict(text, "header")
    if not isinstance(entries, dict):
        raise ArtifactError(f"header: must be an object, got {shown(entries)}.")
    return entries


def _places(entries: dict[str, Any], body_size: int) -> Places:
    places: Places = {}
    end = 0
    for name, entry in entries.items():
        if name not in TENSORS:
            raise ArtifactError(f"tensor {shown(name)}: unknown; known are {', '.join(TENSORS)}.")
        fields(entry, {"dtype", "shape", "data_offsets"}, f"tensor {name}")
        if entry["dtype"] != TENSORS[name]:
            raise ArtifactError(f"tensor {name}: dtype must be {TENSORS[name]}, got {shown(entry['dtype'])}.")
        shape = integers(entry["shape"], f"tensor {name}: shape", (1, 1), low=1)
        first, last = integers(entry["data_offsets"], f"tensor {name}: data_offsets", (2, 2))
        if first != end:
            raise ArtifactError(f"tensor {name}: must begin at byte {end}, where the one before ends, got {first}.")
        if last - first != math.prod(shape) * ITEM_BYTES[entry["dtype"]]:
            raise ArtifactError(
                f"tensor {name}: {shape[0]} elements of {entry['dtype']} take "
                f"{shape[0] * ITEM_BYTES[entry['dtype']]} bytes, data_offsets give {last - first}."
            )
        places[name], end = (first, last), last
    if end != body_size:
        raise ArtifactError(f"file: its tensors take {end} bytes, {body_size} follow the header.")
    return places
