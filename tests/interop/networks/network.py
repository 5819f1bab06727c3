"""A network that somebody else wrote, as a test builds it, and what becomes of it here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

COUNTS: dict[str, Any] = {"scale": 1.0, "time_axis": 0}


class Code(nn.Module):
    """Layers by name, and the forward that a user wrote over them: `run(net, x)`."""

    def __init__(self, run: Callable[[Any, Tensor], Any], **layers: nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, module in layers.items():
            setattr(self, name, module)

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


@dataclasses.dataclass(frozen=True)
class Network:
    """One of the 47.

    name: as the table calls it.
    make: builds it, with every width divided by a number.
    sample: what one input of the test is, without batch and time.
    time_steps: T of the test.
    options: of the conversion; frames where they name a time axis.
    divided: the number that the test divides the widths by.
    refused: the sentence that refuses it, a regular expression; "" where it goes.
    why: the same for the table: what is refused, and the way out.
    """

    name: str
    make: Callable[[int], nn.Module]
    sample: tuple[int, ...]
    time_steps: int = 4
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    divided: int = 1
    refused: str = ""
    why: str = ""

    @property
    def size(self) -> str:
        """The size that the test builds, in the table's words."""
        width = f", 1/{self.divided} of the width" if self.divided > 1 else ""
        return f"{' x '.join(map(str, self.sample))}, T = {self.time_steps}{width}"
