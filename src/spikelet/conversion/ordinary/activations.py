"""Which modules and functions are activations that rise from about 0: those that levels of spikes can stand for.

Each is elementwise and tends to 0 or a small negative number on the left and to the input, or to a bound, on the right.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from spikelet.lowering.trace import tensors

MODULES: tuple[type[nn.Module], ...] = (
    nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Mish, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.Hardswish, nn.Softplus,
)  # fmt: skip
IN_PLACE = frozenset(
    {"relu_", "leaky_relu_", "elu_", "celu_", "selu_", "silu_", "clamp_", "clamp_min_", "clip_", "hardtanh_"}
)
CLAMPS = frozenset({"clamp", "clamp_", "clip", "clip_", "clamp_min", "clamp_min_", "hardtanh", "hardtanh_"})
FUNCTIONS = frozenset(
    {"relu", "relu6", "gelu", "silu", "mish", "leaky_relu", "elu", "celu", "selu", "hardswish", "softplus"}
    | {"called_module"} | IN_PLACE | CLAMPS
)  # fmt: skip


def is_activation(module: nn.Module, more: Sequence[type[nn.Module]] = ()) -> bool:
    """Whether `module` is an activation: one of torch's, or of the classes `more`."""
    return type(module) in (*MODULES, *more)


def is_activation_call(function: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call is an activation of one tensor; a clamp is where its lower bound is 0."""
    if function not in FUNCTIONS or len(list(tensors((args, kwargs)))) != 1:
        return False
    if function not in CLAMPS:
        return True
    return kwargs.get("min", kwargs.get("min_val", args[1] if len(args) > 1 else None)) == 0


def elementwise(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[Tensor], Any]:
    """The activation that a call computes, as a function of its tensor, which it leaves as it is."""

    def replaced(tree: Any, x: Tensor) -> Any:
        if isinstance(tree, tuple):
            return tuple(replaced(item, x) for item in tree)
        return x.clone() if isinstance(tree, Tensor) else tree

    named = {k: v for k, v in kwargs.items() if k not in ("inplace", "out")}
    return lambda x: function(*replaced(args, x), **{k: replaced((v,), x)[0] for k, v in named.items()})


def writes(function: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call of an activation may write into its input."""
    return function in IN_PLACE or bool(kwargs.get("inplace")) or any(a is True for a in args[1:])


def out_of_place(model: nn.Module) -> bool:
    """Whether an activation of `model` wrote into its input; none does after."""
    found = [m for m in model.modules() if is_activation(m) and getattr(m, "inplace", False)]
    for module in found:
        module.inplace = False  # type: ignore[assignment]
    return bool(found)


def alone(module: nn.Module) -> nn.Module:
    """A copy of an activation for its values: evaluating, on the CPU, without hooks."""
    made = copy.deepcopy(module).eval().cpu()
    made._forward_hooks.clear()
    made._forward_pre_hooks.clear()
    return made
