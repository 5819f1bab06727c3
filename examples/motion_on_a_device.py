"""A network that feels: six activities from a phone's raw samples, as C for a microcontroller, one sample at a time.

    python examples/motion_on_a_device.py [folder]

It exports the shipped network, writes a program beside it that hands it samples one by one, builds that with the C
compiler of this machine, and compares the sums of a window with those of the native runtime.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import spikelet
from spikelet.export import to_c

MAIN = """#include <stdio.h>
#include "motion.h"

int main(void) {{
    static const uint8_t samples[] = {{{samples}}};
    int32_t sums[{classes}];
    unsigned i;
    motion_init();
    for (i = 0; i < {steps}; i++) motion_step(samples + i * {channels}); /* as an interrupt would, 50 times a second */
    motion_read(sums);
    for (i = 0; i < {classes}; i++) printf("%ld\\n", (long)sums[i]);
    return 0;
}}
"""


def felt(steps: int) -> np.ndarray:
    """Bytes [steps, 6] of somebody who walks, made up: gravity along the first axis, and a beat of 2 Hz."""
    t = np.arange(steps)[:, None] / 50
    beat = np.sin(2 * np.pi * 2 * t + np.arange(6)) * np.array([20, 12, 12, 50, 40, 40])
    return np.clip(np.floor(128 + np.array([60, -10, 5, 0, 0, 0]) + beat + 0.5), 0, 255).astype(np.uint8)


def main() -> None:
    """See above."""
    graph = spikelet.load("stream-lif-hapt")
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()) / "motion-c"
    print(to_c(graph, folder, name="motion"))
    samples = felt(graph.time_steps)
    text = MAIN.format(
        samples=", ".join(map(str, samples.reshape(-1).tolist())),
        classes=len(graph.labels), steps=graph.time_steps, channels=samples.shape[1],
    )  # fmt: skip
    (folder / "main.c").write_text(text, encoding="utf-8")
    sources = sorted(str(path.relative_to(folder)) for path in (folder / "src").glob("*.c"))
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run([*compiler, "-std=c99", "-O2", "-Isrc", "main.c", *sources, "-o", "motion"], cwd=folder, check=True)
    said = subprocess.run([folder / "motion"], capture_output=True, text=True, check=True).stdout
    sums = [int(line) for line in said.split()]
    native = spikelet.Program(graph)(samples[:, None, :, None, None])[0].tolist()
    print(f"the device says {graph.labels[int(np.argmax(sums))]}: {sums}")
    if sums != native:
        raise SystemExit(f"the native runtime says {native}")


if __name__ == "__main__":
    main()
