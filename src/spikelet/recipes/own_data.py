"""A configuration for data that no recipe is for: a small network of the catalogue, trained on a CPU.

    network        qsnn_vgg_s of half the usual widths, T = 2 (events: their frames), 1-bit weights, 2-bit membranes;
                   of signals and sounds stream_lif
    classes, channels, size        the samples'
    phases         four fifths of the epochs in one pass, the others on real time steps; events: real ones throughout
    batch_size     the power of two that gives some 16 steps an epoch, 8 to 64
    augment        shifts by up to 2 pixels from 28 pixels on, by 1 from 16 on; no mirror images, as letters have none;
                   sounds: as if others spoke

Every setting is a starting point, and none was searched for. A recipe of known data says what was.
"""

from __future__ import annotations

from typing import Any

from spikelet.data import Samples
from spikelet.recipes.changes import default_of, for_samples, known_to, of_length
from spikelet.train import DualRegulation, Optimizer, Phase, TrainConfig

MODEL = "qsnn_vgg_s"
SIGNALS = "stream_lif"
TAPS = [[0], [0, 1, 2], [0, 1, 2]]  # of its layers
WIDTHS = [32, 64, 128]
STEPS = 16  # batches an epoch, at least, where there are samples enough
BATCH_SIZES = 8, 64
EPOCHS = 20
BITS = ("weight_bits", "membrane_bits")


def own_data(
    train: Samples,
    data: str,
    data_options: dict[str, Any] | None = None,
    model: str | None = None,
    epochs: int = EPOCHS,
) -> TrainConfig:
    """The configuration that trains `model` on a data set of one's own, with its classes, channels and size.

    Example:
        data = spikelet.data.load("shapes", image_size=32)
        config = own_data(data.train, "shapes", {"image_size": 32})
        Run(config, data, "runs/shapes").train()

    Args:
        train: its training samples, which square images or frames are.
        data, data_options: how `spikelet.data.load` reads it again.
        model: a network of the catalogue, with its own defaults but for the default network's widths. None: the default
            network, or stream_lif of three layers of 64 neurons for signals and sounds, whose frames are no pictures.
        epochs: the length of the training.
    Raises:
        SpikeletError: there are no samples, or they are not square.
    """
    signals = train.has_time and train.sample_shape[-2:] == (1, 1)
    model = model or (SIGNALS if signals else MODEL)
    steps = train.sample_shape[0] if train.has_time else default_of(model, "time_steps", 2)
    options = known_to(model, {"time_steps": steps, **{name: default_of(model, name, None) for name in BITS}})
    if model == MODEL:
        options["widths"] = _widths(train.sample_shape[-1])
    if model == SIGNALS and signals:
        options |= {"widths": [64] * len(TAPS), "delays": TAPS}
    one_pass = model.startswith(MODEL) and not train.has_time
    phases = (Phase(4, steps, one_pass=True), Phase(1, steps)) if one_pass else (Phase(1, steps),)
    config = TrainConfig(
        model=model,
        model_options=options,
        data=data,
        data_options=data_options or {},
        augment="spoken" if "sound" in (data_options or {}) else _augment(train.sample_shape[-1]),
        phases=phases,
        batch_size=_batch_size(len(train)),
        optimizer=Optimizer(lr=4e-3),
        regulation=DualRegulation(spike=0.0),
        loss="mean",
        gradient="straight",
        label_smoothing=0.05,
    )
    return of_length(for_samples(config, train), epochs)


def _widths(side: int) -> list[int]:
    """Two widths for the smallest images, whose maps would end at one pixel."""
    return WIDTHS if side >= 16 else WIDTHS[:2]


def _augment(side: int) -> str:
    return "crop2" if side >= 28 else "crop1" if side >= 16 else "none"


def _batch_size(samples: int) -> int:
    """A power of two with some `STEPS` batches an epoch; never more than there are samples."""
    low, high = BATCH_SIZES
    wanted = max(samples // STEPS, 1)
    return min(max(1 << (wanted.bit_length() - 1), low), high, max(samples, 1))
