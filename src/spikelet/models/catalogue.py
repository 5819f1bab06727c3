"""The catalogue of models by name, and models of one's own beside them.

create_model("qsnn_vgg_s", num_classes=10, time_steps=2, weight_bits=1, membrane_bits=2)
list_models("qsnn_*")
register_model(my_net)                      create_model("my_net", ...), in this process

A model of one's own is known in every process, and so to the command line, by an entry point of an installed package:

    [project.entry-points."spikelet.models"]
    my_net = "my_package.nets:my_net"

Files of spikelet hold names alone. Which code a name stands for is decided here, by what was installed or registered,
and never by a file.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import inspect
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, TypeVar

from torch import nn

from spikelet.base.errors import SpikeletError, WrongType
from spikelet.base.meant import meant
from spikelet.base.strict_json import shown
from spikelet.models.bestformer import bestformer_2_128, bestformer_2_256, bestformer_4_384, bestformer_8_512
from spikelet.models.est import est_cifar, est_swin_t
from spikelet.models.qpsnn import qpsnn_resnet18, qpsnn_resnet20, qpsnn_vgg16, qpsnn_vgg_s, qpsnn_vggsnn
from spikelet.models.qsd import (
    qsd_transformer_cifar,
    qsd_transformer_l,
    qsd_transformer_m,
    qsd_transformer_s,
    qsd_transformer_t,
)
from spikelet.models.qsnn import qsnn_resnet19, qsnn_vgg_s, qsnn_vgg_s_avg, qsnn_vgg_s_max, qsnn_vggsnn
from spikelet.models.spikformer import spikformer_4_384, spikingformer_4_384
from spikelet.models.stream import stream_lif

BUILDERS = (
    qsnn_resnet19, qsnn_vgg_s, qsnn_vgg_s_avg, qsnn_vgg_s_max, qsnn_vggsnn,
    qpsnn_resnet18, qpsnn_resnet20, qpsnn_vgg16, qpsnn_vgg_s, qpsnn_vggsnn,
    bestformer_2_128, bestformer_2_256, bestformer_4_384, bestformer_8_512,
    qsd_transformer_cifar, qsd_transformer_t, qsd_transformer_s, qsd_transformer_m, qsd_transformer_l,
    spikformer_4_384, spikingformer_4_384,
    est_cifar, est_swin_t,
    stream_lif,
)  # fmt: skip
MODELS: dict[str, Callable[..., nn.Module]] = {builder.__name__: builder for builder in BUILDERS}


@dataclasses.dataclass(frozen=True)
class Made:
    """How a model was made: its name and the options that were given, which its attribute `made` keeps."""

    name: str
    options: dict[str, Any]


GROUP = "spikelet.models"  # of entry points
Builder = TypeVar("Builder", bound=Callable[..., nn.Module])


def list_models(pattern: str = "*") -> list[str]:
    """Names of the models that match a shell pattern, sorted; those of installed packages are among them.

    Example:
        >>> spikelet.list_models("qsnn_vgg*")
        ['qsnn_vgg_s', 'qsnn_vgg_s_avg', 'qsnn_vgg_s_max', 'qsnn_vggsnn']
    """
    return fnmatch.filter(sorted({*MODELS, *entry_points(group=GROUP).names}), pattern)


def register_model(builder: Builder, name: str = "") -> Builder:
    """`builder` itself, which `create_model`, configurations and run folders know by its name in this process now.

    Example:
        >>> @spikelet.register_model
        ... def my_net(num_classes: int = 10, in_channels: int = 1, image_size: int = 28, time_steps: int = 2):
        ...     head = spikelet.nn.Linear(in_channels * image_size**2, num_classes, spikelet.quant.Uniform(8))
        ...     return torch.nn.Sequential(spikelet.nn.Encode(), spikelet.LIF(time_steps), torch.nn.Flatten(2), head)
        >>> model = spikelet.create_model("my_net", num_classes=3, image_size=8)
        >>> model(torch.zeros((1, 1, 8, 8), dtype=torch.uint8)).shape
        torch.Size([2, 1, 3])

    Args:
        builder: a function of options to a new module. Options called num_classes, in_channels, image_size and
            time_steps are filled in from the data by `spikelet train --data`.
        name: what it is called; the function's own name unless one is given. A name that was registered before is
            replaced.
    Raises:
        SpikeletError: builder is not a function, or the name is one of the catalogue's, or no identifier.
    """
    called = name or getattr(builder, "__name__", "")
    if not callable(builder) or isinstance(builder, nn.Module):
        raise SpikeletError(f"register_model takes a function that makes a module, got {shown(builder)}.")
    if not called.isidentifier():
        raise SpikeletError(
            f"a model's name must be an identifier, such as my_net, got {shown(called)}. Give it name=."
        )
    if called in {known.__name__ for known in BUILDERS}:
        raise SpikeletError(f"{called} is a network of the catalogue. Give yours another name: name=.")
    MODELS[called] = builder
    return builder


def builder_of(name: str) -> Callable[..., nn.Module]:
    """The function that makes the model `name`: of the catalogue, registered, or an installed package's entry point.

    Raises:
        SpikeletError: there is none of that name; lists those there are.
    """
    if name in MODELS:
        return MODELS[name]
    for entry in entry_points(group=GROUP, name=name):
        return register_model(entry.load(), name)
    known = list_models()
    raise SpikeletError(f"no model named {shown(name)}. There are: {', '.join(known)}.{meant(name, known)}")


def create_model(name: str, **options: Any) -> nn.Module:
    """A new model with random weights, by its name, which its attribute `made` keeps with the options.

    Example:
        >>> model = spikelet.create_model("qsnn_vgg_s", num_classes=3, time_steps=2, image_size=16)
        >>> model(torch.zeros((4, 3, 16, 16), dtype=torch.uint8)).shape  # two steps, four images, three classes
        torch.Size([2, 4, 3])

    Args:
        name: one of `list_models()`.
        options: the builder's arguments: num_classes, time_steps, weight_bits, membrane_bits,
            in_channels, image_size and the model's own.
    Raises:
        SpikeletError: the name is unknown; lists those there are. Or a registered function made no module.
        WrongType: the option is unknown; lists those there are.
    """
    build = builder_of(name)
    known = inspect.signature(build).parameters
    unknown = sorted(set(options) - set(known))
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in known.values()):
        raise WrongType(f"{name} has no option {unknown[0]!r}. It takes: {', '.join(known)}.")
    model = build(**options)
    if not isinstance(model, nn.Module):
        raise SpikeletError(f"{name} was registered to make a torch.nn.Module, and made {shown(type(model).__name__)}.")
    if isinstance(getattr(model, "made", None), Made | None):  # else a module's own
        model.made = Made(name, options)  # type: ignore[assignment]
    return model
