"""Recipes for QSD-Transformer (Qiu et al., ICLR 2025, arXiv:2501.13492): each function returns one configuration."""

from __future__ import annotations

import dataclasses

from spikelet.train import DualRegulation, Optimizer, Phase, Teacher, TrainConfig


def digits(seed: int = 0, weight_bits: int = 4, membrane_bits: int = 32) -> TrainConfig:
    """A small one on scikit-learn's 8x8 digits, within a minute or two: to try things out."""
    return TrainConfig(
        model="qsd_transformer_cifar",
        model_options={
            "weight_bits": weight_bits, "membrane_bits": membrane_bits, "in_channels": 1, "image_size": 8,
            "widths": [16, 32, 32, 32], "strides": [1, 1, 2, 1, 1], "heads": 2,
        },
        data="digits",
        phases=(Phase(8, 1),),
        batch_size=64,
        optimizer=Optimizer(lr=4e-3),
        regulation=DualRegulation(spike=0.0),
        loss="mean",
        label_smoothing=0.05,
        seed=seed,
    )  # fmt: skip


def cifar10(seed: int = 0, weight_bits: int = 4, membrane_bits: int = 32) -> TrainConfig:
    """The small transformer on CIFAR-10, short enough for a CPU. It trains in bfloat16, which pays where the processor
    computes in it (`lscpu`: avx512_bf16, amx_bf16)."""
    return TrainConfig(
        model="qsd_transformer_cifar",
        model_options={"weight_bits": weight_bits, "membrane_bits": membrane_bits},
        data="cifar10",
        data_options={"validation": 0.0},
        augment="crop4-flip",
        phases=(Phase(20, 1),),
        batch_size=64,
        optimizer=Optimizer(lr=3e-3, weight_decay=0.05),
        regulation=DualRegulation(spike=0.0),
        loss="mean",
        label_smoothing=0.1,
        seed=seed,
        mixed_precision="bf16",
    )


def cifar10_taught(seed: int = 0, weight_bits: int = 4, membrane_bits: int = 32) -> TrainConfig:
    """`cifar10` with its analog twin as teacher of its logits and of q, k and v."""
    return dataclasses.replace(
        cifar10(seed, weight_bits, membrane_bits), teacher=Teacher(epochs=16, weight=0.5, after=8, gram=1.0)
    )
