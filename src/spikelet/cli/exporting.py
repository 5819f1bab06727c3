"""`spikelet export`: a network as C, and what it takes on a device."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import MissingLibrary, SpikeletError
from spikelet.base.folders import require_new
from spikelet.base.optional import need
from spikelet.cli.deployed import deployed
from spikelet.cli.errors import naming
from spikelet.cli.images import Wanted, pictures_of
from spikelet.cli.options import ExportOptions
from spikelet.cli.printing import note, show_page
from spikelet.export import Counted, Report, count
from spikelet.export.c.ecosystems import ecosystem_called
from spikelet.export.c.project import put, require_name, written
from spikelet.export.c.report import report
from spikelet.graph.ir import IntGraph

SCHEMA = "spikelet.export/1"


@dataclasses.dataclass(frozen=True)
class Exported:
    """What was written: `report`, of `model`, in `folder` (None: nothing was), for the ecosystem `to`."""

    model: str
    report: Report
    folder: Path | None
    to: str

    def show(self) -> None:
        """Prints it."""
        show_page(self.report.page())
        if self.folder:
            test = f"make -C {self.folder} check" if self.to == "c" else f"{self.folder}/README.md says how it is run"
            note(f"saved {self.folder}; its self-test: {test}")

    def document(self) -> dict[str, Any]:
        """The same as JSON has it."""
        folder = str(self.folder) if self.folder else None
        return {"schema": SCHEMA, "model": self.model, "to": self.to, "out": folder, **self.report.to_json()}


def export(model: str, options: ExportOptions) -> Exported:
    """Writes the project, or only works out what it takes.

    Raises:
        ValueError, OSError: the model can't be read, the folder can't be written, or the device has too little.
    """
    if options.out is None and not options.dry_run:
        raise click.UsageError("Say where to write with --out DIR, or ask with --dry-run what it would take.")
    require_name(options.name)
    ecosystem_called(options.to)
    out = None if options.dry_run else options.out
    if out is not None:
        require_new(out, "--out")
    graph = deployed(model)
    sample = None if options.input is None else _sample(graph, options.input)
    with naming(model):
        project = written(graph, options.name)
        found = report(project)
        found.require(options.flash, options.ram)
        linked = dataclasses.replace(found, counted=_counted(graph, sample, options.input))
        linked.require(options.flash, options.ram)
    if out is not None:
        with naming(out):
            put(project, found, out, options.to)
    return Exported(model, linked, out, options.to)


def _sample(graph: IntGraph, path: str) -> NDArray[np.uint8]:
    """The one input of the graph that `path` holds.

    Raises:
        ValueError, OSError: it can't be read, or holds more than one.
    """
    need("unicorn", package="unicorn", extra="targets", what="--input, on which instructions are counted,")
    found = [picture.pixels for picture in pictures_of([path], Wanted.by(graph))]
    if len(found) != 1:
        raise SpikeletError(
            f"--input must hold one sample, and {path} holds {len(found):,}. Name one picture or array."
        )
    return found[0]


def _counted(graph: IntGraph, sample: NDArray[np.uint8] | None, path: str | None) -> Counted | None:
    """What a run takes under emulation; None where the extra `targets` is not installed."""
    try:
        return count(graph, sample, sample=path or "")
    except MissingLibrary:
        return None
