"""Where trained networks wait for the rows of a table that start from them."""

from __future__ import annotations

import hashlib
from pathlib import Path


def waiting(work: Path, *settings: object) -> Path:
    """A path in the folder `work`, another for every other settings: all that decides the network is in its name."""
    return work / hashlib.sha256(repr(settings).encode()).hexdigest()[:16]
