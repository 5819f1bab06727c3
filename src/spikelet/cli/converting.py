"""`spikelet convert`: a trained network with levels as a spiking one, and what each schedule costs in accuracy."""

from __future__ import annotations

import torch
from torch import Tensor

from spikelet.base.errors import SpikeletError
from spikelet.cli.errors import naming
from spikelet.cli.evaluation import BATCH, shown, title
from spikelet.cli.lowered import origin
from spikelet.cli.options import ConvertOptions
from spikelet.cli.outputs import require_file, require_packed
from spikelet.cli.printing import heading, note, show
from spikelet.cli.result import load_result, result_of
from spikelet.cli.sources import Choice, Packed, open_target, samples_of
from spikelet.conversion import Started, accuracy_over_steps, convert, with_levels
from spikelet.conversion.picture import draw
from spikelet.data import Samples, batches
from spikelet.graph.file.artifact import save
from spikelet.lowering import lower
from spikelet.neurons.levels import MOST_LEVELS
from spikelet.plot.style import require_matplotlib

CALIBRATION = 1000  # images
STARTING = 256  # images: all are run at once


def convert_run(target: str, choice: Choice, options: ConvertOptions) -> None:
    """Prints accuracy against steps, and writes the picture and the packed twin where they were asked for.

    Raises:
        ValueError, OSError, ImportError: what opening the target and the data, converting and lowering raise.
    """
    if options.schedule == "barrier" and options.levels & (options.levels - 1):
        raise SpikeletError(
            f"--levels must be a power of two with the barrier schedule, got {options.levels}. (--schedule stream "
            "takes any number.)"
        )
    opened = open_target(target)
    if isinstance(opened, Packed):
        raise SpikeletError(f"{target} is a packed file, which is integers already. Give the folder of its run.")
    if options.out is not None:
        require_packed(options.out, [opened.folder])
    if options.picture is not None:
        require_file(options.picture, [opened.folder], "--picture")
        require_matplotlib()  # before the work, not after
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    splits, samples = samples_of(opened, choice)
    split = choice.split_of(splits)
    example, _ = samples.batch(torch.arange(1))
    images = calibration_of(opened.takes.checked(splits.train, opened.name)) if len(splits.train) else None
    schedule = _started(images, opened.name) if options.schedule == "started" else options.schedule
    started = schedule if isinstance(schedule, Started) else None
    with naming(target):
        model = opened.model if images is None else with_levels(opened.model, _levels(options), images)
        twin = convert(model, example, time_steps=options.levels, schedule=schedule)
        pairs = shown(batches(samples, BATCH))
        curve = accuracy_over_steps(opened.model, pairs, _steps(options), calibration=images, started=started)
    name = title(opened.name, samples, split)
    heading(name)
    show(curve.table())
    note("barrier: every neuron counts all its steps before it emits; stream: all layers work at every step")
    if images is not None:
        seen = sum(map(len, images))
        if started is not None:
            note(f"started: a stream whose neurons begin as {min(STARTING, seen):,} training images ask for")
        note(f"norms measured on {seen:,} training images, where the steps are not the network's levels")
    if options.picture is not None:
        draw(curve, name, options.picture)
        note(f"drew {options.picture}")
    if options.out is not None:
        accuracy = curve.curves()[options.schedule][options.levels]
        own = result_of(splits, accuracy if choice.is_own_test_set(split) else None)
        result = own if choice.data is None else load_result(opened.folder)
        meta = {**origin(opened.config, result), "converted": f"{options.schedule}, {options.levels} steps"}
        with naming(options.out):
            save(lower(twin, example, labels=result.labels, meta=meta), options.out)
        note(f"saved {options.out}, with the {options.schedule} schedule and {options.levels} steps")


def calibration_of(samples: Samples) -> list[Tensor]:
    """The first of the samples, in batches, for norms to be measured on."""
    first = torch.arange(min(CALIBRATION, len(samples)))
    return [samples.batch(part)[0] for part in first.split(BATCH)]


def _started(images: list[Tensor] | None, name: str) -> Started:
    """The schedule that the first training images start.

    Raises:
        SpikeletError: there are none.
    """
    if images is None:
        raise SpikeletError(
            f"--schedule started needs training images, which tell neurons how to begin, and {name}'s data has none "
            "here. (--data names other data; --schedule stream needs none.)"
        )
    return Started(torch.cat(images)[:STARTING])


def _levels(options: ConvertOptions) -> int:
    """Those of the network that the twin is of."""
    return options.levels if options.schedule == "barrier" else MOST_LEVELS


def _steps(options: ConvertOptions) -> tuple[int, ...]:
    """1, 2, 4 .. up to the most steps, and the levels."""
    most = max(options.steps, options.levels)
    powers = {1 << n for n in range(most.bit_length())}
    return tuple(sorted({*powers, options.levels, most}))
