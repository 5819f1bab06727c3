"""Training configurations by name, each made by a function; results/ says what they reach."""

from __future__ import annotations

from collections.abc import Callable

from spikelet.base import torch_needed as torch_needed
from spikelet.recipes import bestformer, est, motion, qpsnn, qsd, qsnn, speech
from spikelet.train import TrainConfig

RECIPES: dict[str, Callable[..., TrainConfig]] = {
    "qsnn-digits": qsnn.digits,
    "qsnn-fashion-mnist": qsnn.fashion_mnist,
    "qsnn-nmnist": qsnn.nmnist,
    "qsnn-cifar10": qsnn.cifar10,
    "qsnn-cifar10-longer": qsnn.cifar10_longer,
    "qsnn-cifar10-taught": qsnn.cifar10_taught,
    "qsnn-cifar10-max": qsnn.cifar10_max,
    "qsnn-cifar10-24k": qsnn.cifar10_24k,
    "qsnn-cifar10-48k": qsnn.cifar10_48k,
    "qsnn-cifar10-96k": qsnn.cifar10_96k,
    "qsnn-cifar10-resnet19": qsnn.cifar10_resnet19,
    "qpsnn-digits": qpsnn.digits,
    "qpsnn-cifar10": qpsnn.cifar10,
    "qpsnn-cifar10-vgg16": qpsnn.cifar10_vgg16,
    "qpsnn-cifar10-resnet20": qpsnn.cifar10_resnet20,
    "qpsnn-cifar100-vgg16": qpsnn.cifar100_vgg16,
    "qpsnn-cifar100-resnet20": qpsnn.cifar100_resnet20,
    "bestformer-digits": bestformer.digits,
    "bestformer-cifar10": bestformer.cifar10,
    "bestformer-cifar10-taught": bestformer.cifar10_taught,
    "bestformer-cifar10-384": bestformer.cifar10_384,
    "qsd-digits": qsd.digits,
    "qsd-cifar10": qsd.cifar10,
    "qsd-cifar10-taught": qsd.cifar10_taught,
    "est-digits": est.digits,
    "est-cifar10": est.cifar10,
    "motion-hapt": motion.hapt,
    "speech-fsdd": speech.fsdd,
}
