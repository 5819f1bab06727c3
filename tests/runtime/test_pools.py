"""Threads of a program wait between its calls: they take samples, stay the same, and end with the program."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from spikelet import Program, Reference
from spikelet.runtime.library import library
from spikelet.runtime.pools import Pools
from tests.graph.test_atomic_write import in_a_child
from tests.random_graphs import random_graph, random_input
from tests.runtime.test_interrupted_calls import own_graph
from tests.runtime.test_native_build import CC, CSRC, STRICT, needs_compiler

ROOT = Path(__file__).resolve().parents[2]
COUNTED = Path(__file__).with_name("pool_of_threads.c")
TASKS = Path("/proc/self/task")
needs_tasks = pytest.mark.skipif(not TASKS.is_dir(), reason="needs Linux, which lists a process' threads")
LONG_S = 60.0  # a thread that hasn't come by then never does


class Meeting:
    """A program of `threads` threads, each of which must take a sample of every call, or the call fails.

    seen: the system's numbers of the threads that came, a set for each call.
    """

    def __init__(self, threads: int) -> None:
        self._all_here, self.seen = threading.Barrier(threads, timeout=LONG_S), list[set[int]]()
        self.program = Program(own_graph(self._come), threads)
        self._x = np.arange(threads * 18, dtype=np.uint8).reshape(threads, 2, 3, 3)

    def _come(self) -> None:
        self._all_here.wait()
        self.seen[-1].add(threading.get_native_id())

    def call(self) -> set[int]:
        """One call, which gives what it must; the threads that came."""
        self.seen.append(set())
        np.testing.assert_array_equal(self.program(self._x), Reference(own_graph(lambda: None))(self._x))
        return self.seen[-1]

    def workers(self) -> set[int]:
        """The threads that came to two calls: those that call are new ones, where a call may take long."""
        return self.call() & self.call()


def vanished(thread: int) -> bool:
    """Whether a thread ends, which the system may show a moment later."""
    return any(not (TASKS / str(thread)).exists() for _ in range(200_000))


@pytest.mark.parametrize("threads", [2, 4])
def test_the_same_waiting_threads_take_samples_of_every_call(threads: int) -> None:
    meeting = Meeting(threads)
    workers = meeting.workers()
    assert len(workers) == threads - 1
    for _ in range(5):
        assert workers < meeting.call()


@pytest.mark.parametrize("stopped", [False, True])
@needs_tasks
def test_threads_end_with_their_program(stopped: bool) -> None:
    meeting = Meeting(3)
    workers = meeting.workers()
    assert all((TASKS / str(worker)).exists() for worker in workers)
    if stopped:
        meeting._all_here.abort()
        with pytest.raises(threading.BrokenBarrierError):
            meeting.call()
    del meeting
    gc.collect()
    assert all(vanished(worker) for worker in workers)


def test_one_sample_or_one_thread_needs_no_pool() -> None:
    graph = random_graph(5)
    for threads, batch in ((1, 4), (4, 1), (4, 0)):
        program = Program(graph, threads)
        program(random_input(graph, batch, 0))
        assert program._engine.pools.get()._idle == []


def test_calls_at_once_have_a_pool_each_and_later_calls_take_theirs() -> None:
    graph = random_graph(5)
    program, inputs = Program(graph, 3), [random_input(graph, 4, seed) for seed in range(24)]
    expected = [Reference(graph)(x) for x in inputs]
    idle = program._engine.pools.get()._idle
    for callers in (1, 4):
        with ThreadPoolExecutor(callers) as executor:
            for got, want in zip(executor.map(program, inputs), expected, strict=True):
                np.testing.assert_array_equal(got, want)
        assert 1 <= len(idle) <= callers
    pools = Pools()
    first, second = pools.take(), pools.take()
    assert first is not second
    pools.give(first)
    assert pools.take() is first


def test_a_pool_that_was_never_given_back_is_closed() -> None:
    pools = Pools()
    pool = pools.take()
    close, gone = pool.close, weakref.ref(pool)
    del pool
    gc.collect()
    assert gone() is None and not close.alive


def test_a_pool_of_the_most_threads_takes_little_memory() -> None:
    assert 0 < library().spk_pool_bytes() < 4096


def _assert_it_works(meeting: Meeting, others: set[int]) -> None:
    workers = meeting.workers()
    assert len(workers) == 2 and not workers & others


@pytest.mark.skipif(os.name != "posix", reason="needs fork")
@pytest.mark.parametrize("work", [_assert_it_works, lambda meeting, others: meeting.program._engine.pools.get()])
def test_a_forked_child_starts_threads_of_its_own(work: Callable[[Meeting, set[int]], object]) -> None:
    meeting = Meeting(3)
    workers = meeting.workers()

    def child() -> None:
        nonlocal meeting
        signal.alarm(int(LONG_S))
        work(meeting, workers)
        del meeting
        gc.collect()

    assert in_a_child(child) == (0, b"")
    assert workers < meeting.call()


@needs_tasks
def test_waiting_threads_leave_signals_to_the_program_s_own() -> None:
    workers = Meeting(2).workers()
    meeting = Meeting(2)
    (worker,) = meeting.workers() - workers
    status = dict(line.split(":\t", 1) for line in (TASKS / str(worker) / "status").read_text().splitlines())
    blocked = int(status["SigBlk"], 16)
    signals = {name: 1 << number - 1 for name, number in (("HUP", 1), ("INT", 2), ("SEGV", 11), ("TERM", 15))}
    assert {name for name, bit in signals.items() if blocked & bit} == {"HUP", "INT", "TERM"}


ENDINGS = {
    "at the end of the program": "program(x)",
    "in a reference cycle": "program(x); cycle = [program]; cycle.append(cycle); del program, cycle",
    "while a daemon thread calls": """
def call():
    while True:
        program(x)
        called.set()
called = threading.Event()
threading.Thread(target=call, daemon=True).start()
called.wait()
""",
    "while a long call runs in a daemon thread": """
def first():
    called.set()
    event.wait()
called, event = threading.Event(), threading.Event()
own = Program(own_graph(first), threads=2)
threading.Thread(target=own, args=[np.zeros((4, 2, 3, 3), np.uint8)], daemon=True).start()
called.wait()
""",
    "in a forked child": """
program(x)
child = os.fork()
if not child:
    signal.alarm(60)
    program(x)
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
""",
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_process_ends_at_once_and_in_silence(ending: str) -> None:
    if "fork" in ending and os.name != "posix":
        pytest.skip("needs fork")
    script = f"""
import os, signal, sys, threading
import numpy as np
from spikelet import Program
from tests.random_graphs import random_graph, random_input
from tests.runtime.test_interrupted_calls import own_graph
graph = random_graph(5)
program, x = Program(graph, threads=3), random_input(graph, 5, 5)
{ending}
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=LONG_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_compiler
@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
def test_what_a_pool_does_is_right_and_clean_under_the_sanitizers(sanitizer: str, tmp_path: Path) -> None:
    flags = [*STRICT, "-g1", "-O1", f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", f"-I{CSRC}"]
    threads, program = tmp_path / "threads.o", tmp_path / "program"
    for command in (
        ["-Dpthread_create=create", "-c", str(CSRC / "threads.c"), "-o", str(threads)],
        [str(COUNTED), str(threads), "-o", str(program)],
    ):
        built = subprocess.run([str(CC), *flags, *command], capture_output=True, text=True)
        if "cannot find" in built.stderr or "unsupported" in built.stderr:
            pytest.skip("this compiler has no such sanitizer")
        assert built.returncode == 0, built.stderr
    ran = subprocess.run([str(program)], capture_output=True, text=True, timeout=LONG_S)
    assert (ran.returncode, ran.stdout) == (0, "clean\n"), ran.stderr


def test_the_sources_around_threads_compile_for_windows(tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    flags = [flag for flag in STRICT if flag not in ("-fPIC", "-pthread")]
    for name in ("threads", "run", "sets"):
        command = [*flags, "-target", "x86_64-windows-gnu", "-c", str(CSRC / f"{name}.c"), "-o", str(tmp_path / name)]
        built = subprocess.run([sys.executable, "-m", "ziglang", "cc", *command], capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
