"""Every use that a network's code makes of the image, followed through one forward pass.

The image travels as byte / 256, and its scale, mean and std stand in the weights of the layers that read it. So a
tensor is *raw* while it holds the image in bytes / 256, and what may be done to it is little:

    layers of `first`                                   read it; what they give is not raw
    pools, reshapes, slices, means, copies              commute with f * x + o, and what they give is raw
    anything else: a sum with another tensor, x / 255,  would take byte / 256 for what the network was fed: a misuse
    a norm, a neuron, a comparison

What commutes depends on the image: slices may pick channels where all share mean and std, sums and padding need a mean
of 0. Tensors are followed by identity, through
modules by hooks and through tensor functions by a TorchFunctionMode.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spikelet.base.errors import ConversionError
from spikelet.base.python_values import TAKES_NUMBERS
from spikelet.interop.image import Image
from spikelet.interop.layers import AdaptiveMean, Dropout
from spikelet.interop.pixels import PixelConv
from spikelet.interop.steps import tensors_in
from spikelet.interop.weights_in_code import PREFIX
from spikelet.interop.writes import DRAWS, FRESH, version_of
from spikelet.neurons import OVER_TIME
from spikelet.nn import BatchNorm1d, BatchNorm2d, Conv1d, Conv2d, Linear, MaxPool2d, SumPool2d
from spikelet.nn.hooks import hooks

READERS = (Conv1d, Conv2d, Linear, PixelConv)
COMMUTING = (MaxPool2d, SumPool2d, AdaptiveMean, nn.Flatten, nn.Identity)
LEAVES = (*READERS, *COMMUTING, Dropout, BatchNorm1d, BatchNorm2d, *OVER_TIME)

_ALWAYS = {
    "flatten", "unflatten", "reshape", "view", "view_as", "reshape_as", "squeeze", "unsqueeze", "contiguous", "clone",
    "detach", "detach_", "to", "float", "double", "type", "type_as", "cpu", "cuda", "max_pool2d", "adaptive_max_pool2d",
    "adaptive_avg_pool2d", "unsqueeze_", "squeeze_",
}  # fmt: skip
_WHERE_CHANNELS_STAY = {
    "permute", "transpose", "swapaxes", "movedim", "moveaxis", "expand", "expand_as", "repeat", "tile", "__get__",
}  # fmt: skip
_SAME_IN_ALL_CHANNELS = {
    "__getitem__", "__iter__", "select", "unbind", "narrow", "chunk", "split", "index_select", "flip", "roll", "cat",
    "concat", "stack", "mean", "amax",
}  # fmt: skip
_LIKE = {"view_as", "reshape_as", "expand_as", "type_as"}  # they read the shape or type of their other tensor
_VIEWS = {"__getitem__", "__iter__", "select", "unbind", "narrow"}
_ZERO_STAYS_ZERO = {"sum", "avg_pool2d", "pad", "constant_pad_nd"}
ALIKE_AT_ANY_SCALE = _ALWAYS | _WHERE_CHANNELS_STAY | _SAME_IN_ALL_CHANNELS | _ZERO_STAYS_ZERO | {"dropout"}
_JOINS = {"cat", "concat", "stack"}
_PADS = ("pad", "constant_pad_nd")


@dataclasses.dataclass
class Uses:
    """The layers that read the image, those that read anything else, each misuse in words, and functions that draw."""

    readers: list[str] = dataclasses.field(default_factory=list)
    others: list[str] = dataclasses.field(default_factory=list)
    misuses: list[str] = dataclasses.field(default_factory=list)
    drawn: list[str] = dataclasses.field(default_factory=list)


class _Follower(TorchFunctionMode):
    def __init__(self, image: Image, uses: Uses, sample_axes: int) -> None:
        super().__init__()
        self.image, self.uses, self.sample_axes = image, uses, sample_axes
        self.raw: dict[int, Tensor] = {}  # the tensors themselves, so that their ids stay theirs
        self.zeros: dict[int, tuple[Tensor, int]] = {}  # that were made of no tensor's numbers, and their version then
        self.inside = 0

    def reads(self, tree: Any) -> bool:
        return any(id(t) in self.raw for t in tensors_in(tree))

    def mark(self, tree: Any) -> None:
        self.raw.update({id(t): t for t in tensors_in(tree)})

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in DRAWS:
            self.uses.drawn.append(func.__name__)
        if getattr(func, "__name__", "") in _LIKE and not self.reads(args[:1]):  # of the image its shape or type alone
            return func(*args, **kwargs)
        is_fresh = getattr(func, "__name__", "") in FRESH - {"clone"}  # its numbers are not the image's
        if self.inside or is_fresh or not self.reads((args, kwargs)):
            made = func(*args, **kwargs)
            if is_fresh or not tensors_in((args, kwargs)):
                self.zeros.update({id(t): (t, version_of(t)) for t in tensors_in(made) if not t.any()})
            return made
        output = func(*args, **kwargs)
        name = getattr(func, "__name__", str(func))
        makes_tensors = bool(tensors_in(output))
        if name == "broadcast_tensors" and self.image.is_uniform:
            self.mark([made for read, made in zip(args, output, strict=True) if id(read) in self.raw])
        elif self.commutes(name, args, kwargs, output):
            self.mark(output)
        elif makes_tensors or name in TAKES_NUMBERS or name == "__setitem__":
            self.uses.misuses.append(f"the tensor function {name!r}")
        return output

    def commutes(self, name: str, args: Any, kwargs: Any, output: Any) -> bool:
        """Whether a tensor function may be applied before scale, mean and std as well as after."""
        inputs, image = tensors_in(args[:1] if name in _LIKE else args), self.image
        if name in _JOINS and not image.has_mean:
            inputs = [t for t in inputs if not self.is_zero(t)]  # no image is a byte of 0
        if not all(id(t) in self.raw for t in inputs):
            return False
        if name in _ALWAYS or (name in _SAME_IN_ALL_CHANNELS and image.is_uniform):
            return True
        if name in _VIEWS and all(_is_part_of(inputs[0], t, self.sample_axes) for t in tensors_in(output)):
            return True
        if name in _WHERE_CHANNELS_STAY:
            return image.is_uniform or all(_keeps_last(inputs[0], t, self.sample_axes) for t in tensors_in(output))
        if name in _PADS and _pads_with_a_number(name, args, kwargs):
            return False
        return name in _ZERO_STAYS_ZERO and not image.has_mean and image.is_uniform

    def is_zero(self, x: Tensor) -> bool:
        """Whether it was made as zeros, whatever the image, and not written since."""
        return id(x) in self.zeros and self.zeros[id(x)][1] == version_of(x)

    def before(self, name: str, module: nn.Module, inputs: Any) -> None:
        if not self.inside and isinstance(module, READERS) and not self.reads(inputs):
            self.uses.others.append(name)
        self.inside += 1

    def after(self, name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        self.inside -= 1
        if self.inside or not self.reads(inputs):
            return
        if isinstance(module, READERS):
            self.uses.readers.append(name)
        elif isinstance(module, COMMUTING) or (isinstance(module, Dropout) and not self.image.has_mean):
            self.mark(output)
        else:
            self.uses.misuses.append(f"{name} ({type(module).__name__})")


def _pads_with_a_number(name: str, args: Any, kwargs: Any) -> bool:
    """Whether a padding puts another number than 0, which has no bytes / 256 to stand in."""
    place = 3 if name == "pad" else 2
    value = kwargs.get("value", args[place] if len(args) > place else None)
    return value not in (None, 0)


def _keeps_last(before: Tensor, after: Tensor, axes: int) -> bool:
    """Whether the last axes, [C, H, W] for 3, are as they were."""
    return before.shape[-axes:] == after.shape[-axes:] and before.stride()[-axes:] == after.stride()[-axes:]


def _is_part_of(before: Tensor, after: Tensor, axes: int) -> bool:
    """Whether `after` is a view of whole samples of `before`, [C, H, W] each: some time steps, some of the batch."""
    apart = after.data_ptr() - before.data_ptr()
    inside = 0 <= apart < before.numel() * before.element_size()
    sample = before[(0,) * (before.dim() - axes)].numel() * before.element_size()
    return inside and apart % sample == 0 and before.is_contiguous() and _keeps_last(before, after, axes)


@contextmanager
def followed(net: nn.Module, x: Tensor, image: Image) -> Iterator[Uses]:
    """Follows `x` [T, B, ...], the image in bytes / 256, through what `net` does inside the block."""
    uses = Uses()
    follower = _Follower(image, uses, x.dim() - 2)
    follower.mark(x)
    leaves = [(name, module) for name, module in net.named_modules() if isinstance(module, LEAVES)]
    with hooks(hook for name, module in leaves for hook in _hooks(follower, name, module)), follower:
        yield uses


def _hooks(follower: _Follower, name: str, module: nn.Module) -> list[Any]:
    def before(m: nn.Module, args: Any, kwargs: Any) -> None:
        follower.before(name, m, (args, kwargs))

    def after(m: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        follower.after(name, m, (args, kwargs), output)

    return [
        module.register_forward_pre_hook(before, with_kwargs=True),
        module.register_forward_hook(after, with_kwargs=True),
    ]


def require_folded(uses: Uses, first: tuple[str, ...], net: str) -> None:
    """Raises ConversionError unless the image was read by the layers `first` alone, and those read nothing else."""
    if uses.misuses and uses.drawn:
        raise ConversionError(
            f"{net} draws random numbers ({_listed(uses.drawn)}), which differ at every run. Spikes that it draws of "
            "the image are drawn outside, and fed as frames: time_axis=0, and scale=1/255 for frames of 0 and 255."
        )
    if uses.misuses:
        raise ConversionError(
            f"{net} uses the image in {_listed(uses.misuses)}, which would see byte / 256 instead of what it was fed: "
            f"scale, mean and std are folded into the weights of {_listed(first)}. Pass first=() to have the image "
            "itself scaled, on the grid 2^-12, or give the network's body without that step as forward=... "
            "(x / 255 and (x - mean) / std belong in scale=, mean= and std=; spikes that it makes of the image are "
            "made outside, and fed as frames: time_axis=0)."
        )
    read = tuple(dict.fromkeys(uses.readers))
    if set(read) != set(first):
        shown = () if any(name.startswith(PREFIX) for name in read) else read  # those of functions have no names yet
        raise ConversionError(
            f"the image is read by {_listed(read)}, and its scale, mean and std were folded into {_listed(first)}. "
            f"{'Name the layers that read it' if shown else 'Have the image itself scaled'}: first={shown}."
        )
    both = [name for name in read if name in uses.others]
    if both:
        raise ConversionError(
            f"{_listed(both)} reads the image and other tensors, and the image's scale is folded into its weights. "
            "Pass first=() to have the image itself scaled, on the grid 2^-12."
        )


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return " and ".join(dict.fromkeys(names)) or "no layer"
