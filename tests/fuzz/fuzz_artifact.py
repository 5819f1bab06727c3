"""Damaged model files against the loader: python -m tests.fuzz.fuzz_artifact --inputs 100000

Each input is a valid file with one to three changes to its structure: the document's fields, its text, the
container's header, the tensors' bytes, lengths, or plain bytes; the checksum is then made right (most often)
or left. Loading must do one of two things:

    refuse   with ArtifactError or GraphError
    accept   a graph whose own file is the input, byte for byte

Anything else (another exception, a warning, an accepted file that is not its graph's, more than SLOW_S for one
file) is printed with the options that repeat it, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import collections
import copy
import dataclasses
import json
import random
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from spikelet.base.errors import ArtifactError, GraphError
from spikelet.graph.file.artifact import dumps, loads
from spikelet.graph.file.deflate import deflate
from tests.artifact_parts import (
    FileParts,
    compact,
    from_header,
    odd_graph,
    small_graph,
    two_output_graph,
    with_checksum,
)
from tests.format_3_graph import format_3_graph
from tests.random_graphs import random_graph

MAX_BYTES = 2**26
PACKED = '{"format":4,'  # a document that goes to a tensor, without this
SLOW_S = 5.0
ODD_INTEGERS = (
    -(2**63), -(2**31), -1, 0, 1, 2, 3, 7, 8, 9, 15, 16, 31, 32, 33, 62, 63, 64, 65, 127, 128, 255, 256, 1024, 1025,
    4096, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**64, 10**30,
)  # fmt: skip
ODD_VALUES = (
    None, True, False, "", "x", "hard", "soft", "odd", "symmetric",
    "nan", "inf", "0x1.0000000000000p+0", "-0x1p-7", [], [0], [[]], [1, 1],
    [-1, 1], [2**31, 1], {}, {"x": 1}, "\ud800", "é" * 50, "U8", "I16", "BF16", 1.5, 1e300,
)  # fmt: skip
TOKENS = (
    "NaN", "Infinity", "-Infinity", "1e9", "-0", "0.5", "00", "9" * 5000, "[" * 3000, '"', "\\", "\\ud800", "\\u0000",
    "{}", "null", ",", ":", " ", "\n", "\t", '"format":1,', '"leak":1,', "/*", "\ufeff", "é",
)  # fmt: skip


@dataclasses.dataclass
class Draft:
    """A file on its way to being damaged. `data` is set once a change has left the structure behind."""

    parts: FileParts
    right_checksum: bool
    checksum_text: str
    data: bytes | None = None
    whole: bool = True  # whether the header's entries of the tensors are right

    def file(self) -> bytes:
        """The file's bytes."""
        if self.data is not None:
            return self.data
        return encoded(compact(self.parts.document, sort_keys=True), self)


def encoded(text: str, draft: Draft) -> bytes:
    """A file of a document's text without checksum; surrogates, which no bytes can hold, become escapes."""
    text, parts = text.encode("utf-8", "backslashreplace").decode("utf-8"), draft.parts
    if text.startswith(PACKED) and draft.right_checksum and draft.whole:
        return parts.around(deflate(("{" + text[len(PACKED) :]).encode()))
    text = with_checksum(text, parts.body) if draft.right_checksum else f"{draft.checksum_text}{text[1:]}"
    header = compact({"__metadata__": {"spikelet": text}, **parts.tensors})
    return from_header(header.encode("utf-8", "backslashreplace"), parts.body)


# --- changes: each takes a draft and a source of randomness ------------------------------------------


def spots(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside a JSON value."""
    found: list[tuple[Any, Any]] = []
    stack = [value]
    while stack:
        here = stack.pop()
        keys = here.keys() if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()
        for key in keys:
            found.append((here, key))
            stack.append(here[key])
    return found


def odd(rng: random.Random, old: Any, elsewhere: Sequence[tuple[Any, Any]]) -> Any:
    """A value to put in the place of `old`."""
    kind = rng.randrange(6)
    if kind == 0 and type(old) is int:
        return old + rng.choice((-2, -1, 1, 2))
    if kind <= 2:
        return rng.choice(ODD_INTEGERS)
    if kind == 3:
        return copy.deepcopy(rng.choice(ODD_VALUES))
    if kind == 4 and isinstance(old, str):
        return old[: rng.randrange(len(old) + 1)] + rng.choice(("", " ", "x", "\0", "é"))
    container, key = rng.choice(elsewhere)
    return copy.deepcopy(container[key])


def change_tree(tree: Any, rng: random.Random) -> None:
    """Replaces, removes, repeats or moves something inside a JSON value."""
    places = spots(tree)
    if not places:
        return
    container, key = rng.choice(places)
    kind = rng.randrange(8)
    if kind == 0:
        del container[key]
    elif kind == 1 and isinstance(container, list):
        container.insert(rng.randrange(len(container) + 1), copy.deepcopy(container[key]))
    elif kind == 2 and isinstance(container, list):
        other = rng.randrange(len(container))
        container[key], container[other] = container[other], container[key]
    elif kind == 3 and isinstance(container, dict):
        container[rng.choice(("x", "", "inputs", "bits", "stride", "scale", key.upper()))] = container[key]
    else:
        container[key] = odd(rng, container[key], places)


def change_document(draft: Draft, rng: random.Random) -> None:
    """A field of the document."""
    change_tree(draft.parts.document, rng)


def change_tensors(draft: Draft, rng: random.Random) -> None:
    """A field of a tensor's header entry."""
    change_tree(draft.parts.tensors, rng)
    draft.whole = False


def change_node(draft: Draft, rng: random.Random) -> None:
    """A number in a node's attributes: the change most likely to give another valid graph."""
    nodes = draft.parts.document.get("nodes")
    places = [(c, k) for c, k in spots(nodes) if type(c[k]) is int]
    if places:
        container, key = rng.choice(places)
        container[key] = max(0, container[key] + rng.choice((-64, -8, -2, -1, 1, 2, 8, 64, 4096)))


def change_body(draft: Draft, rng: random.Random) -> None:
    """Some bytes of the tensors, often at the ends of one tensor."""
    body = bytearray(draft.parts.body)
    ends = [p for e in draft.parts.tensors.values() if isinstance(e, dict) for p in _offsets(e)]
    for _ in range(rng.choice((1, 1, 2, 8))):
        if not body:
            return
        position = rng.choice(ends) - rng.randrange(2) if ends and rng.random() < 0.4 else rng.randrange(len(body))
        body[position % len(body)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    draft.parts.body = bytes(body)


def _offsets(entry: dict[str, Any]) -> list[int]:
    offsets = entry.get("data_offsets")
    return [p for p in offsets if type(p) is int] if isinstance(offsets, list) else []


def change_length(draft: Draft, rng: random.Random) -> None:
    """More or fewer tensor bytes, sometimes with the last tensor declared to fit."""
    by = rng.choice((-8, -4, -2, -1, 1, 2, 4, 8))
    body = draft.parts.body
    draft.parts.body = body[:by] if by < 0 else body + bytes(by)
    if rng.random() < 0.5 and draft.parts.tensors:
        entry = list(draft.parts.tensors.values())[-1]
        if isinstance(entry, dict) and len(_offsets(entry)) == 2:
            entry["data_offsets"][1] += by
            if isinstance(entry.get("shape"), list) and entry["shape"] and type(entry["shape"][0]) is int:
                entry["shape"][0] += by


def changed_text(text: str, rng: random.Random) -> str:
    """`text` with a token put in, or a piece taken out, repeated or exchanged."""
    a, b = sorted(rng.randrange(len(text) + 1) for _ in range(2))
    b = min(b, a + rng.choice((1, 2, 8, 40)))
    kind = rng.randrange(5)
    if kind == 0:
        return text[:a] + rng.choice(TOKENS) + text[a:]
    if kind == 1:
        return text[:a] + rng.choice(TOKENS) + text[b:]
    if kind == 2:
        return text[:a] + text[b:]
    if kind == 3:
        return text[:b] + text[a:b] + text[b:]
    return text[:a] + rng.choice('0123456789,:[]{}"\\ abcxeE+-.') + text[a + 1 :]


def change_document_text(draft: Draft, rng: random.Random) -> None:
    """The document as text."""
    draft.data = encoded(changed_text(compact(draft.parts.document, sort_keys=True), rng), draft)


def change_header_text(draft: Draft, rng: random.Random) -> None:
    """The container's header as text, with a length that agrees."""
    data = draft.file()
    length = int.from_bytes(data[:8], "little")
    text = data[8 : 8 + length].decode("utf-8", "replace")
    draft.data = from_header(changed_text(text, rng).encode("utf-8", "backslashreplace"), data[8 + length :])


def change_bytes(draft: Draft, rng: random.Random) -> None:
    """Plain bytes: flipped bits, cuts, additions, blocks moved, another header length."""
    data = bytearray(draft.file())
    kind = rng.randrange(7)
    a, b = sorted(rng.randrange(len(data) + 1) for _ in range(2)) if data else (0, 0)
    if kind == 0 and data:
        for _ in range(rng.choice((1, 1, 2, 5))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del data[a:]
    elif kind == 2:
        data += rng.randbytes(rng.choice((1, 8, 100)))
    elif kind == 3:
        del data[a : min(b, a + rng.choice((1, 4, 8, 64)))]
    elif kind == 4:
        data[a:a] = data[a : min(b, a + 64)]
    elif kind == 5:
        data[:8] = rng.choice((*ODD_INTEGERS[3:-1], len(data), len(data) - 8)).to_bytes(9, "little")[:8]
    else:
        data[a : a + 4] = rng.randbytes(4)
    draft.data = bytes(data)


CHANGES: tuple[Callable[[Draft, random.Random], None], ...] = (
    change_document, change_document, change_node, change_node, change_tensors, change_body, change_body, change_length,
    change_document_text, change_header_text, change_bytes,
)  # fmt: skip


# --- the run ----------------------------------------------------------------------------------------


def corpus(count: int) -> list[tuple[bytes, FileParts]]:
    """Valid files, a few kB each; those of formats 1 and 2, and that of format 4, have every operation between them."""
    files = [dumps(graph) for graph in (small_graph(), odd_graph(), two_output_graph(), format_3_graph())]
    seed = 0
    while len(files) < count:
        data = dumps(random_graph(seed))
        seed += 1
        if len(data) < 8000:
            files.append(data)
    return [(data, FileParts.of(data)) for data in files]


def damaged(files: Sequence[tuple[bytes, FileParts]], rng: random.Random) -> tuple[bytes, str]:
    """An input and the name of its last change."""
    data, parts = rng.choice(files)
    length = int.from_bytes(data[:8], "little")
    old = json.loads(data[8 : 8 + length])["__metadata__"]["spikelet"]
    draft = Draft(copy.deepcopy(parts), rng.random() < 0.9, old[: old.index(",") + 1])
    name = ""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        change = rng.choice(CHANGES)
        if draft.data is not None and change is not change_bytes:
            break
        change(draft, rng)
        name = change.__name__
    return draft.file(), name


def outcome(data: bytes, valid: Sequence[bytes]) -> str:
    """What loading `data` did, in two words. Raises where it did neither of the two things it may do."""
    try:
        graph = loads(data, max_bytes=MAX_BYTES)
    except ArtifactError:
        return "refused: ArtifactError"
    except GraphError as error:
        return f"refused: {type(error).__name__}"
    if dumps(graph) != data:
        raise AssertionError("a file was accepted that is not the file of its graph")
    return "accepted: unchanged" if data in valid else "accepted: another valid graph"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the inputs; 0 if every one was refused or accepted as it should be."""
    parser = argparse.ArgumentParser(description="Fuzz the loader of packed model files.")
    parser.add_argument("--inputs", type=int, default=100_000, help="how many damaged files (default: 100000)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other files (default: 0)")
    parser.add_argument("--files", type=int, default=40, help="how many valid files to start from (default: 40)")
    parser.add_argument("--first", type=int, default=0, help="number of the first input, to repeat a failure")
    options = parser.parse_args(arguments)
    warnings.simplefilter("error")
    files = corpus(options.files)
    valid = {data for data, _ in files}
    counts: collections.Counter[str] = collections.Counter()
    by_change: collections.Counter[str] = collections.Counter()
    failures, slowest, start = 0, (0.0, 0), time.perf_counter()
    for i in range(options.first, options.first + options.inputs):
        data, change = damaged(files, random.Random(f"{options.seed}:{i}"))
        began = time.perf_counter()
        try:
            counts[outcome(data, valid)] += 1
        except Exception:
            failures += 1
            repeat = f"--seed {options.seed} --files {options.files} --first {i} --inputs 1"
            sys.stdout.write(f"FAILED after {change}; repeat with {repeat}\n{traceback.format_exc()}\n")
        by_change[change] += 1
        slowest = max(slowest, (time.perf_counter() - began, i))
    failures += slowest[0] > SLOW_S
    lines = [f"{counts[k]:>9}  {k}" for k in sorted(counts)] + [f"{failures:>9}  failed"]
    lines += [f"{n:>9}  {k}" for k, n in sorted(by_change.items())]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    lines.append(f"{options.inputs} inputs from {len(files)} files in {time.perf_counter() - start:.1f} s; "
                 f"slowest {slowest[0] * 1e3:.0f} ms (input {slowest[1]}); peak memory {memory} MiB")  # fmt: skip
    sys.stdout.write("\n".join(lines) + "\n")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
