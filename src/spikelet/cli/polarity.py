"""Pictures that are dark on light, for a network that learned from data that is light on dark.

That is known of data sets by name alone: digits and garments in grey, on black. A picture is on light where most of its
border is above the middle of its range.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spikelet.cli.images import Picture

LIGHT_ON_DARK = ("digits", "mnist", "fashion-mnist")
MIDDLE = 127


class Polarity:
    """Counts the pictures that look the other way round than the data that a file's `meta` says it learned from."""

    def __init__(self, meta: Mapping[str, str]) -> None:
        self.data = meta.get("data", "").partition(" (")[0]
        self.is_known = self.data in LIGHT_ON_DARK
        self.seen, self.turned, self.first = 0, 0, ""

    def look_at(self, picture: Picture) -> None:
        """Counts one more; arrays are taken to be what they should be."""
        if self.is_known and picture.is_drawn:
            self.seen += 1
            if is_on_light(picture.pixels):
                self.first = self.first or picture.name
                self.turned += 1

    @property
    def remark(self) -> str | None:
        """What to say of them; None where nothing is to be said, or it is not known how they should look."""
        if not self.turned:
            return None
        which = f"{self.first} is" if self.seen == 1 else f"{self.turned:,} of {self.seen:,} pictures are"
        return (
            f"{which} dark on light, and {self.data}, which the network learned from, is light on dark. Try --invert."
        )


def is_on_light(pixels: NDArray[np.uint8]) -> bool:
    """Whether the median of the border of [C, H, W] is above the middle."""
    sides = (pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1])
    return bool(np.median(np.concatenate([side.reshape(-1) for side in sides])) > MIDDLE)
