"""Motion: the shipped spiking network beside a random forest, on UCI's test people of HAPT.

    python -m benchmarks.motion --data-root data/hapt [--seeds 0 1 2] [--windows 6] [--no-record]

The network's accuracy is that of its integers. Its instructions are those of a sample of 50 Hz, counted on an emulated
Cortex-M4 at -Os (extra `targets`), the mean over so many test windows spread over the classes. The forest is
scikit-learn's, 100 trees on mean, deviation, extremes and power of differences by channel of the same windows. Its
bytes are those of its nodes at 8 each. It needs the whole window, where the network runs sample by sample.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

import spikelet
from benchmarks.record import portable, record
from spikelet.data import Samples, load
from spikelet.export import count

MODEL, NODE = "stream-lif-hapt", 8  # bytes: a threshold, a feature, two children


def features(part: Samples) -> NDArray[np.float64]:
    """[N, 5 C] of the windows of a part."""
    x = part.x.numpy().reshape(*part.x.shape[:3]).astype(np.float64)  # [N, T, C]
    steps = np.diff(x, axis=1)
    return np.concatenate([x.mean(1), x.std(1), x.min(1), x.max(1), (steps**2).mean(1)], axis=1)


def forest(train: Samples, test: Samples, seed: int) -> tuple[float, int]:
    """Accuracy, and bytes."""
    trees = RandomForestClassifier(100, random_state=seed).fit(features(train), train.y.numpy())
    accuracy = float((trees.predict(features(test)) == test.y.numpy()).mean())
    return accuracy, NODE * sum(tree.tree_.node_count for tree in trees.estimators_)


def network(test: Samples, windows: int) -> tuple[float, float]:
    """Accuracy of the integers, and instructions a sample."""
    graph = spikelet.load(MODEL)
    x, y = test.batch(torch.arange(len(test)))
    accuracy = float((spikelet.Program(graph)(x.numpy()).argmax(1) == y.numpy()).mean())
    frames = test.spread(windows).batch(torch.arange(windows))[0].numpy()
    counted = [count(graph, np.ascontiguousarray(frames[:, i])).instructions for i in range(windows)]
    return accuracy, float(np.mean(counted)) / graph.time_steps


def main() -> None:
    """Runs both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--windows", type=int, default=6)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = load("hapt", root=options.data_root, validation=0.0, time_steps=128)
    accuracy, instructions = network(data.test, options.windows)
    print(f"{MODEL}: {accuracy:.2%}, {instructions:,.0f} instructions a sample")
    for seed in options.seeds:
        found, size = forest(data.train, data.test, seed)
        print(f"random forest, seed {seed}: {found:.2%}, {size:,} bytes of nodes")
        if not options.no_record:
            record(
                table="motion", recipe="motion-hapt", variant="random forest, 100 trees", data="hapt", seed=seed,
                time_steps=128, integer_accuracy=f"{found:.4f}", packed_bytes=size,
                command=f"python -m benchmarks.motion --data-root {portable(options.data_root)}",
            )  # fmt: skip


if __name__ == "__main__":
    main()
