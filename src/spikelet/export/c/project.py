"""A folder of an ecosystem's form: the model, its kernels, a self-test, manifests and a README."""

from __future__ import annotations

import os
import re
from pathlib import Path

from spikelet.base.errors import SpikeletError
from spikelet.base.folders import new_folder
from spikelet.base.paths import path_of
from spikelet.base.strict_json import shown
from spikelet.export.c.ecosystems import ecosystem_called
from spikelet.export.c.ecosystems.ecosystem import Project
from spikelet.export.c.kernels import needed
from spikelet.export.c.report import Report, report
from spikelet.export.c.text import Model
from spikelet.graph.ir import IntGraph
from spikelet.graph.required import require_graph

NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")


def to_c(
    graph: IntGraph,
    folder: str | os.PathLike[str],
    *,
    name: str = "model",
    ecosystem: str = "c",
    flash: int | None = None,
    ram: int | None = None,
) -> Report:
    """What the C project of `graph`, which is written into the new folder `folder`, takes on a device.

    The project computes exactly the integers of the graph: `make check` in it compares them with the reference's.

    Example:
        >>> from spikelet.export import to_c
        >>> to_c(spikelet.load("qsnn-vgg-s-nmnist"), "nmnist")
        Report(qsnn_vgg_s: ... bytes of flash, ... of RAM)

    Args:
        folder: none yet, or an empty one.
        ecosystem: "c" for a project with a Makefile; "arduino", "platformio", "zephyr", "esp-idf" or "micropython" for
            the same C with that ecosystem's manifests, and an example that runs the self-test.
        name: what the functions are called: `name_run` and so on; two models of one program need two names.
        flash, ram: bytes that the device has; None sets no limit.
    Raises:
        SpikeletError: the folder holds something, a name is no name of C, the device has too little, or no
            ecosystem has that name.
        GraphError: the graph has no meaning, or an operation has no kernel in C; names it.
        OSError: the folder can't be written.
    """
    target = path_of(folder, "folder")
    ecosystem_called(ecosystem)
    model = written(graph, name)
    found = report(model)
    found.require(flash, ram)
    put(model, found, target, ecosystem)
    return found


def put(model: Model, found: Report, folder: Path, ecosystem: str) -> None:
    """Writes the project of `model`, which takes what was `found`, into the new folder `folder`.

    Raises:
        SpikeletError: the folder holds something.
        OSError: it can't be written.
    """
    with new_folder(folder) as place:
        for path, text in files(model, found, ecosystem).items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_text(text, encoding="utf-8", newline="\n")


def written(graph: IntGraph, name: str = "model") -> Model:
    """The C of `graph`.

    Raises:
        SpikeletError: `name` is no name of C, or one that the kernels have.
        GraphError: the graph has no meaning, or an operation has no kernel in C; names it.
    """
    require_graph(graph)
    require_name(name)
    return Model(graph, name)


def require_name(name: object) -> None:
    """Raises SpikeletError unless `name` can begin the names of functions."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or name.startswith("spk"):
        raise SpikeletError(
            "name must be a lower-case letter and then letters, digits or _, at most 31 in all, and not begin with "
            f"spk, got {shown(name)}."
        )


def files(model: Model, found: Report, ecosystem: str = "c") -> dict[str, str]:
    """Every file of the project, by its path in the folder."""
    sources = model.files | needed("".join(model.files.values()))
    return ecosystem_called(ecosystem).all_files(Project(model, found, sources))
