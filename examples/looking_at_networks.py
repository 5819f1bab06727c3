"""What there is to look at: a network as a table, its costs, its training as it goes, and four pictures.

    python examples/looking_at_networks.py

Writes into ./demo: spikes.png, learning.png, confusion.png, rates.png. In a notebook leave `graph` or `report` on the
last line of a cell: it is shown as a table, and a picture as itself.
"""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import torch

import spikelet
from spikelet import plot
from spikelet.data import batches, load
from spikelet.train import Optimizer, Phase, Run, TrainConfig


def main(folder: Path, epochs: int = 6) -> None:
    """Trains a small network on digits, prints it, and draws it."""
    data = load("digits", validation=0.1)
    options = {"image_size": 8, "in_channels": 1, "widths": [16, 32], "weight_bits": 1, "membrane_bits": 2}
    config = TrainConfig(
        model="qsnn_vgg_s", model_options=options, data="digits", phases=(Phase(epochs, 2),), batch_size=32,
        optimizer=Optimizer(lr=5e-3),
    )  # fmt: skip
    model = Run(config, data, folder / "looked_at").train()  # shows a bar; Run(..., reporter=Silent()) does not

    graph = spikelet.lower(model, data.test.x[:1], labels=data.test.labels)
    print(repr(graph))  # one line
    print(graph)  # a table of its nodes
    report = spikelet.profile(model, batches(data.test, 100))
    print(report)

    images, labels = data.test.x.numpy(), data.test.y.numpy()
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # a program goes to other processes as it is
        parts = pool.map(spikelet.Program(graph), np.array_split(images, 4))
    logits = np.concatenate(parts)

    axes = {
        "spikes": plot.raster(graph, images[:10]),
        "learning": plot.learning_curve(folder / "looked_at"),
        "confusion": plot.confusion_matrix(labels, logits, graph.labels),
        "rates": plot.firing_rates(report),
    }
    for name, ax in axes.items():
        ax.figure.savefig(folder / f"{name}.png", dpi=130)
        print(f"drew {folder / f'{name}.png'}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # tensors as small as these only lose by being shared
    out = Path("demo")
    out.mkdir(exist_ok=True)
    main(out)
