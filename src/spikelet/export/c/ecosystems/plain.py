"""A folder with a Makefile: for this machine, bare Cortex-M, 64-bit Arm and WebAssembly."""

from __future__ import annotations

from pathlib import Path

from spikelet.export.c.ecosystems.ecosystem import Ecosystem, Project
from spikelet.export.c.selftest import MAIN

BARE = Path(__file__).parents[1] / "bare"  # what a device without an operating system needs

MAKEFILE = """# make check       builds the self-test for this machine, and runs it
# make cortex-m4   the self-test for a Cortex-M4 as build/cortex-m4.elf; also -m0, -m3, -m33
# make aarch64     for 64-bit Arm under Linux, as build/aarch64
# make wasm32      @name@_run, @name@_init ... as build/@name@.wasm
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

WARNINGS := -Wall -Wextra -Wconversion -Wcast-qual -pedantic
MODEL := $(wildcard src/*.c)
TEST := selftest.c main.c
HEADERS := $(wildcard src/*.h)
SMALL := -std=c99 -Os -ffunction-sections -fdata-sections -Isrc -Wl,--gc-sections
EXPORTS := $(foreach f,@functions@,-Wl,--export=@name@_$(f))

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

$(BUILD)/selftest: $(MODEL) $(TEST) $(HEADERS)
\t@mkdir -p $(@D)
\t$(CC) $(CFLAGS) $(WARNINGS) -Isrc -DSPK_PRINT $(MODEL) $(TEST) -o $@

cortex-m33: FLASH_ORIGIN := 0x10000000
cortex-m33: RAM_ORIGIN := 0x38000000

cortex-m0 cortex-m3 cortex-m4 cortex-m33: %: $(MODEL) $(TEST) $(HEADERS)
\t@mkdir -p $(BUILD)
\tsed -e 's/FLASH_ORIGIN/$(FLASH_ORIGIN)/; s/FLASH_LENGTH/$(FLASH_LENGTH)/' \\
\t    -e 's/RAM_ORIGIN/$(RAM_ORIGIN)/; s/RAM_LENGTH/$(RAM_LENGTH)/' bare/cortex-m.ld > $(BUILD)/$@.ld
\t$(call ARM,$@) $(SMALL) $(ALONE) -Wl,-e,reset -T $(BUILD)/$@.ld $(MODEL) $(TEST) bare/cortex-m.c bare/memory.c \\
\t    $(LIBGCC) -o $(BUILD)/$@.elf

aarch64: $(MODEL) $(TEST) $(HEADERS)
\t@mkdir -p $(BUILD)
\t$(AARCH64) $(SMALL) -static -DSPK_PRINT $(MODEL) $(TEST) -o $(BUILD)/$@

wasm32: $(MODEL) selftest.c $(HEADERS)
\t@mkdir -p $(BUILD)
\t$(WASM) $(SMALL) -nostdlib -Wl,--no-entry $(EXPORTS) -Wl,--export=@name@_selftest $(MODEL) selftest.c bare/memory.c \\
\t    -o $(BUILD)/@name@.wasm

clean:
\trm -rf $(BUILD)

.PHONY: check clean cortex-m0 cortex-m3 cortex-m4 cortex-m33 aarch64 wasm32
"""

HOW = """    make check

builds the self-test for this machine and runs it; `make cortex-m4`, `make aarch64` and `make wasm32` build it for
others (the Makefile says more). In a program of your own, compile everything in `src` with `-Os` or `-O2` and
`-ffunction-sections -fdata-sections`, and link with `--gc-sections`, so that what is not called takes no room.

## On a Cortex-M

    make cortex-m4 ZIG="python3 -m ziglang"  # after pip install ziglang; or with arm-none-eabi-gcc, without ZIG
    qemu-system-arm -M mps2-an386 -nographic -semihosting -kernel build/cortex-m4.elf; echo $?

ends with 0 where every value is right.
"""


def files(project: Project) -> dict[str, str]:
    """The Makefile, the self-test with its `main`, and start-up code."""
    functions = "run init step read silence hear" if project.model.hears else "run init step read"
    return {
        **{f"bare/{path.name}": path.read_text(encoding="utf-8") for path in sorted(BARE.iterdir())},
        "selftest.c": project.selftest,
        "main.c": project.fill(MAIN),
        "Makefile": project.fill(MAKEFILE, functions=functions),
    }


ECOSYSTEM = Ecosystem("C", files, HOW)
