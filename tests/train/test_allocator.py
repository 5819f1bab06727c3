"""A process that keeps its freed memory asks the kernel for none in its next steps, and holds little more of it."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spikelet.train.allocator import SETTINGS, keep_freed_memory

ROOT = Path(__file__).resolve().parents[2]
STEPS = """
import random, resource, sys
import torch
from spikelet.train.allocator import keep_freed_memory

def memory(field):
    return int(next(line for line in open("/proc/self/status") if line.startswith(field)).split()[1])

if sys.argv[1] == "kept":
    assert keep_freed_memory()
torch.set_num_threads(1)
before = memory("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
faults = 0
for count in (5, 8, 13):  # what lies behind the last buffer decides what the kernel gets back
    for step in range(5):
        now = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        tensors = [torch.ones(2 << 20) for _ in range(count)]  # of 8 MB
        del tensors
        faults += resource.getrusage(resource.RUSAGE_SELF).ru_minflt - now if step > 1 else 0
numbers = random.Random(0)
sizes = [int(2 ** numbers.uniform(15, 23)) for _ in range(16)]  # 0.1 to 32 MB
for step in range(10):
    tensors = []
    for size in numbers.sample(sizes, len(sizes)):
        tensors.append(torch.ones(size))
        if len(tensors) > 6 and numbers.random() < 0.5:
            del tensors[numbers.randrange(len(tensors))]
    del tensors
print(faults, memory("VmHWM") - before)
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library has no mallopt(3)"
)


def run(code: str, *words: str, **environment: str) -> list[str]:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=False,
        env=clean | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def measured() -> dict[str, tuple[int, int]]:
    """Page faults of steps that make the same buffers as the one before, and KiB at the peak, of mixed ones too."""
    found = {}
    for kept in ("kept", "given back"):
        faults, peak = map(int, run(STEPS, kept))
        found[kept] = faults, peak
    return found


def test_the_kernel_is_asked_for_fewer_pages(measured: dict[str, tuple[int, int]]):
    assert measured["given back"][0] > 4_000
    assert measured["kept"][0] < measured["given back"][0] / 10


def test_the_peak_is_little_higher(measured: dict[str, tuple[int, int]]):
    assert measured["kept"][1] < 1.5 * measured["given back"][1]


def test_what_the_environment_says_stays(monkeypatch: pytest.MonkeyPatch):
    asked = []

    class Library:
        @staticmethod
        def mallopt(code: int, value: int) -> int:
            asked.append((code, value))
            return 1

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library)
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)
    monkeypatch.setenv("MALLOC_TOP_PAD_", "4096")
    assert keep_freed_memory()
    assert asked == [(s.code, s.value) for s in SETTINGS if s.variable != "MALLOC_TOP_PAD_"]


@pytest.mark.parametrize("platform", ["darwin", "win32", "linux"])
def test_a_system_without_it_is_left_alone(platform: str, monkeypatch: pytest.MonkeyPatch):
    def library(name: None) -> object:
        assert platform == "linux", "nothing is looked for on other systems"
        return object()  # as musl's, without mallopt

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", library)
    assert not keep_freed_memory()


def test_only_the_command_makes_the_choice():
    code = """
import sys
import spikelet.train
from spikelet import fit
assert spikelet.train.Run and fit
assert "spikelet.train.allocator" not in sys.modules
"""
    run(code)
