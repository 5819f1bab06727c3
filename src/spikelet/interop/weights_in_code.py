"""Layers that a network's code writes as functions of weights, such as `F.conv2d(x, self.weight)` or `x @ self.weight`.

    F.linear(x, w * mask)    F.conv1d, F.conv2d(x, standardised(w))    F.batch_norm(x, mean, var, ...)    x @ w

Weights are what does not come from the image: parameters, and whatever is computed of them alone. In the first forward
pass each becomes a layer of its own, `written_0` and so on, which holds the weights that the function was given then
and is called in the function's place. Which layer stands for a call is told by these weights.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from spikelet.interop import layers
from spikelet.interop.beside import put_beside
from spikelet.interop.calls import called_through
from spikelet.interop.lockstep import LoopRefused
from spikelet.interop.own_code import OwnCode
from spikelet.interop.site import Site
from spikelet.interop.steps import tensors_in
from spikelet.interop.writes import DRAWS

PREFIX = "written_"
PRODUCTS = {"matmul", "__matmul__", "mm"}
NAMES: dict[str, tuple[str, ...]] = {
    "linear": ("input", "weight", "bias"),
    **dict.fromkeys(("conv1d", "conv2d"), ("input", "weight", "bias", "stride", "padding", "dilation", "groups")),
    "batch_norm": ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    **dict.fromkeys(PRODUCTS, ("input", "mat2")),
}  # the functions, and the names of their arguments
WEIGHTS = ("weight", "bias", "running_mean", "running_var", "mat2", "other")
OURS = ("spikelet.nn.", "spikelet.neurons.", "spikelet.interop.")
CLOSE = 1e-5
Call = Callable[..., Any]


@dataclasses.dataclass(frozen=True)
class Written:
    """One call of such a function.

    given: its arguments by name.
    """

    name: str
    given: dict[str, Any]

    @property
    def weights(self) -> list[Tensor]:
        """The tensors that are not its input."""
        return [self.given[key] for key in WEIGHTS if isinstance(self.given.get(key), Tensor)]

    def is_held_by(self, layer: nn.Module) -> bool:
        """Whether `layer` was made of a call of this function with these weights; other devices may round them."""
        same = getattr(layer, "written", (None,))
        if same[0] != self.name or len(same) != 1 + len(self.weights):
            return False
        pairs = [(a.to(b), b.detach()) for a, b in zip(same[1:], self.weights, strict=True)]
        return all(a.shape == b.shape and torch.allclose(a, b, rtol=CLOSE, atol=CLOSE**2) for a, b in pairs)

    def layer(self, name: str) -> nn.Module:
        """The same as a layer of this name."""
        made = self._layer(Site(name, 1, False, True))
        made.written = (self.name, *(w.detach().clone() for w in self.weights))  # type: ignore[assignment]
        return made

    def _layer(self, site: Site) -> nn.Module:
        given = self.given
        if self.name == "batch_norm":
            ours = nn.BatchNorm2d if given["input"].dim() > 3 else nn.BatchNorm1d
            norm: Any = ours(len(given["running_mean"]), given.get("eps", 1e-5), given.get("momentum", 0.1))
            for key in ("running_mean", "running_var"):
                getattr(norm, key).copy_(given[key].detach())
            for key in ("weight", "bias"):
                if given.get(key) is not None:
                    getattr(norm, key).data.copy_(given[key].detach())
            return layers.batch_norm(norm, site)
        weight = given["mat2"].detach().T if self.name in PRODUCTS else given["weight"].detach()
        bias = given.get("bias")
        inputs, outputs = weight.shape[1], weight.shape[0]
        if self.name in PRODUCTS or self.name == "linear":
            plain: Any = nn.Linear(inputs, outputs, bias is not None)
            make: Any = layers.linear
        else:
            kind, groups = (nn.Conv1d if self.name == "conv1d" else nn.Conv2d), given.get("groups", 1)
            how = {key: given[key] for key in ("stride", "padding", "dilation") if key in given}
            plain = kind(inputs * groups, outputs, weight.shape[2:], groups=groups, bias=bias is not None, **how)
            make = layers.convolution
        plain.weight = nn.Parameter(weight.clone())
        if bias is not None:
            plain.bias = nn.Parameter(bias.detach().clone())
        return make(plain, site).to(weight.device)


class WeightsInCode(LoopRefused):
    """Raised where code calls a function of weights for the first time."""

    def __init__(self, call: Written) -> None:
        super().__init__(f"the network calls {call.name} of weights of its own. Make it a layer of the network.")
        self.call = call


def is_ours(module: nn.Module) -> bool:
    """Whether a module stands for one of the network's, whose code is no code of the user's."""
    return type(module).__module__.startswith(OURS) and not isinstance(module, OwnCode)


def names_of(net: nn.Module) -> list[str]:
    """The names of its layers that stand for calls."""
    return [name for name, module in net.named_children() if hasattr(module, "written")]


def add_layer(net: nn.Module, call: Written) -> str:
    """The name of the layer that stands for `call`, which `net` gets."""
    return put_beside(net, PREFIX, call.layer)


class _Calls(TorchFunctionMode):
    """Hands calls of functions of weights to the layers of `net` that stand for them."""

    def __init__(self, net: nn.Module, image: Tensor) -> None:
        super().__init__()
        self.layers = [net.get_submodule(name) for name in names_of(net)]
        self.made = WeakTensorKeyDictionary()  # tensors that come from the image
        self.mark(image)
        self.inside = 0
        self.drawn = ""  # a function that drew random numbers

    def mark(self, tree: Any) -> None:
        """Notes that the tensors of `tree` come from the image."""
        self.made.update(dict.fromkeys(tensors_in(tree), True))

    def inner(self, module: nn.Module, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a layer gives, whose own code is not looked at."""
        self.inside += 1
        try:
            output = call(*args, **kwargs)
        finally:
            self.inside -= 1
        if any(t in self.made for t in tensors_in((args, kwargs))):
            self.mark(output)
        return output

    def __torch_function__(
        self, func: Call, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not self.inside and getattr(func, "__name__", "") in DRAWS:
            self.drawn = func.__name__
        if self.inside or not any(t in self.made for t in tensors_in((args, kwargs))):
            return func(*args, **kwargs)
        written = self._written(getattr(func, "__name__", ""), args, kwargs)
        output = func(*args, **kwargs) if written is None else self._layer(written)(args[0])
        self.mark(output)
        return output

    def _written(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Written | None:
        if name not in NAMES or not args:
            return None
        call = Written(name, {**dict(zip(NAMES[name], args, strict=False)), **kwargs})
        if args[0] not in self.made or not call.weights or any(w in self.made for w in call.weights):
            return None
        if name in PRODUCTS and call.weights[0].dim() != 2:
            return None
        return None if name == "batch_norm" and call.given.get("running_mean") is None else call

    def _layer(self, written: Written) -> nn.Module:
        with torch._C.DisableTorchFunction():
            found = next((layer for layer in self.layers if written.is_held_by(layer)), None)
        if found is None and self.drawn:
            raise LoopRefused(
                f"the network calls {written.name} of weights of its own, and draws random numbers ({self.drawn}), so "
                "that they may differ at every run. Draw none in evaluation: if self.training."
            )
        if found is None:
            raise WeightsInCode(written)
        return found


@contextmanager
def weights_in_code(net: nn.Module, image: Tensor) -> Iterator[None]:
    """Inside, what the code of `net` does with `image` and weights of its own is done by layers."""
    calls = _Calls(net, image)
    with called_through({m: calls.inner for m in net.modules() if is_ours(m)}), calls:
        yield
