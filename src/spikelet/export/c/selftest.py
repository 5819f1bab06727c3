"""A program that shows that a device computes what was evaluated: inputs and the reference's outputs, baked in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikelet.export.c.constants import Constants
from spikelet.export.c.sound import sound_test
from spikelet.export.c.text import Model
from spikelet.graph.reference import Reference

Int32 = NDArray[np.int32]
INPUTS = 3

TEST = """/* Runs every input whole, and all of them as frames of a stream; gives the number of wrong values. */
#include "{name}.h"

{arrays}

{hearing}static int32_t found[{upper}_OUTPUT];

static int wrong(const int32_t *expected, uint32_t count) {{
    uint32_t i;
    int differ = 0;
    for (i = 0; i < count; i++) differ += found[i] != expected[i];
    return differ;
}}

int {name}_selftest(void);
int {name}_selftest(void) {{
    uint32_t i;
    int differ = 0;
    for (i = 0; i < {inputs}; i++) {{
        {name}_run({x} + i * {upper}_INPUT, found);
        differ += wrong({whole} + i * {upper}_OUTPUT, {upper}_OUTPUT);
    }}
    {name}_init();
    for (i = 0; i < {upper}_STEPS; i++) differ += {name}_step({x} + i % {inputs} * {upper}_INPUT);
    {name}_read(found);
    return differ + wrong({streamed}, {upper}_READ){frames};
}}
"""
MAIN = """/* The self-test as a program; with -DSPK_PRINT it says in words what it found. */
#include "@name@.h"
#ifdef SPK_PRINT
#include <stdio.h>
#endif

int @name@_selftest(void);

int main(void) {
    const int differ = @name@_selftest();
#ifdef SPK_PRINT
    printf("@name@: @inputs@ runs and a stream of %d steps, %d wrong values\\n", @NAME@_STEPS, differ);
#endif
    return differ != 0;
}
""".replace("@inputs@", str(INPUTS))


def selftest(model: Model, seed: int = 0) -> str:
    """The source of its function `name_selftest`."""
    x = inputs(model, seed)
    reference, steps = Reference(model.graph), model.graph.time_steps
    constants = Constants("expected")
    whole = np.concatenate([outputs_of(model, reference.outputs(one[None]), last=False) for one in x])
    frames = x[np.arange(steps) % INPUTS][:, None]
    names = {
        "x": constants.array("input", x),
        "whole": constants.array("runs", whole),
        "streamed": constants.array("stream", outputs_of(model, reference.outputs(frames), last=True)),
    }
    arrays = "\n".join(f"static {definition}" for definition in constants.definitions)
    hearing = "" if model.hears is None else f"{sound_test(model.hears, model.name, seed)}\n"
    frames = "" if model.hears is None else " + wrong_frames()"
    return TEST.format(
        name=model.name, upper=model.name.upper(), arrays=arrays, inputs=INPUTS, hearing=hearing, frames=frames, **names
    )


def inputs(model: Model, seed: int) -> NDArray[np.uint8]:
    """Bytes [INPUTS, *input shape]: noise, sparse counts, and the ends of the range."""
    rng, shape = np.random.default_rng(seed), model.graph.input.shape
    noise = rng.integers(0, 256, shape)
    return np.stack([noise, rng.binomial(3, 0.1, shape), rng.choice([0, 255], shape)]).astype(np.uint8)


def outputs_of(model: Model, outputs: dict[str, Int32], *, last: bool) -> Int32:
    """All outputs of a sample in the order in which they lie: every step of those with a time axis, or the last."""
    parts = []
    for name in model.layout.outputs:
        values = outputs[name][:, 0] if model.layout.edges[name].timed else outputs[name][0]
        parts.append(values[-1].reshape(-1) if last and model.layout.edges[name].timed else values.reshape(-1))
    return np.concatenate(parts)
