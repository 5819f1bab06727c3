"""`spikelet fit`: a finished run made small enough, with the whole front as a table and a picture."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import torch

from spikelet.base.errors import SpikeletError
from spikelet.base.files import atomic_write
from spikelet.base.page import Page
from spikelet.base.words import parse_bytes
from spikelet.cli.errors import naming
from spikelet.cli.lowered import graph_of_run, origin
from spikelet.cli.options import FitOptions
from spikelet.cli.outputs import require_folder, side_file
from spikelet.cli.printing import note, say, show_page
from spikelet.cli.quiet import is_quiet
from spikelet.cli.result import load_result
from spikelet.cli.sources import spiking_run, splits_of
from spikelet.fitting import Budget, Fitted, Settings
from spikelet.fitting.fitted import Measured
from spikelet.fitting.job import Job
from spikelet.fitting.picture import draw, require_matplotlib
from spikelet.fitting.progress import Quiet, Shown
from spikelet.fitting.search import Candidate
from spikelet.graph.file.artifact import dumps, save
from spikelet.profiling.packed import has_float_weights

SCHEMA = "spikelet.fit/1"
FILES = MODEL, FIGURES, PICTURE = "model.safetensors", "fit.json", "fit.png"
OF_THE_START = ("test_accuracy", "recipe", "weight_bits")  # no longer true of the answer, whose figures are in fit.json


def fit(options: FitOptions) -> bool:
    """Fits, prints the front and writes the folder; whether every limit was met.

    Raises:
        SpikeletError: no limit, a run that is not finished, or a budget that no plan can meet.
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
        raise SpikeletError(
            f"{options.model} was trained without validation images, by which fit judges. Give --validation 0.1, the "
            "share of the training images to judge by; the start has seen them, so that its loss looks small."
        )
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    out.mkdir(parents=True, exist_ok=True)  # before the training: a folder that can't be made is no news after it
    training = dataclasses.replace(config.plain(), seed=options.seed)
    known = {name: text for name, text in origin(config, result).items() if name not in OF_THE_START}
    job = Job(model, data, budget, training, settings, result.labels, known)
    fitted = job.run(Quiet() if is_quiet() else Shown(sys.stdout))
    if not has_float_weights(model):  # which have no file
        fitted = _as_packed(fitted, options.model)
    _show(fitted)
    _write(fitted, out)
    return fitted.is_within_budget


def _as_packed(fitted: Fitted, folder: Path) -> Fitted:
    """`fitted` with the start's bytes as `spikelet pack` writes the run in `folder`: the job left out what is no longer
    true of the answer, such as its accuracy."""
    size = len(dumps(graph_of_run(folder)))
    return dataclasses.replace(fitted, start=dataclasses.replace(fitted.start, size=size))


def _folder_of(options: FitOptions) -> Path:
    """The folder of the answer.

    Raises:
        SpikeletError: it holds one already, or nothing can be written into it.
    """
    run = options.model.resolve() if options.model.name in ("", "..") else options.model
    out = options.out or run.with_name(f"{run.name}-fit")
    require_folder(out)
    if there := [name for name in FILES if (out / name).exists()]:
        raise SpikeletError(f"{out} holds {there[0]} already. Choose another --out, or remove it.")
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
        show_page(Page(fitted.tables()))
    say(fitted.verdict, bold=True)
    for missed in fitted.missed:
        say(f"  {missed}", fg="yellow")
