"""What a command with many options is told, as one value. The words and their help stand in app.py."""

from __future__ import annotations

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What `spikelet train` is told; None where nothing was said."""

    recipe: str | None = None
    out: Path | None = None
    resume: Path | None = None
    data_root: str | None = None
    seed: int | None = None
    weight_bits: int | None = None
    membrane_bits: int | None = None
    threads: int | None = None
    tensorboard: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class FitOptions:
    """What `spikelet fit` is told; None where nothing was said."""

    model: Path
    max_bytes: str | None
    max_sops: float | None
    max_accuracy_drop: float | None
    out: Path | None
    epochs: int
    probes: int
    probe_epochs: int
    validation: float | None
    seed: int
    data_root: str | None
    threads: int | None
