"""All calls of a program at once take at most `max_bytes` for maps; a forked child has memory of its own."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from spikelet import Program, Reference
from spikelet.base.errors import GraphError
from spikelet.graph.file.limits import laid_out
from spikelet.runtime import arenas as arenas_module
from spikelet.runtime.arenas import Arenas
from tests.graph.test_atomic_write import in_a_child
from tests.random_graphs import random_graph, random_input
from tests.runtime.test_interrupted_calls import own_graph


@pytest.mark.parametrize("room", [1, 3])
def test_calls_at_once_share_the_memory_that_is_allowed(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_graph(5)
    limit, weights = room * Program(graph, 2).plan(still=True).arena_bytes * 2, sum(laid_out(graph.nodes).values())
    program, most = Program(graph, 2, max_bytes=weights + limit), [0]
    count = arenas_module.Held.count

    def counted(held: arenas_module.Held, arena: np.ndarray) -> None:
        count(held, arena)
        most.append(held.bytes)

    monkeypatch.setattr(arenas_module.Held, "count", counted)
    inputs = [random_input(graph, 4, seed) for seed in range(40)]
    expected = [Reference(graph)(x) for x in inputs]
    with ThreadPoolExecutor(8) as pool:
        for got, want in zip(pool.map(program, inputs), expected, strict=True):
            np.testing.assert_array_equal(got, want)
    assert 0 < max(most) <= limit


def test_a_call_waits_for_an_arena_that_another_gives_back() -> None:
    arenas, taken = Arenas(200), []
    first, second = arenas.take(100), arenas.take(100)
    assert arenas._find(100) is None
    waiting = threading.Thread(target=lambda: taken.append(arenas.take(60)))
    waiting.start()
    arenas.give(second)
    waiting.join()
    assert taken[0] is second and arenas.held == 200
    arenas.give(first)


def test_idle_arenas_make_room_for_a_larger_one() -> None:
    arenas = Arenas(200)
    for arena in [arenas.take(100), arenas.take(100)]:
        arenas.give(arena)
        del arena
    assert arenas.held == 200
    assert arenas.take(150).nbytes == 150


def test_an_arena_that_was_never_given_back_is_not_counted_for_ever() -> None:
    arenas = Arenas(100)
    arena = arenas.take(100)
    del arena
    gc.collect()
    assert arenas.held == 0


def test_programs_leave_no_memory_behind() -> None:
    arenas = Arenas(100)
    arenas.give(arenas.take(100))
    held = arenas._held
    del arenas
    gc.collect()
    assert held.bytes == 0


def test_calls_of_an_operation_of_one_s_own_keep_nothing_of_it() -> None:
    def first() -> None: ...

    program, operation = Program(own_graph(first)), weakref.ref(first)
    program(np.zeros((3, 2, 3, 3), np.uint8))
    del program, first
    gc.collect()
    assert operation() is None


def test_a_call_beyond_the_limit_alone_is_refused() -> None:
    with pytest.raises(GraphError, match=r"^one call takes 101 bytes, max_bytes allows 100\. Use fewer threads"):
        Arenas(100).take(101)


@pytest.mark.skipif(os.name != "posix", reason="needs fork")
def test_a_forked_child_runs_while_its_parent_holds_every_lock_and_all_memory() -> None:
    graph, x = random_graph(5), random_input(random_graph(5), 2, 5)
    weights = sum(laid_out(graph.nodes).values())
    program = Program(graph, max_bytes=weights + Program(graph).plan(still=True).arena_bytes)
    expected = program(x)
    engine = program._engine
    arena = engine.arenas.get().take(1)

    def work() -> None:
        np.testing.assert_array_equal(program(x), expected)
        state = program.stream().start(2)
        assert state.step == 0

    with engine._planning.get(), engine.arenas.get()._held.lock:
        assert in_a_child(work) == (0, b"")
    engine.arenas.get().give(arena)
