"""The integer program that a command runs: of a packed file or a shipped model, or of a run folder, lowered now."""

from __future__ import annotations

from pathlib import Path

from spikelet.base.optional import need
from spikelet.cli.errors import naming
from spikelet.cli.opening import opened
from spikelet.graph.ir import IntGraph


def deployed(model: str) -> IntGraph:
    """The graph of a run folder, as `spikelet pack` would write it, or else of what `opened` opens.

    Raises:
        MissingLibrary: a run folder needs PyTorch to become integers.
        FileNotFoundError, ValueError, OSError: what `spikelet.load` or lowering raise; names the model.
    """
    folder = Path(model)
    with naming(model):
        if not folder.is_dir():
            return opened(model)
        need("torch", package="PyTorch", extra="train", what="a run folder in the place of a packed file")
        from spikelet.cli.lowered import graph_of_run

        return graph_of_run(folder)
