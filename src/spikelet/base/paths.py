"""A path that a caller passes: text or a pathlib.Path, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from spikelet.base.errors import WrongType
from spikelet.base.strict_json import shown


def path_of(value: object, name: str) -> Path:
    """`value` as a Path.

    Raises:
        WrongType: the argument `name` is no text and no path.
    """
    if not isinstance(value, str | bytes | os.PathLike):
        raise WrongType(f"{name} must be a path, such as 'model.safetensors' or a pathlib.Path, got {shown(value)}.")
    return Path(os.fsdecode(value))
