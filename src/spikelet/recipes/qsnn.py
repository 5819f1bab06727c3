"""Recipes for Q-SNN (Wei et al., ACM MM 2024, arXiv:2406.13672): each function returns one configuration.

A variant is a call with other arguments, or `dataclasses.replace(recipe(), ...)`.
"""

from __future__ import annotations

import dataclasses

from spikelet.train import DualRegulation, Optimizer, Phase, Teacher, TrainConfig


def digits(seed: int = 0, weight_bits: int = 1, membrane_bits: int = 2) -> TrainConfig:
    """scikit-learn's 8x8 digits in seconds on one core: the demo."""
    return TrainConfig(
        model="qsnn_vgg_s",
        model_options={
            "time_steps": 2, "weight_bits": weight_bits, "membrane_bits": membrane_bits,
            "in_channels": 1, "image_size": 8, "widths": [32, 64],
        },
        data="digits",
        augment="none",  # a pixel is an eighth of the image: moving it by one costs accuracy
        phases=(Phase(8, 2),),
        batch_size=64,
        optimizer=Optimizer(lr=8e-3),
        label_smoothing=0.1,
        seed=seed,
    )  # fmt: skip


def fashion_mnist(seed: int = 0, weight_bits: int = 1, membrane_bits: int = 2) -> TrainConfig:
    """Fashion-MNIST, 28x28."""
    return TrainConfig(
        model="qsnn_vgg_s",
        model_options={
            "time_steps": 2, "weight_bits": weight_bits, "membrane_bits": membrane_bits,
            "in_channels": 1, "image_size": 28, "widths": [48, 96, 192], "pool_size": 1,
        },
        data="fashion-mnist",
        data_options={"validation": 0.0},  # all else but the phases was chosen on a validation split
        augment="crop1",
        phases=(Phase(12, 2, one_pass=True), Phase(5, 2)),
        batch_size=64,
        optimizer=Optimizer(lr=3e-3),
        loss="mean",
        label_smoothing=0.05,
        seed=seed,
        compile=True,
    )  # fmt: skip


def nmnist(seed: int = 0, weight_bits: int = 1, membrane_bits: int = 2) -> TrainConfig:
    """N-MNIST, 34x34 frames of two polarities, T = 5."""
    return TrainConfig(
        model="qsnn_vgg_s",
        model_options={
            "time_steps": 5, "weight_bits": weight_bits, "membrane_bits": membrane_bits,
            "in_channels": 2, "image_size": 34, "widths": [32, 64, 128],
        },
        data="nmnist",
        data_options={"time_steps": 5, "validation": 0.0},
        augment="crop2",
        phases=(Phase(40, 5),),
        batch_size=50,
        optimizer=Optimizer(lr=4e-3),
        label_smoothing=0.05,
        seed=seed,
    )  # fmt: skip


def cifar10(seed: int = 0, weight_bits: int = 1, membrane_bits: int = 2) -> TrainConfig:
    """CIFAR-10, mostly in one pass, then T = 2, within an hour or two of a laptop's cores."""
    return TrainConfig(
        model="qsnn_vgg_s",
        model_options={
            "time_steps": 2, "weight_bits": weight_bits, "membrane_bits": membrane_bits, "pool_size": 1,
        },
        data="cifar10",
        data_options={"validation": 0.04},
        whiten=True,
        augment="crop2-flip",
        phases=(Phase(23, 2, one_pass=True), Phase(4, 2)),
        batch_size=64,
        optimizer=Optimizer(lr=2e-3, norm_lr=6.0),
        loss="mean",
        gradient="straight",
        label_smoothing=0.05,
        seed=seed,
        compile=True,
    )  # fmt: skip


def cifar10_longer(seed: int = 0, weight_bits: int = 1, membrane_bits: int = 2) -> TrainConfig:
    """`cifar10` with average pooling instead of strides, more epochs, all training images and wider shifts.

    `cifar10_taught` and `cifar10_max` build on it.
    """
    shorter = cifar10(seed, weight_bits, membrane_bits)
    return dataclasses.replace(
        shorter,
        model="qsnn_vgg_s_avg",
        data_options={"validation": 0.0},  # all else was chosen on validation splits
        augment="crop3-flip",
        phases=(Phase(34, 2, one_pass=True), Phase(8, 2)),
    )


def cifar10_taught(seed: int = 0, weight_bits: int = 1, membrane_bits: int = 2) -> TrainConfig:
    """`cifar10_longer` with its analog twin as teacher from the 15th epoch on."""
    return dataclasses.replace(cifar10_longer(seed, weight_bits, membrane_bits), teacher=Teacher(epochs=12, after=14))


def cifar10_max(seed: int = 0, weight_bits: int = 1, membrane_bits: int = 2) -> TrainConfig:
    """`cifar10_longer` on a network with three times the operations an image, in fewer epochs."""
    longer = cifar10_longer(seed, weight_bits, membrane_bits)
    return dataclasses.replace(
        longer,
        model="qsnn_vgg_s_max",
        model_options={**longer.model_options, "pool_size": 2},
        phases=(Phase(16, 2, one_pass=True), Phase(4, 2)),
    )


def cifar10_48k(seed: int = 0, weight_bits: int = 1, membrane_bits: int = 2) -> TrainConfig:
    """CIFAR-10 in 48 kB of flash, code and all: few channels, few spikes, trained for about an hour of one core."""
    return dataclasses.replace(
        cifar10(seed, weight_bits, membrane_bits),
        model_options={
            "time_steps": 2, "weight_bits": weight_bits, "membrane_bits": membrane_bits,
            "widths": [64, 96], "blocks": [1, 2], "pool_size": 4,
        },
        data_options={"validation": 0.0},
        phases=(Phase(40, 2, one_pass=True), Phase(5, 2)),
        regulation=DualRegulation(spike=1.0, rate=0.1),
        compile=False,
        mixed_precision="bf16",
    )  # fmt: skip


def cifar10_24k(seed: int = 0, weight_bits: int = 1, membrane_bits: int = 2) -> TrainConfig:
    """`cifar10_48k` with half the channels: 24 kB of flash."""
    larger = cifar10_48k(seed, weight_bits, membrane_bits)
    return dataclasses.replace(larger, model_options={**larger.model_options, "widths": [32, 64]})


def cifar10_96k(seed: int = 0, weight_bits: int = 1, membrane_bits: int = 2) -> TrainConfig:
    """`cifar10_48k` with half as many channels again: 80 kB of flash."""
    smaller = cifar10_48k(seed, weight_bits, membrane_bits)
    return dataclasses.replace(smaller, model_options={**smaller.model_options, "widths": [96, 128]})


def cifar10_resnet19(seed: int = 0, weight_bits: int = 1, membrane_bits: int = 2) -> TrainConfig:
    """The paper's CIFAR-10 setting, ResNet-19 at T = 2 for 300 epochs, which needs a GPU. The paper reports 95.20 %."""
    return TrainConfig(
        model="qsnn_resnet19",
        model_options={"time_steps": 2, "weight_bits": weight_bits, "membrane_bits": membrane_bits},
        data="cifar10",
        augment="paper",
        phases=(Phase(300, 2),),
        batch_size=256,
        optimizer=Optimizer(name="sgd", lr=0.1, weight_decay=1e-4, warmup=0.0),
        regulation=DualRegulation(weight=True, spike=1e-3),
        gradient="ede",
        seed=seed,
        mixed_precision="bf16",
    )
