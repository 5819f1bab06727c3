"""The int8 twin of a network for signals: its C computes what its NumPy does, and a trained one predicts the same."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import stream_twin
from spikelet import create_model
from spikelet.train.analog import to_analog
from tests.export.compiled import CC, SANITIZE, STRICT, needs_compiler

MAIN = """#include <stdio.h>
#include "stream_twin.h"
void twin_init(void);
void twin_step(const uint8_t *);
extern int32_t twin_sums[];
int main(void) {{
    static uint8_t frame[{inputs}];
    twin_init();
    while (fread(frame, 1, sizeof frame, stdin) == sizeof frame) twin_step(frame);
    fwrite(twin_sums, 4, {outputs}, stdout);
    return 0;
}}
"""


def analog_and_frames() -> tuple[torch.nn.Module, np.ndarray]:
    """A small twin whose norms have seen a batch, and frames [T, B, C]."""
    torch.manual_seed(0)
    options = {"time_steps": 9, "in_channels": 5, "num_classes": 4, "widths": [8, 6], "delays": [[0, 1], [0, 2, 5]]}
    model = to_analog(create_model("stream_lif", weight_bits=1, membrane_bits=32, image_size=1, **options))
    frames = np.random.default_rng(0).integers(0, 256, (9, 12, 5)).astype(np.uint8)
    for _ in range(20):
        model(torch.from_numpy(frames)[..., None, None])
    return model.eval(), frames


def test_the_twin_in_integers_is_near_the_trained_one() -> None:
    model, frames = analog_and_frames()
    with torch.no_grad():
        real = model(torch.from_numpy(frames)[..., None, None]).mean(0).numpy()
    found = stream_twin.run(stream_twin.twin_of(model, frames), frames)
    assert np.corrcoef(real.reshape(-1), found.reshape(-1))[0, 1] > 0.999


@needs_compiler
def test_its_c_computes_what_its_numpy_does(tmp_path: Path) -> None:
    model, frames = analog_and_frames()
    layers = stream_twin.twin_of(model, frames)
    texts = {**stream_twin.program(layers), "main.c": MAIN.format(inputs=5, outputs=4)}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    sources = [name for name in texts if name.endswith(".c")]
    flags = [flag for flag in STRICT if flag not in ("-Werror", "-Wconversion")]
    done = subprocess.run(
        [str(CC), *flags, *SANITIZE, *sources, "-o", "a"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for sample in range(frames.shape[1]):
        ran = subprocess.run([str(tmp_path / "a")], input=frames[:, sample].tobytes(), capture_output=True, check=True)
        assert np.frombuffer(ran.stdout, np.int32).tolist() == stream_twin.run(layers, frames)[sample].tolist()


def test_bytes_are_those_of_the_constants() -> None:
    model, frames = analog_and_frames()
    expected = 8 * 10 + 6 * 24 + 4 * 6 + 4 * (8 + 8 + 6 + 6 + 4)
    assert stream_twin.bytes_of(stream_twin.twin_of(model, frames)) == pytest.approx(expected)
