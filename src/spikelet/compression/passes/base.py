"""What a pass is: a frozen value with one method.

    apply(model, context) -> (model, rows)

It may change the model it is given, which is a copy that nobody else holds, and says in rows what it changed.
`compress` runs passes one after the other; a new one needs nothing but this method.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from spikelet.base.errors import CompressionError
from spikelet.base.time_axis import TimeAxis
from spikelet.data.samples import DataSplits


@dataclasses.dataclass(frozen=True)
class Row:
    """One thing that a pass did: it changed `what` of `layer` ("" for the whole model) from `before` to `after`."""

    layer: str
    what: str
    before: str
    after: str

    def __str__(self) -> str:
        change = f"{self.before} -> {self.after}" if self.before else self.after
        return f"{self.layer}: {self.what} {change}" if self.layer else f"{self.what}: {change}"


@dataclasses.dataclass(frozen=True, eq=False)
class Context:
    """What passes may look at besides the model.

    data: the whole data set; None where only batches, or nothing, was given.
    inputs: calibration batches as the model takes them, on its device.
    time_axis: where time stands in them (spikelet.base.time_axis).
    """

    data: DataSplits | None
    inputs: tuple[Tensor, ...]
    time_axis: TimeAxis = None

    @property
    def example(self) -> Tensor | None:
        """The first calibration batch, or None."""
        return self.inputs[0] if self.inputs else None

    def calibration(self, owner: str) -> tuple[Tensor, ...]:
        """The calibration batches.

        Raises:
            CompressionError: compress got no data; names the pass that needs it.
        """
        if not self.inputs:
            raise CompressionError(
                f"{owner} needs to see the model at work: give compress some data, a DataSplits or a list of batches."
            )
        return self.inputs

    def splits(self, owner: str) -> DataSplits:
        """The whole data set.

        Raises:
            CompressionError: compress got batches or nothing; names the pass that needs a data set.
        """
        if self.data is None:
            raise CompressionError(
                f"{owner} needs samples to train on: give compress a DataSplits (spikelet.data.load), not batches."
            )
        return self.data


@runtime_checkable
class Pass(Protocol):
    """An object with one method, `apply`; see the module's text."""

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, list[Row]]:
        """Changes `model`, and says what it changed. Raises what stands in the way."""
        ...
