"""Broken files: each gives one error that names the field, and nothing else happens.

A case is a change to the parts of a valid file; the checksum is made right again afterwards (unless the
checksum is the case), so that every other check has to stand on its own.
"""

from __future__ import annotations

import json
import tracemalloc

import pytest

from spikelet.base.errors import ArtifactError, GraphError, SpikeletError
from spikelet.graph.file.artifact import dumps, loads
from tests.artifact_parts import FileParts, compact, from_header, from_text, with_checksum
from tests.fuzz import fuzz_artifact
from tests.malformed_changes import (
    DATA,
    Change,
    changed,
    document_text,
    field,
    header,
    header_text,
    nested,
    swap_tensors,
    tensor,
    without,
)

CONTAINER: dict[str, tuple[Change, str]] = {
    "an empty file": (lambda p: b"", "file: has 0 bytes, fewer than the 8"),
    "7 bytes": (lambda p: DATA[:7], "file: has 7 bytes, fewer than the 8"),
    "a header of 0 bytes": (lambda p: bytes(8), r"header: must start with '\{', got b''"),
    "a header longer than the file": (
        lambda p: (9000).to_bytes(8, "little") + DATA[8:],
        "header: is said to take 9000",
    ),
    "a header above 1 MiB": (lambda p: (2**20 + 1).to_bytes(8, "little") + bytes(2**20 + 1), "at most 1048576 are"),
    "a header of 2^64 - 1 bytes": (lambda p: b"\xff" * 8 + DATA[8:], "header: is said to take 18446744073709551615"),
    "the wrong magic": (lambda p: b"GGUF\x03\0\0\0" + DATA[8:], "it looks like a GGUF file"),
    "a header that starts with a space": (
        lambda p: from_header(b" " + compact(header(p)).encode(), p.body),
        r"header: must start with '\{', got b' '",
    ),
    "a header that is a list": (lambda p: from_header(b"[]", p.body), r"header: must start with '\{'"),
    "a header that is not UTF-8": (header_text("weight", "\xff\xfe"), "tensor 'ÿþ': unknown"),
    "a byte that is not UTF-8": (
        lambda p: from_header(compact(header(p)).encode().replace(b"weight", b"w\xffight"), p.body),
        "header: is not UTF-8",
    ),
    "an overlong UTF-8 character": (
        lambda p: from_header(compact(header(p)).encode().replace(b"weight", b"w\xc0\xa5ight"), p.body),
        "header: is not UTF-8",
    ),
    "a header that is no JSON": (header_text('"weight":', '"weight"'), "header: not valid JSON"),
    "JSON with something after it": (
        lambda p: from_header(compact(header(p)).encode() + b"{}", p.body),
        r"header: not valid JSON \(Extra data",
    ),
    "a zero byte after the JSON": (
        lambda p: from_header(compact(header(p)).encode() + b"\0", p.body),
        r"header: not valid JSON \(Extra data",
    ),
    "arrays nested 100,000 deep": (
        header_text('"U8","shape":[6]', f'"U8","shape":{nested(100_000)}'),
        "not valid JSON",
    ),
    "NaN in the header": (header_text('"shape":[32]', '"shape":[NaN]'), "header: numbers must be integers, got NaN"),
    "Infinity in the header": (header_text('"shape":[32]', '"shape":[-Infinity]'), "integers, got -Infinity"),
    "a fraction in the header": (header_text('"shape":[32]', '"shape":[32.0]'), "integers, got 32.0"),
    "a number of 5000 digits": (header_text('"shape":[32]', f'"shape":[{"9" * 5000}]'), "header: not valid JSON"),
    "a tensor twice": (
        header_text('"weight":{', '"shift":{"dtype":"U8","shape":[6],"data_offsets":[36,42]},"weight":{'),
        "header: the key 'shift' appears twice",
    ),
    "metadata twice": (
        header_text('{"__metadata__":', '{"__metadata__":{},"__metadata__":'),
        "'__metadata__' appears tw",
    ),
    "a tensor's field twice": (header_text('"shape":[32]', '"shape":[32],"shape":[32]'), "'shape' appears twice"),
    "no metadata": (
        lambda p: from_header(compact(p.tensors).encode(), p.body),
        "__metadata__: must be an object, got N",
    ),
    "metadata that is no object": (
        lambda p: from_header(compact(header(p) | {"__metadata__": "x"}).encode(), p.body),
        "__metadata__: must be an object, got 'x'",
    ),
    "another metadata key": (
        lambda p: from_header(compact(header(p) | {"__metadata__": {"format": "pt"}}).encode(), p.body),
        "__metadata__: the field 'spikelet' is missing",
    ),
    "two metadata keys": (
        lambda p: from_header(
            compact(header(p) | {"__metadata__": {"format": "pt", "spikelet": p.text()}}).encode(), p.body
        ),
        "__metadata__: unknown field 'format'",
    ),
    "metadata that is no string": (
        lambda p: from_header(compact(header(p) | {"__metadata__": {"spikelet": 1}}).encode(), p.body),
        "__metadata__.spikelet: must be a string, got 1",
    ),
    "an unknown tensor": (
        header_text('"weight":', '"weights":'),
        "tensor 'weights': unknown; known are multiplier.i32",
    ),
    "a tensor that is a list": (
        header_text('"shift":{"dtype":"U8","shape":[6],"data_offsets":[36,42]}', '"shift":[]'),
        r"tensor shift: must be an object, got \[\]",
    ),
    "a tensor without dtype": (
        lambda p: p.tensors["weight"].__delitem__("dtype"),
        "tensor weight: the field 'dtype' is m",
    ),
    "a tensor without shape": (
        lambda p: p.tensors["weight"].__delitem__("shape"),
        "tensor weight: the field 'shape' is m",
    ),
    "a tensor without offsets": (
        lambda p: p.tensors["weight"].__delitem__("data_offsets"),
        "tensor weight: the field 'data_offsets' is missing",
    ),
    "a tensor with another field": (tensor("weight", scale=1), "tensor weight: unknown field 'scale'"),
    "another dtype": (tensor("weight", dtype="I8"), "tensor weight: dtype must be U8, got 'I8'"),
    "a dtype that nobody knows": (tensor("offset.i32", dtype="I33"), "tensor offset.i32: dtype must be I32, got 'I33'"),
    "a dimension of -1": (
        tensor("weight", shape=[-1]),
        "tensor weight: shape: must be an integer from 1 to 2147483647",
    ),
    "a dimension of 0": (tensor("weight", shape=[0]), "tensor weight: shape: must be an integer from 1"),
    "a dimension of 2^31": (tensor("weight", shape=[2**31]), "tensor weight: shape: must be an integer from 1"),
    "a dimension of 10^30": (tensor("weight", shape=[10**30]), "tensor weight: shape: must be an integer from 1"),
    "a dimension that is true": (tensor("shift", shape=[True]), "tensor shift: shape: must be an integer .*got True"),
    "rank 7": (tensor("weight", shape=[2, 2, 2, 2, 2, 1, 1]), "tensor weight: shape: must be a list of 1 integers"),
    "rank 0": (tensor("weight", shape=[]), "tensor weight: shape: must be a list of 1 integers, got"),
    "a shape that does not fit the offsets": (
        tensor("weight", shape=[31]),
        "31 elements of U8 take 31 bytes, .* give 32",
    ),
    "a hole between tensors": (
        tensor("weight", data_offsets=[43, 75]),
        "tensor weight: must begin at byte 42, .*got 43",
    ),
    "tensors that overlap": (tensor("weight", data_offsets=[41, 73]), "tensor weight: must begin at byte 42, .*got 41"),
    "offsets that run backwards": (tensor("weight", data_offsets=[42, 10]), "data_offsets give -32"),
    "a negative offset": (tensor("multiplier.i32", data_offsets=[-12, 0]), "data_offsets: must be an integer from 0"),
    "three offsets": (tensor("weight", data_offsets=[42, 50, 74]), "data_offsets: must be a list of 2 integers"),
    "offsets beyond the file": (tensor("weight", shape=[99], data_offsets=[42, 141]), "take 141 bytes, 74 follow"),
    "one byte too few": (lambda p: DATA[:-1], "file: its tensors take 74 bytes, 73 follow the header"),
    "one byte too many": (lambda p: DATA + b"\0", "file: its tensors take 74 bytes, 75 follow the header"),
    "another file behind it": (lambda p: DATA + b"PK\x03\x04", "file: its tensors take 74 bytes, 78 follow the header"),
    "a header that is not padded": (
        lambda p: (
            (len(compact(header(p)).encode() + b" " * 9)).to_bytes(8, "little")
            + compact(header(p)).encode()
            + b" " * 9
            + p.body
        ),
        "header: is not the one canonical text",
    ),
    "spaces in the header": (header_text('"shape":[32]', '"shape": [32]'), "header: is not the one canonical text"),
    "an escape in the header": (header_text('"weight"', '"\\u0077eight"'), "header: is not the one canonical text"),
    "tensors in another order": (swap_tensors, "header: is not the one canonical text"),
}

DOCUMENT: dict[str, tuple[Change, str]] = {
    "a document that is no JSON": (
        lambda p: from_text("model", p.tensors, p.body),
        "spikelet: not valid JSON",
    ),
    "a document that is a list": (
        lambda p: from_text("[]", p.tensors, p.body),
        r"spikelet: must be an object, got \[\]",
    ),
    "a field twice": (document_text('"format":1', '"format":1,"format":1'), "spikelet: the key 'format' appears twice"),
    "an attribute twice": (document_text('"leak":128', '"leak":128,"leak":128'), "the key 'leak' appears twice"),
    "NaN in the document": (document_text('"time_steps":3', '"time_steps":NaN'), "numbers must be integers, got NaN"),
    "a fraction in the document": (document_text('"time_steps":3', '"time_steps":3.5'), "must be integers, got 3.5"),
    "an exponent in the document": (document_text('"time_steps":3', '"time_steps":3e0'), "must be integers, got 3e0"),
    "spaces in the document": (document_text('"format":1,', '"format": 1,'), "header: is not the one canonical text"),
    "an escape in the document": (document_text('"cat"', '"c\\u0061t"'), "header: is not the one canonical text"),
    "keys in another order": (
        document_text('"format":1,"labels":["cat","Übung"]', '"labels":["cat","Übung"],"format":1'),
        "header: is not the one canonical text",
    ),
    "an unknown field": (field("scale", 1), "spikelet: unknown field 'scale'; known are checksum, format, labels"),
    **{
        f"no {name}": (without(name), f"spikelet: the field '{name}' is missing")
        for name in ("format", "labels", "logit_scale", "meta", "nodes", "time_steps")
    },
    "no checksum": (
        lambda p: from_text(compact(p.document, sort_keys=True), p.tensors, p.body),
        "spikelet: the field 'checksum' is missing",
    ),
    "format 0": (field("format", 0), "format: this is version 0, this spikelet reads versions 1 to 4"),
    "format 5": (field("format", 5), "format: this is version 5, .* Upgrade spikelet"),
    "format 4 with its document in the header": (
        document_text('"format":1', '"format":4'),
        "spikelet: unknown field 'labels'; known are checksum, format",
    ),
    "format 3 with a scale of format 1": (field("format", 3), "spikelet: the field 'outputs' is missing"),
    "format -1": (field("format", -1), "format: this is version -1"),
    "format '1'": (field("format", "1"), "format: this is version '1'"),
    "format true": (field("format", True), "format: this is version True"),
    "a checksum of something else": (
        lambda p: from_text(with_checksum(compact(p.document, sort_keys=True), b""), p.tensors, p.body),
        "checksum: the file says .* The file is damaged",
    ),
    "a checksum in capitals": (
        lambda p: from_text('{"checksum":"' + p.text()[13:77].upper() + p.text()[77:], p.tensors, p.body),
        "checksum: must come first in the document, as 64 hexadecimal digits",
    ),
    "a checksum that comes last": (
        lambda p: from_text("{" + p.text()[79:-1] + "," + p.text()[1:78] + "}", p.tensors, p.body),
        "checksum: must come first in the document",
    ),
    "a checksum of 8 digits": (
        lambda p: from_text('{"checksum":"01234567"' + p.text()[78:], p.tensors, p.body),
        "checksum: must come first in the document, as 64",
    ),
    "a weight bit flipped": (
        lambda p: from_text(p.text(), p.tensors, p.body[:-1] + bytes([p.body[-1] ^ 1])),
        "checksum: the file says",
    ),
    "a scale of NaN": (field("logit_scale", "nan"), "logit_scale must be a positive finite number, got nan"),
    "an infinite scale": (field("logit_scale", "inf"), "logit_scale must be a positive finite number, got inf"),
    "a negative scale": (field("logit_scale", "-0x1.0000000000000p-7"), "logit_scale must be a positive finite"),
    "a scale of zero": (field("logit_scale", "0x0.0p+0"), "logit_scale must be a positive finite number, got 0.0"),
    "a scale above all floats": (field("logit_scale", "0x1.0p+1024"), "logit_scale: must be a hexadecimal float"),
    "a scale that is no number": (field("logit_scale", "big"), "logit_scale: must be a hexadecimal float, got 'big'"),
    "a scale as an integer": (field("logit_scale", 1), "logit_scale: must be a string, got 1"),
    "a scale written otherwise": (
        field("logit_scale", "0x1p-7"),
        "logit_scale: must be written as '0x1.0000000000000p-7'",
    ),
    "0 time steps": (field("time_steps", 0), "time_steps: must be an integer from 1 to 1024, got 0"),
    "2^31 time steps": (field("time_steps", 2**31), "time_steps: must be an integer from 1 to 1024, got 2147483648"),
    "1025 time steps": (field("time_steps", 1025), "time_steps: must be an integer from 1 to 1024, got 1025"),
    "time steps of true": (field("time_steps", True), "time_steps: must be an integer from 1 to 1024, got True"),
    "time steps of null": (field("time_steps", None), "time_steps: must be an integer from 1 to 1024, got None"),
    "labels that are no list": (field("labels", "cat"), "labels: must be a list of strings, got 'cat'"),
    "a label that is no string": (field("labels", ["cat", 2]), r"labels\[1\]: must be a string, got 2"),
    "a label that is half a character": (
        document_text('"cat"', '"\\ud800"'),
        r"labels\[0\]: must be valid Unicode, got '\\ud800'",
    ),
    "too many labels": (field("labels", ["a", "b", "c"]), "labels must name 2 classes, got 3"),
    "meta that is a list": (field("meta", []), r"meta: must be an object of strings, got \[\]"),
    "meta that is no string": (field("meta", {"seed": 0}), "meta: 'seed': must be a string, got 0"),
}

CASES = {**CONTAINER, **DOCUMENT}


@pytest.mark.parametrize("case", CASES)
def test_a_file_with(case: str) -> None:
    change, message = CASES[case]
    data = changed(change)
    assert data != DATA
    with pytest.raises((ArtifactError, GraphError), match=message):
        loads(data)


def test_the_file_that_the_cases_start_from_loads() -> None:
    assert len(DATA) < 2000
    assert changed(lambda parts: None) == DATA
    loads(DATA)


def test_a_file_cut_at_any_byte_is_refused() -> None:
    for length in range(len(DATA)):
        with pytest.raises(ArtifactError):
            loads(DATA[:length])


def test_any_flipped_bit_is_noticed() -> None:
    survivors = []
    for i in range(len(DATA)):
        for bit in range(8):
            data = DATA[:i] + bytes([DATA[i] ^ (1 << bit)]) + DATA[i + 1 :]
            try:
                loads(data)
            except SpikeletError:
                continue
            survivors.append((i, bit))
    assert survivors == []


def test_any_byte_of_the_tensors_is_checked_even_where_the_checksum_agrees() -> None:
    """Whoever can write a file can write its checksum: what loads is then a whole, other graph."""
    parts = FileParts.of(DATA)
    for i in range(len(parts.body)):
        other = FileParts.of(DATA)
        other.change_byte(i, parts.body[i] ^ 0xFF)
        data = other.bytes()
        try:
            graph = loads(data)
        except SpikeletError:
            continue
        assert dumps(graph) == data


def test_a_few_hundred_fuzz_inputs_are_refused_or_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz_artifact.main(["--inputs", "300", "--files", "8", "--seed", "1"]) == 0, capsys.readouterr().out


def test_a_100_byte_input_of_a_billion_pixels_takes_no_memory() -> None:
    document = {"nodes": [["input x", {"shape": [1, 10**9, 10**9]}], ["flatten f"], ["sumtime y"]]}
    rest = {"format": 1, "labels": [], "logit_scale": (1.0).hex(), "meta": {}, "time_steps": 1}
    data = from_text(with_checksum(compact(document | rest, sort_keys=True), b""), {}, b"")
    tracemalloc.start()
    with pytest.raises(ArtifactError, match="nodes: need up to"):
        loads(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000


def test_a_header_of_many_keys_is_refused_in_linear_time() -> None:
    keys = ",".join(f'"{i}":0' for i in range(90_000)) + ',"0":0'
    with pytest.raises(ArtifactError, match="the key '0' appears twice"):
        loads(from_header(f"{{{keys}}}".encode(), b""))


def test_the_cases_cover_every_operation_and_every_field() -> None:
    assert {json.dumps(n)[2:].split(" ")[0] for n in FileParts.of(DATA).document["nodes"]} == {
        "input", "conv", "affine", "lif", "add", "maxpool", "sumpool", "flatten", "linear", "sumtime",
    }  # fmt: skip
