"""A converted network: bytes in, the network's own output out, stateless between calls.

    time_axis   bytes                  what the network's own forward gets        what it gives
    None        [B, C, H, W]           [1, B, C, H, W]                            [T, B, ...], or [B, ...] after a mean
    0           [T, B, C, H, W]        [T, B, C, H, W]                            the same
    1           [B, T, C, H, W]        [B, T, C, H, W], which it transposes       [B, T, ...], or [B, ...]

A network that begins with a Conv1d reads sequences [C, L] where [C, H, W] stands; one that begins with a Linear may
read vectors [C].

The network's Python code is kept, and run in one of several ways (ways.py), which the first forward pass chooses
(trial.py): once on time-first tensors, which is right for code that treats a tensor's leading axes alike; once on what
it was written for, where it steps through time itself; or once a step.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.base.errors import WrongType
from spikelet.base.time_axis import join_shape, split_shape
from spikelet.interop.attributes import put_back
from spikelet.interop.beside import left_out
from spikelet.interop.comparison import Comparison, Integers, compare
from spikelet.interop.feedback import FedBack, join
from spikelet.interop.joined_feedback import JoinedFeedback, split
from spikelet.interop.lockstep import LoopRefused
from spikelet.interop.lost import require_no_hooks_of_all_modules
from spikelet.interop.means import SCALER, ExactMeans, Kind, watched_means
from spikelet.interop.membranes import holds_membranes
from spikelet.interop.neurons_in_code import NeuronsFound, add_neurons, in_code_of
from spikelet.interop.never_fires import NeverFires
from spikelet.interop.original import Original, Run
from spikelet.interop.pixels import ScaledImage, pixel_factor
from spikelet.interop.places import SeveralPlaces, spread
from spikelet.interop.products import products
from spikelet.interop.search import search
from spikelet.interop.trial import choose
from spikelet.interop.unchanged import same_again
from spikelet.interop.ways import (
    AllAtOnce,
    AllFolded,
    AllSteps,
    NormsByStep,
    NoTensor,
    OwnLoop,
    StepByStep,
    Way,
    computed_output,
)  # fmt: skip
from spikelet.interop.weights_in_code import WeightsInCode, add_layer, names_of, weights_in_code
from spikelet.nn import Encode
from spikelet.nn.device import device_of
from spikelet.nn.norm_through_time import NormThroughTime
from spikelet.nn.times_constant import TimesConstant

Forward = Callable[[Any, Tensor], Any]


class Converted(nn.Module):
    """A network of another library as spikelet layers. Made by `from_spikingjelly` and `from_snntorch`.

    Args:
        net: the network, its layers swapped.
        first: names of its layers that read the image, and that its scale, mean and std were folded into.
        forward: what to call instead of net's own forward, with the network and its input, in the ways of that one.
        original: the network as it was, and what the conversion was told of it.
        scaled: gives the image its scale, mean and std where no layer was folded.
        sample_axes: how many axes a sample may have, such as 3 for [C, H, W].
        one_step: names of the layers in `net` that were written for tensors of one time step.

    The first entry of a tuple or a dictionary, such as snnTorch's (spikes, membranes), is the output; another is chosen
    by forward=lambda net, x: net(x)[1].
    """

    folded: Tensor

    def __init__(
        self,
        net: nn.Module,
        first: tuple[str, ...],
        forward: Forward | None,
        original: Original,
        scaled: ScaledImage | None = None,
        sample_axes: tuple[int, ...] = (3,),
        one_step: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.encode = Encode(levels=original.image.levels)
        self.scaled = scaled
        self.net = net
        self.first = first
        self.own_forward = forward
        self.original = original
        self.time_steps, self.time_axis = original.time_steps, original.time_axis
        self.sample_axes = sample_axes
        self.swaps_time = False  # whether the network's output has time and batch in the other order
        self.one_step = one_step
        self.way: Way = AllSteps()
        self.means: dict[Kind, int] = {}
        self.factors: dict[str, Tensor] = {}
        self.times, self.has_products = TimesConstant(), False  # of constants that integers don't hold
        self.finds_first = False  # whether the first pass finds out which layers read the image
        self.register_buffer("folded", torch.zeros((), dtype=torch.bool))  # whether the weights hold the factors
        self.register_load_state_dict_post_hook(_fold_loaded)
        self.untried: list[nn.Module] = [_shadow(net)]  # in a list, so that it is no module of this one

    def forward(self, x: Tensor) -> Tensor:
        """What the network gives for uint8 images or frames: time first, or batch first where the frames are.

        Raises:
            TimeAxisError: `x` has another layout than `time_axis` says, or another number of steps.
            ConversionError: in the first pass, if the network's code runs in none of the ways.
        """
        self.prepare(x)
        output = self.run(self.way, self.net, self.encode(x))
        for module in self.net.modules():
            if isinstance(module, NeverFires):
                module.forget()
        return output.transpose(0, 1) if self.swaps_time else output

    def prepare(self, x: Tensor) -> None:
        """Chooses the way for `x`, before the first pass. Raises as `forward` does."""
        self.require_layout(x)
        if self.untried:
            require_no_hooks_of_all_modules()
            self.encode.sample_dims = x.dim() - self.leading_axes
            self._try(self.untried[0].to(device_of(self)), x)
            self.untried.clear()

    @property
    def leading_axes(self) -> int:
        """How many axes stand before a sample: batch, and time where it has an axis."""
        return 1 if self.time_axis is None else 2

    def require_layout(self, x: Tensor) -> None:
        """Raises TimeAxisError unless `x` has the layout that `time_axis` declares, T steps, and samples that fit;
        WrongType unless it is a tensor."""
        if not isinstance(x, Tensor):
            raise WrongType(
                f"a converted network takes a uint8 tensor, got {type(x).__name__}. Use torch.from_numpy(x)."
            )
        axes = x.dim() - self.leading_axes
        wanted = axes if axes in self.sample_axes else self.sample_axes[-1]
        split_shape(x.shape, self.time_axis, time_steps=self.time_steps, sample_axes=wanted)

    def compare(
        self,
        batches: Iterable[tuple[Tensor, Tensor]],
        *,
        program: Integers | None = None,
        original: nn.Module | None = None,
        run: Run | None = None,
    ) -> Comparison:
        """A Comparison of this model, in evaluation mode, with the network of the other library.

            print(model.compare(batches))                                       # what the grids cost
            print(small.compare(batches, program=spikelet.Program(graph)))      # what compression cost, in integers

        Args:
            batches: pairs of bytes, in this model's layout, and labels [B].
            program: the integers of this model, which then take its place.
            original: the network that was converted; needed for a model that was read from a file.
            run: `run(net, x)` returns logits [B, K] or [T, B, K] of the original for x = (scale * byte - mean) / std.
                Unless given, a network in steps is called T times, all others once.
        Raises:
            ConversionError: the original can't be run so, or its neurons took another number of time steps.
        """
        return compare(self, batches, program=program, original=original, run=run)

    def run(self, way: Way, net: nn.Module, current: Tensor) -> Tensor:
        """What `net`, the network or a copy of it, gives for bytes / 256.

        Raises:
            ConversionError: it gives no tensor.
        """
        if self.scaled is not None:
            current = self.scaled(current)
        elif self.original.image.unit not in (None, 1):
            current = current * self.original.image.unit
        exact = ExactMeans(self.means) if self.means else nullcontext()
        with put_back(net, holds_membranes), exact, self._products(net, current):
            output = computed_output(way(self._code, net, current))
        if not isinstance(output, Tensor):
            raise NoTensor(
                f"the network must return a tensor, a list of one a step, or a tuple or dictionary that starts with "
                f"such, got {_shown(output)}. Say which part of it is the answer: forward=lambda net, x: net(x)[1]."
            )
        return output

    def _code(self, net: nn.Module, x: Tensor) -> Any:
        written, neurons = names_of(net), in_code_of(net)
        with weights_in_code(net, x) if self.untried or written else nullcontext(), left_out(net, {*written, *neurons}):
            return (self.own_forward or _own)(net, x)

    def _products(self, net: nn.Module, current: Tensor) -> AbstractContextManager[Any]:
        return products(net, current, self.times) if self.has_products else nullcontext()

    def _try(self, net: nn.Module, x: Tensor) -> None:
        """Chooses the way, by one pass in evaluation, in a batch whose size is not to be confused with 1 or T."""
        batch = next(size for size in (2, 3) if size != self.time_steps)
        shape = join_shape(self.time_steps, batch, x.shape[self.leading_axes :], self.time_axis)
        generator = torch.Generator("cpu").manual_seed(0)
        pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator, device="cpu").to(x.device)
        net, output = self._choose(net, self.encode(pixels))
        image = self.encode(pixels)
        with torch.no_grad():
            same_again(net, output, lambda: self.run(self.way, net, self.encode(pixels)))
        with products(net, view := image.view_as(image), None) as found, torch.no_grad():
            self.run(self.way, net, view)
        self.has_products = found.found
        with watched_means(net) as watch, torch.no_grad():
            watch.returned(self.run(self.way, net, image.view_as(image)))
        self.means, factors = watch.exact()
        for name in (name for kind, name in self.means if kind == SCALER):
            self.net.get_submodule(name).in_weights = True  # type: ignore[assignment]
        self.factors = {name: torch.tensor(factor, dtype=torch.float64) for name, factor in factors.items()}
        for name in self.first if self.is_folded and self.original.image.is_factor else ():
            layer: Any = self.net.get_submodule(name)
            self.factors[name] = self.factors.get(name, 1.0) * pixel_factor(layer, name, self.original.image)
        self.fold()
        self._note_way(net, image)
        axes = (self.time_steps, batch) if self.time_axis == 1 else (batch, self.time_steps)
        self.swaps_time = output.shape[:2] == axes and (self.time_axis == 1 or output.dim() in (3, 5))

    def _choose(self, net: nn.Module, image: Tensor) -> tuple[nn.Module, Tensor]:
        """Chooses the way: the copy that ran, and its answer.

        Feedback that is found becomes a part of its neurons; those of several places become as many.
        """
        while True:
            try:
                self._search(net, image)
                self.way, output = choose(self, net, image)
                return net, output
            except NeuronsFound as e:
                add_neurons(self.net, e, self.time_steps, round_leak=self.original.round_leak)
            except FedBack as e:
                join(self.net, e.layer, e.neurons, e.factor)
            except JoinedFeedback as e:
                self._require_no_mean(e)
                split(self.net, e)
            except WeightsInCode as e:
                self.one_step = (*self.one_step, add_layer(self.net, e.call))
            except SeveralPlaces as e:
                spread(self.net, e.neurons)
            net = _shadow(self.net)

    def _search(self, net: nn.Module, image: Tensor) -> None:
        told = (self.one_step, self.time_steps, self.time_axis)
        search(
            net, tuple((*told, cut) for cut in (None, 0, 1, -1)), lambda way: self.run(way, net, image.view_as(image))
        )

    def _require_no_mean(self, found: JoinedFeedback) -> None:
        """Raises LoopRefused where all weights of a layer hold the scale of the image, those that read spikes too."""
        if found.layer in self.first and self.is_folded and self.original.image.has_mean:
            raise LoopRefused(
                f"net.{found.layer}: reads the image and spikes of the step before, and mean and std of the image are "
                "folded into its weights. Pass first=() to have the image itself scaled, on the grid 2^-12."
            )

    def _repeats(self, net: nn.Module, image: Tensor) -> bool:
        """Whether the code makes T steps of the image [1, B, ...] by itself, so that T of them would be too many."""
        if self.time_axis is not None or self.time_steps == 1:
            return False
        try:
            with torch.no_grad():
                self.run(self.way, net, image.expand(self.time_steps, *image.shape[1:]))
        except Exception:  # whatever the code says of so many
            return True
        return False

    def _note_way(self, net: nn.Module, image: Tensor) -> None:
        """Tells the original how it is run for a comparison."""
        own, original = self.own_forward, self.original
        by_step = isinstance(self.way, StepByStep)
        original.has_loop = not by_step and (
            isinstance(self.way, OwnLoop) or own is not None or self._repeats(net, image)
        )
        original.batch_first = isinstance(self.way, AllAtOnce) and self.way.axis == 1
        original.folded = self.way.time_at if isinstance(self.way, AllFolded) else None
        original.body = None if type(self.way) is AllSteps else own

    @torch.no_grad()
    def fold(self) -> None:
        """Multiplies weights by the factors of means.py and pixels.py, unless they hold them."""
        for name, factor in () if self.folded else self.factors.items():
            weight = self.net.get_submodule(name).weight
            assert isinstance(weight, Tensor), "only layers with weights read means so"
            weight.copy_(weight.double() * factor.to(weight.device))
        self.folded.fill_(bool(self.folded) or bool(self.factors))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        state_dict.setdefault(f"{prefix}folded", torch.zeros((), dtype=torch.bool))  # of a model that had not run
        super()._load_from_state_dict(state_dict, prefix, *args)

    @property
    def is_folded(self) -> bool:
        """Whether layers hold the scale of the image."""
        return self.scaled is None and self.original.image.unit is None

    @property
    def has_body(self) -> bool:
        """Whether the caller gave the forward that is run."""
        return self.own_forward is not None

    def ways(self) -> tuple[Way, ...]:
        """Those that its code may be run in, the preferred one first."""
        told = (self.one_step, self.time_steps, self.time_axis)
        in_code = in_code_of(self.net)
        if in_code:
            return (OwnLoop(*told, cut=next(iter(in_code.values())).cut),)
        per_step = (StepByStep(*told),) if self.original.per_step else ()
        norms = (NormsByStep(*told),) if any(isinstance(m, NormThroughTime) for m in self.net.modules()) else ()
        own: tuple[Way, ...] = ()
        if self.original.neurons:
            own = AllAtOnce(*told, axis=0), AllAtOnce(*told, axis=1), AllFolded(*told)
        loops = (OwnLoop(*told, cut=cut) for cut in (None, 0, 1, -1))
        return (AllSteps(), *loops, *norms, *own, *per_step)


def _fold_loaded(model: Converted, keys: Any) -> None:
    """After weights were loaded: those of a model that had not run yet lack the factors that this one has found."""
    model.fold()


def _shown(output: Any) -> str:
    kind = type(output).__name__
    return f"{kind} of {_shown(output[0])}" if isinstance(output, list | tuple) and output else kind


def _own(net: nn.Module, x: Tensor) -> Any:
    return net(x)


def _shadow(net: nn.Module) -> nn.Module:
    """`net` with the same tensors and modules of its own, evaluating: hooks that `net` gets later don't see it run."""
    tensors = [*net.parameters(), *net.buffers()]
    shadow = copy.deepcopy(net, {id(t): t for t in tensors})
    for module in shadow.modules():
        module.training = False
    return shadow
