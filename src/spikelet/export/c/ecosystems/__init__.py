"""The one table of what `spikelet export --to` writes: the C of a model as people install it."""

from __future__ import annotations

from collections.abc import Mapping

from spikelet.base.errors import SpikeletError
from spikelet.base.strict_json import shown
from spikelet.export.c.ecosystems import arduino, esp_idf, micropython, plain, platformio, zephyr
from spikelet.export.c.ecosystems.ecosystem import Ecosystem

ECOSYSTEMS: Mapping[str, Ecosystem] = {
    "c": plain.ECOSYSTEM,
    "arduino": arduino.ECOSYSTEM,
    "platformio": platformio.ECOSYSTEM,
    "zephyr": zephyr.ECOSYSTEM,
    "esp-idf": esp_idf.ECOSYSTEM,
    "micropython": micropython.ECOSYSTEM,
}


def ecosystem_called(name: object) -> Ecosystem:
    """The ecosystem of that name.

    Raises:
        SpikeletError: no ecosystem has that name; lists those that exist.
    """
    if not isinstance(name, str) or name not in ECOSYSTEMS:
        raise SpikeletError(f"ecosystem (--to) must be one of {', '.join(ECOSYSTEMS)}, got {shown(name)}.")
    return ECOSYSTEMS[name]
