"""Networks in the manner of SpikingJelly's zoo and scripts and of snnTorch's tutorials, and what becomes of each.

GOES: converted as it stands, 4-bit weights, lowered, saved, loaded, run: 0 mismatches. REFUSED: by these words.
Widths are reduced; the ResNets at their own 224 pixels are marked slow.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import SpikeletError
from spikelet.interop.converted import Converted
from spikelet.nn import Conv1d, Conv2d, Linear
from spikelet.quant import Uniform

pytest.importorskip("snntorch", reason="needs snnTorch")
pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
import snntorch as snn
from snntorch import surrogate as snn_surrogate
from spikingjelly.activation_based import functional, layer, neuron, surrogate


def _zoo(file: str) -> Any:
    """A file of SpikingJelly's zoo; it imports a downloader of torchvision, which nothing here calls."""
    missing = [n for n in ("torchvision", "torchvision.models", "torchvision.models.utils") if n not in sys.modules]
    try:
        importlib.import_module("torchvision.models.utils")
    except ImportError:
        for name in missing:
            sys.modules[name] = types.ModuleType(name)
        sys.modules["torchvision.models.utils"].load_state_dict_from_url = None  # type: ignore[attr-defined]
    try:
        return __import__(f"spikingjelly.activation_based.model.{file}", fromlist=["model"])
    finally:
        for name in missing:
            if name in sys.modules and sys.modules[name].__spec__ is None:
                del sys.modules[name]


class Code(nn.Module):
    """Layers by name, and the forward that a user wrote over them."""

    def __init__(self, run: Callable[[Any, Tensor], Any], **layers: nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, module in layers.items():
            setattr(self, name, module)

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


# --- snnTorch -----------------------------------------------------------------------


def leaky(beta: Any = 0.9, **options: Any) -> snn.Leaky:
    return snn.Leaky(beta=beta, threshold=options.pop("threshold", 0.25), **options)


def two_layers(net: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Tutorial 5: a loop over T, spikes and membranes stacked."""
    mem1, mem2 = net.lif1.init_leaky(), net.lif2.init_leaky()
    spikes, membranes = [], []
    for _ in range(10):
        spk1, mem1 = net.lif1(net.fc1(x), mem1)
        spk2, mem2 = net.lif2(net.fc2(spk1), mem2)
        spikes.append(spk2)
        membranes.append(mem2)
    return torch.stack(spikes, dim=0), torch.stack(membranes, dim=0)


def convolutional(net: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Tutorial 6 as a class: pools as functions, view."""
    mem1, mem2, mem3 = net.lif1.init_leaky(), net.lif2.init_leaky(), net.lif3.init_leaky()
    spikes, membranes = [], []
    for _ in range(10):
        spk1, mem1 = net.lif1(F.max_pool2d(net.conv1(x), 2), mem1)
        spk2, mem2 = net.lif2(F.max_pool2d(net.conv2(spk1), 2), mem2)
        spk3, mem3 = net.lif3(net.fc1(spk2.view(x.size(0), -1)), mem3)
        spikes.append(spk3)
        membranes.append(mem3)
    return torch.stack(spikes), torch.stack(membranes)


def read_by_membrane(net: Any, x: Tensor) -> Tensor:
    """Regression: the membranes of a neuron that nothing resets."""
    mem1, mem2 = net.lif1.init_leaky(), net.lif2.init_leaky()
    membranes = []
    for _ in range(10):
        spk1, mem1 = net.lif1(net.fc1(x), mem1)
        _, mem2 = net.lif2(net.fc2(spk1), mem2)
        membranes.append(mem2)
    return torch.stack(membranes)


def one_neuron(net: Any, x: Tensor) -> Tensor:
    """Tutorials 2 and 4."""
    mem, out = net.lif.reset_mem(), []
    for _ in range(10):
        spk, mem = net.lif(net.fc(x), mem)
        out.append(spk)
    return torch.stack(out)


def synaptic(net: Any, x: Tensor) -> Tensor:
    (syn, mem), out = net.lif.init_synaptic(), []
    for _ in range(10):
        spk, syn, mem = net.lif(net.fc(x), syn, mem)
        out.append(spk)
    return torch.stack(out)


def recurrent(net: Any, x: Tensor) -> Tensor:
    (spk, mem), out = net.lif.init_rleaky(), []
    for _ in range(10):
        spk, mem = net.lif(net.fc1(x), spk, mem)
        out.append(net.fc2(spk))
    return torch.stack(out)


def tutorial_6(classes: int = 10) -> nn.Module:
    grad = snn_surrogate.fast_sigmoid(slope=25)
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.MaxPool2d(2), leaky(spike_grad=grad, init_hidden=True),
        nn.Conv2d(6, 8, 5), nn.MaxPool2d(2), leaky(spike_grad=grad, init_hidden=True),
        nn.Flatten(), nn.Linear(128, classes), leaky(spike_grad=grad, init_hidden=True, output=True),
    )  # fmt: skip


def tutorial_7() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 6, 5), nn.MaxPool2d(2), leaky(0.5, init_hidden=True),
        nn.Conv2d(6, 8, 5), nn.MaxPool2d(2), leaky(0.5, init_hidden=True),
        nn.Flatten(), nn.Linear(8 * 25, 10), leaky(0.5, init_hidden=True, output=True),
    )  # fmt: skip


def dense(run: Callable[[Any, Tensor], Any], last: snn.Leaky, outputs: int = 10) -> nn.Module:
    return Code(run, fc1=nn.Linear(64, 30), lif1=leaky(), fc2=nn.Linear(30, outputs), lif2=last)


FLAT, DIGIT, NMNIST = (64,), (1, 28, 28), (2, 34, 34)
COUNTS = {"scale": 1.0, "time_axis": 0}
SNNTORCH: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], dict[str, Any]]] = {
    "tutorial 2, Lapicque": (
        lambda: Code(one_neuron, fc=nn.Linear(64, 10), lif=snn.Lapicque(beta=0.5, threshold=0.2)), FLAT, {},
    ),
    "tutorial 3, Leaky": (lambda: Code(one_neuron, fc=nn.Linear(64, 10), lif=leaky()), FLAT, {}),
    "tutorial 5": (lambda: dense(two_layers, leaky()), FLAT, {}),
    "tutorial 6, a class": (
        lambda: Code(
            convolutional, conv1=nn.Conv2d(1, 6, 5), lif1=leaky(), conv2=nn.Conv2d(6, 8, 5), lif2=leaky(),
            fc1=nn.Linear(128, 10), lif3=leaky(),
        ), DIGIT, {},
    ),
    "tutorial 6, nn.Sequential": (tutorial_6, DIGIT, {}),
    "tutorial 7, events": (tutorial_7, NMNIST, COUNTS),
    "population coding": (lambda: dense(two_layers, leaky(), 50), FLAT, {}),
    "regression, beta and threshold a neuron, read by a sum": (
        lambda: Code(
            read_by_membrane, fc1=nn.Linear(64, 30), fc2=nn.Linear(30, 1), lif2=leaky(1.0, reset_mechanism="none"),
            lif1=leaky(torch.rand(30), threshold=torch.rand(30) + 0.1, learn_beta=True, learn_threshold=True),
        ), FLAT, {},
    ),
    "regression, RLeaky": (
        lambda: Code(
            recurrent, fc1=nn.Linear(64, 30), fc2=nn.Linear(30, 1),
            lif=snn.RLeaky(beta=0.5, threshold=0.25, linear_features=30),
        ), FLAT, {},
    ),
}  # fmt: skip
SNNTORCH_REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "read by a leaking membrane": (
        lambda: dense(read_by_membrane, leaky(0.8, reset_mechanism="none"), 1),
        r"net\.lif2\.membranes .* neuron that leaks or is reset, .* let it neither leak nor be reset",
    ),
    "Synaptic": (
        lambda: Code(synaptic, fc=nn.Linear(64, 10), lif=snn.Synaptic(alpha=0.9, beta=0.8)),
        "lif: Synaptic has no counterpart here. Supported from snntorch: Lapicque, Leaky, RLeaky",
    ),
    "Alpha": (
        lambda: nn.Sequential(nn.Linear(64, 10), snn.Alpha(alpha=0.9, beta=0.8, init_hidden=True)),
        "1: Alpha has no counterpart here",
    ),
    "LeakyParallel": (
        lambda: nn.Sequential(nn.Linear(64, 10), snn.LeakyParallel(10, 10)),
        "1: LeakyParallel has no counterpart here",
    ),
}

# --- SpikingJelly -------------------------------------------------------------------

LIFS = {"spiking_neuron": neuron.LIFNode, "surrogate_function": surrogate.ATan(), "detach_reset": True}
IFS = {"spiking_neuron": neuron.IFNode, "surrogate_function": surrogate.ATan(), "detach_reset": True, "num_classes": 10}


def plif(name: str, channels: int = 4) -> Callable[[], nn.Module]:
    return lambda: getattr(_zoo("parametric_lif_net"), name)(channels=channels, **LIFS)


def sew(cnf: str) -> Callable[[], nn.Module]:
    return lambda: _zoo("sew_resnet").sew_resnet18(cnf=cnf, **IFS)


def resnet() -> nn.Module:
    return _zoo("spiking_resnet").spiking_resnet18(**IFS)


def in_mode_m(net: nn.Module) -> nn.Module:
    functional.set_step_mode(net, "m")
    return net


def fashion() -> nn.Module:
    """The image made into T by the forward itself, and a mean over time."""
    features = nn.Sequential(
        layer.Conv2d(1, 4, 3, padding=1, bias=False), layer.BatchNorm2d(4), neuron.IFNode(), layer.MaxPool2d(2),
        layer.Conv2d(4, 4, 3, padding=1, bias=False), layer.BatchNorm2d(4), neuron.IFNode(), layer.MaxPool2d(2),
        layer.Flatten(), layer.Linear(4 * 49, 10, bias=False), neuron.IFNode(v_threshold=0.25),
    )  # fmt: skip
    return in_mode_m(Code(lambda net, x: net.body(x.unsqueeze(0).repeat(4, 1, 1, 1, 1)).mean(0), body=features))


def static_convolution() -> nn.Module:
    """One convolution of the image, then a loop that adds answers up; step mode 's'."""

    def run(net: Any, x: Tensor) -> Tensor:
        current = net.static(x)
        total = net.fc(net.conv(current))
        for _ in range(1, 4):
            total += net.fc(net.conv(current))
        return total / 4

    return Code(
        run, static=nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)),
        conv=nn.Sequential(
            neuron.IFNode(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, bias=False), nn.BatchNorm2d(4), neuron.IFNode()
        ),
        fc=nn.Sequential(nn.Flatten(), nn.Linear(4 * 144, 10, bias=False), neuron.LIFNode(tau=2.0, v_threshold=0.25)),
    )  # fmt: skip


def rows() -> nn.Module:
    return in_mode_m(
        nn.Sequential(layer.Linear(28, 16), neuron.IFNode(), layer.Linear(16, 10), neuron.IFNode(v_threshold=0.25))
    )


def recurrent_rows() -> nn.Module:
    return in_mode_m(
        nn.Sequential(
            layer.Linear(28, 16), neuron.IFNode(),
            layer.LinearRecurrentContainer(neuron.IFNode(), 16, 16), layer.Linear(16, 10),
            neuron.IFNode(v_threshold=0.25),
        )
    )  # fmt: skip


def dilated() -> nn.Module:
    return in_mode_m(
        nn.Sequential(
            layer.Conv2d(1, 4, (4, 3), stride=(2, 1), dilation=(1, 3), bias=False), layer.BatchNorm2d(4),
            neuron.LIFNode(),
            layer.Flatten(), layer.Linear(4 * 13 * 22, 10), neuron.LIFNode(tau=2.0, v_threshold=0.25),
        )
    )  # fmt: skip


RGB = (3, 32, 32)
SPIKINGJELLY: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], dict[str, Any]]] = {
    "PLIF MNIST": (plif("MNISTNet"), DIGIT, {}),
    "PLIF Fashion-MNIST": (plif("FashionMNISTNet"), DIGIT, {}),
    "PLIF CIFAR-10": (plif("CIFAR10Net"), RGB, {}),
    "PLIF N-MNIST": (plif("NMNISTNet"), NMNIST, COUNTS),
    "PLIF DVS Gesture": (plif("DVSGestureNet"), (2, 128, 128), COUNTS),
    "PLIF CIFAR10-DVS": (plif("CIFAR10DVSNet"), (2, 128, 128), COUNTS),
    "Fashion-MNIST, repeats the image": (fashion, DIGIT, {}),
    "a static convolution before its loop": (static_convolution, DIGIT, {}),
    "an image's rows as steps": (rows, (28,), COUNTS),
    "rows into a recurrent container": (recurrent_rows, (28,), COUNTS),
    "dilation and kernels of 4 x 3": (dilated, DIGIT, {}),
}
LARGE = {
    "spiking ResNet-18, 224 pixels": (resnet, (3, 224, 224), {}),
    "SEW ResNet-18 ADD": (sew("ADD"), RGB, {}),
    "SEW ResNet-18 AND": (sew("AND"), RGB, {}),
    "SEW ResNet-18 IAND, 224 pixels": (sew("IAND"), (3, 224, 224), {}),
}
SPIKINGJELLY_REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "SynapseFilter": (
        lambda: nn.Sequential(layer.Linear(64, 10), neuron.IFNode(), layer.SynapseFilter(tau=2.0)),
        "2: SynapseFilter has no counterpart here",
    ),
    "NonSpikingLIFNode": (
        lambda: nn.Sequential(
            layer.Linear(64, 10), neuron.IFNode(), layer.Linear(10, 4), neuron.NonSpikingLIFNode(2.0)
        ),
        "3: NonSpikingLIFNode has no counterpart here. Leave it out, and read the mean over time of its current",
    ),
}  # fmt: skip


def awake(net: nn.Module) -> nn.Module:
    """`net` with norms that let its neurons fire."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.bias, 0.0, 2.0)
    return net.eval()


def converted(net: nn.Module, options: dict[str, Any], time_steps: int) -> Converted:
    ours = any(type(m).__module__.startswith("snntorch") for m in net.modules())
    convert: Any = spikelet.from_snntorch if ours else spikelet.from_spikingjelly
    return convert(net, time_steps=time_steps, round_leak=True, **options)


def frames(sample: tuple[int, ...], options: dict[str, Any], time_steps: int) -> Tensor:
    lead = (time_steps, 2) if options else (2,)
    return torch.randint(0, 2 if options else 256, (*lead, *sample), dtype=torch.uint8)


def assert_goes(
    make: Callable[[], nn.Module], sample: tuple[int, ...], options: dict[str, Any], time_steps: int, path: Path
) -> None:
    torch.manual_seed(0)
    net = awake(make())
    model, x, labels = converted(net, options, time_steps), frames(sample, options, time_steps), torch.tensor([0, 1])
    report = model.compare([(x, labels)])
    assert report.different <= 0.1 * report.compared
    assert sum(spikes.original for spikes in report.layers) > 0
    for module in model.modules():
        if isinstance(module, Conv1d | Conv2d | Linear):
            module.quantizer = Uniform(4, per_channel=False)
    spikelet.save(spikelet.lower(model, x, time_axis=model.time_axis), path)
    graph = spikelet.load(path, max_bytes=2**34)
    result = spikelet.verify(graph, model, [(x, labels)], spikelet.Program, time_axis=model.time_axis)
    assert result.mismatches == 0, str(result)
    assert not result.not_compared
    assert graph.time_steps == time_steps


@pytest.mark.parametrize("name", SNNTORCH)
def test_snntorch_s_tutorials_go(name: str, tmp_path: Path) -> None:
    assert_goes(*SNNTORCH[name], 10, tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", SPIKINGJELLY)
def test_spikingjelly_s_networks_go(name: str, tmp_path: Path) -> None:
    make, sample, options = SPIKINGJELLY[name]
    assert_goes(lambda: in_mode_m(make()) if "PLIF" in name else make(), sample, options, 4, tmp_path / "a.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_spikingjelly_s_resnets_go(name: str, tmp_path: Path) -> None:
    make, sample, options = LARGE[name]
    assert_goes(lambda: in_mode_m(make()), sample, options, 2, tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", [*SNNTORCH_REFUSED, *SPIKINGJELLY_REFUSED])
def test_what_does_not_go_is_refused_in_these_words(name: str) -> None:
    make, said = (SNNTORCH_REFUSED | SPIKINGJELLY_REFUSED)[name]
    torch.manual_seed(0)

    def to_integers() -> None:
        model = converted(make(), {}, 10)
        for module in model.modules():
            if isinstance(module, Linear):
                module.quantizer = Uniform(4)
        spikelet.lower(model.eval(), torch.zeros(2, 64, dtype=torch.uint8))

    with pytest.raises(SpikeletError, match=said):
        to_integers()
