"""`spikelet profile`: a network's costs by layer, as tables that fit the terminal and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from spikelet.base.command import command_line
from spikelet.base.errors import SpikeletError
from spikelet.base.files import atomic_write
from spikelet.base.optional import need
from spikelet.base.table import Table
from spikelet.cli.errors import naming
from spikelet.cli.images import Wanted, pictures_of
from spikelet.cli.opening import opened
from spikelet.cli.outputs import require_file
from spikelet.cli.printing import facts, heading, lines, note, say, show, width
from spikelet.export.c.project import written
from spikelet.export.c.report import report
from spikelet.graph.ir import IntGraph
from spikelet.graph.trained_on import front_end_of
from spikelet.profiling import Report, profile_graph
from spikelet.profiling.report import ON_A_DEVICE
from spikelet.profiling.table import PARTS, TITLES, Part

OF_A_RUN, OF_A_FILE = 100, 16  # samples; the reference that counts in a packed graph holds every edge in memory
BATCH = 50


@dataclasses.dataclass(frozen=True)
class Work:
    """How much to do: samples to run (None: the default), parts of the table to print (none: all), threads, and a file
    for the whole profile. `read` are the files and folders that the profile is made from. With `as_json` the profile is
    printed as that file holds it.

    Raises SpikeletError where there is no such part, or the file can't be written or is one of those.
    """

    samples: int | None
    parts: tuple[str, ...]
    threads: int
    out: Path | None = None
    read: tuple[Path, ...] = ()
    as_json: bool = False

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in PARTS:
                raise SpikeletError(f"--part must be one of {', '.join(PARTS)}, got {part!r}.")
        if self.out is not None:
            require_file(self.out, self.read)


def of_images(model: str, images: Sequence[str]) -> Report:
    """The profile of a packed file on pictures or arrays; needs no torch.

    Raises:
        ValueError, OSError: the model or an image can't be read, or images and frames are mixed.
    """
    if Path(model).is_dir():
        pack = command_line("pack", Path(model), "--out", "model.safetensors")
        raise SpikeletError(f"INPUT goes with a packed file, and {model} is a run folder. Pack it first: {pack}")
    with naming(model):
        graph = opened(model)
    pictures = [picture.batch for picture in pictures_of(images, Wanted.by(graph))]
    if len({picture.ndim for picture in pictures}) > 1:
        raise SpikeletError("INPUT must be images or frames alone, got both. Profile them one after another.")
    found = profile_graph(graph, np.concatenate(pictures, axis=pictures[0].ndim - len(graph.input.shape) - 1))
    return _on_device(found, lambda: graph)


def of_samples(target: str, data: str | None, data_root: str | None, split: str | None, work: Work) -> Report:
    """The profile of a run folder or a packed file on samples of a data set.

    Raises:
        ValueError, OSError, ImportError: what opening the target and the data raise.
    """
    torch = need("torch", package="PyTorch", extra="train", what="spikelet profile without an INPUT")
    from spikelet.cli.lowered import graph_of_run
    from spikelet.cli.sources import Choice, Trained, open_target, samples_of
    from spikelet.data import batches
    from spikelet.profiling import profile as profile_model

    torch.set_num_threads(work.threads)
    choice = Choice(data, data_root, split)
    opened = open_target(target)
    try:
        _, samples = samples_of(opened, choice)
    except (SpikeletError, OSError) as error:
        if isinstance(opened, Trained) or data is not None:
            raise
        raise SpikeletError(f"{error} {_without_data(target, opened.graph)}") from error
    if isinstance(opened, Trained):
        some = samples.spread(work.samples or OF_A_RUN)
        found = profile_model(opened.model, batches(some, BATCH), time_axis=some.time_axis, name=opened.config.model)
        return _on_device(found, lambda: graph_of_run(opened.folder))
    some = samples.spread(work.samples or OF_A_FILE)
    x, _ = some.batch(torch.arange(len(some)))
    return _on_device(profile_graph(opened.graph, x.numpy()), lambda: opened.graph)


def _without_data(target: str, graph: IntGraph) -> str:
    """How to profile a packed file without the data set that it was trained on."""
    given = "sound.wav" if front_end_of(graph) else "picture.png" if graph.input.shape[0] in (1, 3) else "frames.npy"
    return f"Or give what it is to run on, which needs no data set: {command_line('profile', target, given)}"


def _on_device(found: Report, graph: Callable[[], IntGraph]) -> Report:
    """`found` with flash and RAM of its exported C; without, and a note of the reason, where it can't be exported."""
    try:
        return dataclasses.replace(found, device=report(written(graph())))
    except (ValueError, OSError) as error:
        note(f"no flash and RAM of a device: {error}")
        return found


def print_report(found: Report, work: Work) -> None:
    """Prints the tables or the JSON, and saves it where that was asked for.

    Raises:
        OSError: the file can't be written.
    """
    if work.as_json:
        lines(found.to_json())
    else:
        say(f"{found.model}, T = {found.time_steps}, means over {found.samples} samples")
        for name in work.parts or PARTS:
            part = cast(Part, name)
            _print_part(found.table(part), TITLES[part])
            if part == "size" and found.device:
                heading(ON_A_DEVICE.text)
                facts(found.device.facts())
    if work.out is not None:
        with naming(work.out), atomic_write(work.out) as file:
            file.write(found.to_json().encode())
        note(f"saved {work.out}")


def _print_part(whole: Table, title: str) -> None:
    heading(title)
    for part in whole.split(width()):
        show(part)
