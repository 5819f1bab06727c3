"""`spikelet train`: from a recipe, data or a folder to a finished run and its test accuracy."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import torch
from torch import nn

from spikelet.base.command import command_line
from spikelet.base.table import Table
from spikelet.cli.configuring import planned
from spikelet.cli.errors import naming
from spikelet.cli.options import TrainOptions
from spikelet.cli.outputs import side_file
from spikelet.cli.printing import duration, facts, note, percent, say, show
from spikelet.cli.quiet import is_quiet
from spikelet.cli.result import FILE, result_of
from spikelet.compression.pruned_run import UNPRUNED, run_of
from spikelet.data import DataSplits, Samples, batches
from spikelet.nn.device import device_of
from spikelet.train import Phase, Reporter, Run, Silent, Teacher, TrainConfig, Unpruned
from spikelet.train import evaluate as accuracy_of
from spikelet.train.checkpoint import load_history
from spikelet.train.progress_bar import reporter_for
from spikelet.train.run import TEACHER
from spikelet.train.trackers import require_trackers

EVALUATION_BATCH = 256
ROWS = 20  # of the closing table


def train(options: TrainOptions) -> None:
    """Trains or continues, prints the epochs, evaluates on the test set once, and writes result.json.

    Raises:
        ValueError: words that exclude each other; or what spikelet.train and spikelet.data raise.
    """
    with naming("--tracker"):
        require_trackers(options.tracker)
    plan = planned(options)
    config, folder, data = plan.config, plan.folder, plan.data
    if options.dry_run:
        click.echo(config.to_json(), nl=False)
        return
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    run = run_of(config, data, folder, log_with=list(options.tracker))
    main = run.loop.accelerator.is_main_process
    if main:
        if not is_quiet():
            facts(_summary(config, folder, data.train, run.model))
        run.loop.reporter = _reporter(run)
        for part in run.before:
            part.loop.reporter = _reporter(part, part.folder.name)
    try:
        run.train()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Go on with: {command_line('train', '--resume', folder)}") from None
    if main:
        _tell(run, data)


def _tell(run: Run, data: DataSplits) -> None:
    """Prints the epochs and the test accuracy, which is kept in result.json, and what may come next."""
    config, folder = run.config, run.folder
    if not is_quiet():
        show(_epochs(folder))
    accuracy = _accuracy(run, data.test) if len(data.test) else None
    result = result_of(data, accuracy)
    where = f"{result.about}, {len(data.test)} samples, last epoch"
    if accuracy is None:
        note("no test set: validation accuracy stands in the table above", bold=True)
    else:
        say(f"test accuracy {percent(accuracy)}  ({where})", bold=True)
    with side_file(folder / FILE):
        result.save(folder)
    note(f"next: {command_line('eval', folder)}", dim=True)
    if not config.analog:
        note(f"      {command_line('pack', folder, '--out', 'model.safetensors')}", dim=True)


def _reporter(run: Run, name: str = "") -> Reporter:
    return Silent() if is_quiet() else reporter_for(run.config, sys.stdout, name)


def _summary(config: TrainConfig, folder: Path, data: Samples, model: nn.Module) -> list[tuple[str, str]]:
    parameters = sum(p.numel() for p in model.parameters())
    note = f" ({data.note})" if data.note else ""
    teacher = [] if config.teacher is None else [("teacher", _teacher(config.teacher))]
    unpruned = [] if config.unpruned is None else [("unpruned", _unpruned(config.unpruned))]
    floats = {
        f"none, so that it can't be packed: {m.no_integers}" for m in model.modules() if hasattr(m, "no_integers")
    }
    return [
        ("run", str(folder)),
        ("model", f"{config.model}, {parameters:,} parameters, {_options(config)}"),
        ("data", f"{data.name}{note}, {len(data):,} training samples {list(data.sample_shape)}"),
        ("epochs", f"{_phases(config.phases)}, batches of {config.batch_size}, seed {config.seed}"),
        *teacher,
        *unpruned,
        *(("integers", sentence) for sentence in floats),
    ]


def _phases(phases: Sequence[Phase]) -> str:
    return " + ".join(map(str, phases))


def _unpruned(unpruned: Unpruned) -> str:
    changed = ", ".join(f"{name} {value}" for name, value in unpruned.model_options.items())
    return f"{changed}: {_phases(unpruned.phases)} before; then channels leave by {unpruned.criterion}"


def _teacher(teacher: Teacher) -> str:
    after = f", asked after {teacher.after} epoch(s)" if teacher.after else ""
    weight = f"weight {teacher.weight:g} at temperature {teacher.temperature:g}"
    return f"its analog twin, {teacher.epochs} epoch(s) before; {weight}{after}"


def _options(config: TrainConfig) -> str:
    if config.analog:
        return "its analog twin: ReLU for neurons, float weights"
    return ", ".join(f"{name} {value}" for name, value in config.model_options.items())


def _epochs(folder: Path) -> Table:
    """The history as a table: every epoch of a short run, evenly chosen ones of a long run, always the last."""
    history = load_history(folder)
    before = {"its teacher before": TEACHER, "before pruning": UNPRUNED}
    every = -(-len(history) // ROWS)
    shown = [h for h in history if (len(history) - 1 - h["epoch"]) % every == 0]
    columns = ("epoch", "T", "loss", "validation", "firing rate", "learning rate", "time")
    spent = {name: seconds for name, part in before.items() if (seconds := _seconds(load_history(folder / part)))}
    totals = {**spent, "total": sum(spent.values()) + _seconds(history)}
    last = tuple((name, "", "", "", "", "", duration(seconds)) for name, seconds in totals.items())
    return Table(columns, tuple(map(_row, shown)), last)


def _seconds(history: list[dict[str, Any]]) -> float:
    return sum(h["seconds"] for h in history)


def _row(h: dict[str, Any]) -> tuple[str, ...]:
    validation = percent(h["validation_accuracy"]) if "validation_accuracy" in h else "-"
    return (
        f"{h['epoch'] + 1}", f"{h['time_steps']}", f"{h['loss']:.4f}", validation, f"{h['firing_rate']:.3f}",
        f"{h['learning_rate']:.1e}", f"{h['seconds']:.1f} s",
    )  # fmt: skip


def _accuracy(run: Run, test: Samples) -> float:
    """The test accuracy, measured on the device of the training; the model is moved back after it."""
    home = device_of(run.model)
    try:
        return accuracy_of(run.model.to(run.loop.accelerator.device), batches(test, EVALUATION_BATCH))
    finally:
        run.model.to(home)
