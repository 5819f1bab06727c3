"""Latency as on lesser machines: a kernel set of few instructions, beside PyTorch that is told to keep to the same.

    tables(("spikformer_4_384:1", "spikformer_4_384:4"), seconds)      results of end_to_end.py, batch 1, one thread

PyTorch reads its limits when it starts, so that every set is measured in a process of its own. Plain eager PyTorch is
the one contender: what Inductor makes of convolutions there is an artefact (shared/design/kernels.md), and ONNX Runtime
takes no limit.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.record import ROOT
from spikelet.runtime.library import kernel_sets

LIMITS = {  # of PyTorch's own kernels, of oneDNN's and of MKL's
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "portable": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
}


def tables(words: Sequence[str], seconds: float, options: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Measures every case by each set of LIMITS that this machine has, none where it is no x86-64, and prints what
    end_to_end.py does; `options` are words of its command line. Each result says under `limits` what PyTorch was told.
    """
    x86 = platform.machine() in ("x86_64", "AMD64")
    here = [one.name for one in kernel_sets() if x86 and one.name in LIMITS]
    return [result for kernels in here for result in _measured(words, kernels, seconds, options)]


def _measured(words: Sequence[str], kernels: str, seconds: float, options: Sequence[str]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "latency.json"
        command = [sys.executable, "-m", "benchmarks.end_to_end", *words, "--kernels", kernels, "--batch", "1"]
        command += ["--beside", "eager", "--seconds", str(seconds), "--out", str(out), *options]
        print(flush=True)  # what was printed before stands before what the process prints
        subprocess.run(command, cwd=ROOT, env={**os.environ, **LIMITS[kernels]}, check=True)
        return [{**one, "limits": LIMITS[kernels]} for one in json.loads(out.read_text())["results"]]
