"""`spikelet profile`: a network's costs by layer, as tables that fit the terminal and as JSON."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import cast

import torch

from spikelet.base.files import atomic_write
from spikelet.cli.printing import heading, say, show, width
from spikelet.cli.sources import Choice, Packed, Trained, open_target, samples_of
from spikelet.data import batches
from spikelet.profiling import Report, Table, profile_graph
from spikelet.profiling import profile as profile_model
from spikelet.profiling.table import PARTS, Part

OF_A_RUN, OF_A_FILE = 100, 16  # samples; the reference that counts in a packed graph holds every edge in memory
BATCH = 50
TITLES = {
    "size": "Size",
    "operations": "Operations, means per sample over all time steps",
    "energy": "Energy per sample in uJ, by table",
}


@dataclasses.dataclass(frozen=True)
class Work:
    """How much to do: samples to run (None: the default), parts of the table to print (none: all), threads.

    Raises ValueError where there is no such part.
    """

    samples: int | None
    parts: tuple[str, ...]
    threads: int

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in PARTS:
                raise ValueError(f"--part must be one of {', '.join(PARTS)}, got {part!r}.")


def profile(target: str, choice: Choice, work: Work, out: Path | None) -> None:
    """Prints the tables, and saves the JSON to `out`.

    Raises:
        ValueError, OSError, ImportError: what opening the target and the data raise, or `out` can't be written.
    """
    torch.set_num_threads(work.threads)
    report = _report(open_target(target), choice, work)
    say(f"{report.model}, T = {report.time_steps}, means over {report.samples} samples")
    for part in work.parts or PARTS:
        _print_part(report.table(cast(Part, part)), TITLES[part])
    if out is not None:
        with atomic_write(out) as file:
            file.write(report.to_json().encode())
        say(f"saved {out}")


def _report(opened: Trained | Packed, choice: Choice, work: Work) -> Report:
    _, samples = samples_of(opened, choice)
    if isinstance(opened, Trained):
        some = samples.spread(work.samples or OF_A_RUN)
        return profile_model(opened.model, batches(some, BATCH), time_axis=some.time_axis, name=opened.config.model)
    some = samples.spread(work.samples or OF_A_FILE)
    x, _ = some.batch(torch.arange(len(some)))
    return profile_graph(opened.graph, x.numpy())


def _print_part(whole: Table, title: str) -> None:
    heading(title)
    for part in whole.split(width()):
        show(part)
