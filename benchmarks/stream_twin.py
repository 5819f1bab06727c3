"""The int8 twin of a network for signals (models/stream.py): the same shape, trained with ReLUs, as plain C.

    layers = twin_of(analog, frames)        weights of 8 bits by output, activations of 8 bits, scaled to the largest
                                            of `frames`, uint8 [T, B, C]
    run(layers, frames)                     int32 logits [B, K], the sum over all steps, worked out by NumPy
    program(layers)                         C files by name; twin_init(), twin_step(frame), twin_sums
    bytes_of(layers)                        of weights, biases and multipliers

stream_twin.c has the equations.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spikelet.export.c.constants import Constants

KERNELS = Path(__file__).parent
Int64, Uint8 = NDArray[np.int64], NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """One dense layer: weight int8 [O, I * taps], bias int32 [O], multiplier int32 [O] (None: of the classifier)."""

    delays: tuple[int, ...]
    weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    multiplier: NDArray[np.int32] | None

    @property
    def inputs(self) -> int:
        """Values of a frame that it reads."""
        return self.weight.shape[1] // len(self.delays)

    def sums(self, x: Uint8) -> Int64:
        """Sums of every step, int64 [T, B, O], from [T, B, I]."""
        zeros = [np.concatenate([np.zeros_like(x[:d]), x[: len(x) - d]]) for d in self.delays]
        return np.concatenate(zeros, axis=2).astype(np.int64) @ self.weight.T.astype(np.int64) + self.bias

    def __call__(self, x: Uint8) -> Uint8:
        """Activations of every step, uint8 [T, B, O]."""
        assert self.multiplier is not None
        return np.clip((self.sums(x) * self.multiplier + (1 << 30)) >> 31, 0, 255).astype(np.uint8)


def twin_of(analog: Any, frames: Uint8) -> list[Layer]:
    """The layers of a trained analog twin of `stream_lif`, in integers."""
    layers, x, unit = [], frames, float(analog.encode(torch.full((1, 1, 1, 1, 1), 255, dtype=torch.uint8)).max()) / 255
    for part in analog.layers:
        taps, linear, norm, _ = part
        weight, bias = _folded(linear, norm)
        step = np.abs(weight).max(axis=1) / 127
        codes, bias = np.rint(weight / step[:, None]).astype(np.int8), np.rint(bias / (step * unit)).astype(np.int32)
        layer = Layer(delays_of(taps), codes, bias, None)
        real = layer.sums(x) * (step * unit)
        after = float(np.maximum(real, 0).max()) / 255
        multiplier = np.rint(step * unit / after * 2**31).astype(np.int32)
        layers.append(dataclasses.replace(layer, multiplier=multiplier))
        x, unit = layers[-1](x), after
    weight = analog.classifier.weight.detach().double().numpy()
    step = np.abs(weight).max() / 127
    bias = analog.classifier.bias
    real = np.zeros(len(weight)) if bias is None else bias.detach().double().numpy()
    last = np.rint(real / (step * unit)).astype(np.int32)
    return [*layers, Layer((0,), np.rint(weight / step).astype(np.int8), last, None)]


def delays_of(taps: Any) -> tuple[int, ...]:
    """Steps back of the taps of a layer."""
    return tuple(int(d) for d in np.cumsum([getattr(line, "steps", 0) for line in taps.lines]))


def _folded(linear: Any, norm: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight and bias of a linear layer that a batch norm follows."""
    gain = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach().double()
    before = 0 if linear.bias is None else linear.bias.detach().double()
    bias = norm.bias.detach().double() + gain * (before - norm.running_mean.double())
    return (gain[:, None] * linear.weight.detach().double()).numpy(), bias.numpy()


def run(layers: list[Layer], frames: Uint8) -> Int64:
    """Logits, int64 [B, K]."""
    x = frames
    for layer in layers[:-1]:
        x = layer(x)
    return layers[-1].sums(x).sum(axis=0)


def bytes_of(layers: list[Layer]) -> int:
    """Bytes of the constants."""
    return sum(k.weight.size + 4 * k.bias.size + (0 if k.multiplier is None else 4 * k.multiplier.size) for k in layers)


def program(layers: list[Layer]) -> dict[str, str]:
    """The C of the twin."""
    made, lines, calls = Constants("twin"), [], []
    for i, k in enumerate(layers):
        rows, size = max(k.delays) + 1, k.weight.shape[1]
        scale = "0" if k.multiplier is None else made.array("multiplier", k.multiplier)
        names = [made.array("delays", np.array(k.delays, np.uint32)), made.array("weight", k.weight)]
        names += [made.array("bias", k.bias), scale]
        lines.append(f"static uint8_t past_{i}[{rows * k.inputs}], gathered_{i}[{size}], frame_{i}[{len(k.bias)}];")
        sizes = f"{k.inputs}, {len(k.bias)}, {len(k.delays)}, {rows}"
        lines.append(f"static const twin_layer layer_{i} = {{{sizes}, {', '.join(names)}, past_{i}, gathered_{i}}};")
        source = f"frame_{i - 1}" if i else "frame"
        if k is layers[-1]:
            calls.append(f"twin_classify(&layer_{i}, {source}, twin_sums);")
        else:
            calls.append(f"twin_dense(&layer_{i}, {source}, frame_{i}, now);")
    clear = " ".join(f"clear(past_{i}, sizeof past_{i});" for i in range(len(layers)))
    texts = [
        '#include "stream_twin.h"', *(f"static {d}" for d in made.definitions), *lines,
        f"int32_t twin_sums[{len(layers[-1].bias)}];", "static uint32_t now;",
        "static void clear(uint8_t *x, uint32_t n) { while (n) x[--n] = 0; }",
        f"void twin_init(void) {{ {clear} for (now = {len(layers[-1].bias)}; now;) twin_sums[--now] = 0; }}",
        f"void twin_step(const uint8_t *frame) {{ {' '.join(calls)} now++; (void)frame_{len(layers) - 1}; }}",
    ]  # fmt: skip
    kernels = {name: (KERNELS / name).read_text() for name in ("stream_twin.c", "stream_twin.h")}
    return {**kernels, "twin.c": "\n".join(texts) + "\n"}
