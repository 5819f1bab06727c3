"""What a network's code leaves behind: a forward pass in evaluation must change nothing that a later one reads.

A converted network keeps no state between calls, and its integers neither. Code that counts its calls, or writes into a
buffer of the network, gives something else at every pass: it is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.interop.writes import version_of

WAY_OUT = "Keep in the forward what one pass needs, and begin each with it anew."


def same_again(net: nn.Module, before: Tensor, run: Callable[[], Tensor]) -> None:
    """Runs the code of `net` once more.

    Args:
        net: the network, or a copy of it, in evaluation.
        before: what it gave for the same input.
        run: runs it.
    Raises:
        ConversionError: it writes into a parameter or buffer, or gives something else than before though it draws no
            random numbers.
    """
    kept = _tensors(net)
    versions = {name: version_of(tensor) for name, tensor in kept.items()}
    drawn = torch.get_rng_state()
    output = run()
    for name, tensor in _tensors(net).items():
        if kept.get(name) is not tensor or versions[name] != version_of(tensor):
            raise ConversionError(
                f"net.{name}: the network's forward writes into it, in evaluation too, so that every pass leaves "
                f"another network. {WAY_OUT}"
            )
    is_same = output.shape == before.shape and torch.allclose(output, before, 0, 0, equal_nan=True)
    if not is_same and torch.equal(drawn, torch.get_rng_state()):
        raise ConversionError(
            f"{type(net).__name__}: its forward gives something else when it runs again on the same input, so it reads "
            f"what the pass before left, such as a count of its calls. {WAY_OUT}"
        )


def _tensors(net: nn.Module) -> dict[str, Tensor]:
    return {**dict(net.named_parameters()), **dict(net.named_buffers())}
