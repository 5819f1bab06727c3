"""`spikelet verify`: what is compared, and what a difference looks like."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikelet
from spikelet.cli import verifying
from spikelet.cli.verifying import Inputs, compared
from spikelet.runtime import Program, kernel_sets
from tests.wide_graphs import wide_graph


def test_every_kernel_set_runs_images_and_frames(packed: Path, command: Callable[..., Any]) -> None:
    done = command("verify", packed, "--samples", 3)
    assert done.exit_code == 0, done.output
    graph = spikelet.load(packed)
    spikes = spikelet.Reference(graph).spikes(np.zeros((1, *graph.input.shape), np.uint8))
    each = sum(s.size for s in spikes.values())
    for kernels in kernel_sets():
        row = re.search(rf"^{kernels.name} +([\d, ]+)$", done.output, re.MULTILINE)
        assert row, done.output
        assert row[1].replace(",", "").split() == ["6", str(6 * each), "0", "60", "0", "60", "0"]
    assert "exact on this machine" in done.output


def test_given_images_are_what_is_run(packed: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 8, 8), np.uint8))
    done = command("verify", packed, tmp_path / "x.npy")
    assert re.search(r"^scalar +1 ", done.output, re.MULTILINE)


def test_random_inputs_go_by_their_seed_and_hold_spikes(packed: Path) -> None:
    graph = spikelet.load(packed)
    first, again, other = (list(Inputs((), 2, seed).of(graph)) for seed in (0, 0, 1))
    assert all(np.array_equal(x, y) for x, y in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert [x.shape for x in first] == [(1, 1, 8, 8), (2, 1, 1, 8, 8)] * 2
    assert any(s.any() for s in spikelet.Reference(graph).spikes(first[0]).values())


class Wrong(Program):
    """A program with one spike, two outputs and three streamed logits off."""

    def spikes(self, x: Any) -> Any:
        found = super().spikes(x)
        next(iter(found.values())).flat[0] ^= 1
        return found

    def outputs(self, x: Any) -> Any:
        found = super().outputs(x)
        next(iter(found.values()))[0, :2] += 1
        return found

    def stream(self) -> Any:
        return WrongStream(super().stream())


class WrongStream:
    """A stream whose logits are off."""

    def __init__(self, right: Any) -> None:
        self.right, self.start = right, right.start

    def __call__(self, x: Any, state: Any) -> Any:
        logits, state = self.right(x, state)
        logits = np.array(logits)
        logits[0, :3] += 1
        return logits, state


def test_a_difference_is_counted_and_said(
    packed: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = spikelet.load(packed)
    (count,) = compared(graph, [Wrong(graph)], Inputs((), 1, 0)).values()
    assert (count.wrong_spikes, count.wrong_outputs, count.wrong_streamed) == (2, 4, 6)
    monkeypatch.setattr(verifying, "Program", Wrong)
    done = command("verify", packed)
    assert done.exit_code == 1
    assert "NOT exact on this machine: scalar" in done.output


@pytest.mark.parametrize("seed", range(6))
def test_any_graph_can_be_inspected_and_verified(seed: int, tmp_path: Path, command: Callable[..., Any]) -> None:
    graph = wide_graph(seed)
    spikelet.save(graph, tmp_path / "any.safetensors")
    done = command("verify", tmp_path / "any.safetensors", "--samples", 1)
    assert done.exit_code == 0, done.output
    text = command("inspect", tmp_path / "any.safetensors").output
    assert all(node.name in text for node in graph.nodes)
    assert text.count("further output") == len(graph.outputs) - 1
