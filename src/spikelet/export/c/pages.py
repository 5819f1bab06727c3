"""The README and the Makefile of an exported project."""

from __future__ import annotations

from spikelet.base.text import fit_to_print
from spikelet.export.c.code import said
from spikelet.export.c.report import Report
from spikelet.export.c.text import Model

MAKEFILE = """# make check       builds the self-test for this machine, and runs it
# make cortex-m4   the self-test for a Cortex-M4 as build/cortex-m4.elf; also -m0, -m3, -m33
# make aarch64     for 64-bit Arm under Linux, as build/aarch64
# make wasm32      {name}_run, {name}_init ... as build/{name}.wasm
# make clean       removes what was built
#
# Cross compilers are arm-none-eabi-gcc, aarch64-linux-gnu-gcc and clang, or all of them is Zig's, which pip installs:
#   make cortex-m4 ZIG="python3 -m ziglang"
# Say where your board has its memory: make cortex-m4 FLASH_ORIGIN=0x08000000 FLASH_LENGTH=1M RAM_LENGTH=128K

CC ?= cc
CFLAGS ?= -std=c99 -O2
BUILD ?= build
FLASH_ORIGIN ?= 0x00000000
FLASH_LENGTH ?= 4M
RAM_ORIGIN ?= 0x20000000
RAM_LENGTH ?= 4M

WARNINGS := -Wall -Wextra -Wconversion -pedantic
MODEL := $(wildcard src/*.c)
HEADERS := $(wildcard src/*.h)
SMALL := -std=c99 -Os -ffunction-sections -fdata-sections -Isrc -Wl,--gc-sections
EXPORTS := $(foreach f,{functions},-Wl,--export={name}_$(f))

ifdef ZIG
ARM = $(ZIG) cc -target thumb-freestanding-eabi -mcpu=$(subst -,_,$(1)) -fno-sanitize=undefined
AARCH64 = $(ZIG) cc -target aarch64-linux-musl -fno-sanitize=undefined
WASM = $(ZIG) cc -target wasm32-freestanding -fno-sanitize=undefined
else
ARM = arm-none-eabi-gcc -mthumb -mcpu=$(1)
AARCH64 = aarch64-linux-gnu-gcc
WASM = clang --target=wasm32
ALONE := -nostdlib
LIBGCC := -lgcc
endif

check: $(BUILD)/selftest
\t./$<

$(BUILD)/selftest: $(MODEL) selftest.c $(HEADERS)
\t@mkdir -p $(@D)
\t$(CC) $(CFLAGS) $(WARNINGS) -Isrc -DSPK_PRINT $(MODEL) selftest.c -o $@

cortex-m33: FLASH_ORIGIN := 0x10000000
cortex-m33: RAM_ORIGIN := 0x38000000

cortex-m0 cortex-m3 cortex-m4 cortex-m33: %: $(MODEL) selftest.c $(HEADERS)
\t@mkdir -p $(BUILD)
\tsed -e 's/FLASH_ORIGIN/$(FLASH_ORIGIN)/; s/FLASH_LENGTH/$(FLASH_LENGTH)/' \\
\t    -e 's/RAM_ORIGIN/$(RAM_ORIGIN)/; s/RAM_LENGTH/$(RAM_LENGTH)/' bare/cortex-m.ld > $(BUILD)/$@.ld
\t$(call ARM,$@) $(SMALL) $(ALONE) -Wl,-e,reset -T $(BUILD)/$@.ld $(MODEL) selftest.c bare/cortex-m.c bare/memory.c \\
\t    $(LIBGCC) -o $(BUILD)/$@.elf

aarch64: $(MODEL) selftest.c $(HEADERS)
\t@mkdir -p $(BUILD)
\t$(AARCH64) $(SMALL) -static -DSPK_PRINT $(MODEL) selftest.c -o $(BUILD)/$@

wasm32: $(MODEL) selftest.c $(HEADERS)
\t@mkdir -p $(BUILD)
\t$(WASM) $(SMALL) -nostdlib -Wl,--no-entry $(EXPORTS) -Wl,--export={name}_selftest $(MODEL) selftest.c bare/memory.c \\
\t    -o $(BUILD)/{name}.wasm

clean:
\trm -rf $(BUILD)

.PHONY: check clean cortex-m0 cortex-m3 cortex-m4 cortex-m33 aarch64 wasm32
"""

README = """# {title} in C

A spiking network as C99: constant arrays, a few kernels, and straight calls. No allocation, no floating point, no
library but `memcpy` and `memset`. It computes the integers that spikelet's reference computes, all of them.

    make check

builds the self-test for this machine and runs it; `make cortex-m4`, `make aarch64` and `make wasm32` build it for
others (the Makefile says more). In a program of your own, compile everything in `src` with `-Os` or `-O2` and
`-ffunction-sections -fdata-sections`, and link with `--gc-sections`, so that what is not called takes no room.

## One input

    #include "{name}.h"

    static uint8_t input[{upper}_INPUT];     /* {shape}, channel by channel, bytes 0 to 255 */
    static int32_t output[{upper}_OUTPUT];

    {name}_run(input, output);               /* {steps} time steps of the same input */

{outputs}

## A stream

    {name}_init();
    {name}_step(frame);                      /* one time step; {limit} */
    {name}_read(output);                     /* {upper}_READ values: what `run` gives, of the steps so far */

{sound}## On a Cortex-M

    make cortex-m4 ZIG="python3 -m ziglang"  # after pip install ziglang; or with arm-none-eabi-gcc, without ZIG
    qemu-system-arm -M mps2-an386 -nographic -semihosting -kernel build/cortex-m4.elf; echo $?

ends with 0 where every value is right. No board was at hand when spikelet was written: it is tested under emulation.

## What it takes

| | bytes |
|---|---|
| flash: constants | {constants} |
| flash: kernels and calls, Cortex-M4 at -Os, about | {code} |
| RAM of `run` | {ram} |
| RAM of a stream | {stream} |
| stack, at most | {stack} |
{sound_sizes}
Both ways of running have memory of their own, which is linked where they are called.
{labels}"""

SOUND = """## Sound

    #include "{name}_sound.h"

    {name}_silence();                        /* before the first sample */
    {name}_hear(samples, frame);             /* {upper}_HOP samples at {upper}_RATE a second: a frame for step */

"""

SOUND_SIZES = """| flash: front end for sound, about | {flash} |
| RAM: front end for sound | {ram} |
"""


def makefile(model: Model) -> str:
    """The Makefile."""
    functions = "run init step read silence hear" if model.hears else "run init step read"
    return MAKEFILE.replace("{name}", model.name).replace("{functions}", functions)


def readme(model: Model, found: Report) -> str:
    """The README."""
    graph, sizes = model.graph, model.sizes
    outputs, first = [], 0
    for output in graph.outputs:
        edge = model.layout.edges[output.node]
        count = sizes.steps if edge.timed else 1
        shape = [*([count] if edge.timed else []), *edge.shape]
        outputs.append(f"- `output[{first}]` on: {said(output.node)}, {shape}; real value = integer x {output.scale!r}")
        first += count * edge.size
    names = ", ".join(f"{i} {_plain(label)}" for i, label in enumerate(graph.labels[:100]))
    return README.format(
        title=said(graph.title), name=model.name, upper=model.name.upper(), shape=list(graph.input.shape),
        steps=sizes.steps, outputs="\n".join(outputs),
        limit=f"gives 1 where {sizes.limit} were taken" if sizes.limit else "as many as come",
        constants=f"{found.constants:,}", code=f"{found.kernels + found.calls:,}", ram=f"{found.ram:,}",
        sound=SOUND.format(name=model.name, upper=model.name.upper()) if model.hears else "",
        sound_sizes=SOUND_SIZES.format(flash=f"{found.sound:,}", ram=f"{found.sound_ram:,}") if model.hears else "",
        stream=f"{found.stream_ram:,}", stack=f"{found.stack:,}", labels=f"\n## Classes\n\n{names}\n" if names else "",
    )  # fmt: skip


def _plain(label: str) -> str:
    """A class name from a file, with nothing that Markdown obeys."""
    return "".join(letter if letter.isalnum() or letter in " -." else "_" for letter in fit_to_print(label, 60))
