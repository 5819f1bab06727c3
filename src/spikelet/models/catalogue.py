"""The catalogue of models by name.

create_model("qsnn_vgg_s", num_classes=10, time_steps=2, weight_bits=1, membrane_bits=2)
list_models("qsnn_*")
"""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from spikelet.models.bestformer import bestformer_2_128, bestformer_2_256, bestformer_4_384, bestformer_8_512
from spikelet.models.est import est_cifar, est_swin_t
from spikelet.models.qpsnn import qpsnn_resnet18, qpsnn_resnet20, qpsnn_vgg16, qpsnn_vggsnn
from spikelet.models.qsd import (
    qsd_transformer_cifar,
    qsd_transformer_l,
    qsd_transformer_m,
    qsd_transformer_s,
    qsd_transformer_t,
)
from spikelet.models.qsnn import qsnn_resnet19, qsnn_vgg_s, qsnn_vgg_s_avg, qsnn_vgg_s_max, qsnn_vggsnn
from spikelet.models.spikformer import spikformer_4_384, spikingformer_4_384

BUILDERS = (
    qsnn_resnet19, qsnn_vgg_s, qsnn_vgg_s_avg, qsnn_vgg_s_max, qsnn_vggsnn,
    qpsnn_resnet18, qpsnn_resnet20, qpsnn_vgg16, qpsnn_vggsnn,
    bestformer_2_128, bestformer_2_256, bestformer_4_384, bestformer_8_512,
    qsd_transformer_cifar, qsd_transformer_t, qsd_transformer_s, qsd_transformer_m, qsd_transformer_l,
    spikformer_4_384, spikingformer_4_384,
    est_cifar, est_swin_t,
)  # fmt: skip
MODELS: dict[str, Callable[..., nn.Module]] = {builder.__name__: builder for builder in BUILDERS}


def list_models(pattern: str = "*") -> list[str]:
    """Names of the models that match a shell pattern, sorted."""
    return fnmatch.filter(sorted(MODELS), pattern)


def create_model(name: str, **options: Any) -> nn.Module:
    """A new model with random weights, by its name.

    Args:
        name: one of `list_models()`.
        options: the builder's arguments: num_classes, time_steps, weight_bits, membrane_bits,
            in_channels, image_size and the model's own.
    Raises:
        ValueError: the name is unknown; lists those there are.
        TypeError: the option is unknown; lists those there are.
    """
    if name not in MODELS:
        raise ValueError(f"no model named {name!r}. There are: {', '.join(list_models())}.")
    known = inspect.signature(MODELS[name]).parameters
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(f"{name} has no option {unknown[0]!r}. It takes: {', '.join(known)}.")
    return MODELS[name](**options)
