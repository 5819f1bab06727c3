"""A network that listens, as C on its own: from samples of sound to a digit.

    pip install ziglang                                     # a cross compiler
    python examples/listening_device.py [sound.wav]

Exports the shipped network of spoken digits into an empty folder, writes the few lines of a program around it, and
builds them for this machine and for a Cortex-M4, from nothing but that folder. The program hears a sound (a hum of
our own where none is given), and its logits are compared with spikelet's own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import spikelet
from spikelet.base.logmel import LogMel
from spikelet.base.regular import read_regular
from spikelet.base.sound import MAX_FILE_BYTES, Shorts, at_rate, centred, decode
from spikelet.export import front_end_of, to_c

MODEL = "stream-lif-fsdd"
PROGRAM = """/* Hears a second of sound, hop by hop, and says which digit it was. A device has a microphone. */
#include "digits.h"
#include "digits_sound.h"
#ifdef DESK
#include <stdio.h>
static int listen(int16_t *samples) { return fread(samples, 2, DIGITS_HOP, stdin) == DIGITS_HOP; }
static void tell(const int32_t *logits) { fwrite(logits, 4, DIGITS_READ, stdout); }
#else
static int listen(int16_t *samples) { static int hops; samples[0] = (int16_t)hops; return hops++ < DIGITS_STEPS; }
static void tell(const int32_t *logits) { (void)logits; }
#endif

int main(void) {
    static int16_t samples[DIGITS_HOP];
    static uint8_t frame[DIGITS_INPUT];
    static int32_t logits[DIGITS_READ];
    digits_silence();
    digits_init();
    while (listen(samples)) {
        digits_hear(samples, frame);
        digits_step(frame);
    }
    digits_read(logits);
    tell(logits);
    return 0;
}
"""
BOARD = {"FLASH_ORIGIN": "0x08000000", "FLASH_LENGTH": "64K", "RAM_ORIGIN": "0x20000000", "RAM_LENGTH": "8K"}
ALONE = ("-std=c99", "-Os", "-ffunction-sections", "-fdata-sections", "-Isrc", "-Wl,--gc-sections",
         "-fno-sanitize=undefined")  # fmt: skip


def build(folder: Path, out: str, *flags: str) -> Path:
    """The program in `folder`, built there by Zig's C compiler from the files of the export alone."""
    sources = [str(path.relative_to(folder)) for path in sorted((folder / "src").glob("*.c"))]
    command = [sys.executable, "-m", "ziglang", "cc", *ALONE, *flags, "main.c", *sources, "-o", out]
    subprocess.run(command, cwd=folder, check=True)
    return folder / out


def linker_script(text: str) -> str:
    """The exported linker script with a board's memory filled in."""
    for word, value in BOARD.items():
        text = text.replace(word, value)
    return text


def hum(rate: int) -> Shorts:
    """A rising hum of half a second."""
    t = np.arange(rate // 2) / rate
    return (6000 * np.sin(2 * np.pi * (200 * t + 300 * t * t))).astype(np.int16)


def heard(path: Path | None, hears: LogMel) -> Shorts:
    """A sound at the front end's rate."""
    if path is None:
        return hum(hears.rate)
    return at_rate(decode(read_regular(path, MAX_FILE_BYTES), str(path)), hears.rate, str(path))


def main(folder: Path, sound: Path | None = None) -> bool:
    """Whether the logits in C are those of spikelet."""
    graph = spikelet.load(MODEL)
    hears = front_end_of(graph)
    assert hears is not None, "the network says in its file how it hears"
    print(to_c(graph, folder / "digits", name="digits"))
    (folder / "digits" / "main.c").write_text(PROGRAM)
    desk = build(folder / "digits", "desk", "-DDESK")
    (folder / "digits" / "board.ld").write_text(linker_script((folder / "digits" / "bare" / "cortex-m.ld").read_text()))
    device = build(folder / "digits", "device.elf", "-target", "thumb-freestanding-eabi", "-mcpu=cortex_m4",
                   "-Wl,-e,reset", "-T", "board.ld", "bare/cortex-m.c", "bare/memory.c")  # fmt: skip
    samples = centred(heard(sound, hears), graph.time_steps * hears.hop)
    done = subprocess.run([str(desk)], input=samples.tobytes(), capture_output=True, check=True)
    in_c = np.frombuffer(done.stdout, np.int32)
    ours = spikelet.Program(graph)(hears.frames(samples)[:, None, :, None, None])[0]
    print(f"Cortex-M4 program: {device.name}; heard {graph.labels[int(in_c.argmax())]!r}")
    print(f"logits that differ between C and spikelet: {int((in_c != ours).sum())}")
    return bool((in_c == ours).all())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        main(Path(place), Path(sys.argv[1]) if len(sys.argv) > 1 else None)
