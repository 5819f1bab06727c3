"""Operations that the C library does not know, run by their own `advance` where the library calls back."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spikelet.graph.edge import Int64
from spikelet.runtime.layout import round_up
from spikelet.runtime.library import library
from spikelet.runtime.plan import OwnCall
from spikelet.runtime.plan.emit import Value
from spikelet.runtime.state import StreamState
from spikelet.runtime.structures import Call, Callback


def let_call_back(call: Call, calls: Sequence[OwnCall], steps: int, state: StreamState) -> list[BaseException]:
    """Gives `call` what the library calls for each sample and each of `calls`; the errors that will be raised there.

    An error ends the call.
    """
    errors: list[BaseException] = []
    if not calls:
        return errors
    stop, place = library().spk_stop, ctypes.addressof(call)  # a reference to `call` would be a cycle, never collected
    kept = {c.node.name: state.own.setdefault(c.node.name, [None] * state.batch) for c in calls}

    def run(number: int, sample: int, arena: int) -> None:
        call = calls[number]
        states = kept[call.node.name]
        try:
            xs = [_read(arena, source, shape) for source, shape in zip(call.sources, call.shapes, strict=True)]
            y, states[sample] = call.node.advance(
                *xs, steps=range(state.step, state.step + steps), state=states[sample]
            )
            _write(arena, call.result, y)
        except BaseException as error:  # a callback from C can't raise
            errors.append(error)
            stop(ctypes.byref(Call.from_address(place)))

    call.callback = Callback(run)
    return errors


def _map(arena: int, value: Value) -> NDArray[np.int32]:
    """The value's map in the arena that starts at the address `arena`: [steps, H * W, round_up(C, 8)]."""
    c, h, w = value.map
    shape = value.steps, h * w, round_up(c, 8)
    assert value.buffer is not None
    memory = (ctypes.c_int32 * int(np.prod(shape))).from_address(arena + value.buffer.offset)
    return np.ctypeslib.as_array(memory).reshape(shape)


def _read(arena: int, value: Value, shape: tuple[int, ...]) -> Int64:
    """[steps, 1, *shape]."""
    channels = value.map[0]
    return _map(arena, value)[:, :, :channels].transpose(0, 2, 1).reshape(value.steps, 1, *shape).astype(np.int64)


def _write(arena: int, value: Value, y: Int64) -> None:
    """Writes y [1 or steps, 1, *shape]; pads hold 0."""
    channels, to = value.map[0], _map(arena, value)
    to[:, :, channels:] = 0
    to[:, :, :channels] = y.reshape(len(y), channels, -1).transpose(0, 2, 1)
