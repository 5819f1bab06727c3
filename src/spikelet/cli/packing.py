"""`spikelet pack`: a finished run as one file, described as `spikelet inspect` describes it."""

from __future__ import annotations

from pathlib import Path

from spikelet.cli.answers import give
from spikelet.cli.errors import naming
from spikelet.cli.inspecting import Description
from spikelet.cli.lowered import graph_of_run
from spikelet.cli.outputs import require_packed
from spikelet.cli.printing import heading
from spikelet.cli.quiet import is_quiet
from spikelet.graph.file.artifact import save


def pack(folder: Path, out: Path, as_json: bool) -> None:
    """Lowers the run in `folder`, writes `out` and describes it.

    Raises:
        ValueError: the run is not finished, or can't be lowered and names the layer; or `out` is one of its files.
        FileNotFoundError: it was not evaluated yet, or `out` has no folder.
    """
    require_packed(out, [folder])
    graph = graph_of_run(folder)
    with naming(out):
        save(graph, out)
    if as_json or not is_quiet():
        give(Description(graph, str(out), out.stat().st_size), as_json)
    if not is_quiet():
        heading(f"saved {out}")
