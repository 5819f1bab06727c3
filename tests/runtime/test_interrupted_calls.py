"""What is raised in the thread that waits for a native call ends it, and the program is as good as before."""

from __future__ import annotations

import _thread
import contextvars
import ctypes
import dataclasses
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spikelet import Program, Reference
from spikelet.graph import ir
from spikelet.graph.edge import Int64
from spikelet.runtime import engine, kernel_sets
from spikelet.runtime.calling import Pace
from tests.nodes import conv
from tests.random_graphs import random_graph, random_input

SETS = [s.name for s in kernel_sets()]
UNWRITTEN = -77


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Ctrl-C interrupts, also where a shell that starts tests in the background lets it be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[NDArray[Any]]]:
    """The memory for results of every call, in which nothing has been written at first."""
    made: list[NDArray[Any]] = []
    room = engine._room

    def marked(plan: Any, batch: int) -> Any:
        outputs, places = room(plan, batch)
        for values in outputs.values():
            if values.dtype == np.int32:
                values[...] = UNWRITTEN
                made.append(values)
        return outputs, places

    monkeypatch.setattr(engine, "_room", marked)
    yield made


def when(condition: Callable[[], bool], action: Callable[[], object]) -> threading.Thread:
    """A thread that does `action` as soon as `condition` holds."""

    def wait() -> None:
        while not condition():
            pass
        action()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def small_batch() -> tuple[ir.IntGraph, NDArray[np.uint8]]:
    graph = random_graph(5)
    return graph, random_input(graph, 3, 5)


def large(x: NDArray[np.uint8], graph: ir.IntGraph, batch: int = 1_000_000) -> NDArray[np.uint8]:
    """So many samples, which take no memory."""
    sample = x[0] if x.ndim == len(graph.input.shape) + 1 else x[0, 0]
    return np.broadcast_to(sample, (batch, *sample.shape))


def interrupt_by_a_signal() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("kernels", SETS)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    "interrupt",
    [
        _thread.interrupt_main,
        pytest.param(interrupt_by_a_signal, marks=pytest.mark.skipif(os.name != "posix", reason="needs SIGINT")),
    ],
)
def test_ctrl_c_ends_a_batch_before_its_last_sample(
    kernels: str, threads: int, interrupt: Callable[[], None], results: list[NDArray[np.int32]]
) -> None:
    graph, x = small_batch()
    program = Program(graph, threads, kernels)
    waiter = when(lambda: bool(results) and (results[0][0] != UNWRITTEN).all(), interrupt)
    with pytest.raises(KeyboardInterrupt):
        program(large(x, graph))
    waiter.join()
    assert (results[0][0] != UNWRITTEN).all()
    assert (results[0][-1] == UNWRITTEN).all()
    np.testing.assert_array_equal(program(x), Reference(graph)(x))
    for name, values in Reference(graph).spikes(x).items():
        np.testing.assert_array_equal(program.spikes(x)[name], values)


@pytest.mark.parametrize("kernels", SETS)
def test_ctrl_c_ends_a_call_inside_its_only_sample(kernels: str, results: list[NDArray[np.int32]]) -> None:
    weight = np.random.default_rng(0).choice([-1, 1], (64, 64, 3, 3))
    lif: dict[str, Any] = {"leak": 1, "gain": 2, "leak_bits": 1, "reset": "hard", "membrane": None}
    nodes = (
        ir.Input("x", (), (64, 48, 48)),
        ir.Lif("a", ("x",), threshold=1, **lif),
        conv("c", ("a",), weight, 2, (1, 1), (1, 1), 1),
        ir.Lif("b", ("c",), threshold=9, **lif),
        ir.SumPool("p", ("b",), 48),
        ir.Flatten("f", ("p",)),
        ir.SumTime("y", ("f",)),
    )
    program = Program(ir.IntGraph.of_logits(nodes, 1000, 1.0), kernels=kernels)
    waiter = when(lambda: bool(results), _thread.interrupt_main)
    with pytest.raises(KeyboardInterrupt):
        program(np.full((1, 64, 48, 48), 255, np.uint8))
    waiter.join()
    assert (results[0] == UNWRITTEN).all()


def test_ctrl_c_leaves_a_stream_s_state_as_it_was(results: list[NDArray[np.int32]]) -> None:
    graph, x = small_batch()
    stream = Program(graph).stream()
    frames = np.stack([large(x, graph, 30_000)] * 7)
    state = stream.start(30_000)
    before = state.memory.copy()
    waiter = when(lambda: bool(results) and (results[0][..., 0, :] != UNWRITTEN).all(), _thread.interrupt_main)
    with pytest.raises(KeyboardInterrupt):
        stream(frames, state)
    waiter.join()
    np.testing.assert_array_equal(state.memory, before)


def test_what_is_raised_in_another_thread_ends_the_call_there(results: list[NDArray[np.int32]]) -> None:
    graph, x = small_batch()
    program, raised = Program(graph), []

    def call() -> None:
        try:
            program(large(x, graph))
        except TimeoutError as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    identity = ctypes.c_ulong(thread.ident or 0)
    interrupt = lambda: ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, ctypes.py_object(TimeoutError))
    when(lambda: bool(results) and (results[0][0] != UNWRITTEN).all(), interrupt).join()
    thread.join()
    assert len(raised) == 1 and (results[0][-1] == UNWRITTEN).all()
    np.testing.assert_array_equal(program(x), Reference(graph)(x))


COLOUR: contextvars.ContextVar[str] = contextvars.ContextVar("COLOUR", default="none")


@dataclasses.dataclass(frozen=True, eq=False)
class Own(ir.Flatten):
    """A Flatten that the native runtime has no rule for, and does `first` before anything."""

    first: Callable[[], object] = lambda: None

    def advance(self, *xs: Int64, steps: range, state: Any) -> tuple[Int64, Any]:
        self.first()
        return super().advance(*xs, steps=steps, state=state)


def own_graph(first: Callable[[], object]) -> ir.IntGraph:
    nodes = (ir.Input("x", (), (2, 3, 3)), Own("f", ("x",), first), ir.SumTime("y", ("f",)))
    return ir.IntGraph.of_logits(nodes, 2, 1.0)


def test_an_error_in_an_operation_of_one_s_own_ends_the_batch() -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise ZeroDivisionError("as it should")

    program = Program(own_graph(fail))
    with pytest.raises(ZeroDivisionError, match="as it should"):
        program(np.zeros((1000, 2, 3, 3), np.uint8))
    assert len(calls) == 1


def test_ctrl_c_ends_a_batch_of_operations_of_one_s_own() -> None:
    calls: list[int] = []
    program = Program(own_graph(lambda: calls.append(1)))
    waiter = when(lambda: len(calls) > 10, _thread.interrupt_main)
    with pytest.raises(KeyboardInterrupt):
        program(np.zeros((200_000, 2, 3, 3), np.uint8))
    waiter.join()
    assert 10 < len(calls) < 200_000


def test_an_operation_of_one_s_own_sees_the_caller_s_context() -> None:
    seen: list[str] = []
    program = Program(own_graph(lambda: seen.append(COLOUR.get())))
    token = COLOUR.set("blue")
    program(np.zeros((1, 2, 3, 3), np.uint8))
    COLOUR.reset(token)
    assert seen == ["blue"]


def test_a_call_as_short_as_the_last_one_showed_runs_in_the_caller_s_thread() -> None:
    class Call:
        def __init__(self) -> None:
            self.places: list[str] = []

        def here(self) -> None:
            self.places.append("here")

        def interruptible(self) -> None:
            self.places.append("a thread of its own")

    call, pace = Call(), Pace()
    for rounds, short in ((1, True), (1, True), (10**9, True), (1, True), (1, False)):
        pace.run(call, rounds, short=short)  # type: ignore[arg-type]
    assert call.places[0] == call.places[2] == call.places[4] == "a thread of its own"
    assert call.places[1] == call.places[3] == "here"


def test_where_the_system_has_no_more_threads_the_call_runs_in_the_caller_s(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("spikelet.runtime.calling.start_new_thread", refuse)
    graph, x = small_batch()
    np.testing.assert_array_equal(Program(graph)(x), Reference(graph)(x))
