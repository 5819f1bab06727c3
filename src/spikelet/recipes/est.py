"""Recipes for EST (arXiv:2210.01208): each function returns one configuration. `spikelet.convert` makes the twins."""

from __future__ import annotations

from spikelet.train import DualRegulation, Optimizer, Phase, TrainConfig


def digits(seed: int = 0, weight_bits: int = 8, membrane_bits: int = 32) -> TrainConfig:
    """A small one on scikit-learn's 8x8 digits, within a minute or two: to try things out."""
    return TrainConfig(
        model="est_cifar",
        model_options={
            "weight_bits": weight_bits, "membrane_bits": membrane_bits, "in_channels": 1, "image_size": 8, "patch": 1,
            "width": 32, "depths": [2, 1],
        },
        data="digits",
        phases=(Phase(20, 1),),
        batch_size=64,
        optimizer=Optimizer(lr=3e-3),
        regulation=DualRegulation(spike=0.0),
        loss="mean",
        label_smoothing=0.05,
        seed=seed,
    )  # fmt: skip


def cifar10(
    seed: int = 0,
    weight_bits: int = 8,
    membrane_bits: int = 32,
    *,
    partial: str = "tokens",
    ratio: float = 0.0,
    attention: str = "levels",
) -> TrainConfig:
    """The small one on CIFAR-10, short enough for a CPU: trained once, it runs at any number of steps."""
    return TrainConfig(
        model="est_cifar",
        model_options={
            "weight_bits": weight_bits, "membrane_bits": membrane_bits, "attention": attention, "partial": partial,
            "partial_ratio": ratio,
        },
        data="cifar10",
        data_options={"validation": 0.0},
        augment="crop4-flip",
        phases=(Phase(12, 1),),
        batch_size=64,
        optimizer=Optimizer(lr=2e-3, weight_decay=0.05),
        regulation=DualRegulation(spike=0.0),
        loss="mean",
        label_smoothing=0.1,
        seed=seed,
        compile=True,
    )  # fmt: skip
