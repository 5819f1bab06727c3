"""The README of an exported project."""

from __future__ import annotations

from spikelet.base.text import fit_to_print
from spikelet.export.c.code import said
from spikelet.export.c.report import Report
from spikelet.export.c.text import Model

README = """# {title} as {form}

A spiking network as C99: constant arrays, a few kernels, and straight calls. No allocation, no floating point, no
library but `memcpy` and `memset`. It computes the integers that spikelet's reference computes, all of them. No board
was at hand when spikelet was written: the same C is tested under emulation.

{how}
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

{sound}## What it takes

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


def readme(model: Model, found: Report, form: str, how: str) -> str:
    """The README of a model that is exported as `form`; how: what to do with it, as Markdown."""
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
        title=said(graph.title), form=form, how=how, name=model.name, upper=model.name.upper(),
        shape=list(graph.input.shape), steps=sizes.steps, outputs="\n".join(outputs),
        limit=f"gives 1 where {sizes.limit} were taken" if sizes.limit else "as many as come",
        constants=f"{found.constants:,}", code=f"{found.kernels + found.calls:,}", ram=f"{found.ram:,}",
        sound=SOUND.format(name=model.name, upper=model.name.upper()) if model.hears else "",
        sound_sizes=SOUND_SIZES.format(flash=f"{found.sound:,}", ram=f"{found.sound_ram:,}") if model.hears else "",
        stream=f"{found.stream_ram:,}", stack=f"{found.stack:,}", labels=f"\n## Classes\n\n{names}\n" if names else "",
    )  # fmt: skip


def _plain(label: str) -> str:
    """A class name from a file, with nothing that Markdown obeys."""
    return "".join(letter if letter.isalnum() or letter in " -." else "_" for letter in fit_to_print(label, 60))
