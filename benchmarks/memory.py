"""Memory of a process of its own, on Linux: what is resident in it, and the peak of a part of its work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

RETURNED = {"MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_MMAP_THRESHOLD_": "65536"}  # freed memory goes back


def resident() -> int:
    """MiB that are resident in this process."""
    return _mebibytes("VmRSS")


def peak() -> int:
    """MiB that were resident in this process at most since `begin_peak`."""
    return _mebibytes("VmHWM")


def begin_peak() -> None:
    """Lets the peak begin anew."""
    Path("/proc/self/clear_refs").write_text("5")


def apart(module: str, *words: str) -> str:
    """What `python -m MODULE WORDS` prints, on one thread and with freed memory given back.

    Raises:
        SystemExit: it failed; says what it said.
    """
    environment = os.environ | RETURNED | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def _mebibytes(field: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) // 1024
