"""What a module does beside the code of its class, which a converted copy would not do: refused by name, never dropped.

    hooks                       of calls and of gradients, wherever they were registered, for all modules too
    lif.forward = mine          a method that is another one on this module
    functions of a closure      that hold a part of the network: a copy would run the part that was not converted

Torch's own hooks that only compute a weight before each call (weight_norm, spectral_norm, pruning) are applied once:
the copy gets the weight that they would compute. So are parametrizations, which compute it wherever it is read.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as of_all_modules
from torch.nn.utils.parametrize import is_parametrized
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from spikelet.base.errors import ConversionError

OF_WEIGHTS = (WeightNorm, SpectralNorm, BasePruningMethod)  # hooks that compute a weight
HOOKS = {
    "_forward_pre_hooks": "a forward pre-hook",
    "_forward_hooks": "a forward hook",
    "_backward_pre_hooks": "a backward pre-hook",
    "_backward_hooks": "a backward hook",
}
OF_ALL_MODULES = {
    "_global_forward_pre_hooks": ("a forward pre-hook", "register_module_forward_pre_hook"),
    "_global_forward_hooks": ("a forward hook", "register_module_forward_hook"),
    "_global_backward_pre_hooks": ("a backward pre-hook", "register_module_full_backward_pre_hook"),
    "_global_backward_hooks": ("a backward hook", "register_module_full_backward_hook"),
}
OF_GRADIENTS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def require_no_hooks_of_all_modules() -> None:
    """Raises ConversionError where torch calls a hook for every module: it would meet other modules in the copy."""
    for kind, (what, call) in OF_ALL_MODULES.items():
        hook = next(iter(getattr(of_all_modules, kind).values()), None)
        if hook is not None:
            raise ConversionError(
                f"{what} of all modules, {_shown(hook)} (torch.nn.modules.module.{call}), changes or sees calls of "
                "modules that a converted network does not have, and its integers would run without it. Remove it, "
                "handle.remove(), convert the network and run it once, and register it again."
            )


def require_no_hooks(module: nn.Module, name: str) -> None:
    """Raises ConversionError where `module` itself has hooks, of its calls or its parameters' gradients."""
    for kind, what in HOOKS.items():
        hook = next((h for h in getattr(module, kind).values() if not isinstance(h, OF_WEIGHTS)), None)
        if hook is not None:
            raise ConversionError(
                f"{name}: has {what}, {_shown(hook)}, which its converted copy would not call. Remove it before the "
                "conversion, and write what it computes into the network's forward; one that only looks can be "
                "registered on the converted layer."
            )
    for parameter_name, parameter in module.named_parameters(prefix=name, recurse=False):
        hooks = [hook for kind in OF_GRADIENTS for hook in (getattr(parameter, kind, None) or {}).values()]
        if hooks:
            raise ConversionError(
                f"{parameter_name}: has a hook of its gradient, {_shown(hooks[0])}, which its copy would not call. "
                "Remove it before the conversion, and register it on the converted parameter."
            )


def require_code_of_class(module: nn.Module, name: str) -> None:
    """Raises ConversionError where code of `module` was set on the module itself."""
    for changed in _replaced(module):
        raise ConversionError(
            f"{name}: its {changed} was set on this {type(module).__name__} alone, which would be lost. Delete it "
            "before the conversion, or make it a class of your own: neurons={MyLIF: LIFParams(...)} for neurons, a "
            "module around a plain layer else."
        )


def _replaced(module: nn.Module) -> Iterator[str]:
    """Names of what is code in the class of a module, and something else on the module itself."""
    for name in vars(module):
        of_class = inspect.getattr_static(type(module), name, None)
        if inspect.isroutine(of_class) or isinstance(of_class, property | classmethod | staticmethod):
            yield name


def with_weights(module: nn.Module) -> nn.Module:
    """`module`, or a copy of it that holds the weights which hooks and parametrizations compute in evaluation now."""
    hooks = [hook for hook in module._forward_pre_hooks.values() if isinstance(hook, OF_WEIGHTS)]
    if not hooks and not is_parametrized(module):
        return module
    twin = copy.deepcopy(module, {id(t): t.detach().clone().requires_grad_(t.requires_grad) for t in _made(module)})
    twin.train(False)
    for hook in hooks:
        hook(twin, ())
    twin.training = module.training
    return twin


def _made(module: nn.Module) -> list[Tensor]:
    """Tensors that a module holds beside its parameters and buffers, such as a weight that a hook has computed."""
    return [value for value in vars(module).values() if isinstance(value, Tensor) and not value.is_leaf]


def require_own_parts(module: nn.Module, name: str, converted: Mapping[int, str]) -> None:
    """Raises ConversionError where a function that `module` keeps holds a converted part of the network.

    Args:
        module: one whose code is kept.
        converted: names of the network's modules, by id.
    """
    kept = {**vars(module), **{what: list(getattr(module, kind).values()) for kind, what in HOOKS.items()}}
    for where, value in kept.items():
        for function in value if isinstance(value, list) else [value]:
            held = next((converted[id(part)] for part in _held(function) if id(part) in converted), None)
            if held is not None:
                raise ConversionError(
                    f"{name}: {where}, {_shown(function)}, holds {held or 'the network'} by itself, so that a copy "
                    "would run the one that is not converted. Let it take the network as an argument: a method of the "
                    "class, types.MethodType(function, net), or forward=lambda net, x: ... of the conversion."
                )


def _held(function: Any) -> Iterator[Any]:
    """What a function holds by itself: in its closure, its defaults, or as a partial one."""
    if isinstance(function, functools.partial):
        yield from (*function.args, *function.keywords.values())
        yield from _held(function.func)
    elif inspect.isfunction(function):
        yield from (cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell))
        yield from (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _shown(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))
