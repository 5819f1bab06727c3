"""What takes the place of softmax and tanh, calls of functions and modules alike.

F.scaled_dot_product_attention    LevelAttention                                  scores.py
softmax in attention              ScoreLevels
softmax of what is returned       the identity: the order of logits is the same
tanh                              QCFS of threshold 1: a tanh is at most 1
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.conversion.ordinary.called import Function, Place, Substituted
from spikelet.conversion.ordinary.scores import LevelAttention, ScoreLevels
from spikelet.lowering.trace import tensors
from spikelet.neurons import QCFS
from spikelet.nn.hooks import hooks

SOFTMAX, FUSED, TANH = "softmax", "scaled_dot_product_attention", "tanh"
MODULES = (nn.Softmax, nn.Tanh)


class Found:
    """The softmaxes and tanhs of a network on a batch, and what takes their place.

    Args:
        model: the network.
        levels: L of scores.
        x: the batch, from which thresholds are chosen.
    Raises:
        ConversionError: attention with a mask, or whose heads share keys; names it.

    Attributes:
        new: by the place of a call, or by the module.
    """

    def __init__(self, model: Substituted, levels: int, x: Tensor) -> None:
        self.model, self.levels = model, levels
        self.new: dict[Place | nn.Module, nn.Module] = {}
        self.names = {m: name for name, m in model.net.named_modules() if type(m) in MODULES}
        self.softmaxes: list[tuple[Tensor, Place | nn.Module]] = []
        with hooks(m.register_forward_hook(self._see) for m in self.names):
            returned = list(tensors(model.run((x,), {}, {SOFTMAX, FUSED, TANH}, self._answer)))
        for made, where in self.softmaxes:
            if any(tensor is made for tensor in returned):
                self.new[where] = nn.Identity()

    def name(self, where: Place | nn.Module) -> str:
        """How a table names a place or module."""
        return str(where) if isinstance(where, Place) else self.names[where] or type(where).__name__

    def _see(self, module: nn.Module, args: tuple[Any, ...], y: Tensor) -> None:
        if isinstance(module, nn.Softmax):
            self._softmax(module, args[0], y, module.dim)
        else:
            self.new[module] = QCFS(self.levels, 1.0)

    def _answer(self, place: Place, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        y = function(*args, **kwargs)
        if type(self.model.net.get_submodule(place.owner)) in MODULES:
            return y  # its hook sees it
        given = list(tensors((args, kwargs)))
        if place.function == FUSED:
            _require_plain(place, given, args, kwargs)
            q, k, v = given
            self.new[place] = LevelAttention(self.levels, q, k, v, str(place))
        elif place.function == SOFTMAX:
            self._softmax(place, given[0], y, kwargs.get("dim", args[1] if len(args) > 1 else None))
        else:
            self.new[place] = QCFS(self.levels, 1.0)
        return y

    def _softmax(self, where: Place | nn.Module, scores: Tensor, y: Tensor, axis: Any) -> None:
        self.softmaxes.append((y, where))
        self.new[where] = ScoreLevels(self.levels, scores, self.name(where), axis if isinstance(axis, int) else -1)


def words_for(new: nn.Module) -> str:
    """What a table says of a module of `Found.new`."""
    if isinstance(new, nn.Identity):
        return "left out: logits keep their order"
    return "QCFS of threshold 1" if isinstance(new, QCFS) else "levels on scores, without softmax"


def _require_plain(place: Place, given: list[Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if len(given) > 3 or kwargs.get("is_causal") or kwargs.get("enable_gqa") or any(a is True for a in args[3:]):
        raise ConversionError(
            f"{place}: attends with a mask, or with heads that share their keys, and levels on scores do neither. "
            "Write it as q @ k.transpose(-2, -1), a constant of -100 added where it is masked, and a softmax."
        )
