"""The int8 networks that spiking ones are compared with: real networks of the same shape, computed as NumPy does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import spikelet
from benchmarks.int8_twin import expected, layers_of, twin
from benchmarks.microcontroller import PUBLISHED, Row, save, table
from spikelet.graph import ir
from tests.export.compiled import CC, STRICT, needs_compiler

MAIN = """#include <stdint.h>
#include <stdio.h>
void twin_run(const int8_t *x, int32_t *y);
static int8_t x[1 << 16];
static int32_t y[4096];
int main(void) {
    if (!fread(x, 1, sizeof x, stdin)) return 1;
    twin_run(x, y);
    fwrite(y, 4, 4096, stdout);
    return 0;
}
"""
SHIPPED = [pytest.param("qsnn-vgg-s-cifar10", marks=pytest.mark.slow), "qsnn-vgg-s-nmnist"]


@needs_compiler
@pytest.mark.parametrize("name", SHIPPED)
def test_a_twin_computes_what_numpy_does(name: str, tmp_path: Path) -> None:
    graph = spikelet.load(name)
    sources, _ = twin(graph)
    for path, text in {**sources, "main.c": MAIN}.items():
        (tmp_path / path).write_text(text)
    words = [str(CC), *STRICT, "-O2", "-fsanitize=address,undefined", *sorted(tmp_path.glob("*.c")), "-o", "twin"]
    built = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    channels, height, width = graph.input.shape
    x = np.random.default_rng(3).integers(-128, 128, (height, width, channels)).astype(np.int8)
    done = subprocess.run([str(tmp_path / "twin")], input=x.tobytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    right = expected(graph, x)
    assert len(set(right.tolist())) > 2
    assert np.array_equal(np.frombuffer(done.stdout, "<i4")[: len(right)], right)


def test_a_twin_has_the_convolutions_of_the_network() -> None:
    graph = spikelet.load("qsnn-vgg-s-cifar10")
    layers, sizes = layers_of(graph, 0)
    ours = [node.weight.shape for node in graph.nodes if isinstance(node, ir.Conv)]
    theirs = [layer.weights.codes.shape for layer in layers if layer.kind == "conv" and layer.weights]
    assert theirs == ours
    assert sizes[0] == 3 * 32 * 32
    assert max(sizes.values()) == 64 * 32 * 32


def test_what_has_no_twin_is_refused_by_name() -> None:
    graph = spikelet.load("qsd-transformer-cifar10")
    with pytest.raises(ValueError, match="an int8 twin has no "):
        layers_of(graph, 0)


def test_the_table_and_the_plot_hold_every_row(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [Row("mine", "cortex-m4", 2.5e6, 3e6, 1000, 500, "-Os", 2), *PUBLISHED]
    text = table(rows).text()
    assert all(f"{row.instructions / 1e6:.2f}" in text for row in rows)
    assert text.count("published") == 2
    save(rows, tmp_path)
    assert (tmp_path / "table.png").stat().st_size > 1000
