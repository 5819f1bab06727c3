"""Sets what a recipe says about a model's layers: time steps, and how binary weights are trained."""

from __future__ import annotations

from torch import nn

from spikelet.neurons import LIF
from spikelet.nn import Conv2d, Linear
from spikelet.quant import EDE, Binary, Clip, Straight
from spikelet.quant.binary import Estimator
from spikelet.train.config import Training
from spikelet.train.parts import Phase


def set_phase(model: nn.Module, phase: Phase) -> None:
    """Every LIF layer of `model` to the phase's T steps, in one pass or not."""
    for module in model.modules():
        if isinstance(module, LIF):
            module.time_steps = phase.time_steps
            module.train_in_one_pass(phase.one_pass)


def set_real_steps(model: nn.Module) -> None:
    """No LIF layer of `model` trains in one pass any more: how a model is left."""
    for module in model.modules():
        if isinstance(module, LIF):
            module.train_in_one_pass(False)


def set_binary(model: nn.Module, config: Training, epoch: int) -> None:
    """The quantizer of every 1-bit layer: standardised or not, and the gradient estimator of this epoch."""
    estimator = _estimator(config.gradient, min(epoch / max(config.epochs - 1, 1), 1.0))
    quantizer = Binary(standardize=config.regulation.weight, estimator=estimator)
    for module in model.modules():
        if (
            isinstance(module, Conv2d | Linear)
            and isinstance(module.quantizer, Binary)
            and module.quantizer != quantizer
        ):
            module.quantizer = quantizer  # only where it changes: a new object makes torch.compile start again


def _estimator(gradient: str, progress: float) -> Estimator:
    match gradient:
        case "clip":
            return Clip()
        case "straight":
            return Straight()
        case _:
            return EDE(progress)
