"""The ground that transparent pixels are laid on.

    pixel = (alpha * colour + (255 - alpha) * ground) / 255        rounded to the nearest integer, by channel

alpha 255 leaves a pixel as it is, alpha 0 shows the ground alone.
"""

from __future__ import annotations

import dataclasses
import re

from spikelet.base.errors import SpikeletError

_NAMES = {"white": (255, 255, 255), "black": (0, 0, 0)}


@dataclasses.dataclass(frozen=True)
class Ground:
    """One colour, bytes red, green and blue."""

    red: int
    green: int
    blue: int

    @staticmethod
    def named(text: str) -> Ground:
        """The colour that `text` names: "white", "black" or "#rrggbb" in hexadecimal digits.

        Raises:
            SpikeletError: another text.
        """
        if isinstance(text, str) and text in _NAMES:
            return Ground(*_NAMES[text])
        if not isinstance(text, str) or not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
            raise SpikeletError(f"ground must be 'white', 'black' or a colour '#rrggbb', got {text!r:.40}.")
        return Ground(*bytes.fromhex(text[1:]))

    @property
    def is_grey(self) -> bool:
        """Whether its three channels are equal."""
        return self.red == self.green == self.blue

    def __str__(self) -> str:
        colour = (self.red, self.green, self.blue)
        return next((name for name, known in _NAMES.items() if known == colour), f"#{bytes(colour).hex()}")


WHITE = Ground(255, 255, 255)
