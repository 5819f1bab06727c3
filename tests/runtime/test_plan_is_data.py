"""A plan says everything that the library is told, without an address, and is made without the library."""

from __future__ import annotations

import ast
import copy
import ctypes
import dataclasses
import itertools
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikelet
from spikelet import Program, Reference
from spikelet.base.errors import GraphError, RuntimeUnavailable
from spikelet.base.strict_json import canonical
from spikelet.graph import ir
from spikelet.graph.analysis import reads_later_nodes
from spikelet.runtime import Plan, binding, engine, kernel_sets, library, one_by_one, plan_of
from spikelet.runtime.binding import bind
from spikelet.runtime.layout import round_up
from spikelet.runtime.plan import Wanted
from spikelet.runtime.plan.kinds import AffineMode, Form, Kind
from spikelet.runtime.plan.operation import PLACES
from spikelet.runtime.plan.sets import SETS
from spikelet.runtime.structures import NONE, Op
from tests.random_graphs import random_graph, random_input
from tests.runtime.test_depthwise import depthwise_graph
from tests.unit.test_architecture import PACKAGE, imported_names, imports_of
from tests.wide_graphs import wide_graph

HERE = {s.name: s for s in kernel_sets()}
GRAPHS = [*(make(seed) for make in (random_graph, wide_graph) for seed in range(12)), depthwise_graph(5, "counts")]
WORDS = {"source": Form, "addend_source": Form, "affine": AffineMode}


def plans(graph: ir.IntGraph, kernels: str) -> Iterator[Plan]:
    """The graph's plans for its first output and all outputs, still and not, at once and as a stream."""
    has_loop = reads_later_nodes(graph)
    native = Program(graph, kernels=kernels)._engine.native
    results = ("outputs",) if plan_of(graph).wanted.result == "outputs" else ("logits", "outputs")
    for result in results:
        yield native(Wanted(result, 1, still=True), stream=True).plan
        if not has_loop:
            yield native(Wanted(result, 3, still=False), stream=True).plan
            yield native(Wanted(result, graph.time_steps, still=False), stream=False).plan


def chosen_plans(graph: ir.IntGraph, kernels: str, *kinds: Kind) -> Iterator[Plan]:
    """A plan for each of `kinds`, which the rules may never take: wherever it can run."""
    able = {op.node: op.candidates for op in plan_of(graph, kernels).operations}
    for kind in kinds:
        choices = {node: kind for node, candidates in able.items() if kind in candidates}
        yield plan_of(graph, kernels, choices=choices)


def test_what_plans_are_made_of_imports_neither_ctypes_nor_the_library_and_one_file_binds_them():
    modules = imports_of(PACKAGE)
    assert {name for name, said in modules.items() if "spikelet.runtime.binding" in said} == {
        engine.__name__,
        one_by_one.__name__,
    }
    needed, left = set(), ["spikelet.runtime.plan"]
    while left:
        name = left.pop()
        if name not in needed:
            needed.add(name)
            left += modules[name]
    assert "spikelet.runtime.plan.stages" in needed
    assert not {"spikelet.runtime.library", "spikelet.runtime.structures", "spikelet.runtime.binding"} & needed
    for name in needed:
        path = PACKAGE.parent / Path(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        assert "ctypes" not in {said.split(".")[0] for _, said in imported_names(ast.parse(path.read_text()))}, name


@pytest.mark.parametrize("kernels", SETS)
def test_a_plan_is_made_without_the_library(kernels: str, monkeypatch: pytest.MonkeyPatch):
    """Also for a set that this machine can't run."""
    graphs = GRAPHS[::6]
    made = [Program(g, kernels=kernels).plan(still=False) for g in graphs] if kernels in HERE else None
    expected = [canonical(plan.to_json()) for plan in made or [plan_of(g, kernels, still=False) for g in graphs]]

    def missing() -> Any:
        raise RuntimeUnavailable("no library")

    monkeypatch.setattr(library, "library", missing)
    monkeypatch.setattr(binding, "library", missing)
    assert [canonical(plan_of(g, kernels, still=False).to_json()) for g in graphs] == expected


@pytest.mark.parametrize("kernels", HERE)
def test_its_json_and_arrays_tell_the_library_everything(kernels: str):
    """Each of the library's operations, filled in from JSON and named arrays alone, equals the bound one."""
    for graph in GRAPHS[::3]:
        for plan in plans(graph, kernels):
            arrays = plan.constants
            said = json.loads(canonical(plan.to_json()))
            assert said["constants"].keys() == arrays.keys()
            for one, bound in zip(said["operations"], bind(plan).ops, strict=True):
                assert _filled(one) == {n: v for n, v in _fields(bound).items() if n not in one["arrays"]}
                pointers = [n for n, t in Op._fields_ if t is ctypes.c_void_p and getattr(bound, n)]
                assert sorted(pointers) == sorted(one["arrays"])
                for field, name in one["arrays"].items():
                    values, told = arrays[name].values, said["constants"][name]
                    assert (told["type"], told["shape"]) == (str(values.dtype), list(values.shape))
                    assert ctypes.string_at(getattr(bound, field), values.nbytes) == values.tobytes()


def _fields(op: Op) -> dict[str, Any]:
    return {name: getattr(op, name) for name, _ in Op._fields_}


def _filled(said: dict[str, Any]) -> dict[str, Any]:
    op = Op(**dict.fromkeys((*PLACES, "state"), NONE))
    numbers = {n: WORDS[n][v] if n in WORDS else v for n, v in said["numbers"].items()}
    places = {n: place["offset"] for n, place in said["places"].items()}
    for name, value in ({"kind": Kind[said["kind"]]} | numbers | places).items():
        setattr(op, name, value)
    return {n: v for n, v in _fields(op).items() if n not in said["arrays"]}


@pytest.mark.parametrize("kernels", HERE)
def test_the_scratch_memory_of_a_kernel_is_what_the_library_says(kernels: str):
    """Where pointers have 8 bytes; elsewhere the library may take less."""
    compared = set()
    for graph in GRAPHS:
        chosen = chosen_plans(graph, kernels, Kind.CONV_BLOCKS, Kind.CONV_CUTS, Kind.CONV_PLACES)
        for plan in (*plans(graph, kernels), *chosen):
            for planned, op in zip(plan.operations, bind(plan).ops, strict=True):
                ours = HERE[kernels].kernels.scratch_bytes(planned)
                theirs = library.library().spk_op_scratch(HERE[kernels].index, ctypes.byref(op))
                assert theirs == ours if ctypes.sizeof(ctypes.c_void_p) == 8 else theirs <= ours, planned
                assert ours <= plan.scratch_bytes
                compared |= {planned.kind} if ours else set()
    assert compared == set(SETS[kernels].scratch)


def test_maps_that_are_needed_at_once_lie_apart_behind_the_scratch_memory():
    for graph in GRAPHS:
        plan = plan_of(graph, still=False)
        for i, op in enumerate(plan.operations):
            living = {b for other in plan.operations for b in other.places.values() if b.first <= i <= b.last}
            assert set(op.places.values()) <= living
            ends = sorted((b.offset, b.offset + b.size) for b in living if b.size)
            assert all(a_end <= b_first for (_, a_end), (b_first, _) in itertools.pairwise(ends))
            assert not ends or (ends[0][0] >= plan.scratch_bytes and ends[-1][1] <= plan.arena_bytes)


def test_a_map_has_room_for_all_that_its_operation_writes():
    for graph in GRAPHS:
        for op in plan_of(graph, still=False).operations:
            pixels = op.number("out_h") * op.number("out_w")
            if "spikes" in op.places and op.kind is not Kind.GATHER:
                assert op.places["spikes"].size >= pixels * 8 * -(-op.number("out_c") // 64)
            if "values" in op.places:
                assert op.places["values"].size >= pixels * 4 * round_up(op.number("out_c"), 8)


def test_two_arrays_of_a_plan_have_two_names():
    for graph in GRAPHS:
        arrays: dict[str, np.ndarray] = {}
        for op in plan_of(graph, still=False).operations:
            for constant in op.arrays.values():
                assert arrays.setdefault(constant.name, constant.values) is constant.values


@pytest.mark.parametrize("again", [copy.deepcopy, lambda plan: pickle.loads(pickle.dumps(plan))])
def test_a_copy_of_a_plan_runs(again: Callable[[Plan], Plan]):
    """Its arrays may lie anywhere: those that kernels need at a multiple of 64 are moved there."""
    graph = random_graph(4)
    x = random_input(graph, 2, 4)
    program = Program(graph)
    plan = program.plan(still=x.ndim - 1 == len(graph.input.shape))
    copied = again(plan)
    assert canonical(copied.to_json()) == canonical(plan.to_json())
    native = bind(copied)
    assert {(op.weight or 0) % 64 for op in native.ops} == {0}
    program._engine._first = {("logits", plan.wanted.still): native}
    np.testing.assert_array_equal(program(x), Reference(graph)(x))


def test_what_is_bound_stays_in_its_process():
    native = bind(plan_of(random_graph(2), "scalar"))
    for again in (copy.copy, pickle.dumps):
        with pytest.raises(GraphError, match=r"^a bound plan holds addresses of this process; pickle or copy its plan"):
            again(native)


def test_too_little_scratch_memory_is_refused_before_it_runs():
    plan = plan_of(random_graph(2))
    with pytest.raises(RuntimeUnavailable, match=r"takes \d+ bytes of scratch memory for \w+, the plan has 0: it was"):
        bind(dataclasses.replace(plan, scratch_bytes=0))


def test_a_plan_is_printed_as_a_table():
    plan = plan_of(spikelet.load(spikelet.zoo.names()[0]))
    table = plan.table()
    assert [row[1:3] for row in table.rows] == [(op.node, op.kind.name) for op in plan.operations]
    assert f"arena {plan.arena_bytes:,} B" in str(plan)
    weights = sum(constant.values.nbytes for constant in plan.constants.values())
    assert table.footer[0][-1] == f"{weights:,}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kernels": "sve"}, r"one of 'scalar', 'portable', 'avx2', .*, 'neon', 'dotprod' for a plan, got 'sve'\."),
        ({"kernels": None}, r"kernels must be one of .* got None\."),
        ({"result": "classes"}, r"result must be one of 'logits', 'spikes', 'outputs' for this graph, got 'classes'\."),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], words: str):
    with pytest.raises(GraphError, match=words):
        plan_of(random_graph(1), **arguments)
