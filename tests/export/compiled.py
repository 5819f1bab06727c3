"""Many models in one program on this machine: each run whole and as a stream, every value against the reference.

batch = Batch([graph, ...])
batch.wrong(folder, "-O3")      {number of a graph: what of it differs}
"""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from spikelet import Reference
from spikelet.export.c.kernels import sources
from spikelet.export.c.project import written
from spikelet.export.c.selftest import outputs_of
from spikelet.export.c.text import Model
from spikelet.graph import ir
from tests.random_graphs import random_input

CC = shutil.which("cc") or shutil.which("gcc")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wcast-qual", "-pedantic", "-Werror")
SANITIZE = ("-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
needs_compiler = pytest.mark.skipif(CC is None, reason="needs a C compiler")

MAIN = """#include <stdio.h>
static uint8_t x[{inputs}];
static int32_t y[{outputs}];
static int got(uint32_t bytes) {{ return fread(x, 1, bytes, stdin) == bytes; }}
static void give(uint32_t values) {{ fwrite(y, 4, values, stdout); }}
int main(void) {{
    uint32_t t;
{models}
    return 0;
}}
"""
ONE = """    if (!got({input})) return 2;
    {name}_run(x, y);
    give({run});
    if (!got({frames})) return 2;
    {name}_init();
    for (t = 0; t < {steps}; t++) {{
        if ({name}_step(x + t * {input})) return 3;
        {name}_read(y);
        give({read});
    }}
    if ({limit} && !{name}_step(x)) return 4;
"""


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """A model, a still input of it, frames, and what a run and every step have to give; None: not compared."""

    model: Model
    still: NDArray[np.uint8]
    frames: NDArray[np.uint8]
    expected: tuple[tuple[str, NDArray[np.int32] | None, int], ...]


class Batch:
    """Graphs, their C, and what the reference says of an input each."""

    def __init__(self, graphs: Sequence[ir.IntGraph]) -> None:
        self.cases = [case_of(graph, i) for i, graph in enumerate(graphs)]

    def wrong(self, folder: Path, *flags: str) -> dict[int, list[str]]:
        """What differs, by the number of the graph, in a program built with `flags` without a warning."""
        self.build(folder, *flags)
        given = b"".join(case.still.tobytes() + case.frames.tobytes() for case in self.cases)
        done = subprocess.run([str(folder / "all")], input=given, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        found, at, wrong = np.frombuffer(done.stdout, np.int32), 0, {}
        for i, case in enumerate(self.cases):
            for what, values, size in case.expected:
                if values is not None and not np.array_equal(found[at : at + size], values):
                    wrong.setdefault(i, []).append(what)
                at += size
        assert at == len(found)
        return wrong

    def build(self, folder: Path, *flags: str) -> None:
        """Compiles one program of all models; a warning is an error."""
        folder.mkdir(exist_ok=True)
        for name, text in sources().items():
            (folder / name).write_text(text)
        includes, models = [], []
        for case in self.cases:
            for name, text in case.model.files.items():
                (folder / name).write_text(text)
            includes += [f'#include "{name}"' for name in case.model.files if name.endswith(".c")]
            sizes = case.model.sizes
            models.append(
                ONE.format(
                    name=case.model.name, input=sizes.input, frames=sizes.input * sizes.steps, steps=sizes.steps,
                    run=sizes.run_outputs, read=sizes.read_outputs, limit=sizes.limit,
                )
            )  # fmt: skip
        all_sizes = [case.model.sizes for case in self.cases]
        most = max(s.input * s.steps for s in all_sizes), max(s.run_outputs for s in all_sizes)
        main = "\n".join(includes) + "\n" + MAIN.format(inputs=most[0], outputs=most[1], models="".join(models))
        (folder / "main.c").write_text(main)
        kernels = [name for name in sources() if name.endswith(".c")]
        done = subprocess.run(
            [str(CC), *STRICT, *flags, "main.c", *kernels, "-o", "all"], cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[:3000]


def case_of(graph: ir.IntGraph, number: int) -> Case:
    """The model m<number> with inputs by that seed; a third of the streams see the still input at every step."""
    model, shape, steps = written(graph, f"m{number}"), graph.input.shape, graph.time_steps
    still = random_input(graph, 1, number)
    still = still if still.shape[1:] == shape else still[0]
    frames = np.random.default_rng(number).integers(0, 256, (steps, 1, *shape), np.uint8)
    if number % 3 == 0:
        frames = np.repeat(still[None], steps, axis=0)
    reference = Reference(graph)
    outputs = reference.outputs(frames)
    whole, streamed = reference.outputs(still), outputs_of(model, outputs, last=True)
    expected: list[tuple[str, NDArray[np.int32] | None, int]] = [
        ("run", outputs_of(model, whole, last=False), model.sizes.run_outputs)
    ]
    for t in range(steps):
        so_far = streamed if t == steps - 1 else _at(model, outputs, t)
        expected.append((f"step {t}", so_far, model.sizes.read_outputs))
    return Case(model, still, frames, tuple(expected))


def _at(model: Model, outputs: dict[str, NDArray[np.int32]], t: int) -> NDArray[np.int32] | None:
    """What a stream gives at step t, where every output has a time axis."""
    if not all(model.layout.edges[name].timed for name in model.layout.outputs):
        return None
    return np.concatenate([outputs[name][t, 0].reshape(-1) for name in model.layout.outputs])
