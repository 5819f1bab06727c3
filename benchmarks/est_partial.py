"""Partial information from a trained EST: accuracy, operations and time of attention, at each ratio and in each form.

    python -m benchmarks.est_partial runs/est-0 [--data-root FOLDER] [--samples 12800] [--forms tokens heads ...]

Every row starts from the run's weights, takes one form and ratio (spikelet.compression.PartialAttention), and is
fine-tuned for one pass over the first `--samples` training images at a learning rate of `--lr`. The row "whole" is
fine-tuned as long, so that what partial information costs is told from what more training brings. Structured forms are
evaluated as integers in the native runtime, the first `--compared` images spike for spike against PyTorch; random masks
in PyTorch, as no integers have them. Recorded in results/results.csv as table "EST partial information"; rows that are
there are not run again.

Printed beside: the share of attention's operations saved under each counting rule and as they run, and what attention
takes natively beside the whole one's, in turns (benchmarks/attention_speed.py).
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch
from torch import nn

from benchmarks.attention_speed import TIMED, attention_times
from benchmarks.est import BATCH, arguments, variant_of
from benchmarks.record import record, recorded
from benchmarks.verified import verified
from spikelet import Program, compress, lower
from spikelet.compression import Finetune, PartialAttention
from spikelet.data import DataSplits, batches, load
from spikelet.data.samples import Samples
from spikelet.graph.file.artifact import dumps
from spikelet.graph.ir import IntGraph
from spikelet.profiling import attention_operations
from spikelet.profiling.papers.est import SAVED
from spikelet.train import TrainConfig, evaluate, load_run

TABLE = "EST partial information"
WHOLE, RANDOM = "whole", "random"
FORMS = ("tokens", "heads", "channels", RANDOM)
RATIOS = (0.25, 0.5, 0.75)


@dataclasses.dataclass(frozen=True)
class Setting:
    """The run, its data, and how long each row is fine-tuned."""

    config: TrainConfig
    splits: DataSplits
    test: Samples
    samples: int
    lr: float
    compared: int
    seconds: float

    @property
    def finetune(self) -> Finetune:
        """One pass, as the run was trained."""
        c = self.config
        return Finetune(
            1, self.lr, c.optimizer.name, c.optimizer.weight_decay, c.batch_size, c.augment, c.loss, c.label_smoothing,
            seed=c.seed, norm_lr=c.optimizer.norm_lr,
        )  # fmt: skip


def _native_accuracy(graph: IntGraph, test: Samples) -> float:
    program, hits = Program(graph), 0
    for x, y in batches(test, BATCH):
        hits += int((program(x.numpy()).argmax(1) == y.numpy()).sum())
    return hits / len(test)


def _is_integer(form: str) -> bool:
    return form != RANDOM


def _row(form: str, ratio: float, model: nn.Module, whole_graph: IntGraph, setting: Setting) -> None:
    """Fine-tunes, evaluates, records and prints one form at one ratio."""
    passes = [] if form == WHOLE else [PartialAttention(ratio, form)]
    small = compress(model, [*passes, setting.finetune], setting.splits).model.eval()
    example = setting.test.batch(torch.arange(2))[0]
    words: dict[str, object] = {}
    if _is_integer(form):
        graph = lower(small, example)
        verified(graph, small, setting.test.subset(torch.arange(min(setting.compared, len(setting.test)))))
        accuracy = _native_accuracy(graph, setting.test)
        words |= {"integer_accuracy": f"{accuracy:.4f}", "packed_bytes": len(dumps(graph))}
        timed = setting.test.batch(torch.arange(TIMED))[0].numpy()
        whole, taken = attention_times([whole_graph, graph], timed, setting.seconds)
        less = 100 * (1 - taken.mixed / whole.mixed)
        speed = f"attention {taken.mixed:.0f} us, {less:.1f} % less than {whole.mixed:.0f} us"
    else:
        accuracy = evaluate(small, batches(setting.test, BATCH))
        words |= {"test_accuracy": f"{accuracy:.4f}"}
        speed = "PyTorch alone"
    record(
        table=TABLE, recipe=setting.config.model, variant=_name(form, ratio), data=_data(setting),
        seed=setting.config.seed, time_steps=1, membrane_bits=32,
        weight_bits=setting.config.model_options.get("weight_bits", 8),
        epochs=f"{setting.config.epochs} + {setting.samples:,} images", **words,
    )  # fmt: skip
    print(f"{_name(form, ratio):14s} {100 * accuracy:.2f} %; {speed}")
    _operations(small, ratio)


def _operations(model: nn.Module, ratio: float) -> None:
    all_of_it, left = attention_operations(model, whole=True), attention_operations(model)
    shares = ", ".join(f"{rule} {100 * saved(all_of_it, ratio):.1f} %" for rule, saved in SAVED.items())
    runs = 100 * (1 - left.products / all_of_it.products)
    print(f"{'':14s} saved by rule: {shares}; q k^T and A v as they run: {runs:.1f} %", flush=True)


def _name(form: str, ratio: float) -> str:
    return form if form == WHOLE else f"{form} {ratio:g}"


def _data(setting: Setting) -> str:
    return f"{setting.test.name} ({len(setting.test):,} images)"


def _setting(model: nn.Module, config: TrainConfig, options: argparse.Namespace) -> Setting:
    if variant_of(config) != "levels, whole":
        raise SystemExit(f"est_partial: the run must be of attention in levels, whole, got {variant_of(config)}.")
    splits = load(config.data, root=options.data_root, **config.data_options)
    few = splits.train.subset(torch.arange(min(options.samples, len(splits.train))))
    test = splits.test if options.images is None else splits.test.subset(torch.arange(options.images))
    splits = dataclasses.replace(splits, train=few)
    return Setting(config, splits, test, len(few), options.lr, options.compared, options.seconds)


def _run(folder: Path, options: argparse.Namespace) -> None:
    model, config = load_run(folder)
    setting = _setting(model, config, options)
    epochs = f"{config.epochs} + {setting.samples:,} images"
    done = recorded(TABLE, epochs=epochs, data=_data(setting))
    graph = lower(model, setting.test.batch(torch.arange(2))[0])
    for form, ratio in [(WHOLE, 0.0), *((form, ratio) for form in options.forms for ratio in options.ratios)]:
        if (_name(form, ratio), str(config.seed)) not in done:
            _row(form, ratio, model, graph, setting)


def main() -> None:
    """The rows of every run folder named."""
    parser = arguments(__doc__)
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS)
    parser.add_argument("--ratios", nargs="+", type=float, default=RATIOS)
    parser.add_argument("--samples", type=int, default=12_800, help="training images that a row is fine-tuned on")
    parser.add_argument("--lr", type=float, default=5e-4, help="its peak")
    parser.add_argument("--seconds", type=float, default=4.0, help="time for each timing")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for folder in options.runs:
        _run(folder, options)


if __name__ == "__main__":
    main()
