"""Weighted nodes from the codes themselves, which tests are easier to read in than the w that graphs hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikelet.base.codes import stored
from spikelet.graph import ir


def conv(name: str, inputs: tuple[str, ...], weight: Any, bits: int, *fields: Any, **more: Any) -> ir.Conv:
    """ir.Conv of codes [O, I / groups, kh, kw]."""
    return ir.Conv(name, inputs, _stored(weight, bits, (*fields, *more.values())), bits, *fields, **more)


def linear(name: str, inputs: tuple[str, ...], weight: Any, bits: int, *fields: Any, **more: Any) -> ir.Linear:
    """ir.Linear of codes [O, I]."""
    return ir.Linear(name, inputs, _stored(weight, bits, (*fields, *more.values())), bits, *fields, **more)


def _stored(weight: Any, bits: int, fields: tuple[Any, ...]) -> Any:
    grid = next((f for f in fields if isinstance(f, str)), "symmetric")
    return stored(np.asarray(weight), bits, grid)
