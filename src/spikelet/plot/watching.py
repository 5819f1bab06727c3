"""The spikes of a PyTorch model while it evaluates. Needs torch, as the rest of this folder does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikelet.base.errors import RunError, SpikeletError
from spikelet.nn.device import device_of
from spikelet.nn.evaluation import evaluation_mode
from spikelet.nn.hooks import hooks
from spikelet.nn.recurrent import spiking_layers
from spikelet.nn.taken import tensor_of


def spikes_of_model(model: nn.Module, x: Any) -> dict[str, NDArray[np.float32]]:
    """The spikes [T, B, ...] of every layer of neurons in evaluation, in units of one spike; those of a layer's second
    use are `name#2`. The model is left as it was.

    Raises:
        RunError: the model fails on `x`.
        SpikeletError: the model can't be evaluated exactly, or `x` is neither a tensor nor an array.
    """
    made: dict[str, NDArray[np.float32]] = {}

    def keep(name: str, module: nn.Module) -> Any:
        value = getattr(getattr(module, "neuron", module), "value", 1.0)

        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            uses = sum(key.partition("#")[0] == name for key in made)
            made[f"{name}#{uses + 1}" if uses else name] = (output.detach().cpu() / value).float().numpy()

        return hook

    tensor = tensor_of(x)
    if not isinstance(tensor, Tensor):
        raise SpikeletError(f"x must be a tensor or an array of samples, got {type(x).__name__}.")
    layers = spiking_layers(model)
    handles = (layer.register_forward_hook(keep(name, layer)) for name, layer in layers.items())
    with evaluation_mode(model), torch.no_grad(), hooks(handles):
        try:
            model(tensor.to(device_of(model)))
        except (RuntimeError, ValueError, TypeError, IndexError) as e:
            raise RunError(f"{type(model).__name__} fails on x of shape {tuple(tensor.shape)}: {e}") from e
    return made
