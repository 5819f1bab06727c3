"""Which ready-made class a module behaves as: its own, or the one of which a user's subclass only sets defaults.

    class Neuron(LIFNode):                                  behaves as LIFNode
        def __init__(self): super().__init__(tau=4.0)

A subclass that gives a method of its base another meaning is a class of its own, whatever it calls. So is one in which
a property stands for a constant that the base's code sets or reads, as its threshold.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

from torch import nn

DEFAULTS = {
    "__init__", "__module__", "__qualname__", "__doc__", "__annotations__", "__annotate__", "__annotate_func__",
    "__annotations_cache__", "__dict__", "__weakref__", "__slots__", "__firstlineno__", "__static_attributes__",
    "__parameters__", "__orig_bases__", "__type_params__", "__hash__", "__repr__", "__constants__", "extra_repr",
    "reset_parameters",
}  # fmt: skip


def kind_of(cls: type[nn.Module], is_known: Callable[[type], bool]) -> type[nn.Module]:
    """The first class of `cls` and its bases that is known, if those before it only set defaults; else `cls`.

    Args:
        cls: of a module.
        is_known: whether a class has a rule of conversion.
    """
    for base in cls.__mro__:
        if is_known(base):
            return cls if changes(cls, base) else base
    return cls


def changes(cls: type[nn.Module], base: type[nn.Module]) -> list[str]:
    """Names of the code by which `cls` differs from its base, beside defaults."""
    own = {name: value for one in cls.__mro__[: cls.__mro__.index(base)] for name, value in vars(one).items()}
    return sorted(
        name
        for name in set(own) - DEFAULTS
        if hasattr(base, name) or (hasattr(own[name], "__get__") and name in _names_in(base))
    )


@functools.cache
def _names_in(base: type[nn.Module]) -> frozenset[str]:
    """The names that the code of a class and its bases uses, nn.Module's left out."""
    own = [one for one in base.__mro__ if one not in nn.Module.__mro__]
    functions = [getattr(value, "fget", value) for one in own for value in vars(one).values()]
    return frozenset(name for f in functions if inspect.isfunction(f) for name in f.__code__.co_names)
