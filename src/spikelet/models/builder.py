"""The options that all models share, said once.

@builder(Task(num_classes=10), Precision(time_steps=2, weight_bits=1, membrane_bits=2))
def small(task: Task, p: Precision, width: int = 64) -> nn.Module: ...

small(weight_bits=4, width=32)        small.__signature__ lists the shared options, then the model's own
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any, TypeVar

from spikelet.models.blocks import Precision

Model = TypeVar("Model")


@dataclasses.dataclass(frozen=True)
class Task:
    """What a network is for: its classes, and the images or frames that it reads.

    num_classes: K.
    in_channels: channels of an image, or polarities of an event frame.
    image_size: side of the square image, in pixels.

    Raises:
        ValueError: one of them is not a whole number from 1.
    """

    num_classes: int = 10
    in_channels: int = 3
    image_size: int = 32

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be a whole number from 1, got {value!r}.")


def builder(task: Task, precision: Precision) -> Callable[[Callable[..., Model]], Callable[..., Model]]:
    """Returns a decorator that turns `build(task, precision, **own)` into a function of plain options.

    Args:
        task, precision: their fields are the defaults of num_classes, time_steps, weight_bits, membrane_bits,
            in_channels and image_size.
    """
    shared = {
        "num_classes": task.num_classes,
        "time_steps": precision.time_steps,
        "weight_bits": precision.weight_bits,
        "membrane_bits": precision.membrane_bits,
        "in_channels": task.in_channels,
        "image_size": task.image_size,
    }

    def decorate(build: Callable[..., Model]) -> Callable[..., Model]:
        own = list(inspect.signature(build).parameters.values())[2:]
        first = [Parameter(n, Parameter.POSITIONAL_OR_KEYWORD, default=v, annotation="int") for n, v in shared.items()]
        signature = inspect.Signature([*first, *own])

        @functools.wraps(build)
        def model(*args: Any, **options: Any) -> Model:
            bound = signature.bind(*args, **options)
            bound.apply_defaults()
            given = bound.arguments
            asked = {name: given.pop(name) for name in shared}
            fields = {f.name for f in dataclasses.fields(Task)}
            here = Task(**{name: value for name, value in asked.items() if name in fields})
            bits = dataclasses.replace(precision, **{k: v for k, v in asked.items() if k not in fields})
            return build(here, bits, **given)

        model.__signature__ = signature  # type: ignore[attr-defined]
        return model

    return decorate
