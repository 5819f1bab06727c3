"""How an edge lies in memory: positions one after another, each with its channels in the smallest element that holds
every value its interval allows."""

from __future__ import annotations

import dataclasses
import enum
import math

from spikelet.graph.edge import Edge, as_map

WORD = 4  # bytes; every map begins at a word


class Element(enum.Enum):
    """What a map is made of, as spk.h names it; the value is its bytes, or 0 for bits of words."""

    BITS = ("SPK_BITS", 0)
    U8 = ("SPK_U8", 1)
    I8 = ("SPK_I8", 1)
    I16 = ("SPK_I16", 2)
    I32 = ("SPK_I32", 4)
    PLANAR = ("SPK_PLANAR", 1)  # bytes, channel by channel: an input

    @property
    def word(self) -> str:
        """Its name in C."""
        return self.value[0]


RANGES = {Element.U8: (0, 255), Element.I8: (-128, 127), Element.I16: (-(2**15), 2**15 - 1)}


@dataclasses.dataclass(frozen=True)
class Form:
    """The element and the sizes of a map."""

    element: Element
    channels: int
    height: int
    width: int

    @property
    def positions(self) -> int:
        """Rows times columns."""
        return self.height * self.width

    @property
    def row_bytes(self) -> int:
        """Bytes of one position."""
        if self.element is Element.BITS:
            return WORD * math.ceil(self.channels / 32)
        return self.element.value[1] * self.channels

    @property
    def words(self) -> int:
        """32-bit words of the map."""
        return math.ceil(self.row_bytes * self.positions / WORD)


def element_of(low: int, high: int, channels: int) -> Element:
    """The smallest element for values in [low, high]: bits, unless so few channels are smaller as bytes."""
    if low >= 0 and high <= 1 and channels >= WORD:
        return Element.BITS
    return next((e for e, (least, most) in RANGES.items() if least <= low and high <= most), Element.I32)


def form_of(edge: Edge) -> Form:
    """The map of an edge."""
    c, h, w = as_map(edge.shape)
    return Form(element_of(int(edge.low.min()), int(edge.high.max()), c), c, h, w)
