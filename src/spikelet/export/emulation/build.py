"""A model as a program for a Cortex-M whose entry is its `run`, built by Zig's C compiler."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from spikelet.base.errors import SpikeletError
from spikelet.base.optional import need
from spikelet.export.c.ecosystems.plain import BARE
from spikelet.export.c.kernels import needed
from spikelet.export.c.text import Model

FLAGS = (
    "-std=c99",
    "-Os",
    "-g",
    "-fno-sanitize=undefined",
    "-ffunction-sections",
    "-fdata-sections",
)  # -g: the names of functions, which take no flash
PLACES = {"FLASH_ORIGIN": "0x0", "FLASH_LENGTH": "16M", "RAM_ORIGIN": "0x20000000", "RAM_LENGTH": "16M"}
STREAM = "whole_stream"
CORES = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m33")


def zig() -> list[str]:
    """The command of Zig's tools.

    Raises:
        MissingLibrary: it is not installed.
    """
    need("ziglang", package="ziglang", extra="targets", what="a count of instructions")
    return [sys.executable, "-m", "ziglang"]


def build(model: Model, folder: Path, core: str, *, streams: bool = False, more: Sequence[str] = ()) -> Path:
    """The program of `model` in `folder`, whose entry is its `run` or, if it `streams`, makes all steps of a stream."""
    sources = model.files | needed("".join(model.files.values()))
    sources |= {"memory.c": (BARE / "memory.c").read_text(encoding="utf-8"), "entry.c": _entry(model)}
    for name, text in sources.items():
        (folder / name).write_text(text, encoding="utf-8")
    entry = STREAM if streams else f"{model.name}_run"
    return link(folder, sorted(name for name in sources if name.endswith(".c")), entry, core, more=more)


def _entry(model: Model) -> str:
    """A function of `run`'s arguments that makes a whole stream."""
    name, upper = model.name, model.name.upper()
    return f"""#include "{name}.h"
void {STREAM}(const uint8_t *frames, int32_t *output);
void {STREAM}(const uint8_t *frames, int32_t *output) {{
    uint32_t t;
    {name}_init();
    for (t = 0; t < {upper}_STEPS; t++) (void){name}_step(frames + t * {upper}_INPUT);
    {name}_read(output);
}}
"""


def link(folder: Path, sources: Sequence[str], entry: str, core: str, *, more: Sequence[str] = ()) -> Path:
    """`sources` of `folder` as a program of `core` that begins with the function `entry`.

    Raises:
        SpikeletError: the compiler or the linker refuses; says what they said.
        MissingLibrary: Zig's compiler is not installed.
    """
    script = (BARE / "cortex-m.ld").read_text(encoding="utf-8")
    for word, value in PLACES.items():
        script = script.replace(f"= {word}", f"= {value}")
    (folder / "program.ld").write_text(script, encoding="utf-8")
    where = ("-target", "thumb-freestanding-eabi", f"-mcpu={core.replace('-', '_')}")
    ending = ("-T", "program.ld", "-Wl,--gc-sections", f"-Wl,-e,{entry}", "-o", "program.elf")
    command = [*zig(), "cc", *where, *FLAGS, *more, *sources, *ending]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SpikeletError(f"{core} can't be built for: {done.stderr.strip()[-2000:]}")
    return folder / "program.elf"
