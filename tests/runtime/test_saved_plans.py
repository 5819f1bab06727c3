"""A saved plan has one spelling, loads beside its model, and is refused by name wherever it says anything else."""

from __future__ import annotations

import copy
import dataclasses
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikelet
from spikelet import Program, Reference
from spikelet.base.errors import ArtifactError, FileRefused, GraphError, SpikeletError
from spikelet.base.strict_json import canonical
from spikelet.graph import ir
from spikelet.runtime import load_plan, plan_of, save_plan
from spikelet.runtime.plan.sets import SETS
from tests.random_graphs import random_graph, random_input
from tests.runtime.test_choices import turns
from tests.runtime.test_plan_is_data import GRAPHS, plans
from tests.runtime.test_stream import loop
from tests.support.kernel_sets import SETS as HERE

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
Path_ = tuple[str | int, ...]


@pytest.mark.parametrize("kernels", SETS)
def test_a_plan_comes_back_as_it_was(kernels: str, tmp_path: Path):
    path = tmp_path / "m.plan.json"
    for graph in GRAPHS[::3]:
        for choices in (None, *turns(plan_of(graph, kernels))[-1:]):
            plan = plan_of(graph, kernels, choices=choices)
            save_plan(plan, path)
            text = path.read_bytes()
            loaded = load_plan(path, graph)
            assert loaded.choices == plan.choices
            save_plan(loaded, path)
            assert path.read_bytes() == text == canonical(plan.to_json()).encode() + b"\n"
            for name, constant in plan.constants.items():
                np.testing.assert_array_equal(loaded.constants[name].values, constant.values)


def test_plans_of_streams_come_back_too(tmp_path: Path):
    for graph in (*GRAPHS[1::6], loop(3)):
        for plan in plans(graph, HERE[-1]):
            save_plan(plan, tmp_path / "p.json")
            assert canonical(load_plan(tmp_path / "p.json", graph).to_json()) == canonical(plan.to_json())


def test_a_loaded_plan_says_how_a_program_runs(tmp_path: Path):
    graph = random_graph(6)
    tuned = plan_of(graph, HERE[-1], choices=turns(plan_of(graph, HERE[-1]))[-1])
    save_plan(tuned, tmp_path / "p.json")
    plan = load_plan(tmp_path / "p.json", graph)
    program, x = Program(graph, kernels=plan.kernels, choices=plan.choices), random_input(graph, 2, 6)
    assert program.plan(still=True).choices == tuned.choices
    np.testing.assert_array_equal(program(x), Reference(graph)(x))


def test_the_golden_plan_has_the_same_bytes_for_ever(tmp_path: Path):
    graph = spikelet.load(GOLDEN / "every_operation_v4.safetensors")
    save_plan(plan_of(graph, "portable", result="outputs", still=False), tmp_path / "p.json")
    golden = GOLDEN / "every_operation_v4.plan.json"
    assert (tmp_path / "p.json").read_bytes() == golden.read_bytes()
    assert load_plan(golden, graph).kernels == "portable"


def small() -> ir.IntGraph:
    return random_graph(8)


def leaves(value: Any, where: Path_ = ()) -> Iterator[Path_]:
    """The place of everything in a JSON value, itself first."""
    yield where
    for name, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from leaves(item, (*where, name))


def changed(value: Any, where: Path_, change: Callable[[Any, str | int], None]) -> Any:
    value = copy.deepcopy(value)
    at = value
    for name in where[:-1]:
        at = at[name]
    change(at, where[-1])
    return value


def _remove(at: Any, name: str | int) -> None:
    del at[name]


def test_no_place_of_a_plan_can_be_changed_or_left_out(tmp_path: Path):
    """A leaf, list or object that is replaced by a value of another type, or removed, is refused, never believed."""
    graph, path, rng = small(), tmp_path / "p.json", random.Random(1)
    said = plan_of(graph).to_json()
    places = list(leaves(said))[1:]
    for where in (*((name,) for name in said), *rng.sample(places, 60)):
        at = said
        for name in where:
            at = at[name]
        others = [
            v for v in (0, 1, -1, 2**40, True, None, "", "CONV_ROWS", [], {}) if type(v) is not type(at) or v != at
        ]
        new = rng.choice(others)
        for change in (_remove, lambda a, n, new=new: a.__setitem__(n, new)):
            path.write_text(canonical(changed(said, where, change)))
            with pytest.raises(SpikeletError, match=r"p\.json: |^choices"):
                load_plan(path, graph)


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        (("plan",), 2, r"p\.json: plan: must be 1, the version of a saved plan, got 2\."),
        (
            ("kernels",),
            "sve",
            r"p\.json: kernels: must be one of scalar, portable, avx2, .*, neon, dotprod, got 'sve'\.",
        ),
        (("result",), "classes", r"p\.json: result: must be one of logits, spikes, outputs, got 'classes'\."),
        (("still",), 1, r"p\.json: still: must be true or false, got 1\."),
        (("steps",), 0, r"p\.json: steps: must be an integer from 1 to \d+, got 0\."),
        (("steps",), 99, r"p\.json: steps: this graph has no plan of 99 step\(s\) without a state\. Save it anew"),
        (("operations",), {}, r"p\.json: operations: must be a list, got \{\}\."),
        (("arena_bytes",), 64, r"p\.json: arena_bytes is 64, and \d+ in the plan made anew\. The file was changed"),
        (("operations", 0, "numbers", "T"), 77, r"p\.json: operations\.0\.numbers\.T is 77, and \d in the plan made"),
        (("operations", 0, "numbers", "U"), 7, r"p\.json: operations\.0\.numbers\.U is not part of the plan\."),
        (("graph",), "0" * 32, r"p\.json: is the plan of the graph '0{32}', not of this one \('[0-9a-f]{32}'\)\. Load"),
    ],
)
def test_what_is_wrong_is_named(where: Path_, value: Any, words: str, tmp_path: Path):
    said = plan_of(small()).to_json()
    (tmp_path / "p.json").write_text(canonical(changed(said, where, lambda at, name: at.__setitem__(name, value))))
    with pytest.raises(ArtifactError, match=words):
        load_plan(tmp_path / "p.json", small())


def test_the_plan_of_another_graph_is_refused(tmp_path: Path):
    """Two weights that changed places are enough."""
    graph = small()
    save_plan(plan_of(graph), tmp_path / "p.json")
    (layer, *_) = [node for node in graph.nodes if isinstance(node, ir.Conv | ir.Linear)]
    weight = layer.weight.copy()
    first = next(i for i in range(weight.size) if weight.flat[i] != weight.flat[-1])
    weight.flat[[first, -1]] = weight.flat[[-1, first]]
    other = dataclasses.replace(
        graph, nodes=tuple(dataclasses.replace(n, weight=weight) if n is layer else n for n in graph.nodes)
    )
    with pytest.raises(ArtifactError, match="is the plan of the graph"):
        load_plan(tmp_path / "p.json", other)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"{", b"[]", b"null", b'{"plan":1}', b'{"plan":true}', b'{"plan":1,"plan":1}', b"[" * 10**5, b"1e9"],
)
def test_what_is_no_plan_is_refused(data: bytes, tmp_path: Path):
    (tmp_path / "p.json").write_bytes(data)
    with pytest.raises(ArtifactError, match=r"p\.json: "):
        load_plan(tmp_path / "p.json", small())


def test_folders_and_missing_files_are_refused(tmp_path: Path):
    with pytest.raises(FileRefused):
        load_plan(tmp_path, small())
    with pytest.raises(FileNotFoundError):
        load_plan(tmp_path / "p.json", small())


def test_only_a_plan_is_saved(tmp_path: Path):
    with pytest.raises(GraphError, match=r"plan must be a Plan, as Program\.plan gives it, got dict\."):
        save_plan(json.loads("{}"), tmp_path / "p.json")
    assert not list(tmp_path.iterdir())


def test_a_loop_has_no_plan_without_a_state(tmp_path: Path):
    graph = loop(3)
    said = plan_of(graph).to_json() | {"carried": False, "steps": graph.time_steps}
    (tmp_path / "p.json").write_text(canonical(said))
    with pytest.raises(ArtifactError, match=r"this graph has no plan of \d+ step\(s\) without a state"):
        load_plan(tmp_path / "p.json", graph)
