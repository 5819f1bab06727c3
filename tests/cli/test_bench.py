"""`spikelet bench`: it says what it measured, of what, and on which machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikelet
from spikelet.base import memory
from spikelet.cli.benching import Spread
from spikelet.graph.file.limits import laid_out
from spikelet.runtime import load_plan

Command = Callable[..., Any]
QUICK = ("--seconds", 0.001, "--batch", 3)


def document_of(done: Any) -> dict[str, Any]:
    """The document that --json printed."""
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_random_inputs_are_three_kinds_with_their_firing_rates(packed: Path, command: Command) -> None:
    document = document_of(command("bench", packed, *QUICK, "--json"))
    program = spikelet.Program(spikelet.load(packed))
    rates = [case["firing_rate"] for case in document["latency_ms"]]
    assert {case["input"] for case in document["latency_ms"]} == {"zeros", "blocks of noise", "random bytes"}
    assert rates == sorted(rates)
    zeros = program.spikes(np.zeros((1, 1, 8, 8), np.uint8)).values()
    of_zeros = sum(int(s.sum()) for s in zeros) / sum(s.size for s in zeros)
    assert [c["firing_rate"] for c in document["latency_ms"] if c["input"] == "zeros"] == [
        pytest.approx(of_zeros, abs=1e-6)
    ]
    for case in document["latency_ms"]:
        assert case["runs"] >= 5
        assert 0 < case["wall"]["fast"] <= case["wall"]["median"] <= case["wall"]["slow"]
    assert (document["kernels"], document["threads"]) == (program.kernels, 1)
    assert document["throughput"]["batch"] == 3
    assert document["throughput"]["samples_per_second"] > 0
    assert document["memory_bytes"]["plan_weights"] == sum(laid_out(program.graph.nodes).values())
    assert document["memory_bytes"]["plan_maps_per_thread"] == program.plan(still=True).arena_bytes
    assert document["machine"]["spikelet"] == spikelet.__version__


def test_of_given_inputs_those_with_the_fewest_the_median_and_the_most_spikes_are_timed(
    packed: Path, tmp_path: Path, command: Command
) -> None:
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (5, 1, 8, 8), np.uint8)
    frames = random.integers(0, 256, (2, 1, 8, 8), np.uint8)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "frames.npy", frames)
    program = spikelet.Program(spikelet.load(packed))

    def spikes(sample: np.ndarray) -> int:
        return sum(int(s.sum()) for s in program.spikes(sample).values())

    counts = {f"{tmp_path / 'x.npy'}[{n}]": spikes(x[n : n + 1]) for n in range(5)}
    counts[str(tmp_path / "frames.npy")] = spikes(frames[:, None])
    document = document_of(command("bench", packed, tmp_path / "x.npy", tmp_path / "frames.npy", *QUICK, "--json"))
    timed = [counts[case["input"]] for case in document["latency_ms"]]
    ordered = sorted(counts.values())
    assert timed == [ordered[0], ordered[3], ordered[-1]]


def test_a_run_folder_is_measured_as_its_file(trained: Path, packed: Path, command: Command) -> None:
    of_run, of_file = (document_of(command("bench", target, *QUICK, "--json")) for target in (trained, packed))
    for figure in ("plan_weights", "plan_maps_per_thread"):
        assert of_run["memory_bytes"][figure] == of_file["memory_bytes"][figure]
    assert [c["firing_rate"] for c in of_run["latency_ms"]] == [c["firing_rate"] for c in of_file["latency_ms"]]


def test_the_text_names_the_machine_and_what_was_not_measured(
    packed: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = command("bench", packed, *QUICK, "--threads", 2).stdout
    for part in (
        "2 thread(s), kernels ",
        "spikes a neuron and step",
        "batch of 3",
        "processor",
        "by the plan",
        "NumPy",
    ):
        assert part in text, part
    monkeypatch.setattr(memory, "_RESET", tmp_path / "no" / "such")
    assert "not on this system" in command("bench", packed, *QUICK).stdout
    assert document_of(command("bench", packed, *QUICK, "--json"))["memory_bytes"]["added"] is None


def test_a_spread_is_the_median_and_the_outer_tenths() -> None:
    assert Spread.of([k / 1000 for k in range(101)]) == Spread(50.0, 10.0, 90.0)


def test_a_tuned_plan_is_written_shown_and_fits_the_model(packed: Path, tmp_path: Path, command: Command) -> None:
    document = document_of(command("bench", packed, *QUICK, "--tune", tmp_path / "m.plan.json", "--json"))
    graph = spikelet.load(packed)
    plan = load_plan(tmp_path / "m.plan.json", graph)
    assert {node: kind.name for node, kind in plan.choices.items()} == document["tuning"]["choices"]
    assert document["tuning"]["tuned_us"] <= document["tuning"]["by_rule_us"]
    text = command("bench", packed, *QUICK, "--tune", tmp_path / "m.plan.json").output
    assert "us by the rules" in text


def test_a_file_that_is_no_place_for_a_plan_is_refused_before_work(
    packed: Path, tmp_path: Path, command: Command
) -> None:
    done = command("bench", packed, "--tune", tmp_path / "nowhere" / "m.plan.json")
    assert (done.exit_code, "--tune: there is no folder" in done.output) == (2, True)
    done = command("bench", packed, "--tune", packed)
    assert (done.exit_code, "is a file that this command reads" in done.output) == (2, True)
    assert spikelet.load(packed).nodes
