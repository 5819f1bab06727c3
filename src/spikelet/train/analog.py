"""The analog twin of a spiking network: the same convolutions, every neuron a ReLU, every weight a float.

    spike(t) = fire(...)  becomes  max(x, 0);   Q(W)  becomes  W

It has no levels and no bits to lose, so it can teach its spiking twin (distillation.py). Nothing of it is
deployed: lowering refuses what does not spike, and its batch norms evaluate as PyTorch's, not on a grid. (Biases keep
theirs.)
"""

from __future__ import annotations

from torch import Tensor, nn

from spikelet.neurons import LIF
from spikelet.nn import BatchNorm2d, Conv2d, Linear
from spikelet.quant import FullPrecision


class AnalogNorm2d(BatchNorm2d):
    """Batch norm without the grid, which costs float64."""

    def _exact(self, x: Tensor) -> Tensor:
        return nn.BatchNorm2d.forward(self, x)

    @classmethod
    def of(cls, norm: BatchNorm2d) -> AnalogNorm2d:
        """With the very parameters and statistics of `norm`."""
        analog = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        for name, value in [*norm._parameters.items(), *norm._buffers.items()]:
            setattr(analog, name, value)
        return analog.train(norm.training)


def to_analog(model: nn.Module) -> nn.Module:
    """`model`, changed in place: ReLU for each LIF layer, float weights. Frames stay frames, a second batch axis.

    Raises:
        ValueError: `model` is itself a LIF layer, or has none.
    """
    if isinstance(model, LIF) or not any(isinstance(m, LIF) for m in model.modules()):
        raise ValueError(
            f"model must be a network with LIF layers inside to have an analog twin, got {type(model).__name__}."
        )
    analog = {module: _analog(module) for module in model.modules()}  # one for each, at however many places it stands
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):  # named_children() leaves out the second place
            if child is not None:
                setattr(parent, name, analog[child])
    return model


def _analog(module: nn.Module) -> nn.Module:
    match module:
        case LIF():
            return nn.ReLU()
        case BatchNorm2d():
            return AnalogNorm2d.of(module)
        case Conv2d() | Linear():
            module.quantizer = FullPrecision()
    return module
