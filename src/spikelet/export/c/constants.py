"""Constants of a model as C: arrays and structs in flash, each written once however many nodes hold the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.export.c.code import number
from spikelet.export.c.maps import WORD, Element, Form

C_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "uint16": "uint16_t", "int32": "int32_t",
           "uint32": "uint32_t"}  # fmt: skip
A_LINE = 24  # numbers


class Constants:
    """Names of constants, and the text that defines and declares them.

    bytes: what they take in flash where a pointer has 32 bits.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.bytes = 0
        self._names: dict[tuple[str, str], str] = {}
        self.definitions: list[str] = []
        self.declarations: list[str] = []

    def array(self, what: str, values: NDArray[Any]) -> str:
        """The name of an array with these values."""
        flat = np.ascontiguousarray(values).reshape(-1)
        kind = C_TYPES[str(flat.dtype)]
        numbers = [number(v) for v in flat.tolist()]
        lines = [", ".join(numbers[i : i + A_LINE]) for i in range(0, len(numbers), A_LINE)]
        body = ",\n    ".join(lines)
        return self._named(what, f"const {kind}", f"[{flat.size}]", f"{{\n    {body}}}", flat.nbytes)

    def struct(self, what: str, kind: str, fields: Sequence[str], size: int) -> str:
        """The name of a struct of `size` bytes with these fields."""
        return self._named(what, f"const {kind}", "", f"{{{', '.join(fields)}}}", size)

    def form(self, form: Form) -> str:
        """The name of a map's form."""
        return self.struct("form", "spk_form", form_fields(form), 4 * WORD)

    def _named(self, what: str, kind: str, tail: str, value: str, size: int) -> str:
        key = (f"{kind}{tail}", value)
        if key not in self._names:
            name = f"{self.prefix}_{what}_{len(self._names)}"
            self._names[key] = name
            self.declarations.append(f"extern {kind} {name}{tail};")
            self.definitions.append(f"{kind} {name}{tail} = {value};")
            self.bytes += -(-size // WORD) * WORD
        return self._names[key]


def form_fields(form: Form) -> list[str]:
    """The fields of spk_form."""
    return [form.element.word, str(form.channels), str(form.height), str(form.width)]


def elements(values: NDArray[np.int32], form: Form) -> NDArray[Any]:
    """A constant map [C, H, W] as it lies in memory: bytes, or words of bits and of 32-bit values."""
    rows = values.reshape(form.channels, form.positions).T.astype(np.int64)
    match form.element:
        case Element.BITS:
            padded = np.zeros((form.positions, form.row_bytes * 8), np.uint8)
            padded[:, : form.channels] = rows
            return np.packbits(padded, axis=1, bitorder="little").view("<u4").astype(np.uint32)
        case Element.I32:
            return rows.astype(np.int32)
        case Element.I16:
            return np.ascontiguousarray(rows.astype("<i2")).view(np.uint8)
        case _:
            return rows.astype(np.int8).view(np.uint8) if form.element is Element.I8 else rows.astype(np.uint8)
