"""The table of rules: how each layer and tensor function becomes integer operations. It is open: a rule for one's own
layer is a function with a decorator, in one's own code.

    from spikelet.graph import ir
    from spikelet.lowering import Builder, Call, Value, as_elements, rule

    @rule(Negate)
    def negate(b: Builder, call: Call, layer: Negate, x: Value) -> Value:
        e = as_elements(b, x, call.where)                         # the edge behind x, each element for itself
        one, zero = np.full(1, -1, np.int32), np.zeros(1, np.int32)
        node = ir.Affine(b.name(call.where), (e.source.node,), one, zero.astype(np.uint8), zero)
        return e.made(b.like(e.source, node), tuple(call.output.shape))

A module with a rule is not looked into. A rule is found by the module's exact class, as a subclass may compute
something else; `rule(Base, subclasses=True)` is for a base class whose subclasses state their integers themselves, as
`Neuron.lowered` does. Modules without a rule are looked into, so that attention written out of layers and tensor
functions needs none. `verify` tells whether a rule computes what the layer does.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from spikelet.base.errors import LoweringError, names_its_place
from spikelet.lowering.arrange import at_step, one_step
from spikelet.lowering.builder import Builder
from spikelet.lowering.other_steps import at_their_steps
from spikelet.lowering.trace import Call, is_unknown_layer, tensors
from spikelet.lowering.values import Value

Rule = Callable[..., Value]

MODULES: dict[type[nn.Module], Rule] = {}
BASES: dict[type[nn.Module], Rule] = {}
FUNCTIONS: dict[str, Rule] = {}
MOVING: set[object] = set()  # functions that only move elements
WAYS_OUT: dict[str, str] = {}  # by the name of a function or class that has no integer form


def rule(*layers: type[nn.Module], subclasses: bool = False) -> Callable[[Rule], Rule]:
    """Registers `f(builder, call, layer, *values) -> Value` as the rule of these layers.

    Args:
        layers: classes; a later rule for the same class takes the place of an earlier one.
        subclasses: whether subclasses follow the rule too.
    """

    def register(f: Rule) -> Rule:
        (BASES if subclasses else MODULES).update(dict.fromkeys(layers, f))
        return f

    return register


def function(*names: str, moves: bool = False) -> Callable[[Rule], Rule]:
    """Registers `f(builder, call, *values) -> Value` as the rule of tensor functions, by their names in torch
    ("add", "__add__", "matmul").

    Args:
        moves: whether they only move elements, and make no nodes.
    """

    def register(f: Rule) -> Rule:
        FUNCTIONS.update(dict.fromkeys(names, f))
        MOVING.update(names if moves else ())
        return f

    return register


def rule_of(layer: nn.Module) -> Rule | None:
    """The rule of a layer, or None."""
    found = MODULES.get(type(layer))
    if found is not None:
        return found
    return next((f for base, f in BASES.items() if isinstance(layer, base)), None)


def is_leaf(module: nn.Module) -> bool:
    """Whether a module is lowered as a whole: it has a rule, or is an unknown layer. All others are looked into: what
    they do must be made of layers and functions with a rule."""
    return rule_of(module) is not None or is_unknown_layer(module)


def convert(b: Builder, call: Call, values: list[Value]) -> Value:
    """Applies the rule of a recorded call.

    Raises:
        LoweringError: there is none; names the module, and what could be used instead.
    """
    if call.target in MOVING:
        return _applied(b, call, values)
    values = [at_their_steps(b, value) for value in values]
    step = one_step(b, values)
    if step is None:
        return _applied(b, call, values)
    first = [at_step(b, v, -step) for v in values]  # a loop over time does the same at every step: one node for all
    key = (call.target, call.index, _given(call), *((v.shape, v.addresses.numpy().tobytes()) for v in first))
    if key not in b.once:
        b.once[key] = _applied(b, call, first)
    return at_step(b, b.once[key], step)


def _given(call: Call) -> str:
    """What a call is given besides traced tensors."""
    constants = [id(t) for t, is_traced in zip(call.read, call.traced, strict=False) if not is_traced]
    plain = [a for a in (*call.args, *sorted(call.kwargs.items())) if not list(tensors(a))]
    return f"{constants} {plain}"


def _applied(b: Builder, call: Call, values: list[Value]) -> Value:
    layer = () if isinstance(call.target, str) else (call.target,)
    apply = _rule_for(call)
    try:
        return b.sources.recognised(apply(b, call, *layer, *values))
    except ValueError as e:
        if names_its_place(e):
            raise
        raise LoweringError(f"{call.place}: {e}") from e


def without_rule(call: Call) -> LoweringError | None:
    """The error of a call that has no rule."""
    try:
        _rule_for(call)
    except LoweringError as e:
        return e
    return None


def missing_rule(module: nn.Module, where: str) -> LoweringError | None:
    """The error of a layer that has no rule though it needs one: it has parameters, or is known to have no integers."""
    if rule_of(module) is not None or not (is_unknown_layer(module) or type(module).__name__ in WAYS_OUT):
        return None
    return without_rule(Call(module, where, (), (), {}, torch.empty(0)))


def _rule_for(call: Call) -> Callable[..., Value]:
    if isinstance(call.target, str):
        found = FUNCTIONS.get(call.target)
        if found is None:
            raise LoweringError(
                f"{call.place}: the tensor function {call.target!r} has no integer form."
                f"{_way_out(call.target, sorted(FUNCTIONS))}"
            )
        return found
    found = rule_of(call.target)
    if found is None and list(call.target.children()):
        raise LoweringError(
            f"{call.place}: its code computes what no tensor function shows, such as in a function of torch.jit.script "
            "or NumPy. Take the decorator off, or write it as functions of tensors."
        )
    if found is None:
        known = sorted({k.__name__ for k in MODULES})
        raise LoweringError(
            f"{call.place}: this layer has no integer form.{_way_out(type(call.target).__name__, known)}"
        )
    return found


def _way_out(name: str, supported: list[str]) -> str:
    if name in WAYS_OUT:
        return f" {WAYS_OUT[name]}"
    return f" Supported: {', '.join(supported)}. Your own: spikelet.lowering.rule."


def refuse(way_out: str, *names: str) -> None:
    """States the way out for functions and layers that have no integer form, by name."""
    WAYS_OUT.update(dict.fromkeys(names, way_out))
