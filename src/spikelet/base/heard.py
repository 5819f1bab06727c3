"""One sound as a network hears it: the frames of a WAV file, about its middle.

    x = front end(the centred T hops of the file's samples, at the front end's rate)        uint8 [T, bands]

So training, `spikelet run` and a device that listens for as long hear the same bytes.
"""

from __future__ import annotations

import dataclasses

from spikelet.base.logmel import Bytes, LogMel
from spikelet.base.sound import Sound, at_rate, centred, decode


@dataclasses.dataclass(frozen=True)
class Heard:
    """The frames of a sound, uint8 [T, bands], and what its file held."""

    frames: Bytes
    sound: Sound


def heard(data: bytes, name: str, hears: LogMel, steps: int) -> Heard:
    """What `hears` makes of the bytes of a WAV file, which errors call `name`, in T = `steps` frames.

    Raises:
        DataError: it is no WAV file, it is damaged, or its rate can't be changed to that of the front end.
    """
    sound = decode(data, name)
    samples = centred(at_rate(sound, hears.rate, name), steps * hears.hop)
    return Heard(hears.frames(samples), sound)
