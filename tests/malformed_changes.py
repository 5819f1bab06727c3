"""Ways to damage a model file: each takes its parts, changes them in place or returns a whole file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spikelet.graph.file.artifact import dumps
from tests.artifact_parts import FileParts, compact, from_header, from_text, small_graph, with_checksum

DATA = dumps(small_graph())
Change = Callable[[FileParts], "bytes | None"]


def changed(change: Change) -> bytes:
    """The valid file after `change`, which alters the parts in place or returns a whole file."""
    parts = FileParts.of(DATA)
    made = change(parts)
    return parts.bytes() if made is None else made


def header(parts: FileParts) -> dict[str, Any]:
    """The header as an object."""
    return {"__metadata__": {"spikelet": parts.text()}, **parts.tensors}


def header_text(old: str, new: str) -> Change:
    """Replaces text in the header outside the document."""

    def change(parts: FileParts) -> bytes:
        text = compact(header(parts))
        assert text.count(old) == 1, text.count(old)
        return from_header(text.replace(old, new).encode(), parts.body)

    return change


def document_text(old: str, new: str) -> Change:
    """Replaces text in the document and makes the checksum right."""

    def change(parts: FileParts) -> bytes:
        text = compact(parts.document, sort_keys=True)
        assert text.count(old) == 1, text.count(old)
        return from_text(with_checksum(text.replace(old, new), parts.body), parts.tensors, parts.body)

    return change


def field(name: str, value: Any) -> Change:
    """Sets a field of the document."""
    return lambda parts: parts.document.__setitem__(name, value)


def without(name: str) -> Change:
    """Removes a field of the document."""
    return lambda parts: parts.document.__delitem__(name)


def node(name: str, **attributes: Any) -> Change:
    """Sets attributes of a node."""
    return lambda parts: parts.node(name).update(attributes)


def item(position: int, value: Any) -> Change:
    """Replaces an item of the node list."""
    return lambda parts: parts.document["nodes"].__setitem__(position, value)


def tensor(name: str, **entries: Any) -> Change:
    """Sets entries of a tensor's header."""
    return lambda parts: parts.tensors[name].update(entries)


def weight_byte(position: int, value: int) -> Change:
    """Sets a byte of the tensor "weight"."""
    return lambda parts: parts.change_byte(parts.tensor("weight").start + position, value)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def grow(parts: FileParts) -> None:
    """One more byte of weight than the nodes need, well declared."""
    span = parts.tensor("weight")
    parts.tensors["weight"] |= {"shape": [span.stop - span.start + 1], "data_offsets": [span.start, span.stop + 1]}
    parts.body += b"\0"


def drop_first_tensor(parts: FileParts) -> None:
    """The file without its first tensor, well declared."""
    _, size = parts.tensors.pop("multiplier.i32")["data_offsets"]
    for entry in parts.tensors.values():
        entry["data_offsets"] = [v - size for v in entry["data_offsets"]]
    parts.body = parts.body[size:]


def swap_tensors(parts: FileParts) -> None:
    """The two 3-element I32 tensors change places, well declared."""
    names = list(parts.tensors)
    first, second = parts.tensors["multiplier.i32"], parts.tensors["offset.i32"]
    first["data_offsets"], second["data_offsets"] = second["data_offsets"], first["data_offsets"]
    parts.tensors = {n: parts.tensors[n] for n in (names[1], names[0], *names[2:])}
    parts.body = parts.body[12:24] + parts.body[:12] + parts.body[24:]


def top_offset(parts: FileParts) -> None:
    """The second offset of `b1` becomes 2^31 - 1."""
    first = parts.tensor("offset.i32").start + 4
    parts.body = parts.body[:first] + b"\xff\xff\xff\x7f" + parts.body[first + 4 :]


def widen_offsets(parts: FileParts) -> None:
    """Offsets of `b2`, which fit 16 bits, stored with 32."""
    parts.node("b2")["bits"] = [32, 32]
    narrow = parts.tensor("offset.i16")
    values = parts.body[narrow]
    wide = b"".join(
        int.from_bytes(values[i : i + 2], "little", signed=True).to_bytes(4, "little", signed=True) for i in (0, 2, 4)
    )
    parts.body = parts.body[:24] + wide + parts.body[24 : narrow.start] + parts.body[narrow.stop :]
    del parts.tensors["offset.i16"]
    parts.tensors["offset.i32"] |= {"shape": [6], "data_offsets": [12, 36]}
    end = 36
    for name in ("multiplier.i16", "shift", "weight"):
        first, last = parts.tensors[name]["data_offsets"]
        parts.tensors[name]["data_offsets"] = [end, end + last - first]
        end += last - first
