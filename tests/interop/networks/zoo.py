"""SpikingJelly 2.0's ready-made networks, 22 of them, built by the library itself and made narrower for a test."""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

import torch
from spikingjelly.activation_based import functional, neuron, surrogate
from torch import nn

from tests.interop.networks.network import COUNTS, Network

LIFS = {"spiking_neuron": neuron.LIFNode, "surrogate_function": surrogate.ATan(), "detach_reset": True}
IFS = {"spiking_neuron": neuron.IFNode, "surrogate_function": surrogate.ATan(), "detach_reset": True}
CLASSES = 10


def zoo(file: str) -> Any:
    """A file of the zoo; some import a downloader of torchvision, which nothing here calls."""
    missing = [n for n in ("torchvision", "torchvision.models", "torchvision.models.utils") if n not in sys.modules]
    try:
        importlib.import_module("torchvision.models.utils")
    except ImportError:
        for name in missing:
            sys.modules[name] = types.ModuleType(name)
        sys.modules["torchvision.models.utils"].load_state_dict_from_url = None  # type: ignore[attr-defined]
    try:
        return importlib.import_module(f"spikingjelly.activation_based.model.{file}")
    finally:
        for name in missing:
            if name in sys.modules and sys.modules[name].__spec__ is None:
                del sys.modules[name]


def narrower(net: nn.Module, by: int) -> nn.Module:
    """`net` with every width divided by `by`, except those of its input and its classes."""

    def width(n: int) -> int:
        return n // by if n > CLASSES else n

    for module in list(net.modules()) if by > 1 else ():
        for name, child in list(module.named_children()):
            new: Any = None
            if isinstance(child, nn.Conv2d | nn.Conv1d):
                groups = width(child.groups)
                new = type(child)(
                    width(child.in_channels), width(child.out_channels), child.kernel_size, child.stride,  # type: ignore[arg-type]
                    child.padding, child.dilation, groups, child.bias is not None,  # type: ignore[arg-type]
                )  # fmt: skip
            elif isinstance(child, nn.BatchNorm2d | nn.BatchNorm1d):
                new = type(child)(width(child.num_features))
            elif isinstance(child, nn.Linear):
                new = type(child)(width(child.in_features), width(child.out_features), child.bias is not None)
            if new is not None:
                setattr(module, name, new)
    return in_mode_m(net)


def in_mode_m(net: nn.Module) -> nn.Module:
    """`net` in step mode 'm'."""
    functional.set_step_mode(net, "m")
    return net


def plif(name: str, channels: int) -> Any:
    """A network of the PLIF paper."""
    return lambda by: in_mode_m(getattr(zoo("parametric_lif_net"), name)(channels=channels // by, **LIFS))


def vgg(by: int) -> nn.Module:
    """VGG-11 with batch norms."""
    with torch.device("meta" if by > 1 else "cpu"):  # half a gigabyte of weights that are replaced at once
        net = zoo("spiking_vgg").spiking_vgg11_bn(num_classes=CLASSES, init_weights=by == 1, **IFS)
    return narrower(net, by)


def resnet(file: str, name: str, **options: Any) -> Any:
    """One of the ResNets."""
    return lambda by: narrower(getattr(zoo(file), name)(num_classes=CLASSES, **IFS, **options), by)


def ms_resnet(name: str) -> Any:
    """ResNets whose residual stream is of currents, with the neurons that they come with."""
    return lambda by: narrower(getattr(zoo("ms_resnet"), name)(T=4, num_classes=CLASSES), by)


def masnn(by: int) -> nn.Module:
    """Neurons behind attention over time, channels and positions."""
    channels = (64 // by, 128 // by, 128 // by)
    net = zoo("masnn").MASNN(T=10, num_classes=CLASSES, channels=channels, fc_hidden=256 // by)
    return in_mode_m(net)


def spikformer(by: int) -> nn.Module:
    """Spikformer for CIFAR-10; 12 heads and 4 blocks at its own width."""
    size = {"embed_dims": 384 // by, "num_heads": 12 if by == 1 else 2, "depths": 4 if by == 1 else 2}
    return zoo("spikformer").Spikformer(img_size_h=32, img_size_w=32, patch_size=4, num_classes=CLASSES, **size)


def qkformer(by: int) -> nn.Module:
    """QKFormer: attention by q and k, then of all three."""
    size = {"num_heads": (6, 6, 6), "depths": (1, 2, 7)} if by == 1 else {"num_heads": (2, 2, 2), "depths": (1, 1, 1)}
    return zoo("qkformer").QKFormer(num_classes=CLASSES, embed_dims=384 // by, **size)


def sdt(by: int) -> nn.Module:
    """Spike-driven Transformer."""
    size = {"num_heads": 8, "depths": 8} if by == 1 else {"num_heads": 2, "depths": 2}
    return zoo("spike_driven_transformer").SpikeDrivenTransformer(num_classes=CLASSES, embed_dims=384 // by, **size)


def maxformer(by: int) -> nn.Module:
    """Max-Former for CIFAR."""
    return zoo("maxformer").MaxFormer(num_classes=CLASSES, embed_dims=384 // by, depths=(1, 1, 2), cifar=True)


def ottt(by: int) -> nn.Module:
    """VGG-11 with standardised weights, for training step by step."""
    widths = [64 // by, "M", 128 // by, "M", 256 // by, 256 // by, "M", 512 // by, 512 // by]
    return zoo("spiking_vggws_ottt").OTTTSpikingVGG(
        widths, num_classes=CLASSES, spiking_neuron=neuron.OTTTLIFNode, light_classifier=True
    )


RGB, IMAGENET, DIGIT = (3, 32, 32), (3, 224, 224), (1, 28, 28)
SPIKING, SEW = (
    (lambda name: resnet("spiking_resnet", name)),
    (lambda n, cnf: resnet("sew_resnet", f"sew_resnet{n}", cnf=cnf)),
)
ZOO = (
    Network("PLIF MNIST", plif("MNISTNet", 128), DIGIT, divided=32),
    Network("PLIF CIFAR-10", plif("CIFAR10Net", 256), RGB, divided=64),
    Network("PLIF N-MNIST", plif("NMNISTNet", 128), (2, 34, 34), options=COUNTS, divided=32),
    Network("PLIF DVS Gesture", plif("DVSGestureNet", 128), (2, 128, 128), options=COUNTS, divided=32),
    Network("PLIF CIFAR10-DVS", plif("CIFAR10DVSNet", 128), (2, 128, 128), options=COUNTS, divided=32),
    Network("spiking VGG-11, batch norm, 32 pixels", vgg, RGB, divided=16),
    Network("spiking VGG-11, batch norm, 224 pixels", vgg, IMAGENET, 2, divided=16),
    Network("spiking ResNet-18", SPIKING("spiking_resnet18"), IMAGENET, 2, divided=8),
    Network("spiking ResNet-50", SPIKING("spiking_resnet50"), RGB, 2, divided=8),
    Network("spiking ResNeXt-50 32x4d", SPIKING("spiking_resnext50_32x4d"), RGB, 2, divided=8),
    Network("SEW ResNet-18, ADD", SEW(18, "ADD"), RGB, 2, divided=8),
    Network("SEW ResNet-50, ADD", SEW(50, "ADD"), RGB, 2, divided=8),
    Network("SEW ResNet-18, AND", SEW(18, "AND"), RGB, 2, divided=8),
    Network("SEW ResNet-18, IAND", SEW(18, "IAND"), IMAGENET, 2, divided=8),
    Network("MS-ResNet-18", ms_resnet("ms_resnet18"), RGB, divided=8),
    Network("Max-ResNet-18", ms_resnet("max_resnet18"), RGB, divided=8),
    Network(
        "MA-SNN, DVS Gesture", masnn, (2, 32, 32), 10, COUNTS, divided=8,
        refused=r"conv_blocks\.0\.attn: MultiDimensionalAttention has no counterpart here\. .*: train without it",
        why="attention by sigmoids of averages; train without it",
    ),
    Network("Spikformer, CIFAR-10", spikformer, RGB, divided=12),
    Network("QKFormer", qkformer, RGB, divided=12),
    Network("Spike-driven Transformer", sdt, RGB, divided=12),
    Network("Max-Former, CIFAR", maxformer, RGB, divided=12),
    Network(
        "OTTT VGG-11, weights standardised", ottt, RGB, divided=16,
        refused=r"features: OTTTSequential has no counterpart here\. .* plain layers that has its weights",
        why="made for training step by step; convert plain layers that have its weights, standardised",
    ),
)  # fmt: skip
