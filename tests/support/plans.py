"""Fingerprints of native plans, to see whether a change of the runtime changed what it runs.

python -m tests.support.plans        writes tests/golden/plans.json
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from spikelet import Program
from spikelet.graph.file.artifact import dumps
from spikelet.runtime.binding import bind
from tests.random_graphs import random_graph, random_input

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "plans.json"
SEEDS, TOGETHER = 500, 10
SETS = ("portable", "avx2")
# The fields of an operation at commit c234502, pointers apart. Younger fields are left out: old graphs don't use them.
FIELDS = (
    "kind", "source", "T", "in_c", "in_h", "in_w", "in_t", "out_c", "out_h", "out_w", "map_h", "map_w", "pool",
    "kernel_h", "kernel_w", "stride_h", "stride_w", "pad_h", "pad_w", "groups", "code_top", "odd", "affine", "split",
    "addend_source", "addend_t", "sum_time", "leak", "gain", "leak_bits", "threshold", "soft_reset", "membrane_shift",
    "membrane_top", "drop", "src", "addend", "values", "spikes", "scratch", "external", "row_bytes",
)  # fmt: skip


def fingerprint(seed: int, kernels: str) -> list[str]:
    """Hashes of what `random_graph(seed)` is as a file, of its logits, its spikes, and its two plans."""
    graph = random_graph(seed)
    x = random_input(graph, 3, seed)
    program = Program(graph, kernels=kernels)
    logits, spikes = program(x), program.spikes(x)
    plans: list[object] = []
    for wanted in (False, True):
        plan = program.plan(still=x.ndim - 1 == len(graph.input.shape), spikes=wanted)
        plans += [[int(getattr(op, name) or 0) for name in FIELDS] for op in bind(plan).ops]
        plans.append(plan.arena_bytes)
    everything = b"".join(name.encode() + values.tobytes() for name, values in sorted(spikes.items()))
    return [_hash(dumps(graph)), _hash(logits.tobytes()), _hash(everything), _hash(json.dumps(plans).encode())]


def fingerprint_of_seeds(first: int, kernels: str) -> str:
    """One hash for the graphs of `TOGETHER` seeds from `first` on."""
    rows = [fingerprint(seed, kernels) for seed in range(first, first + TOGETHER)]
    return _hash(json.dumps(rows).encode())


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


if __name__ == "__main__":
    found = {k: [fingerprint_of_seeds(s, k) for s in range(0, SEEDS, TOGETHER)] for k in SETS}
    GOLDEN.write_text(json.dumps(found, indent=0) + "\n")
