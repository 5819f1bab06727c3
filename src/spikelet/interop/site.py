"""The place in a network where a rule of conversion is applied."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Site:
    """One module of the network that is converted.

    name: its full name, for errors.
    time_steps, round_leak: as the caller gave them.
    per_step: it takes one time step, [B, ...], where its copy takes all, [T, B, ...].
    factor: what its weights are multiplied by, for an average pool before it.
    """

    name: str
    time_steps: int
    round_leak: bool
    per_step: bool
    factor: float = 1.0
