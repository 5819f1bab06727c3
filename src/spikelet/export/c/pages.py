"""The README and the Makefile of an exported project."""

from __future__ import annotations

from spikelet.base.text import fit_to_print
from spikelet.export.c.code import said
from spikelet.export.c.report import Report
from spikelet.export.c.text import Model

MAKEFILE = """# make check   runs the self-test on this machine, which compares every output with the reference's
# make clean   removes what was built
CC ?= cc
CFLAGS ?= -std=c99 -O2 -Wall -Wextra -Wconversion -pedantic
BUILD ?= build

SOURCES := $(wildcard src/*.c) selftest.c
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)

check: $(BUILD)/selftest
\t./$<

$(BUILD)/selftest: $(OBJECTS)
\t$(CC) $(CFLAGS) $^ -o $@

$(BUILD)/%.o: %.c $(wildcard src/*.h)
\t@mkdir -p $(@D)
\t$(CC) $(CFLAGS) -Isrc -DSPK_PRINT -c $< -o $@

clean:
\trm -rf $(BUILD)

.PHONY: check clean
"""

README = """# {title} in C

A spiking network as C99: constant arrays, a few kernels, and straight calls. No allocation, no floating point, no
library but `memcpy` and `memset`. It computes the integers that spikelet's reference computes, all of them.

    make check

builds the self-test for this machine and runs it. On a device, compile everything in `src` with `-Os` or `-O2` and
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

## What it takes

| | bytes |
|---|---|
| flash: constants | {constants} |
| flash: kernels and calls, Cortex-M4 at -Os, about | {code} |
| RAM of `run` | {ram} |
| RAM of a stream | {stream} |
| stack, at most | {stack} |

Both ways of running have memory of their own, which is linked where they are called.
{labels}"""


def makefile(model: Model) -> str:
    """The Makefile."""
    return MAKEFILE


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
        stream=f"{found.stream_ram:,}", stack=f"{found.stack:,}", labels=f"\n## Classes\n\n{names}\n" if names else "",
    )  # fmt: skip


def _plain(label: str) -> str:
    """A class name from a file, with nothing that Markdown obeys."""
    return "".join(letter if letter.isalnum() or letter in " -." else "_" for letter in fit_to_print(label, 60))
