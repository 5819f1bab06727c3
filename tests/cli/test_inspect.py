"""`spikelet inspect`: the nodes of a file, its bytes by part, its words."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import spikelet


def number(pattern: str, text: str) -> int:
    """The number in the first match of `pattern`."""
    found = re.search(pattern, text)
    assert found, (pattern, text)
    return int(found[1].replace(",", ""))


def test_every_node_has_a_row_and_the_bytes_add_up(packed: Path, command: Callable[..., Any]) -> None:
    text = command("inspect", packed).output
    for node in spikelet.load(packed).nodes:
        assert re.search(rf"^{re.escape(node.name)} +{type(node).__name__} ", text, re.MULTILINE), node.name
    weights = number(r"weights +([\d,]+) bytes", text)
    others = number(r"scales, thresholds, maps +([\d,]+) bytes", text)
    assert weights == 9 * 12 + 12 * 12 * 9 / 8 + 12 * 10  # 8 bits, 1 bit, 8 bits
    assert weights + others == number(r"total +([\d,]+)", text)
    assert weights + others + number(r"header +([\d,]+) bytes", text) == packed.stat().st_size


def test_shapes_classes_and_origin_are_said(packed: Path, command: Callable[..., Any]) -> None:
    text = command("inspect", packed).output
    for part in ("T = 2", "uint8 [1, 8, 8]", "[2, 1, 8, 8] frames", "10: 0, 1, 2", "recipe", "tiny"):
        assert part in text, part


def test_a_graph_without_words_has_no_empty_part(packed: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    graph = spikelet.load(packed)
    bare = spikelet.IntGraph.of_logits(graph.nodes, graph.time_steps, graph.logit_scale)
    spikelet.save(bare, tmp_path / "bare.safetensors")
    text = command("inspect", tmp_path / "bare.safetensors").output
    assert "without names" in text
    assert "origin" not in text


def test_a_damaged_file_is_refused_with_the_field(packed: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    data = bytearray(packed.read_bytes())
    data[-1] ^= 1
    (tmp_path / "bad.safetensors").write_bytes(data)
    for name in ("inspect", "verify"):
        done = command(name, tmp_path / "bad.safetensors")
        assert done.exit_code == 2
        assert "checksum" in done.stderr
