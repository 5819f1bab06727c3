"""The spikes that a network's own code computes, where the conversion has modules for them (neurons_in_code.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spikelet.interop.calls import called_through
from spikelet.interop.neurons_in_code import Plan
from spikelet.interop.steps import tensors_in
from spikelet.interop.weights_in_code import NAMES, is_ours, names_of
from spikelet.interop.writes import written


class SpikesInCode(TorchFunctionMode):
    """One run of the original.

    spikes: of each of `plans`, by its name, one tensor a step.

    Args:
        converted: the conversion, whose layers tell which calls are the code's.
        plans: where neurons stand in the order of the code's calls.
    """

    def __init__(self, converted: nn.Module, plans: Mapping[str, Plan]) -> None:
        super().__init__()
        self.converted, self.plans = converted, plans
        self.calls = self.inside = 0
        self.written = set(NAMES) if names_of(converted) else set()
        self.spikes: dict[str, list[Tensor]] = {name: [] for name in plans}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        makes = tensors_in(output) or written(func, args, kwargs or {})
        if self.inside or func.__name__ in self.written or not makes:
            return output
        for name, plan in self.plans.items():
            if self.calls in plan.compares:
                self.spikes[name].append(output.detach().float())
        self.calls += 1
        return output

    def _inner(self, module: nn.Module, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.inside += 1
        try:
            return call(*args, **kwargs)
        finally:
            self.inside -= 1

    @contextmanager
    def watching(self, net: nn.Module) -> Iterator[None]:
        """Inside, `net`, the original, is watched; it must call what the conversion calls, or no spikes are known."""
        theirs = dict(net.named_modules())
        ours = [n for n, m in self.converted.named_modules() if n in theirs and (is_ours(m) or _is_of_torch(m))]
        with called_through({theirs[name]: self._inner for name in ours}), self:
            yield
        for name, plan in self.plans.items():
            if self.calls != plan.calls:
                self.spikes[name] = []


def _is_of_torch(module: nn.Module) -> bool:
    """Whether a module is a layer of torch that was kept, such as Flatten."""
    return type(module).__module__.startswith("torch.nn.") and not list(module.children())
