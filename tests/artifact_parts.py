"""A model file taken apart and put together again, to damage one part and leave the rest right.

Written from docs/spec/artifact.md alone: it shares no code with spikelet.graph.file.artifact.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zlib
from typing import Any

import numpy as np

from spikelet.graph import ir
from tests.nodes import conv, linear


@dataclasses.dataclass
class FileParts:
    """A file's parts. document: the JSON without its checksum; tensors: header entries by name, in order; body: what
    follows the header. In format 4 the document is in both: as it is, and in the body, where `bytes` replaces it."""

    document: dict[str, Any]
    tensors: dict[str, Any]
    body: bytes

    @classmethod
    def of(cls, data: bytes) -> FileParts:
        """The parts of a valid file."""
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        document = json.loads(header.pop("__metadata__")["spikelet"])
        del document["checksum"]
        parts = cls(document, header, data[8 + length :])
        if document["format"] == 4:
            document |= json.loads(zlib.decompress(parts.body[parts.tensor("document")], -zlib.MAX_WBITS))
        return parts

    def bytes(self) -> bytes:
        """The file with a right checksum and a right header length; in format 4 compressed by zlib, which is right but
        not canonical."""
        if self.document.get("format") == 4:
            inner = {name: value for name, value in self.document.items() if name != "format"}
            return self.around(deflated(compact(inner, sort_keys=True)))
        return from_text(self.text(), self.tensors, self.body)

    def around(self, stream: bytes) -> bytes:
        """The file of format 4 whose document's tensor holds `stream`, with right offsets and a right checksum."""
        span = self.tensor("document")
        body = self.body[: span.start] + stream + self.body[span.stop :]
        by = len(stream) - (span.stop - span.start)
        tensors = json.loads(json.dumps(self.tensors))
        tensors["document"]["shape"] = [len(stream)]
        for entry in tensors.values():
            entry["data_offsets"] = [p + by if p >= span.stop else p for p in entry["data_offsets"]]
        return from_text(with_checksum('{"format":4}', body), tensors, body)

    def text(self) -> str:
        """The document with its checksum."""
        return with_checksum(compact(self.document, sort_keys=True), self.body)

    def node(self, name: str) -> dict[str, Any]:
        """The attributes that the node `name` states; to be changed in place."""
        for node in self.document["nodes"]:
            if node[0].split(" ", 1)[1] == name:
                if len(node) == 1:
                    node.append({})
                return node[1]
        raise KeyError(name)

    def tensor(self, name: str) -> slice:
        """Where the tensor `name` lies in the body."""
        return slice(*self.tensors[name]["data_offsets"])

    def change_byte(self, position: int, value: int) -> None:
        """Sets one byte of the body."""
        self.body = self.body[:position] + bytes([value]) + self.body[position + 1 :]


def compact(value: Any, sort_keys: bool = False) -> str:
    """JSON without spaces."""
    return json.dumps(value, sort_keys=sort_keys, separators=(",", ":"), ensure_ascii=False)


def deflated(text: str) -> bytes:
    """DEFLATE of a text, by zlib."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return stream.compress(text.encode("utf-8", "surrogatepass")) + stream.flush()


def with_checksum(text: str, body: bytes) -> str:
    """A document's text with the checksum of body and text as its first entry."""
    digest = hashlib.sha256(body + text.encode("utf-8", "surrogatepass")).hexdigest()
    return f'{{"checksum":"{digest}",{text[1:]}'


def from_text(text: str, tensors: Any, body: bytes) -> bytes:
    """A file of a document's text."""
    return from_header(compact({"__metadata__": {"spikelet": text}, **tensors}).encode("utf-8", "surrogatepass"), body)


def from_header(header: bytes, body: bytes) -> bytes:
    """A file of a header's bytes, padded."""
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + body


def small_graph() -> ir.IntGraph:
    """Every operation of format 1 once or twice, in a file below 2 kB; padding bits, 16 and 32-bit constants, ties,
    halves."""
    rng = np.random.default_rng(7)
    w1 = rng.choice([-1, 1], (3, 2, 3, 3)).astype(np.int8)
    w2 = np.array([1, 0, -1], np.int8).reshape(3, 1, 1, 1)
    w3 = rng.integers(-127, 128, (2, 12)).astype(np.int8)
    b1 = (np.array([3, -2, 1], np.int32), np.array([1, 2, 0], np.uint8), np.array([-5, 70000, 9], np.int32))
    b2 = (np.array([40000, 7, -1], np.int32), np.array([9, 1, 0], np.uint8), np.array([1, 0, -1], np.int32))
    return ir.IntGraph.of_logits(
        nodes=(
            ir.Input("x", (), (2, 4, 4)),
            conv("c1", ("x",), w1, 1, (1, 1), (1, 1), 1),
            ir.Affine("b1", ("c1",), *b1),
            ir.Lif("s1", ("b1",), 128, 256, 8, 900, "hard", ir.Membrane(2, 9)),
            conv("c2", ("s1",), w2, 2, (1, 1), (0, 0), 3),
            ir.Affine("b2", ("c2",), *b2),
            ir.Lif("s2", ("b2",), 1, 1, 1, 2, "soft", None),
            ir.Add("sum", ("s1", "s2")),
            ir.MaxPool("max", ("sum",), 3, 2, 1),
            ir.SumPool("pool", ("max",), 1),
            ir.Flatten("flat", ("pool",)),
            linear("fc", ("flat",), w3, 8),
            ir.SumTime("logits", ("fc",)),
        ),
        time_steps=3,
        logit_scale=0.0078125,
        labels=("cat", "Übung"),
        meta={"seed": "0"},
    )


def two_output_graph() -> ir.IntGraph:
    """`small_graph` with its second neuron's spikes as another output: format 4, in a file below 2 kB."""
    return dataclasses.replace(small_graph(), outputs=(ir.Output("logits", 0.0078125), ir.Output("s2", 1.0)))


def odd_graph() -> ir.IntGraph:
    """What format 2 adds: odd codes of 2, 5 and 8 bits beside symmetric ones of 2, a reset by a number, and two channel
    maps."""
    rng = np.random.default_rng(8)
    w1 = (2 * rng.integers(0, 256, (3, 2, 3, 3)) - 255).astype(np.int16)
    w2 = (2 * rng.integers(0, 4, (5, 3, 1, 1)) - 3).astype(np.int8)
    w3 = np.array([1, 0, -1, 1, -1], np.int8).reshape(5, 1, 1, 1)
    fc = (2 * rng.integers(0, 32, (2, 20)) - 31).astype(np.int8)
    b1 = (np.array([1, 3, -1], np.int32), np.array([3, 4, 3], np.uint8), np.array([0, 5, 800], np.int32))
    lif = {"leak": 128, "gain": 256, "leak_bits": 8, "membrane": None}
    return ir.IntGraph.of_logits(
        nodes=(
            ir.Input("x", (), (2, 4, 4)),
            conv("c1", ("x",), w1, 8, (1, 1), (1, 1), 1, "odd"),
            ir.Affine("b1", ("c1",), *b1),
            ir.Lif("s1", ("b1",), threshold=700, reset="hard", **lif),  # type: ignore[arg-type]
            conv("c2", ("s1",), w2, 2, (2, 2), (0, 0), 1, "odd"),
            ir.ChannelMap("m1", ("s1",), np.array([-1, 0, 1, 2, -1], np.int16), 2),
            ir.Add("sum", ("c2", "m1")),
            ir.Lif("s2", ("sum",), threshold=2, reset=3, **lif),  # type: ignore[arg-type]
            conv("c3", ("s2",), w3, 2, (1, 1), (0, 0), 5),
            ir.ChannelMap("m2", ("c3",), np.array([4, 4, 0, -1, 2], np.int16), 1),
            ir.Flatten("flat", ("m2",)),
            linear("fc", ("flat",), fc, 5, "odd"),
            ir.SumTime("logits", ("fc",)),
        ),
        time_steps=3,
        logit_scale=0.0078125,
    )


def assert_same_graph(a: ir.IntGraph, b: ir.IntGraph) -> None:
    """Every field of every node, arrays with their dtypes."""
    assert (a.time_steps, a.logit_scale, a.labels, dict(a.meta)) == (
        b.time_steps,
        b.logit_scale,
        b.labels,
        dict(b.meta),
    )
    assert [type(n) for n in a.nodes] == [type(n) for n in b.nodes]
    for m, n in zip(a.nodes, b.nodes, strict=True):
        for field in dataclasses.fields(m):
            u, v = getattr(m, field.name), getattr(n, field.name)
            if isinstance(u, np.ndarray):
                assert u.dtype == v.dtype, (m.name, field.name)
                np.testing.assert_array_equal(u, v, f"{m.name}.{field.name}")
            elif isinstance(u, ir.Membrane):
                assert (u.bits, u.shift) == (v.bits, v.shift)
            else:
                assert u == v, (m.name, field.name)
