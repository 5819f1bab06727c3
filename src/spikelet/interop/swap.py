"""A copy of a network in which spikelet layers replace those of another library and of torch.

Python code between the layers is kept: `copy.deepcopy` makes the copy, and is told beforehand what each layer's copy
is. Layers that are shared stay shared; the network itself is left alone.
"""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter, OrderedDict
from collections.abc import Mapping

import torch
from torch import nn
from torch.fx import GraphModule
from torch.nn.utils.parametrize import is_parametrized

from spikelet.base.errors import ConversionError
from spikelet.interop.kinds import changes, kind_of
from spikelet.interop.layers import TORCH, Rule, average_factor
from spikelet.interop.lost import (
    require_code_of_class,
    require_no_hooks,
    require_no_hooks_of_all_modules,
    require_own_parts,
    with_weights,
)
from spikelet.interop.own_code import KEPT, own_code
from spikelet.interop.own_neurons import OwnNeurons, rule_of
from spikelet.interop.site import Site
from spikelet.interop.ways_out import way_out
from spikelet.nn.norm_through_time import NormThroughTime

HOLDERS = (nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
THROUGH = (nn.AvgPool2d, nn.MaxPool2d, nn.Flatten, nn.Dropout, nn.Dropout2d, nn.Identity)  # c f(x) = f(c x), c > 0
VERBS = {"spikingjelly": "from_spikingjelly", "snntorch": "from_snntorch"}


@dataclasses.dataclass(frozen=True)
class Library:
    """The facts about another library that its conversion needs.

    package: where its classes live.
    rules: by the name of a class.
    neurons: which of these names are neurons.
    step_containers: names of its containers whose children see one time step; they become nn.Sequential.
    sequence_layers: names of its layers that take all time steps at once, and have no step mode.
    kept: beginnings of the full names of its ready-made networks and parts, whose Python code is kept as a user's is.
    own: rules by class, for neurons of a user's.
    harmless: names of base classes without behaviour that a user's module may have.
    """

    package: str
    rules: Mapping[str, Rule]
    neurons: frozenset[str]
    step_containers: frozenset[str] = frozenset()
    sequence_layers: frozenset[str] = frozenset()
    kept: tuple[str, ...] = ()
    harmless: frozenset[str] = frozenset()
    own: Mapping[type, Rule] = dataclasses.field(default_factory=dict)

    def joined_by(self, neurons: OwnNeurons) -> Library:
        """The same, with a user's own neurons."""
        return dataclasses.replace(self, own={cls: rule_of(given) for cls, given in neurons.items()})

    def owns(self, cls: type) -> bool:
        """Whether `cls` is the library's own layer, rather than one of its ready-made networks."""
        name = f"{cls.__module__}.{cls.__qualname__}"
        return cls.__module__.partition(".")[0] == self.package and not name.startswith(self.kept)

    def kind(self, cls: type[nn.Module]) -> type[nn.Module]:
        """The class that modules of `cls` behave as (kinds.py)."""
        return kind_of(cls, lambda base: base in TORCH or (self.owns(base) and base.__name__ in self._names))

    @property
    def _names(self) -> set[str]:
        return {*self.rules, *self.step_containers}


class Swap:
    """One conversion: `Swap(net, library, ...)()` is the copy."""

    def __init__(self, net: nn.Module, library: Library, time_steps: int, round_leak: bool) -> None:
        self.net, self.library = net, library
        self.time_steps, self.round_leak = time_steps, round_leak
        self.memo: dict[int, object] = {}
        self.step_containers: list[nn.Sequential] = []
        self.factors: dict[int, float] = {}
        self.pools: set[int] = set()
        self.one_step: list[str] = []  # names of what was written for tensors of one time step
        self.in_sequences = 0  # containers around the module whose children see sequences
        self.named = {id(m): n for n, m in net.named_modules()}
        self.places = Counter(id(m) for _, m in net.named_modules(remove_duplicate=False))

    def __call__(self, *, per_step: bool) -> nn.Module:
        """The copy of the network, its layers swapped.

        Args:
            per_step: the network takes one time step, [B, ...], rather than [T, B, ...].
        Raises:
            ConversionError: names a module that has no counterpart, or a hook that the copy would lose.
        """
        require_no_hooks_of_all_modules()
        self._require_float32()
        self._visit(self.net, "", per_step)
        try:
            for container in self.step_containers:
                children = OrderedDict((n, copy.deepcopy(m, self.memo)) for n, m in container.named_children())
                self.memo[id(container)] = nn.Sequential(children)
            return copy.deepcopy(self.net, self.memo)
        except RuntimeError as e:
            raise ConversionError(
                f"{type(self.net).__name__} can't be copied: {e}. Reset its state first (functional.reset_net(net), "
                "utils.reset(net)), and drop tensors that it keeps from the last forward pass."
            ) from e

    def _require_float32(self) -> None:
        for name, tensor in [*self.net.named_parameters(), *self.net.named_buffers()]:
            if tensor.is_floating_point() and tensor.dtype != torch.float32:
                raise ConversionError(
                    f"{name}: conversion takes networks of float32, got {tensor.dtype}. Convert net.float()."
                )

    def _visit(self, module: nn.Module, name: str, per_step: bool) -> None:
        if id(module) in self.memo:
            return
        rule = self._rule(module, name or type(module).__name__)
        if rule is not None:
            self._replace(module, name, rule, per_step)
            return
        steps = self.library.owns(self.library.kind(type(module))) and isinstance(module, nn.Sequential)
        if steps:
            self._require_kept(module, name or type(module).__name__)
        else:
            require_own_parts(module, name or type(module).__name__, self.named)
        if isinstance(module, nn.Sequential):
            self._find_factors(module)
        inner = steps and getattr(module, "step_mode", "m") == "m"
        self.in_sequences += inner
        for child_name, child in module.named_children():
            self._visit(child, f"{name}.{child_name}".lstrip("."), per_step or steps)
        self.in_sequences -= inner
        if per_step and self._is_by_step(module):
            self.memo[id(module)] = NormThroughTime([self.memo[id(norm)] for norm in module.children()])  # type: ignore[misc]
        if steps:
            self.step_containers.append(module)  # type: ignore[arg-type]

    def _replace(self, module: nn.Module, name: str, rule: Rule, per_step: bool) -> None:
        """Makes the layer that stands for `module`."""
        for part_name, part in module.named_modules(prefix=name or type(module).__name__):
            self._require_kept(part, part_name)
        if isinstance(module, nn.AvgPool2d):
            self._require_factor(module, name)
        site = Site(name, self.time_steps, self.round_leak, per_step, self.factors.get(id(module), 1.0))
        self.memo[id(module)] = rule(with_weights(module), site).train(module.training)
        if rule is not own_code and not self._takes_sequences(module, per_step):
            self.one_step.append(name)

    def _require_kept(self, module: nn.Module, name: str) -> None:
        """Raises ConversionError where a module that gives way to another would take something with it."""
        require_no_hooks(module, name)
        if type(module) not in self.library.own:
            require_code_of_class(module, name)

    def _is_by_step(self, module: nn.Module) -> bool:
        """Whether it is a list of T norms of as many channels, which may be a norm for each step."""
        norms = list(module.children())
        kinds = {(type(norm), getattr(norm, "num_features", None)) for norm in norms}
        alike = len(kinds) == 1 and len(norms) == self.time_steps > 1
        return type(module) is nn.ModuleList and alike and isinstance(norms[0], nn.BatchNorm1d | nn.BatchNorm2d)

    def _takes_sequences(self, module: nn.Module, per_step: bool) -> bool:
        """Whether the original takes [T, B, ...] as its copy does: by its step mode, or as a container gives them."""
        if self.in_sequences or getattr(module, "step_mode", "s") == "m":
            return True
        kind = self.library.kind(type(module))
        if self.library.owns(kind) and kind.__name__ in self.library.sequence_layers:
            return True
        if isinstance(module, nn.BatchNorm3d):
            return True
        return isinstance(module, nn.Flatten) and not per_step  # its copy has the same axes

    # --- which rule ----------------------------------------------------------------------------------

    def _rule(self, module: nn.Module, name: str) -> Rule | None:
        cls = type(module)
        if is_parametrized(module):  # its weights are computed, and copied as they are
            cls = cls.__mro__[1]
        if cls in self.library.own:
            return self.library.own[cls]
        cls = self.library.kind(cls)
        if self.library.owns(cls):
            rule = self.library.rules.get(cls.__name__)
            if rule is None and cls.__name__ not in self.library.step_containers:
                raise ConversionError(f"{name}: {cls.__name__} has no counterpart here. {self._way_out(cls)}")
            return rule
        if cls in TORCH:
            return TORCH[cls]
        if next((base for base in cls.__mro__ if base in TORCH), None) in KEPT and not list(module.children()):
            return own_code
        self._require_plain(cls, name)
        return None

    def _require_plain(self, cls: type, name: str) -> None:
        """Raises ConversionError unless `cls` is a user's own module, or holds others."""
        for base in cls.__mro__:
            home = base.__module__.partition(".")[0]
            if home in VERBS and home != self.library.package:
                raise ConversionError(
                    f"{name}: {cls.__name__} comes from {home}, whose networks {VERBS[home]} converts; one network "
                    "can't mix both libraries."
                )
            if base in TORCH or (self.library.owns(base) and base.__name__ not in self.library.harmless):
                raise ConversionError(
                    f"{name}: {cls.__name__} is a {base.__name__} with code of its own, which would be lost: "
                    f"{', '.join(changes(cls, base)) or cls.__name__}. Use {base.__name__} itself."
                )
        holds = cls in HOLDERS or issubclass(cls, GraphModule)  # what torch.fx writes, as ann2snn does, is kept code
        if cls.__module__.partition(".")[0] == "torch" and not holds:
            raise ConversionError(f"{name}: {cls.__name__} has no counterpart here. {self._way_out(cls)}")

    def _way_out(self, cls: type) -> str:
        library = self.library
        old = {f"MultiStep{name}" for name in library.rules}  # names of clock_driven
        theirs = {*library.rules, *library.step_containers} - library.neurons - old
        layers = sorted(theirs | {torchs.__name__ for torchs in TORCH})
        return way_out(cls, library.package, sorted(library.neurons - old), layers)

    # --- averages by other divisors than powers of two ------------------------------------------------------

    def _find_factors(self, sequential: nn.Sequential) -> None:
        """Gives each pool's factor to the weights that read it, where nothing but pools and shapes lie between."""
        layers = list(sequential)
        for i, pool in enumerate(layers):
            if not isinstance(pool, nn.AvgPool2d) or average_factor(pool) == 1:
                continue
            reader = next((m for m in layers[i + 1 :] if not isinstance(m, THROUGH)), None)
            if isinstance(reader, nn.Conv2d | nn.Linear) and self.places[id(pool)] == self.places[id(reader)] == 1:
                self.factors[id(reader)] = self.factors.get(id(reader), 1.0) * average_factor(pool)
                self.pools.add(id(pool))

    def _require_factor(self, pool: nn.AvgPool2d, name: str) -> None:
        if average_factor(pool) != 1 and id(pool) not in self.pools:
            raise ConversionError(
                f"{name}: an average over {pool.kernel_size} x {pool.kernel_size} values has a divisor other than a "
                "power of two, and no weights follow in its own nn.Sequential that could take the factor. Use a kernel "
                "of 2, 4 or 8, put a Conv2d or Linear behind it there, or use AdaptiveAvgPool2d(1) for the whole map."
            )


def put(net: nn.Module, old: nn.Module, new: nn.Module) -> nn.Module:
    """`net` with `new` wherever `old` was."""
    if net is old or new is old:
        return new if net is old else net
    for module in list(net.modules()):
        for name, child in list(module._modules.items()):  # named_children() gives one of several names
            if child is old:
                setattr(module, name, new)
    return net
