"""Products of two tensors between a model's layers, such as attention's: counted while the model runs.

`a @ b`, `matmul`, `bmm`, `mm` and `einsum` of two tensors are seen wherever the model's Python computes them, outside
of layers that are counted whole. Pairs of values that are not zero are counted by running the product once more on
zeros and ones. Tensors are [T, B, ...]; of any other layout (heads in the batch axis, say) all steps count as one.

Element by element products are not counted (a graph's profile counts those of two edges).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from spikelet.lowering.names import Names
from spikelet.lowering.trace import tensors
from spikelet.profiling.bits import are_spikes, spike_bits
from spikelet.profiling.layers import NeuroBenchCounts, SynapseLayer, event_of

PRODUCTS = frozenset({"matmul", "__matmul__", "__rmatmul__", "bmm", "mm", "einsum"})
Units = Mapping[Any, tuple[float | None, ...]]


class ProductWatch(TorchFunctionMode):
    """Sees the products of a model's forward passes.

    Args:
        model: what runs.
        whole: its layers that are counted whole; what they do inside is not looked at.
        units: of the tensors that each product reads, by its name.
        found: is called with every product when it is first seen.
    """

    def __init__(
        self, model: nn.Module, whole: Container[nn.Module], units: Units, found: Callable[[SeenProduct], None]
    ) -> None:
        super().__init__()
        self.model, self.whole, self.units, self.found = model, whole, units, found
        self.seen: dict[str, SeenProduct] = {}
        self.stack: list[str] = []
        self.inside = 0
        self.batch = 0

    def start(self, batch: int) -> None:
        """Before a forward pass of `batch` samples."""
        self.names, self.batch = Names(), batch

    def hooks(self) -> Iterator[RemovableHandle]:
        """Hooks that say which module runs."""
        for name, module in self.model.named_modules():
            yield from self._hooks(name, module in self.whole, module)

    def _hooks(self, name: str, whole: bool, module: nn.Module) -> Iterator[RemovableHandle]:
        def before(m: nn.Module, args: Any) -> None:
            self.stack.append(name)
            self.inside += whole

        def after(m: nn.Module, args: Any, output: Any) -> None:
            self.stack.pop()
            self.inside -= whole

        yield module.register_forward_pre_hook(before)
        yield module.register_forward_hook(after)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if not self.inside and getattr(func, "__name__", "") in PRODUCTS:
            read = list(tensors((args, kwargs)))
            if len(read) == 2 and self.batch:
                self._see(read, lambda changed: func(*_mapped(args, changed), **_mapped(kwargs, changed)), output)
        return output

    def _see(self, read: list[Tensor], product: Callable[[Any], Tensor], output: Tensor) -> None:
        where = self.stack[-1] if self.stack else ""
        name = self.names.next(f"{where}.matmul" if where else "matmul")
        if name not in self.seen:
            units = self.units.get(name, (None, None))
            self.seen[name] = SeenProduct(name, read, units, int(product(torch.ones_like).sum()), output, self.batch)
            self.found(self.seen[name])
        self.seen[name].add(read, product, self.batch)


class SeenProduct:
    """Running sums of one product.

    Args:
        name: of the product.
        read: the two tensors, when first seen.
        units: of both.
        pairs: that were multiplied then, zeros too.
        output: what was made then.
        batch: samples then.
    """

    def __init__(
        self,
        name: str,
        read: Sequence[Tensor],
        units: Sequence[float | None],
        pairs: int,
        output: Tensor,
        batch: int,
    ) -> None:
        self.name, self.units = name, units
        self.event = event_of([are_spikes(x) for x in read], [unit is not None for unit in units])
        timed = output.dim() > 3 and output.shape[1] == batch
        self.steps = output.shape[0] if timed else 1
        self.shapes = [_of_sample(x, timed, batch) for x in read]
        self.out_shape = _of_sample(output, timed, batch)
        self.pairs = pairs // batch // self.steps
        self.spiking, self.bits = [True, True], [1, 1]
        self.events = self.counted = self.present = 0.0

    def add(self, read: Sequence[Tensor], product: Callable[[Any], Tensor], batch: int) -> None:
        """Counts one run, of `batch` samples."""
        for side, x in enumerate(read):
            self.spiking[side] &= are_spikes(x)
            self.bits[side] = max(self.bits[side], spike_bits(x, self.spiking[side]))
        x = read[self.event]
        repeated = self.steps * batch * math.prod(self.shapes[self.event]) / x.numel()  # a still tensor at every step
        self.events += int(x.count_nonzero()) * repeated
        self.counted += float(x.double().sum()) * repeated
        self.present += int(product(lambda value: (value != 0).to(value.dtype)).sum(dtype=torch.float64))

    def layer(self, samples: int) -> SynapseLayer:
        """The product as a layer, means over `samples`."""
        event, other = self.event, 1 - self.event
        spiking, present = self.spiking[event], self.present / samples
        return SynapseLayer(
            name=self.name,
            kind="product",
            parameters=0,
            norm_channels=0,
            weights=math.prod(self.shapes[other]),
            weight_bits=self.bits[other],
            packed_bytes=0,
            in_shape=self.shapes[event],
            out_shape=self.out_shape,
            kernel=(1, 1),
            steps=float(self.steps),
            spiking_input=spiking,
            input_bits=self.bits[event],
            input_events=self.events / samples,
            macs_per_step=self.pairs,
            neurobench=NeuroBenchCounts(
                present if spiking else 0.0, 0.0 if spiking else present, float(self.pairs * self.steps)
            ),
            input_counts=self._spikes(samples),
            weights_are_spikes=self.spiking[other] or bool(self.units[other]),
        )

    def _spikes(self, samples: int) -> float | None:
        unit = self.units[self.event]
        if unit is not None:
            return self.counted / unit / samples
        return self.events / samples if self.spiking[self.event] else None


def _of_sample(x: Tensor, timed: bool, batch: int) -> tuple[int, ...]:
    """The shape of one sample and step of a tensor [T or 1, B, ...]; of another layout, how many values."""
    return tuple(x.shape[2:]) if timed and x.shape[1:2] == (batch,) else (x.numel() // batch,)


def _mapped(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Arguments with every tensor changed."""
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, (tuple, list)):
        return type(tree)(_mapped(item, change) for item in tree)
    if isinstance(tree, dict):
        return {key: _mapped(item, change) for key, item in tree.items()}
    return tree
