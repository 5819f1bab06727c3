"""The options that all models share, said once.

@builder(Task(num_classes=10), Precision(time_steps=2, weight_bits=1, membrane_bits=2))
def small(task: Task, p: Precision, width: int = 64) -> nn.Module: ...

small(weight_bits=4, width=32)        small.__signature__ lists the shared options, then the model's own

A family of models that differ in their defaults has a dataclass of its own options:

@builder(Task(num_classes=10), Precision(...), Shape(width=64, depth=2))
def small(task: Task, p: Precision, shape: Shape) -> nn.Module: ...
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable
from inspect import Parameter
from typing import Any, TypeVar

import torch
from torch import nn

from spikelet.base.errors import SpikeletError
from spikelet.base.whole import LARGEST, whole, wholes
from spikelet.models.blocks import Precision

Model = TypeVar("Model", bound=nn.Module)
MOST_PARAMETERS = 1 << 31  # 8 GiB
DEEPEST = 1024  # blocks of a network
OWN: dict[str, Callable[[str, Any], Any]] = {
    "width": lambda name, value: whole(value, name, 1, LARGEST, SpikeletError),
    "widths": lambda name, value: wholes(value, name, 1, LARGEST, SpikeletError),
    "depth": lambda name, value: whole(value, name, 1, DEEPEST, SpikeletError),
    "depths": lambda name, value: wholes(value, name, 1, DEEPEST, SpikeletError),
    "blocks": lambda name, value: None if value is None else wholes(value, name, 1, DEEPEST, SpikeletError),
    "heads": lambda name, value: whole(value, name, 1, LARGEST, SpikeletError),
    "patch": lambda name, value: whole(value, name, 1, LARGEST, SpikeletError),
    "strides": lambda name, value: wholes(value, name, 1, LARGEST, SpikeletError),
    "pool_size": lambda name, value: None if value is None else whole(value, name, 1, LARGEST, SpikeletError),
}
"""How the models' own numbers are checked, by name."""


@dataclasses.dataclass(frozen=True)
class Task:
    """What a network is for: its classes, and the images or frames that it reads.

    num_classes: K.
    in_channels: channels of an image, or polarities of an event frame.
    image_size: side of the square image, in pixels.

    Raises:
        SpikeletError: one of them is not a whole number from 1 to 2^20.
    """

    num_classes: int = 10
    in_channels: int = 3
    image_size: int = 32

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of what the network reads."""
        return self.in_channels, self.image_size, self.image_size

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            object.__setattr__(self, name, whole(value, name, 1, LARGEST, SpikeletError))


def builder(
    task: Task, precision: Precision, shape: Any = None
) -> Callable[[Callable[..., Model]], Callable[..., Model]]:
    """Returns a decorator that turns `build(task, precision, **own)` into a function of plain options, whose models
    say by `task` what they are for.

    Args:
        task, precision: their fields are the defaults of num_classes, time_steps, weight_bits, membrane_bits,
            in_channels and image_size.
        shape: a dataclass whose fields are the defaults of the model's own options; `build` takes it third then.
    """
    shared = {
        "num_classes": task.num_classes,
        "time_steps": precision.time_steps,
        "weight_bits": precision.weight_bits,
        "membrane_bits": precision.membrane_bits,
        "in_channels": task.in_channels,
        "image_size": task.image_size,
    }

    own_options = {} if shape is None else {f.name: f for f in dataclasses.fields(shape)}

    def decorate(build: Callable[..., Model]) -> Callable[..., Model]:
        others = list(inspect.signature(build).parameters.values())[2 if shape is None else 3 :]
        others += [
            Parameter(n, Parameter.POSITIONAL_OR_KEYWORD, default=getattr(shape, n), annotation=f.type)
            for n, f in own_options.items()
        ]
        first = [Parameter(n, Parameter.POSITIONAL_OR_KEYWORD, default=v, annotation="int") for n, v in shared.items()]
        signature = inspect.Signature([*first, *others])

        @functools.wraps(build)
        def model(*args: Any, **options: Any) -> Model:
            bound = signature.bind(*args, **options)
            bound.apply_defaults()
            given = bound.arguments
            asked = {name: given.pop(name) for name in shared}
            fields = {f.name for f in dataclasses.fields(Task)}
            here = Task(**{name: value for name, value in asked.items() if name in fields})
            bits = dataclasses.replace(precision, **{k: v for k, v in asked.items() if k not in fields})
            own = {name: OWN[name](name, value) if name in OWN else value for name, value in given.items()}
            if shape is not None:
                chosen = dataclasses.replace(shape, **{name: own.pop(name) for name in own_options})
                make = functools.partial(build, here, bits, chosen, **own)
            else:
                make = functools.partial(build, here, bits, **own)
            _require_size(make, asked | dict(given))
            made = make()
            made.task = here  # type: ignore[assignment]
            return made

        model.__signature__ = signature  # type: ignore[attr-defined]
        return model

    return decorate


def _require_size(build: Callable[[], nn.Module], options: dict[str, Any]) -> None:
    """Refuses a model whose parameters would not fit a machine, from what it is without values."""
    try:
        with torch.device("meta"):
            count = sum(parameter.numel() for parameter in build().parameters())
    except RuntimeError:  # a size beyond those that torch can name
        count = math.inf
    if count > MOST_PARAMETERS:
        numbers = ", ".join(f"{name}={value}" for name, value in options.items())
        raise SpikeletError(
            f"the model would have {count:,} parameters, and builders make {MOST_PARAMETERS:,} at most; got {numbers}."
        )
