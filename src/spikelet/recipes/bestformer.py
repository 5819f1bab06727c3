"""Recipes for BESTformer (Cao et al., IJCAI 2025, arXiv:2501.05904): each function returns one configuration."""

from __future__ import annotations

import dataclasses

from spikelet.train import DualRegulation, Optimizer, Phase, Teacher, TrainConfig


def digits(seed: int = 0, weight_bits: int = 1, membrane_bits: int = 32) -> TrainConfig:
    """A small one on scikit-learn's 8x8 digits, within a minute or two: to try things out."""
    return TrainConfig(
        model="bestformer_2_128",
        model_options={
            "time_steps": 2, "weight_bits": weight_bits, "membrane_bits": membrane_bits, "in_channels": 1,
            "image_size": 8, "width": 64, "patch": 2, "heads": 2,
        },
        data="digits",
        phases=(Phase(10, 2),),
        batch_size=64,
        optimizer=Optimizer(lr=8e-3),
        regulation=DualRegulation(spike=0.0),
        gradient="straight",
        loss="mean",
        label_smoothing=0.05,
        seed=seed,
    )  # fmt: skip


def cifar10(seed: int = 0, weight_bits: int = 1, membrane_bits: int = 32) -> TrainConfig:
    """The small transformer on CIFAR-10 at T = 1, within two hours of one AVX2 core."""
    return TrainConfig(
        model="bestformer_2_128",
        model_options={"time_steps": 1, "weight_bits": weight_bits, "membrane_bits": membrane_bits},
        data="cifar10",
        data_options={"validation": 0.0},
        augment="crop3-flip",
        phases=(Phase(9, 1),),
        batch_size=128,
        optimizer=Optimizer(lr=3e-3),
        regulation=DualRegulation(spike=0.0),
        gradient="straight",
        loss="mean",
        label_smoothing=0.05,
        seed=seed,
    )


def cifar10_taught(seed: int = 0, weight_bits: int = 1, membrane_bits: int = 32) -> TrainConfig:
    """`cifar10` with coupled distillation: labels teach the first head, the classes of its analog twin the second."""
    return dataclasses.replace(
        cifar10(seed, weight_bits, membrane_bits),
        teacher=Teacher(epochs=9, weight=0.5, logits="hard", head="heads.1", labels="heads.0"),
    )


def cifar10_384(seed: int = 0, weight_bits: int = 1, membrane_bits: int = 32) -> TrainConfig:
    """The paper's CIFAR-10 setting as far as our augmentations go: 400 epochs at T = 4, which need a GPU.

    RandAugment, mixup and random erasing of the authors are AutoAugment and a cutout here; the teacher, there a
    ViT-B/16 trained on other pictures, is the analog twin. The authors' log has 95.73 %.
    """
    return TrainConfig(
        model="bestformer_4_384",
        model_options={"time_steps": 4, "weight_bits": weight_bits, "membrane_bits": membrane_bits},
        data="cifar10",
        augment="paper",
        phases=(Phase(400, 4),),
        batch_size=512,
        optimizer=Optimizer(lr=1.414e-3, weight_decay=0.06, warmup=0.05),
        regulation=DualRegulation(spike=0.0),
        gradient="straight",
        loss="mean",
        label_smoothing=0.1,
        teacher=Teacher(epochs=200, weight=0.5, logits="hard", head="heads.1", labels="heads.0"),
        seed=seed,
        mixed_precision="bf16",
    )
