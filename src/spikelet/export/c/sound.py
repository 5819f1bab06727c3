"""The front end of a network that listens, as C: from samples of sound to the frames that the network's `step` takes.

The packed file of a network that was trained on sound says which front end it heard with (graph/trained_on.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikelet.base.adapting import MIDDLE, USUAL
from spikelet.base.logmel import LogMel, order_of
from spikelet.export.c.constants import Constants

FRAMES = 6  # that the self-test hears

HEADER = """/* Sound to frames: {hop} samples of 16 bits, {rate} a second, make one frame of {bands} bytes. */
#ifndef {upper}_SOUND_H
#define {upper}_SOUND_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#define {upper}_RATE {rate} /* samples a second */
#define {upper}_HOP {hop} /* samples that hear takes */

/* Before the first sample: silence. */
void {name}_silence(void);
/* Takes {upper}_HOP samples, and gives the frame that {name}_step takes. */
void {name}_hear(const int16_t *samples, uint8_t *frame);

#ifdef __cplusplus
}}
#endif

#endif
"""

SOURCE = """#include "{name}_sound.h"
#include "logmel.h"

{constants}

static int16_t heard[{window}], z[{window}];
static uint32_t energy[{bands} + 2];
{adapting}
void {name}_silence(void) {{
    memset(heard, 0, sizeof heard);{unheard}
}}

void {name}_hear(const int16_t *samples, uint8_t *frame) {{
    spk_hear(frame, &{front_end}, samples, heard, z, energy);{adapt}
}}
"""

ADAPTING = """
/* Running means of the bands, in 128ths of a step. */
static int16_t means[{bands}];

static void unheard(void) {{
    uint32_t b;
    for (b = 0; b < {bands}; b++) means[b] = {usual};
}}

static void adapt(uint8_t *frame) {{
    uint32_t b;
    for (b = 0; b < {bands}; b++) {{
        int32_t level = frame[b];
        if (!level) continue;
        means[b] = (int16_t)(means[b] + ((128 * level - means[b]) >> {adapt}));
        level += {middle} - (means[b] >> 7);
        frame[b] = (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
    }}
}}
"""

SELFTEST = """#include "{name}_sound.h"

{arrays}

static int wrong_frames(void) {{
    static uint8_t frame[{bands}];
    uint32_t i, b;
    int differ = 0;
    {name}_silence();
    for (i = 0; i < {frames}; i++) {{
        {name}_hear({samples} + i * {upper}_HOP, frame);
        for (b = 0; b < {bands}; b++) differ += frame[b] != {expected}[i * {bands} + b];
    }}
    return differ;
}}
"""


def ram(hears: LogMel) -> int:
    """Bytes that the front end works in."""
    means = 2 * hears.bands if hears.adapt else 0
    return 4 * hears.window + 4 * (hears.bands + 2) + means


def constants_of(hears: LogMel, prefix: str) -> tuple[Constants, str]:
    """The tables of a front end, and the name of the struct that holds them."""
    made = Constants(prefix)
    order = order_of(hears.window // 2).astype(np.uint16)
    tables = (("sine", hears.table), ("order", order), ("first", hears.split.first), ("up", hears.split.up))
    names = [made.array(what, values) for what, values in tables]
    sizes = [str(n) for n in (hears.window, hears.hop, hears.bands, hears.quiet)]
    return made, made.struct("front_end", "spk_logmel", [*sizes, *names], 32)


def sound_files(hears: LogMel, name: str) -> dict[str, str]:
    """The header and the source of the front end."""
    made, front_end = constants_of(hears, f"{name}_sound")
    words = {
        "name": name, "upper": name.upper(), "rate": hears.rate, "hop": hears.hop, "bands": hears.bands,
        "window": hears.window, "front_end": front_end,
        "constants": "\n".join(f"static {definition}" for definition in made.definitions), **_adapting(hears),
    }  # fmt: skip
    return {f"{name}_sound.h": HEADER.format(**words), f"{name}_sound.c": SOURCE.format(**words)}


def _adapting(hears: LogMel) -> dict[str, str]:
    """The words of SOURCE for the running means; empty where the front end has none."""
    if not hears.adapt:
        return dict.fromkeys(("adapting", "unheard", "adapt"), "")
    adapting = ADAPTING.format(bands=hears.bands, usual=128 * USUAL, adapt=hears.adapt, middle=MIDDLE)
    return {"adapting": adapting, "unheard": "\n    unheard();", "adapt": "\n    adapt(frame);"}


def sound_test(hears: LogMel, name: str, seed: int) -> str:
    """The part of the self-test that hears: sounds and the frames of them, baked in."""
    samples, made = sounds(hears, seed), Constants("expected")
    names = {"samples": made.array("sound", samples), "expected": made.array("frames", hears.frames(samples))}
    arrays = "\n".join(f"static {definition}" for definition in made.definitions)
    return SELFTEST.format(name=name, upper=name.upper(), arrays=arrays, bands=hears.bands, frames=FRAMES, **names)


def sounds(hears: LogMel, seed: int) -> NDArray[np.int16]:
    """FRAMES hops: noise as loud as can be, a tone, hardly anything, silence, the ends of the range, noise."""
    rng, n = np.random.default_rng(seed), hears.hop
    loud, soft = rng.integers(-(1 << 15), 1 << 15, (2, n)), rng.integers(-2, 3, n)
    tone, ends = 9000 * np.sin(np.arange(n) * 0.5), rng.choice([-(1 << 15), (1 << 15) - 1], n)
    return np.concatenate([loud[0], tone, soft, np.zeros(n), ends, loud[1] >> 6]).astype(np.int16)
