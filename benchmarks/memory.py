"""A process of its own, whose memory can be measured (base/memory.py): on one thread, freed memory given back."""

from __future__ import annotations

import os
import subprocess
import sys

MIB = 1 << 20
RETURNED = {"MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_MMAP_THRESHOLD_": "65536"}  # freed memory goes back


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
