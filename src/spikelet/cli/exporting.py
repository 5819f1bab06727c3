"""`spikelet export`: a network as C, and what it takes on a device."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from spikelet.base.folders import require_new
from spikelet.cli.deployed import deployed
from spikelet.cli.errors import naming
from spikelet.cli.options import ExportOptions
from spikelet.cli.printing import note, show_page
from spikelet.export import Report
from spikelet.export.c.project import require_name, to_c, written
from spikelet.export.c.report import report

SCHEMA = "spikelet.export/1"


@dataclasses.dataclass(frozen=True)
class Exported:
    """What was written: `report`, of `model`, in `folder` (None: nothing was)."""

    model: str
    report: Report
    folder: Path | None

    def show(self) -> None:
        """Prints it."""
        show_page(self.report.page())
        if self.folder:
            note(f"saved {self.folder}; its self-test: make -C {self.folder} check")

    def document(self) -> dict[str, Any]:
        """The same as JSON has it."""
        folder = str(self.folder) if self.folder else None
        return {"schema": SCHEMA, "model": self.model, "out": folder, **self.report.to_json()}


def export(model: str, options: ExportOptions) -> Exported:
    """Writes the project, or only works out what it takes.

    Raises:
        ValueError, OSError: the model can't be read, the folder can't be written, or the device has too little.
    """
    if options.out is None and not options.dry_run:
        raise click.UsageError("Say where to write with --out DIR, or ask with --dry-run what it would take.")
    require_name(options.name)
    if options.out is not None and not options.dry_run:
        require_new(options.out, "--out")
    graph = deployed(model)
    with naming(model):
        if options.out is None or options.dry_run:
            found = report(written(graph, options.name))
            found.require(options.flash, options.ram)
            return Exported(model, found, None)
        found = to_c(graph, options.out, name=options.name, flash=options.flash, ram=options.ram)
    return Exported(model, found, options.out)
