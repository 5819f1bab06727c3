"""More training for an ordinary network, after its activations were calibrated or its layers repaired.

    network = finetune(network, data, Finetune(epochs=2, lr=1e-3))

The training loop is the package's own (train/loop.py), whose data are bytes: the network is fed (scale * byte - mean) /
std, as it was where it was trained. The network before may teach it:

    Finetune(2, teacher=Distillation(FromBytes(original), SoftLogits(0.9)))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.compression import Finetune
from spikelet.conversion.copying import copied
from spikelet.data.samples import DataSplits
from spikelet.interop.image import image_of
from spikelet.lowering.trace import tensors
from spikelet.nn.taken import require_module
from spikelet.train.loop import Loop


class FromBytes(nn.Module):
    """An ordinary network on bytes, with the one time step that the training loop expects.

    Args:
        net: takes floats [B, ...], and gives logits [B, K], alone or first of several tensors.
        scale, mean, std: it is fed (scale * byte - mean) / std, mean and std one a channel or one for all; 1/255, 0
            and 1 unless given.
    """

    def __init__(
        self,
        net: nn.Module,
        scale: float | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        self.image = image_of({"scale": scale, "mean": mean, "std": std}, None)

    def forward(self, x: Tensor) -> Tensor:
        """Bytes [B, ...] -> logits [1, B, K]."""
        for logits in tensors(self.net(self.image.floats(x, x.dim() - 1))):
            return logits.unsqueeze(0)
        raise ConversionError(f"{type(self.net).__name__} must return a tensor, or several with the logits first.")


def finetune(
    model: nn.Module,
    data: DataSplits,
    settings: Finetune,
    *,
    scale: float | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> nn.Module:
    """A copy of `model`, trained for some epochs, in evaluation mode.

    Args:
        model: an ordinary network, calibrated or repaired or neither. Not changed.
        data: what it is trained on, bytes and labels.
        settings: how.
        scale, mean, std: of the network's input; see FromBytes.
    Raises:
        ConversionError: an argument is of another kind.
        SpikeletError: the data does not fit the network: its channels, size or classes.
        FloatingPointError: the loss, a weight or a statistic became NaN or infinite.
    """
    require_module(model, ConversionError)
    for name, value, kind in (("data", data, DataSplits), ("settings", settings, Finetune)):
        if not isinstance(value, kind):
            raise ConversionError(f"{name} must be a {kind.__name__}, got {type(value).__name__}.")
    whole = FromBytes(copied(model), scale, mean, std)
    history: list[dict[str, Any]] = []
    loop = Loop(whole, data, settings.training, settings.reporter)
    loop.run(history, before_epoch=lambda epoch: None, after_epoch=lambda: None, distillation=settings.teacher)
    for parameter in whole.parameters():
        parameter.grad = None
    return whole.net
