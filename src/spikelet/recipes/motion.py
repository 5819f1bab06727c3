"""Recipes for what motion sensors feel: each function returns one configuration."""

from __future__ import annotations

from spikelet.train import DualRegulation, Optimizer, Phase, TrainConfig

STEPS = 128  # samples of a window, 2.56 s at 50 Hz


def hapt(seed: int = 0, weight_bits: int = 8, membrane_bits: int = 32) -> TrainConfig:
    """Six activities of people with a phone at the waist, from raw samples, in minutes on one core."""
    return TrainConfig(
        model="stream_lif",
        model_options={
            "time_steps": STEPS, "weight_bits": weight_bits, "membrane_bits": membrane_bits,
            "num_classes": 6, "in_channels": 6, "image_size": 1,
            "widths": [20, 32], "delays": [[0, 2, 4], [0]],
        },
        data="hapt",
        data_options={"time_steps": STEPS, "validation": 0.0},
        augment="turn",
        phases=(Phase(24, STEPS),),
        batch_size=64,
        optimizer=Optimizer(lr=4e-3),
        regulation=DualRegulation(spike=0.0),
        loss="mean",
        label_smoothing=0.05,
        seed=seed,
    )  # fmt: skip
