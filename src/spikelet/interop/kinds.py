"""Which ready-made class a module behaves as: its own, or the one of which a user's subclass only sets defaults.

    class Neuron(LIFNode):                                  behaves as LIFNode
        def __init__(self): super().__init__(tau=4.0)

A subclass that gives a method of its base another meaning is a class of its own, whatever it calls.
"""

from __future__ import annotations

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
    for i, base in enumerate(cls.__mro__):
        if is_known(base):
            changed = {name for own in cls.__mro__[:i] for name in vars(own) if hasattr(base, name)} - DEFAULTS
            return cls if changed else base
    return cls
