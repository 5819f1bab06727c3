"""What a training sets on a model's layers before an epoch: time steps, one pass, and how binary weights learn."""

from __future__ import annotations

from torch import nn

from spikelet.base.errors import SpikeletError
from spikelet.neurons import LIF, Delay, Integrator, Neuron, OnePass, one_pass_of
from spikelet.nn import Conv1d, Conv2d, Linear, Scale
from spikelet.quant import EDE, Binary, Clip, Straight
from spikelet.quant.binary import Estimator
from spikelet.train.config import Training
from spikelet.train.settings import Phase


def set_phase(model: nn.Module, phase: Phase) -> None:
    """Sets every neuron of `model` to the phase's T steps, and to train in one pass or not.

    Raises:
        SpikeletError: one pass, with a neuron other than LIF or with a membrane that has no rate function.
        SpikeletError: a layer has constants for another number of time steps.
    """
    _require_steps(model, phase)
    for module in model.modules():
        if isinstance(module, Integrator | Delay):
            _require_real_steps(module, phase)
            module.time_steps = phase.time_steps
        if isinstance(module, Neuron):
            module.time_steps = phase.time_steps
            module.rate = _rate(module) if phase.one_pass else None


def _require_steps(model: nn.Module, phase: Phase) -> None:
    """Raises SpikeletError where a scale has a gain for each step, and the phase has other steps."""
    for name, module in model.named_modules():
        if type(module) is Scale and module.gain.dim() == 2 and len(module.gain) != phase.steps_computed:
            raise SpikeletError(
                f"the layer {name} has gains for {len(module.gain)} time steps, and a phase computes "
                f"{phase.steps_computed}: {phase}. Train it with Phase(epochs, {len(module.gain)}), or build the "
                "network with one gain for all steps, such as lambda_by_step=False."
            )


def _require_real_steps(module: Integrator | Delay, phase: Phase) -> None:
    if phase.one_pass:
        raise SpikeletError(
            f"one pass takes LIF neurons, got {type(module).__name__}, which has no rate. "
            "Train it on real steps: Phase(epochs, time_steps)."
        )


def _rate(neuron: Neuron) -> OnePass:
    if not isinstance(neuron, LIF):
        raise SpikeletError(
            f"one pass takes LIF neurons, got {type(neuron).__name__}. "
            "Train it on real steps: Phase(epochs, time_steps)."
        )
    return one_pass_of(neuron)


def set_real_steps(model: nn.Module) -> None:
    """Lets every neuron of `model` train on its T time steps again, as every model is left after a training."""
    for module in model.modules():
        if isinstance(module, Neuron):
            module.rate = None


def set_binary(model: nn.Module, config: Training, epoch: int) -> None:
    """Sets the quantizer of every 1-bit layer: standardised or not, and the gradient estimator of this epoch."""
    estimator = _estimator(config.gradient, min(epoch / max(config.epochs - 1, 1), 1.0))
    quantizer = Binary(standardize=config.regulation.weight, estimator=estimator)
    for module in model.modules():
        if (
            isinstance(module, Conv1d | Conv2d | Linear)
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
