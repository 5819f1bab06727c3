"""The analog twin (ANN counterpart) of a spiking network: the same layers, every neuron a ReLU, every weight a float.

    spike(t) = fire(...)  becomes  max(x, 0), without a learned threshold;   Q(W)  becomes  W

It loses nothing to rounding, so it can teach its spiking twin (distillation.py). It is never deployed: lowering refuses
a network without spikes, and its batch norms evaluate as PyTorch's do, not on the grid 2^-12. Biases stay on that grid.
It has no time steps: a scale by step, such as BESTformer's lambda, is the mean over them.
"""

from __future__ import annotations

from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.neurons import QCFS, Neuron
from spikelet.nn import BatchNorm1d, BatchNorm2d, Conv1d, Conv2d, Linear, Scale
from spikelet.nn.fold_time import fold_time
from spikelet.quant import FullPrecision


class AnalogNorm2d(BatchNorm2d):
    """Batch norm of maps that evaluates in float32 as PyTorch does, without the grid and its float64."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> the same."""
        return fold_time(lambda z: nn.BatchNorm2d.forward(self, z), x, 3, "AnalogNorm2d")


class AnalogNorm1d(BatchNorm1d):
    """Batch norm of vectors and sequences that evaluates in float32 as PyTorch does, without the grid."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C] or [T, B, C, N] -> the same."""
        return fold_time(lambda z: nn.BatchNorm1d.forward(self, z), x, x.dim() - 2, "AnalogNorm1d")


class AnalogScale(Scale):
    """A scale by time step that has one gain for all: the mean over steps."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, ...] -> the same, for any T."""
        return self._along(self.gain.mean(0), x) * x


def analog_scale(scale: Scale) -> Scale:
    """A scale without time steps that shares its gain with `scale`."""
    if scale.gain.dim() < 2:
        return scale
    analog = AnalogScale(scale.gain, learn=isinstance(scale.gain, nn.Parameter))
    analog.gain = scale.gain
    return analog.train(scale.training)


def analog_norm(norm: BatchNorm1d | BatchNorm2d) -> AnalogNorm1d | AnalogNorm2d:
    """A norm without the grid that shares its parameters and statistics with `norm`."""
    cls = AnalogNorm2d if isinstance(norm, BatchNorm2d) else AnalogNorm1d
    analog = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    for name, value in [*norm._parameters.items(), *norm._buffers.items()]:
        setattr(analog, name, value)
    return analog.train(norm.training)


def to_analog(model: nn.Module) -> nn.Module:
    """`model` itself, changed in place: a ReLU for each neuron layer, float weights. Frames are more batch to it.

    Raises:
        SpikeletError: `model` is itself a neuron layer, or has no neurons.
    """
    if isinstance(model, Neuron) or not any(isinstance(m, Neuron) for m in model.modules()):
        raise SpikeletError(
            f"model must be a network with neurons inside to have an analog twin, got {type(model).__name__}."
        )
    analog = {module: _analog(module) for module in model.modules()}  # one for each, at however many places it stands
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):  # named_children() leaves out the second place
            if child is not None:
                setattr(parent, name, analog[child])
    return model


def _analog(module: nn.Module) -> nn.Module:
    match module:
        case Neuron() | QCFS():
            return nn.ReLU()
        case BatchNorm1d() | BatchNorm2d():
            return analog_norm(module)
        case Scale():
            return analog_scale(module)
        case Conv1d() | Conv2d() | Linear():
            module.quantizer = FullPrecision()
    return module
