"""Files of format 4, which says what format 3 says with its document compressed; and that files of format 3 load."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from spikelet.base.errors import ArtifactError, GraphError, SpikeletError
from spikelet.graph import ir
from spikelet.graph.file.artifact import dumps, load, loads
from spikelet.graph.file.deflate import deflate
from spikelet.graph.file.document import nodes_to_json
from tests.artifact_parts import (
    FileParts,
    assert_same_graph,
    compact,
    deflated,
    from_text,
    small_graph,
    two_output_graph,
    with_checksum,
)
from tests.format_3_graph import format_3_graph
from tests.wide_graphs import wide_graph

GOLDEN = Path(__file__).parents[1] / "golden"
DATA = dumps(two_output_graph())
Change = Callable[[FileParts], bytes]


def inner(parts: FileParts) -> str:
    """The text that the tensor holds."""
    return compact({k: v for k, v in parts.document.items() if k != "format"}, sort_keys=True)


def text(old: str, new: str) -> Change:
    """Replaces text of the document, and compresses it as a file has it."""

    def change(parts: FileParts) -> bytes:
        assert inner(parts).count(old) == 1, inner(parts).count(old)
        return parts.around(deflate(inner(parts).replace(old, new).encode()))

    return change


def stream(data: bytes) -> Change:
    """Another stream in the tensor."""
    return lambda parts: parts.around(data)


def nodes(value: list) -> Change:
    """Another list of nodes."""

    def change(parts: FileParts) -> bytes:
        parts.document["nodes"] = value
        return parts.bytes()

    return change


def head(value: str) -> Change:
    """Another document in the header."""
    return lambda parts: from_text(with_checksum(value, parts.body), parts.tensors, parts.body)


def in_the_header(version: int) -> Change:
    """The whole document in the header, and in the tensor too."""
    return lambda parts: head(compact(parts.document | {"format": version}, sort_keys=True))(parts)


def without_tensor(parts: FileParts) -> bytes:
    """The document's tensor left out, well declared."""
    span = parts.tensor("document")
    del parts.tensors["document"]
    for entry in parts.tensors.values():
        entry["data_offsets"] = [p - (span.stop - span.start) * (p > span.start) for p in entry["data_offsets"]]
    parts.body = parts.body[: span.start] + parts.body[span.stop :]
    return head('{"format":4}')(parts)


# --- what a file is ---------------------------------------------------------------------------------


def test_a_file_is_laid_out_as_the_specification_says() -> None:
    length = int.from_bytes(DATA[:8], "little")
    header = json.loads(DATA[8 : 8 + length])
    assert list(header) == [
        "__metadata__", "multiplier.i32", "offset.i32", "multiplier.i16", "offset.i16", "document", "shift", "weight",
    ]  # fmt: skip
    assert json.loads(header["__metadata__"]["spikelet"]).keys() == {"checksum", "format"}
    first, last = header["document"]["data_offsets"]
    written = zlib.decompress(DATA[8 + length + first : 8 + length + last], -zlib.MAX_WBITS).decode()
    assert list(json.loads(written)) == ["labels", "meta", "nodes", "outputs", "time_steps"]
    assert written == inner(FileParts.of(DATA))
    assert FileParts.of(DATA).around(deflate(written.encode())) == DATA


def test_its_nodes_are_those_of_format_3() -> None:
    golden = FileParts.of((GOLDEN / "every_operation_v3.safetensors").read_bytes())
    packed = FileParts.of((GOLDEN / "every_operation_v4.safetensors").read_bytes())
    assert packed.document == golden.document | {"format": 4}
    span = packed.tensor("document")
    assert packed.body[: span.start] + packed.body[span.stop :] == golden.body


def test_the_safetensors_library_writes_it_back_byte_for_byte() -> None:
    from safetensors import numpy as safetensors_numpy

    header = json.loads(DATA[8 : 8 + int.from_bytes(DATA[:8], "little")])
    assert safetensors_numpy.save(safetensors_numpy.load(DATA), metadata=header["__metadata__"]) == DATA


@pytest.mark.parametrize("seed", range(10))
def test_a_file_of_zlibs_compressor_means_the_same_and_is_refused(seed: int) -> None:
    data = dumps(wide_graph(seed))
    assert FileParts.of(data).document["format"] == 4
    other = FileParts.of(data).bytes()
    assert other != data
    with pytest.raises(ArtifactError, match="header: is not the one canonical text"):
        loads(other)


# --- the older form -----------------------------------------------------------------------------------


def test_a_file_of_format_3_loads_and_is_written_anew_in_format_4() -> None:
    old, new = (GOLDEN / f"every_operation_v{version}.safetensors" for version in (3, 4))
    assert_same_graph(load(old), load(new))
    assert dumps(load(old)) == new.read_bytes()
    assert len(new.read_bytes()) < len(old.read_bytes()) / 2


def of_format(graph: ir.IntGraph, version: int) -> bytes:
    """A file of format 3 or 4 of a graph whose arrays are the same in format 1, from the specification."""
    parts = FileParts.of(dumps(graph))
    nodes = json.loads(json.dumps(nodes_to_json(graph.nodes, 3)))
    del parts.document["logit_scale"]
    parts.document |= {"format": version, "nodes": nodes, "outputs": [[len(nodes) - 1, graph.logit_scale.hex()]]}
    if version < 4:
        return parts.bytes()
    at = parts.tensor("shift").start
    parts.body = parts.body[:at] + b"?" + parts.body[at:]
    for name in ("shift", "weight"):
        entry = parts.tensors.pop(name)
        parts.tensors.setdefault("document", {"dtype": "U8", "shape": [1], "data_offsets": [at, at + 1]})
        parts.tensors[name] = entry | {"data_offsets": [p + 1 for p in entry["data_offsets"]]}
    return parts.around(deflate(inner(parts).encode()))


@pytest.mark.parametrize("version", [3, 4])
def test_a_graph_of_format_1_has_no_file_of_a_higher_one(version: int) -> None:
    with pytest.raises(ArtifactError, match="header: is not the one canonical text of its graph"):
        loads(of_format(small_graph(), version))


def test_a_file_of_format_3_has_one_spelling() -> None:
    parts = FileParts.of((GOLDEN / "every_operation_v3.safetensors").read_bytes())
    assert_same_graph(loads(parts.bytes()), format_3_graph())
    written = compact(parts.document, sort_keys=True).replace('"format":3,', '"format": 3,')
    with pytest.raises(ArtifactError, match="header: is not the one canonical text of its graph"):
        loads(from_text(with_checksum(written, parts.body), parts.tensors, parts.body))


# --- attacks ------------------------------------------------------------------------------------------


BROKEN: dict[str, tuple[Change, str]] = {
    "a stream that is none": (stream(b"\xff" * 20), r"document: is not DEFLATE"),
    "a stream that is text": (stream(b'{"labels":[]}'), r"document: (is not DEFLATE|ends too early)"),
    "a stream cut short": (lambda p: p.around(deflate(inner(p).encode())[:-1]), "document: ends too early"),
    "a byte after the stream": (
        lambda p: p.around(deflate(inner(p).encode()) + b"\0"),
        "document: has bytes after its end",
    ),
    "one byte above 1 MiB": (stream(deflated(" " * (2**20 + 1))), "document: takes more than the 1048576 bytes"),
    "32 MiB of spaces": (stream(deflated(" " * 2**25)), "document: takes more than the 1048576 bytes"),
    "empty blocks without end": (
        stream(b"\0\0\0\xff\xff" * 450_000),
        "document: takes 2250000 bytes, for 1048576 at most",
    ),
    "a document that is not UTF-8": (stream(deflate(b"\xff\xfe")), "document: is not UTF-8"),
    "an empty document": (stream(deflate(b"")), "document: not valid JSON"),
    "a document that is no JSON": (stream(deflate(b"model")), "document: not valid JSON"),
    "a document that is a list": (stream(deflate(b"[]")), r"document: must be an object, got \[\]"),
    "arrays nested 100,000 deep": (stream(deflated("[" * 100_000)), "document: not valid JSON"),
    "a field twice": (text('"time_steps":3', '"time_steps":3,"time_steps":3'), "'time_steps' appears twice"),
    "a fraction": (text('"time_steps":3', '"time_steps":3.0'), "document: numbers must be integers, got 3.0"),
    "a missing field": (text(',"time_steps":3', ""), "document: the field 'time_steps' is missing"),
    "its format in the tensor too": (text('"labels"', '"format":4,"labels"'), "document: unknown field 'format'"),
    "a checksum in the tensor": (text('"labels"', '"checksum":"","labels"'), "document: unknown field 'checksum'"),
    "spaces in the document": (text('"time_steps":3', '"time_steps": 3'), "header: is not the one canonical text"),
    "an escape in the document": (text('"cat"', '"c\\u0061t"'), "header: is not the one canonical text"),
    "half a character": (text('"cat"', '"\\ud800"'), r"labels\[0\]: must be valid Unicode"),
    "keys in another order": (
        text('{"labels":["cat","Übung"],"meta":{"seed":"0"}', '{"meta":{"seed":"0"},"labels":["cat","Übung"]'),
        "header: is not the one canonical text",
    ),
    "4097 nodes": (nodes([["flatten f"]] * 4097), "nodes: must be a list of 1 to 4096 nodes"),
    "an input of 10^9 x 10^9": (text("[2,4,4]", f"[2,{10**9},{10**9}]"), "nodes: need up to .* max_bytes allows"),
    "an unknown attribute": (text('"leak":128', '"leaks":128'), r"\(lif 's1'\): unknown attribute 'leaks'"),
    "an output that is not there": (text("[[12,", "[[13,"), r"outputs\[0\]: position: must be an integer from 0 to 12"),
    "another field in the header": (head('{"format":4,"meta":{}}'), "spikelet: unknown field 'meta'"),
    "its document in the header": (in_the_header(4), "spikelet: unknown field 'labels'"),
    "format 3 and a tensor": (in_the_header(3), "tensor document: must be there in format 4 alone, this is format 3"),
    "no tensor": (without_tensor, "tensor document: must be there in format 4 alone, this is format 4"),
    "a checksum of something else": (
        lambda p: from_text(with_checksum('{"format":4}', b""), p.tensors, p.body),
        "checksum: the file says .* The file is damaged",
    ),
    "a format of its own": (head('{"format":5}'), "spikelet: the field 'labels' is missing"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_is_refused_that_has(case: str) -> None:
    change, message = BROKEN[case]
    data = change(FileParts.of(DATA))
    assert data != DATA
    with pytest.raises((ArtifactError, GraphError), match=message):
        loads(data)


def test_a_bomb_is_refused_before_it_takes_memory() -> None:
    data = BROKEN["32 MiB of spaces"][0](FileParts.of(DATA))
    tracemalloc.start()
    with pytest.raises(ArtifactError, match="document: takes more than"):
        loads(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


def test_a_file_cut_at_any_byte_is_refused() -> None:
    for length in range(len(DATA)):
        with pytest.raises(ArtifactError):
            loads(DATA[:length])


def test_any_flipped_bit_is_noticed() -> None:
    assert len(DATA) < 1500
    survivors = []
    for i in range(8 * len(DATA)):
        data = bytearray(DATA)
        data[i // 8] ^= 1 << i % 8
        try:
            loads(bytes(data))
        except SpikeletError:
            continue
        survivors.append(i)
    assert survivors == []


def test_any_byte_of_the_stream_is_checked_even_where_the_checksum_agrees() -> None:
    """Whoever can write a file can write its checksum: what loads is then a whole, other graph."""
    parts = FileParts.of(DATA)
    good = parts.body[parts.tensor("document")]
    for i in range(len(good)):
        data = parts.around(good[:i] + bytes([good[i] ^ 1 << i % 8]) + good[i + 1 :])
        try:
            graph = loads(data)
        except SpikeletError:
            continue
        assert dumps(graph) == data


def test_words_that_pass_1_mib_are_refused_by_name() -> None:
    graph = dataclasses.replace(two_output_graph(), meta={"log": "x" * 2**20})
    with pytest.raises(ArtifactError, match=r"document: takes \d+ bytes, at most 1048576 are allowed\. Shorten meta"):
        dumps(graph)
