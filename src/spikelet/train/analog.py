"""The analog twin of a spiking network: the same convolutions, every neuron a ReLU, every weight a float.

    spike(t) = fire(...)  becomes  max(x, 0);   Q(W)  becomes  W

It learns faster and further than its spiking twin and costs no more, so it can teach it (distillation.py). Nothing of
it is deployed: lowering refuses what does not spike, and its batch norms evaluate as PyTorch's, not on a grid.
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
        """The same parameters and statistics."""
        analog = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        analog.load_state_dict(norm.state_dict())
        return analog.train(norm.training)


def to_analog(model: nn.Module) -> nn.Module:
    """`model`, changed in place: ReLU for each LIF layer, float weights. Frames stay frames, a second batch axis.

    Raises:
        ValueError: `model` is itself a LIF layer, or has none.
    """
    neurons = {name for name, module in model.named_modules() if isinstance(module, LIF)}
    if not neurons or "" in neurons:
        raise ValueError("an analog twin is made of a network with LIF layers inside, and this one has none.")
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LIF):
                setattr(parent, name, nn.ReLU())
            elif isinstance(child, BatchNorm2d):
                setattr(parent, name, AnalogNorm2d.of(child))
            elif isinstance(child, Conv2d | Linear):
                child.quantizer = FullPrecision()
    return model
