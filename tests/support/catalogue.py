"""One list of everything that comes in variants: surrogates, quantizers, membranes, resets, neurons, models.

The contract tests run over all of it, and `contract/test_catalogue.py` fails where a public class or a model of
the package is missing here. Adding a variant therefore means adding it to one of these tables, and no more.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.models import create_model
from spikelet.neurons import (
    LIF,
    ATan,
    FullMembrane,
    Hard,
    LIFParams,
    QuantizedMembrane,
    Rectangle,
    Sigmoid,
    Soft,
    Surrogate,
    Triangle,
)
from spikelet.neurons.membrane import BatchMaxMembrane
from spikelet.neurons.reset import Reset
from spikelet.quant import (
    EDE,
    Binary,
    Clip,
    FullPrecision,
    LearnedStep,
    MaskedGradient,
    MaxAbs,
    Percentile,
    Quantizer,
    ReScaW,
    Straight,
    Uniform,
    Unit,
    WideMeanAbs,
)

SURROGATES: dict[str, Surrogate] = {
    "triangle": Triangle(),
    "triangle-0.3": Triangle(0.3),
    "rectangle": Rectangle(),
    "rectangle-2.5": Rectangle(2.5),
    "atan": ATan(),
    "atan-5": ATan(5.0),
    "sigmoid": Sigmoid(),
    "sigmoid-1": Sigmoid(1.0),
}

QUANTIZERS: dict[str, Quantizer] = {  # with integer codes
    "binary-ede-0": Binary(),
    "binary-ede-0.6": Binary(estimator=EDE(0.6)),
    "binary-ede-1": Binary(estimator=EDE(1.0)),
    "binary-clip": Binary(estimator=Clip()),
    "binary-straight": Binary(estimator=Straight()),
    "binary-raw": Binary(standardize=False, estimator=Clip()),
    **{f"uniform-{bits}": Uniform(bits) for bits in range(2, 9)},
    "uniform-4-tensor": Uniform(4, per_channel=False),
    "uniform-8-tensor": Uniform(8, per_channel=False),
    **{f"rescaw-{bits}": ReScaW(bits) for bits in range(1, 9)},
    "rescaw-2-masked": ReScaW(2, gradient=MaskedGradient()),
    "rescaw-4-max": ReScaW(4, gamma=MaxAbs()),
    "rescaw-4-percentile": ReScaW(4, gamma=Percentile(0.05)),
    "rescaw-2-wide": ReScaW(2, gamma=WideMeanAbs()),
    "rescaw-4-layer": ReScaW(4, per_channel=False),
    **{f"learned-step-{bits}": LearnedStep(bits) for bits in range(2, 9)},
    "learned-step-4-tensor": LearnedStep(4, per_channel=False),
    "plain-2": ReScaW(2, gamma=Unit()),
    "plain-8": ReScaW(8, gamma=Unit()),
}
FLOAT_QUANTIZERS: dict[str, Quantizer] = {"full": FullPrecision()}

MEMBRANES: dict[str, Callable[[], nn.Module]] = {  # with an integer form
    "full": FullMembrane,
    **{f"{bits}-bit": lambda bits=bits: QuantizedMembrane(bits) for bits in range(2, 9)},
}
BATCH_MEMBRANES: dict[str, Callable[[], nn.Module]] = {"batch-max-2-bit": lambda: BatchMaxMembrane(2)}

RESETS: dict[str, Reset] = {"hard": Hard(), "soft": Soft(), "soft-1.5": Soft(1.5), "none": Soft(0.0)}

PARAMS: dict[str, LIFParams] = {
    f"leak-{leak}{'-scaled' if scaled else ''}-{name}": LIFParams(leak, threshold, scaled, reset)
    for (leak, threshold, scaled), (name, reset) in itertools.product(
        (
            (0.0, 1.0, False),
            (0.25, 0.5, False),
            (0.5, 1.0, False),
            (0.5, 1.0, True),
            (0.75, 0.3125, True),
            (255 / 256, 1.0, False),
            (1.0, 2.0, False),
        ),
        RESETS.items(),
    )
} | {
    "start": LIFParams(1.0, reset=Soft(), start=0.5),
    "gain": LIFParams(0.5, gain=0.75),
    "rounding-4": LIFParams.rounding(4),
    "rounding-16": LIFParams.rounding(16, 2.0),
    "levels-3-soft": LIFParams(1.0, 0.5, reset=Soft(), levels=3, step=0.25, start=0.25),
    "levels-5-drop": LIFParams(253 / 256, 0.5, reset=Soft(0.375), levels=5, step=0.25),
    "levels-2-hard": LIFParams(0.75, 0.5, levels=2, step=0.75, start=-0.5),
}

BY_CHANNEL: dict[str, LIFParams] = {  # for three channels
    "constants": LIFParams((0.0, 0.5, 0.875), (0.5, 1.0, 0.75), reset=Soft((0.25, 0.0, 1.0)), start=(0.25, 0.0, -0.5)),
    "levels": LIFParams(0.25, (0.5, 1.0, 0.75), levels=3, step=(0.25, 0.5, 0.125), gain=(1.0, 0.75, 0.5)),
    "scaled": LIFParams((0.5, 0.25, 0.75), 0.5, scale_input=True),
}

NEURONS: dict[str, Callable[[int], list[LIF]]] = {  # with each of four membranes
    name: lambda steps, p=params: [LIF(steps, p, MEMBRANES[m]()) for m in ("full", "2-bit", "4-bit", "8-bit")]
    for name, params in PARAMS.items()
}

MODELS: dict[str, dict[str, Any]] = {  # options that make it small, and its input
    "qsnn_resnet19": {"width": 4, "image_size": 8, "in_channels": 3},
    "qsnn_vggsnn": {"widths": (4, 8, 8, 8), "image_size": 12, "in_channels": 2},
    "qsnn_vgg_s": {"widths": (8, 12), "image_size": 11, "in_channels": 3},
    "qsnn_vgg_s_avg": {"widths": (8, 12), "image_size": 11, "in_channels": 3},
    "qsnn_vgg_s_max": {"widths": (8, 12, 16), "image_size": 11, "in_channels": 3},
    "qpsnn_vgg16": {"pruning": (0.95,) * 13, "image_size": 32, "in_channels": 3},
    "qpsnn_vgg_s": {"widths": (6, 8), "image_size": 8, "in_channels": 3},
    "qpsnn_vggsnn": {"pruning": (0.95,) * 8, "image_size": 16, "in_channels": 2},
    "qpsnn_resnet20": {"pruning": (0.95,) * 13, "image_size": 8, "in_channels": 3},
    "qpsnn_resnet18": {"width": 8, "image_size": 32, "in_channels": 3},
    "bestformer_4_384": {"width": 16, "depth": 2, "heads": 2, "image_size": 8, "in_channels": 3},
    "bestformer_8_512": {
        "width": 16,
        "depth": 1,
        "heads": 2,
        "image_size": 16,
        "in_channels": 3,
        "neuron": "whole",
        "num_classes": 10,
    },
    "bestformer_2_256": {"width": 16, "depth": 1, "heads": 2, "image_size": 16, "in_channels": 2},
    "bestformer_2_128": {"width": 16, "depth": 1, "heads": 2, "image_size": 12, "in_channels": 3},
    "qsd_transformer_cifar": {"widths": (8, 8, 16, 16), "heads": 2, "image_size": 9, "in_channels": 3},
    **{
        f"qsd_transformer_{size}": {
            "widths": (8, 8, 16, 16),
            "depths": (1, 1),
            "heads": 2,
            "layer_scale": 0.3,
            "image_size": 16,
            "in_channels": 3,
            "num_classes": 10,
        }
        for size in "tsml"
    },
    "spikformer_4_384": {"width": 16, "depth": 2, "heads": 2, "image_size": 8, "in_channels": 3},
    "spikingformer_4_384": {"width": 16, "depth": 1, "heads": 2, "image_size": 8, "in_channels": 3},
    "est_cifar": {
        "width": 8,
        "depths": (2, 1),
        "patch": 2,
        "window": 2,
        "head_width": 4,
        "image_size": 8,
        "in_channels": 3,
    },
    "est_swin_t": {
        "width": 16,
        "depths": (2, 1),
        "window": 2,
        "head_width": 8,
        "num_classes": 10,
        "image_size": 16,
        "in_channels": 3,
    },
    "stream_lif": {"widths": (24, 32), "image_size": 1, "in_channels": 3, "num_classes": 10},
}
TWINS = {  # told apart by sizes alone, which are these tests' own: at the size of a test they are one network
    f"qsd_transformer_{size}": "qsd_transformer_t" for size in "sml"
}
DISTINCT = [name for name in MODELS if name not in TWINS]  # a network each, for what is asked of networks
MEMORYLESS = frozenset({"est_cifar", "est_swin_t"})  # one step, at which neurons count; no membrane


def small_model(name: str, **options: Any) -> nn.Module:
    """A model of the catalogue at the size of a test: 3 steps and 10 classes unless asked for otherwise. Memoryless
    ones have one step and no bits of a membrane, whatever is asked for."""
    if name in MEMORYLESS:
        options = {key: value for key, value in options.items() if key not in ("time_steps", "membrane_bits")}
        return create_model(name, **{**MODELS[name], **options})
    return create_model(name, **{"time_steps": 3, **MODELS[name], **options})


def steps_of(name: str, asked: int = 3) -> int:
    """T of a small model that was asked for so many steps."""
    return 1 if name in MEMORYLESS else asked


def model_input(name: str, batch: int, frames: int = 0) -> Tensor:
    """uint8 noise for `small_model(name)`: images [B, C, H, W], or as many frames as it takes, [frames, B, C, H, W]."""
    channels, size = MODELS[name]["in_channels"], MODELS[name]["image_size"]
    shape = (batch, channels, size, size)
    frames = frames and steps_of(name, frames)
    return torch.randint(0, 256, (frames, *shape) if frames else shape, dtype=torch.uint8)
