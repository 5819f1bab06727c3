"""What a packed file may choose of the data that a command reads for it.

`meta` holds whatever its writer put there. Taken of it are the name of a data set that spikelet knows, and how that is
read, each option of its type and range; everything else is refused by name, and chosen with --data.

    time_steps, image_size     the graph's own
    validation, seed           which training images were held out, so that `--split validation` shows those
    sound, held_out            the front end that heard sounds, and the speaker who was not trained on
    slicing, ground            how recordings are cut into frames, and on what transparent pixels are laid
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from spikelet.base.errors import SpikeletError
from spikelet.base.ground import Ground
from spikelet.base.logmel import LogMel
from spikelet.base.strict_json import shown
from spikelet.data import names
from spikelet.data.readers.frames import SLICERS
from spikelet.graph.ir import IntGraph

MOST = 1000  # characters of the options
LARGEST_SEED = 2**32 - 1

Check = Callable[[Any], bool]


@dataclasses.dataclass(frozen=True)
class OwnData:
    """A data set by name, and the keywords that `spikelet.data.load` reads it with."""

    name: str
    options: dict[str, Any]


def own_data(graph: IntGraph) -> OwnData:
    """The data set that `graph` was trained on, as its meta says.

    Raises:
        SpikeletError: it names none, or none that spikelet knows; or an option is unknown, or not as it must be.
    """
    name = graph.meta.get("data", "").split(" (")[0]
    if not name:
        raise SpikeletError("it does not say what it was trained on. Name a data set with --data NAME.")
    if name not in names():
        raise SpikeletError(
            f"it says that it was trained on {shown(name)}, and a file may choose none but {', '.join(names())}. "
            "Name the data set yourself with --data."
        )
    return OwnData(name, {"time_steps": graph.time_steps, **_options(graph)})


def _options(graph: IntGraph) -> dict[str, Any]:
    text = graph.meta.get("data_options", "{}")
    try:
        if len(text) > MOST:
            raise SpikeletError(f"longer than {MOST} characters")
        options = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpikeletError(f"meta: data_options is not JSON as it is written here ({error}). {_WAY_OUT}") from None
    if not isinstance(options, dict):
        raise SpikeletError(f"meta: data_options must be an object, got {shown(options)}. {_WAY_OUT}")
    known = _checks(graph)
    for key, value in options.items():
        if key not in known:
            raise SpikeletError(
                f"meta: data_options may hold {', '.join(known)}, and not {shown(key)} = {shown(value)}. {_WAY_OUT}"
            )
        is_right, expected = known[key]
        if not is_right(value):
            raise SpikeletError(f"meta: data_options: {key} must be {expected}, got {shown(value)}. {_WAY_OUT}")
    return options


_WAY_OUT = "Name the data set yourself with --data."


def _checks(graph: IntGraph) -> dict[str, tuple[Check, str]]:
    """What each option must be, as a check and in words."""
    steps, size = graph.time_steps, graph.input.shape[-1]
    return {
        "time_steps": (lambda v: type(v) is int and v == steps, f"the graph's {steps}"),
        "image_size": (lambda v: type(v) is int and v == size, f"the graph's {size}"),
        "validation": (lambda v: type(v) in (int, float) and 0 <= v < 1, "a share in [0, 1)"),
        "seed": (lambda v: type(v) is int and 0 <= v <= LARGEST_SEED, f"a whole number from 0 to {LARGEST_SEED}"),
        "slicing": (lambda v: type(v) is str and v in SLICERS, " or ".join(map(repr, sorted(SLICERS)))),
        "sound": (_is_sound, "the numbers of a front end that makes the graph's frames"),
        "held_out": (lambda v: type(v) is str and len(v) < 64, "a speaker"),
        "ground": (_is_ground, "'white', 'black' or a colour '#rrggbb'"),
    }


def _is_sound(value: Any) -> bool:
    try:
        return value is None or LogMel.of(value, "sound").bands > 0
    except (SpikeletError, TypeError):
        return False


def _is_ground(value: Any) -> bool:
    try:
        return isinstance(value, str) and str(Ground.named(value)) != ""
    except SpikeletError:
        return False
