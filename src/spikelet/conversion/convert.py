"""From a network with quantised activations to its spiking twin.

    twin = spikelet.convert(model, example, time_steps=16, schedule="barrier")
    graph = spikelet.lower(twin, example)

The network's Python code is kept. torch's layers become spikelet's, with weights of `weight_bits`; each activation
becomes a neuron of its threshold (schedules.py), and thresholds go into the weights that read its spikes (flow.py).
Sources: Bu et al., ICLR 2022 (arXiv:2303.04347); Masked Spiking Transformer (arXiv:2210.01208). The authors multiply
spikes by theta where they leave a neuron, and keep weights and norms of floats.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Sequence
from typing import Any, Literal, TypedDict, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.base.strict_json import shown
from spikelet.base.whole import is_whole as is_whole_number
from spikelet.conversion.copying import copied
from spikelet.conversion.flow import Flow, flow_of, is_activation, is_whole, unit_of
from spikelet.conversion.layers import absorbs, counterpart, folded, quantize, with_units
from spikelet.conversion.schedules import SCHEDULES, Barrier, OverBatch, PoolOfMeans, ScaledNeuron, Schedule, Stream
from spikelet.conversion.starts import FIRST, Started, adopt, start
from spikelet.conversion.twin import Twin
from spikelet.conversion.units import CLOSE
from spikelet.interop.image import Image, image_of
from spikelet.interop.layers import TORCH
from spikelet.interop.lost import require_no_hooks_of_all_modules
from spikelet.interop.pixels import PixelConv, ScaledImage, fold_pixels
from spikelet.neurons import QCFS, Neuron
from spikelet.nn import Encode, evaluation_mode
from spikelet.nn.device import device_of
from spikelet.nn.hooks import hooks
from spikelet.nn.taken import require_module, tensor_of
from spikelet.quant import FullPrecision, Uniform
from spikelet.quant.grid import round_to_grid
from spikelet.quant.quantizer import Quantizer

FEW = 2  # samples on which a network is followed
FLOAT_BITS = 32


def convert(
    model: nn.Module,
    example: Tensor | NDArray[np.uint8],
    *,
    time_steps: int = 16,
    schedule: Literal["barrier", "stream"] | Started = "barrier",
    weight_bits: int = 8,
    scale: float | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> Twin:
    """The spiking twin of `model`, which is left as it is.

    Example:
        >>> net = torch.nn.Sequential(torch.nn.Linear(64, 16), spikelet.neurons.QCFS(4), torch.nn.Linear(16, 3))
        >>> images = torch.zeros((2, 64), dtype=torch.uint8)
        >>> spikelet.convert(net, images, time_steps=4, schedule="stream")(images).shape  # steps, images, classes
        torch.Size([4, 2, 3])

    Args:
        model: a network with `spikelet.neurons.QCFS` or `Levels` as activations. Either of torch's layers, taking
            floats [B, ...]; or of spikelet's, taking bytes (it begins with `spikelet.nn.Encode`).
        example: a uint8 batch [B, ...]. Only its shape matters.
        time_steps: T. With the barrier a power of two to 128, and the network's own levels for no loss.
        schedule: "barrier" or "stream" (schedules.py), or Started(images), a stream that images tell how to start.
        weight_bits: 2 to 8 for torch's layers; 32 leaves floats, which can't be lowered. Layers of spikelet that are
            quantised keep their weights.
        scale, mean, std: a network of torch's layers was fed (scale * byte - mean) / std, mean and std one a channel
            or one for all; 1/255, 0 and 1 unless given.
    Returns:
        a module: bytes [B, ...] to logits of every step [T, B, K], whose mean over the first t steps is the answer.
    Raises:
        ConversionError: a layer or function has no counterpart; a layer has forward hooks; the network has no such
            activation, holds NaN or infinity, or was converted already; arguments out of range. Names it, and the way
            out.
    """
    require_module(model, ConversionError)
    plan = _schedule(schedule, time_steps)
    images = schedule.of(model) if isinstance(schedule, Started) else None
    quantizer = _quantizer(weight_bits)
    image = image_of({"scale": scale, "mean": mean, "std": std}, None)
    x = _example(example)
    _require_no_twin(model)
    is_plain = _is_plain(model)
    require_no_hooks_of_all_modules()
    _require_no_hooks(model, [name for name, module in model.named_modules() if is_whole(module) and name])
    require_activations(model)
    _require_float32(model)
    _require_finite(model)
    x = x[:FEW].to(device_of(model))
    twin = _twin(model, x, plan, quantizer, image, is_plain=is_plain)
    if plan.steps > 1:
        _require_batch_first(twin, x)
    if images is not None:
        is_first = plan.steps == FIRST
        first = twin if is_first else _twin(model, x, Stream(FIRST), quantizer, image, is_plain=is_plain)
        start(first, model, images, image.floats(images, images.dim() - 1) if is_plain else images)
        adopt(twin, first, model)
    return twin


def _twin(model: nn.Module, x: Tensor, plan: Schedule, quantizer: Quantizer, image: Image, *, is_plain: bool) -> Twin:
    fed = image.floats(x, x.dim() - 1) if is_plain else x
    unit = float(image.gain_and_offset()[0][0]) if is_plain and _is_one_factor(image) else 1.0
    flow = flow_of(model, fed, plan, unit, is_plain=is_plain)
    folds = image if is_plain and not _is_one_factor(image) else None
    net = _swapped(model, flow, plan, quantizer, folds if flow.readers else None, is_plain=is_plain)
    scaled = ScaledImage(folds, x.shape[1], x.dim() - 1).to(x.device) if folds and not flow.readers else None
    twin = Twin(net, plan, flow.rewrites, flow.output, x.dim() - 1 if is_plain else None, scaled, tuple(x.shape[1:]))
    twin.to(x.device).train(model.training)
    _round_constants(twin.net)
    return twin


class Fed(TypedDict, total=False):
    """What a network of torch's layers was fed, as `convert` takes it: (scale * byte - mean) / std."""

    scale: float | None
    mean: float | Sequence[float] | None
    std: float | Sequence[float] | None


def fed_to(model: nn.Module, x: Tensor, **image: Unpack[Fed]) -> Tensor:
    """What the network itself takes for uint8 images `x`, with scale, mean and std as `convert` takes them."""
    return image_of(image, None).floats(x, x.dim() - 1) if _is_plain(model) else x  # type: ignore[arg-type]


def _is_plain(model: nn.Module) -> bool:
    """Whether a network takes floats; one of spikelet's layers encodes bytes itself."""
    return not any(isinstance(m, Encode) for m in model.modules())


# --- arguments --------------------------------------------------------------------------------------


def _schedule(name: object, time_steps: object) -> Schedule:
    if isinstance(name, Started):
        name = Stream.name
    kind = SCHEDULES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ConversionError(f"schedule must be 'barrier', 'stream' or Started(images), got {shown(name)}.")
    fits = is_whole_number(time_steps) and 1 <= time_steps <= kind.most  # type: ignore[operator]
    if kind is Barrier and fits:
        fits = time_steps & (time_steps - 1) == 0  # type: ignore[operator]
    if not fits:
        wanted = "a power of two" if kind is Barrier else "a whole number"
        raise ConversionError(
            f"time_steps must be {wanted} from 1 to {kind.most} with schedule={name!r}, got {shown(time_steps)}."
        )
    return kind(int(time_steps))  # type: ignore[call-overload]


def _quantizer(bits: object) -> Quantizer:
    if is_whole_number(bits) and bits == FLOAT_BITS:
        return FullPrecision()
    try:
        return Uniform(bits)  # type: ignore[arg-type]
    except ValueError as e:
        raise ConversionError(f"weight_bits must be 2 to 8, or 32 for floats, got {shown(bits)}.") from e


def _example(example: object) -> Tensor:
    x: Any = tensor_of(example)
    if not isinstance(x, Tensor) or x.dtype != torch.uint8 or x.dim() not in (2, 3, 4) or 0 in x.shape:
        got = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise ConversionError(f"example must be a uint8 batch [B, F], [B, C, L] or [B, C, H, W], got {got}.")
    return x


def require_activations(model: nn.Module) -> None:
    """Raises ConversionError unless a network has activations that become neurons, and no neurons yet."""
    children = {id(m.levels) for m in model.modules() if isinstance(m, QCFS)}
    for name, module in model.named_modules():
        if isinstance(module, Neuron) and not is_activation(module) and id(module) not in children:
            raise ConversionError(f"{name}: {type(module).__name__} spikes already, and the model needs no conversion.")
    if not any(is_activation(m) for m in model.modules()):
        raise ConversionError(
            f"{type(model).__name__} has no activation that spikes can count: spikelet.neurons.QCFS or Levels. Train "
            "it with them, or put them in: spikelet.conversion.calibrate(model, batches)."
        )


def _require_no_twin(model: nn.Module) -> None:
    if any(isinstance(m, Twin) for m in model.modules()):
        raise ConversionError(f"{type(model).__name__} was converted already. Convert the network that it came from.")


def _require_finite(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter.detach()).all():
            raise ConversionError(f"{name} holds NaN or infinity. Look for a diverged training.")


def _require_no_hooks(model: nn.Module, layers: Collection[str]) -> None:
    """Refuses hooks on a layer that the twin replaces; torch's own, which make weights, are done with."""
    for name in layers:
        layer = model.get_submodule(name)
        before = [f for f in layer._forward_pre_hooks.values() if not type(f).__module__.startswith("torch.")]
        if before or layer._forward_hooks:
            raise ConversionError(
                f"{name}: has forward hooks, and its counterpart would run without them. Remove them "
                "(handle.remove()), and write what they compute into the model's forward."
            )


def _require_float32(model: nn.Module) -> None:
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise ConversionError(f"{name} must be float32 to be converted, got {tensor.dtype}. Use model.float().")


def _is_one_factor(image: Image) -> bool:
    """Whether the network's input is a number times the byte."""
    return not image.has_mean and image.is_uniform


# --- the copy ---------------------------------------------------------------------------------------


def _swapped(
    model: nn.Module, flow: Flow, schedule: Schedule, quantizer: Quantizer, image: Image | None, *, is_plain: bool
) -> nn.Module:
    """A copy of the model in which every layer of the flow is its twin's."""
    memo: dict[int, Any] = {}
    for name, largest in flow.pools.items():
        pool, means = model.get_submodule(name), schedule.mean_so_far(largest, is_folded=False)
        memo[id(pool)] = copy.deepcopy(pool) if means is None else PoolOfMeans(means, copy.deepcopy(pool))
    for name, module in model.named_modules():
        if name not in flow.reads:
            continue
        u, w = flow.reads[name], flow.gives[name]
        if is_activation(module):
            memo[id(module)] = _neuron(module, schedule, u, w, is_folded=is_plain)
        else:
            memo[id(module)] = _layer(module, name, u, w, quantizer, image if name in flow.readers else None)
    return copied(model, memo)


def _neuron(activation: Any, schedule: Schedule, u: float, w: float, *, is_folded: bool) -> nn.Module:
    """A neuron that reads units `u` and gives units `w`."""
    neuron = schedule.neuron(float(activation.theta.detach()) / u, is_folded)
    gain = unit_of(activation) / w
    made = neuron if math.isclose(gain, 1.0, rel_tol=CLOSE) else ScaledNeuron(neuron, gain)
    return made.train(activation.training)


def _layer(module: nn.Module, name: str, u: float, w: float, quantizer: Quantizer, image: Image | None) -> nn.Module:
    assert absorbs(module)
    if type(module) not in TORCH:
        new = with_units(copy.deepcopy(module), u, w)
        quantize(new, quantizer)
        return new
    new = counterpart(module, name, u, 1.0 if image else w)
    if image is not None:
        new = fold_pixels(new, name, image)  # type: ignore[arg-type]
        for part in (new.pixels, new.border) if isinstance(new, PixelConv) else (new,):
            with_units(part, 1.0, w)
    quantize(new, quantizer)
    return folded(new.train(module.training))


@torch.no_grad()
def _round_constants(net: nn.Module) -> None:
    """Brings what the network's own code adds, such as embeddings of positions, to the grid."""
    for module in net.modules():
        if type(module).__module__.partition(".")[0] == "spikelet":
            continue
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            if tensor.is_floating_point():
                tensor.copy_(round_to_grid(tensor))


@torch.no_grad()
def _require_batch_first(twin: Twin, x: Tensor) -> None:
    """Refuses a network whose code moves the batch from the first axis, where time stands with it."""
    generator = torch.Generator().manual_seed(0)
    pair = torch.randint(0, 256, (2, *x.shape[1:]), dtype=torch.uint8, generator=generator).to(x.device)
    shapes: list[tuple[int, ...]] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        shapes.append(tuple(inputs[0].shape))

    handles = (m.register_forward_pre_hook(keep) for m in twin.modules() if isinstance(m, OverBatch))
    with hooks(handles), evaluation_mode(twin):
        both, first, second = twin(pair), twin(pair[:1]), twin(pair[1:])
    each = len(shapes) // 3
    doubled = all(two == (2 * one[0], *one[1:]) for two, one in zip(shapes[:each], shapes[each:], strict=False))
    single = torch.cat([first, second], 1)
    if not doubled or both.shape != single.shape or not torch.allclose(both, single, atol=1e-3):
        raise ConversionError(
            "schedule='stream' holds time steps and samples on the first axis, and the model's code mixes samples or "
            "moves them to another axis. Keep them first, or use schedule='barrier'."
        )
