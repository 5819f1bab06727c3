"""`spikelet fit`: a finished run made small enough, with the whole front as a table and a picture."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch

from spikelet.base.files import atomic_write
from spikelet.base.table import Table
from spikelet.cli.errors import naming
from spikelet.cli.lowered import graph_of_run, origin
from spikelet.cli.options import FitOptions
from spikelet.cli.outputs import require_folder, side_file
from spikelet.cli.printing import heading, note, percent, say, show
from spikelet.cli.quiet import is_quiet
from spikelet.cli.reporters import reporter_for
from spikelet.cli.result import load_result
from spikelet.cli.sources import spiking_run, splits_of
from spikelet.fitting import Budget, Fitted, Settings
from spikelet.fitting.budget import parse_bytes
from spikelet.fitting.job import Job, Measured, Quiet
from spikelet.fitting.picture import draw, require_matplotlib
from spikelet.fitting.search import Candidate
from spikelet.graph.file.artifact import dumps, save
from spikelet.profiling.packed import has_float_weights
from spikelet.train import Reporter, Training

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

ROWS = 12  # of the front that are printed
SCHEMA = "spikelet.fit/1"
FILES = MODEL, FIGURES, PICTURE = "model.safetensors", "fit.json", "fit.png"
OF_THE_START = ("test_accuracy", "recipe", "weight_bits")  # no longer true of the answer, whose figures are in fit.json


def fit(options: FitOptions) -> bool:
    """Fits, prints the front and writes the folder; whether every limit was met.

    Raises:
        ValueError: no limit, a run that is not finished, or a budget that no plan can meet.
        FileNotFoundError, ImportError: see `spikelet.data.load`; optuna or matplotlib is missing.
    """
    with naming("--max-bytes"):
        size = None if options.max_bytes is None else parse_bytes(options.max_bytes)
    budget = Budget(size, options.max_sops, options.max_accuracy_drop)
    settings = Settings(
        epochs=options.epochs, probes=options.probes, probe_epochs=options.probe_epochs, seed=options.seed
    )
    require_matplotlib()  # before the training, not after
    out = _folder_of(options)
    model, config = spiking_run(options.model)
    result = load_result(options.model)
    if options.validation is not None:
        config = dataclasses.replace(config, data_options={**config.data_options, "validation": options.validation})
    data = splits_of(config, options.data_root)
    if not len(data.validation):
        raise ValueError(
            f"{options.model} was trained without validation images, by which fit judges. Give --validation 0.1, the "
            "share of the training images to judge by; the start has seen them, so that its loss looks small."
        )
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    out.mkdir(parents=True, exist_ok=True)  # before the training: a folder that can't be made is no news after it
    training = dataclasses.replace(config.plain(), seed=options.seed)
    known = {name: text for name, text in origin(config, result).items() if name not in OF_THE_START}
    job = Job(model, data, budget, training, settings, result.labels, known)
    fitted = _as_packed(job.run(Quiet() if is_quiet() else _Shown()), options.model)
    _show(fitted)
    _write(fitted, out)
    return fitted.is_within_budget


def _as_packed(fitted: Fitted, folder: Path) -> Fitted:
    """`fitted` with the start's bytes as `spikelet pack` writes the run in `folder`: the job left out what is no longer
    true of the answer, such as its accuracy. A float network has no file."""
    if has_float_weights(spiking_run(folder)[0]):
        return fitted
    size = len(dumps(graph_of_run(folder)))
    return dataclasses.replace(fitted, start=dataclasses.replace(fitted.start, size=size))


def _folder_of(options: FitOptions) -> Path:
    """The folder of the answer.

    Raises:
        ValueError: it holds one already, or nothing can be written into it.
    """
    run = options.model.resolve() if options.model.name in ("", "..") else options.model
    out = options.out or run.with_name(f"{run.name}-fit")
    require_folder(out)
    if there := [name for name in FILES if (out / name).exists()]:
        raise ValueError(f"{out} holds {there[0]} already. Choose another --out, or remove it.")
    return out


def _write(fitted: Fitted, out: Path) -> None:
    """Writes the model; the figures and the picture beside it where that can be done."""
    with naming(out):
        save(fitted.graph, out / MODEL)
    with side_file(out / FIGURES), atomic_write(out / FIGURES) as file:
        file.write((json.dumps(_json(fitted), indent=1) + "\n").encode())
    with side_file(out / PICTURE):
        draw(fitted, out / PICTURE)
    note(f"saved {out / MODEL}", dim=True)
    note(f"beside it {', '.join(name for name in FILES[1:] if (out / name).exists())}", dim=True)


class _Shown:
    """A bar for the measurements, and each training shown as `spikelet train` shows it."""

    def __init__(self) -> None:
        self.bar: ProgressBar[int] | None = None

    def reporter(self, training: Training) -> Reporter:
        """A bar or lines for one training."""
        self._close()
        return reporter_for(training)

    def stage(self, name: str, steps: int) -> None:
        """Says what begins, with a bar over its steps."""
        self._close()
        if sys.stdout.isatty():
            self.bar = click.progressbar(length=steps, label=name, show_pos=True)
            self.bar.render_progress()
        else:
            say(f"{name}: {steps} steps")

    def step(self) -> None:
        """Moves the bar."""
        if self.bar is not None:
            self.bar.update(1)
            if self.bar.finished:
                self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.render_finish()
            self.bar = None


def _json(fitted: Fitted) -> dict[str, Any]:
    def candidate(c: Candidate) -> dict[str, Any]:
        plan = {"bits": dict(c.plan.bits), "ratios": dict(c.plan.ratios)}
        return {**plan, "loss_increase": c.loss_increase, "bytes": c.cost.size, "sops": c.cost.sops}

    def measured(m: Measured) -> dict[str, Any]:
        return {"accuracy": m.accuracy, "bytes": m.size, "sops": m.sops}

    return {
        "schema": SCHEMA,
        "budget": dataclasses.asdict(fitted.budget),
        "is_within_budget": fitted.is_within_budget,
        "judged_on": fitted.judged_on,
        "start": measured(fitted.start),
        "result": measured(fitted.result),
        "plan": {"bits": dict(fitted.plan.bits), "ratios": dict(fitted.plan.ratios)},
        "probes": [{"predicted": candidate(p.candidate), "measured": measured(p.measured)} for p in fitted.probes],
        "front": [candidate(c) for c in fitted.front],
    }


def _show(fitted: Fitted) -> None:
    if not is_quiet():
        heading(f"The front: {len(fitted.front)} plans that no other is predicted to beat")
        show(_front(fitted))
        heading("The chosen plan")
        show(_plan(fitted))
        heading(f"Measured on {fitted.judged_on}")
        show(_measured(fitted))
    verdict = "within the budget" if fitted.is_within_budget else "NOT within the budget"
    result = f"{fitted.result.size:,} bytes, {fitted.result.sops:,.0f} SOPs"
    say(f"{verdict}: {result}, {fitted.accuracy_drop:+.2f} points of accuracy lost", bold=True)
    for missed in fitted.missed:
        say(f"  {missed}", fg="yellow")


def _front(fitted: Fitted) -> Table:
    step = max(1, len(fitted.front) // ROWS)
    shown = fitted.front[::step]
    rows = [(f"{c.cost.size:,}", f"{c.cost.sops:,.0f}", f"{c.loss_increase:.3f}", _bits(c)) for c in shown]
    return Table(("bytes, at most", "SOPs", "added loss", "bits by layer"), tuple(rows))


def _bits(c: Candidate) -> str:
    return " ".join(map(str, c.plan.bits.values()))


def _plan(fitted: Fitted) -> Table:
    rows = [(layer, f"{bits} bits") for layer, bits in fitted.plan.bits.items()]
    rows += [(group, f"{percent(ratio)} of its channels leave") for group, ratio in fitted.plan.ratios.items()]
    return Table(("layer or group", "choice"), tuple(rows), prose=(0, 1))


def _measured(fitted: Fitted) -> Table:
    def row(name: str, m: Measured) -> tuple[str, str, str, str]:
        return name, percent(m.accuracy), f"{m.size:,}", f"{m.sops:,.0f}"

    tried = [row(f"tried {i + 1} (validation)", p.measured) for i, p in enumerate(fitted.probes)]
    rows = (row("start", fitted.start), *tried)
    return Table(("network", "accuracy", "bytes", "SOPs"), rows, (row("result", fitted.result),))
