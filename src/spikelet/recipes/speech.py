"""A recipe for spoken digits: a network that listens frame by frame, small enough for a microcontroller. Ours."""

from __future__ import annotations

import dataclasses

from spikelet.base.logmel import LogMel
from spikelet.train import DualRegulation, Optimizer, Phase, TrainConfig

TIME_STEPS = 36  # frames of 20 ms; nineteen of twenty recordings are shorter


def fsdd(seed: int = 0, weight_bits: int = 1, membrane_bits: int = 32, held_out: str | None = None) -> TrainConfig:
    """The Free Spoken Digit Dataset, in minutes on one core.

    held_out: a speaker who is the test set, and of whom nothing is trained on, so that all others are made to sound
        like more people than they are, and each band is heard beside its running mean; None: the official split.
    """
    by_speaker = {} if held_out is None else {"held_out": held_out}
    hears = LogMel() if held_out is None else LogMel(adapt=4)
    return TrainConfig(
        model="stream_lif",
        model_options={
            "time_steps": TIME_STEPS, "weight_bits": weight_bits, "membrane_bits": membrane_bits,
            "num_classes": 10, "in_channels": hears.bands, "image_size": 1,
            "widths": [64] * 4, "delays": [[0], [0, 1, 2], [0, 1, 2], [0, 1, 2]], "time_constants": [2.0],
        },
        data="fsdd",
        data_options={
            "time_steps": TIME_STEPS, "validation": 0.0, "sound": dataclasses.asdict(hears), **by_speaker,
        },
        augment="spoken" if held_out is None else "strangers",
        phases=(Phase(30 if held_out is None else 60, TIME_STEPS),),
        batch_size=64,
        optimizer=Optimizer(lr=8e-3),
        regulation=DualRegulation(spike=0.0),
        loss="mean",
        label_smoothing=0.05,
        seed=seed,
    )  # fmt: skip
