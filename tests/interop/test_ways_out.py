"""What a refusal says to do works: the same network goes, done so, and its integers are exact."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import ConversionError
from spikelet.nn import Conv2d, Linear
from spikelet.quant import Uniform

pytest.importorskip("snntorch", reason="needs snnTorch")
pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
from snntorch import spikegen
from spikingjelly.activation_based import encoding, layer

from tests.interop.networks.network import Code
from tests.interop.networks.tutorials import leaky
from tests.interop.networks.without_grids import converted
from tests.interop.networks.written import T, answers, lif

FRAMES: dict[str, Any] = {"time_axis": 0, "scale": 1 / 255}


def two_inputs(net: Any, x: Tensor, y: Tensor) -> Tensor:
    """A layer for each of two images."""
    mem, out = net.lif.init_leaky(), []
    for _ in range(T):
        spikes, mem = net.lif(net.fc1(x.flatten(1)) + net.fc2(y.flatten(1)), mem)
        out.append(net.classes(spikes))
    return torch.stack(out)


class OneStep(Code):
    """Its states come from outside."""

    def forward(self, x: Tensor, mem: Tensor) -> Any:  # type: ignore[override]
        return self.run(self, x, mem)  # type: ignore[call-arg]


def step(net: Any, x: Tensor, mem: Tensor) -> tuple[Tensor, Tensor]:
    """Class scores and the membrane of one step."""
    spikes, mem = net.lif(net.fc(x.flatten(1)), mem)
    return net.classes(spikes), mem


def around_one_step(net: Any, x: Tensor) -> Tensor:
    """The loop that its user writes."""
    mem, out = net.lif.init_leaky(), []
    for _ in range(T):
        scores, mem = net(x, mem)
        out.append(scores)
    return torch.stack(out)


class TwoInputs(Code):
    def forward(self, x: Tensor, y: Tensor) -> Any:  # type: ignore[override]
        return two_inputs(self, x, y)


def recorded(net: Any, x: Tensor) -> list[list[Tensor]]:
    """A list for each kind of answer."""
    spikes, membranes = zip(*answers(net, x), strict=True)
    return [list(membranes), list(spikes)]


def normalised(net: Any, x: Tensor) -> Tensor:
    """The image normalised by the network itself."""
    return torch.stack([spikes for spikes, _ in answers(net, (x - 0.5) / 0.25)])


def encoded(net: Any, x: Tensor) -> Tensor:
    """Bright pixels spike early."""
    spikes: Any = spikegen.latency(x, num_steps=T, normalize=True, linear=True)  # type: ignore[arg-type]
    return frame_by_frame(net, spikes)


def frame_by_frame(net: Any, x: Tensor) -> Tensor:
    """The same from the frames on."""
    mem, out = net.lif1.init_leaky(), []
    for frame in x:
        spikes, mem = net.lif1(net.fc1(frame.flatten(1)), mem)
        out.append(net.fc2(spikes))
    return torch.stack(out)


def of_all_layers(net: Any, x: Tensor) -> list[Tensor]:
    """Spikes of both layers."""
    mem, first, second = net.lif1.init_leaky(), [], []
    for _ in range(T):
        spikes, mem = net.lif1(net.fc1(x.flatten(1)), mem)
        first.append(spikes)
        second.append(net.fc2(spikes))
    return [torch.stack(first), torch.stack(second)]


def two_steps_a_frame(net: Any, x: Tensor) -> Tensor:
    """Every frame is shown twice."""
    return frame_by_frame(net, [frame for frame in x for _ in range(2)])  # type: ignore[arg-type]


def at_first(net: Any, x: Tensor) -> Tensor:
    """The image at the first step only."""
    mem, out = net.lif1.init_leaky(), []
    for t in range(T):
        spikes, mem = net.lif1(net.fc1((x if t == 0 else torch.zeros_like(x)).flatten(1)), mem)
        out.append(net.fc2(spikes))
    return torch.stack(out)


def inhibited(through: Any) -> nn.Module:
    """Neurons that inhibit themselves by half a spike."""

    def run(net: Any, x: Tensor) -> Tensor:
        mem, spikes, out = net.lif.init_leaky(), torch.zeros(len(x), 24), []
        for _ in range(T):
            spikes, mem = net.lif(net.fc(x.flatten(1)) + through(net, spikes), mem)
            out.append(net.classes(spikes))
        return torch.stack(out)

    net = Code(
        run, fc=nn.Linear(192, 24), back=nn.Linear(24, 24, bias=False), lif=leaky(), classes=nn.Linear(24, 10)
    )  # fmt: skip
    net.back.weight.data = -0.5 * torch.eye(24)  # type: ignore[union-attr]
    return net


def dense(run: Any) -> nn.Module:
    return Code(run, fc1=nn.Linear(192, 24), lif1=leaky(), fc2=nn.Linear(24, 10), lif2=leaky())


def drawn(encoder: nn.Module) -> nn.Module:
    return Code(
        lambda net, x: sum(net.layers(net.encoder(x)) for _ in range(T)), encoder=encoder,
        layers=nn.Sequential(layer.Flatten(), layer.Linear(192, 10), lif()),
    )  # fmt: skip


def without_encoder() -> nn.Module:
    net = drawn(encoding.PoissonEncoder())
    net.encoder = nn.Identity()
    return net


@dataclasses.dataclass(frozen=True)
class Way:
    """A network, the words that refuse it, and what goes: the network changed, with options of the conversion."""

    refused: Callable[[], nn.Module]
    words: str
    goes: Callable[[], nn.Module]
    options: dict[str, Any]


def two() -> nn.Module:
    return TwoInputs(None, fc1=nn.Linear(64, 24), fc2=nn.Linear(128, 24), lif=leaky(), classes=nn.Linear(24, 10))  # type: ignore[arg-type]


def one_step() -> nn.Module:
    return OneStep(step, fc=nn.Linear(192, 24), lif=leaky(), classes=nn.Linear(24, 10))  # type: ignore[arg-type]


WAYS = {
    "two inputs": Way(
        two, r"TwoInputs's forward takes 2 inputs \(x, y\).* lambda net, x: net\(x\[:, :2\], x\[:, 2:\]\)", two,
        {"forward": lambda net, x: net(x[:, :1], x[:, 1:])},
    ),
    "states from outside": Way(
        one_step, r"OneStep's forward takes 2 inputs \(x, mem\).* states of one step by the loop", one_step,
        {"forward": around_one_step},
    ),
    "a list of lists": Way(
        lambda: dense(recorded), r"got list of list of \w+\. .* forward=lambda net, x: net\(x\)\[1\]",
        lambda: dense(recorded), {"forward": lambda net, x: net(x)[1]},
    ),
    "normalised inside": Way(
        lambda: dense(normalised), r"uses the image in .*'sub'.* Pass first=\(\)", lambda: dense(normalised),
        {"first": ()},
    ),
    "encoded inside": Way(
        lambda: dense(encoded), r"uses the image in .* made outside, and fed as frames: time_axis=0",
        lambda: dense(encoded), {"forward": frame_by_frame, **FRAMES},
    ),
    "a Poisson encoder": Way(
        lambda: drawn(encoding.PoissonEncoder()), r"encoder: PoissonEncoder .* Put nn\.Identity\(\) in its place",
        without_encoder, {"forward": lambda net, x: net.layers(x), **FRAMES},
    ),
    "spikes of all layers": Way(
        lambda: dense(of_all_layers), r"of several shapes.* such as the last: forward=lambda net, x: net\(x\)\[-1\]",
        lambda: dense(of_all_layers), {"forward": lambda net, x: net(x)[-1]},
    ),
    "own spikes through no layer": Way(
        lambda: inhibited(lambda net, s: -0.5 * s), r"through no layer\. Put one between, .*data = -0\.5 \* torch\.eye",
        lambda: inhibited(lambda net, s: net.back(s)), {},
    ),
    "the image at first": Way(
        lambda: dense(at_first), r"net\.lif1: reads another image at step 1 .* Feed frames, .* forward=",
        lambda: dense(at_first), {"forward": frame_by_frame, **FRAMES},
    ),
    "a compiled network": Way(
        lambda: torch.compile(dense(frame_by_frame)),  # type: ignore[return-value]
        r"OptimizedModule .* Convert the network that was compiled: net\._orig_mod",
        lambda: torch.compile(dense(frame_by_frame))._orig_mod, FRAMES,  # type: ignore[attr-defined]
    ),
}  # fmt: skip


def bytes_for(options: dict[str, Any]) -> Tensor:
    if "time_axis" in options:
        return 255 * torch.randint(0, 2, (T, 2, 3, 8, 8), dtype=torch.uint8)
    return torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")  # by what torch.compile imports
@pytest.mark.parametrize("name", WAYS)
def test_it_is_refused_in_these_words(name: str) -> None:
    with pytest.raises(ConversionError, match=WAYS[name].words):
        converted(WAYS[name].refused(), {}, T)(bytes_for({}))


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")  # by what torch.compile imports
@pytest.mark.parametrize("name", WAYS)
def test_the_way_out_goes(name: str) -> None:
    torch.manual_seed(0)
    way, x = WAYS[name], bytes_for(WAYS[name].options)
    model = converted(way.goes(), way.options, T).eval()
    model(x)
    for module in model.modules():
        if isinstance(module, Conv2d | Linear):
            module.quantizer = Uniform(4)
    graph = spikelet.lower(model, x, time_axis=model.time_axis)
    result = spikelet.verify(graph, model, [(x, torch.tensor([0, 1]))], spikelet.Program, time_axis=model.time_axis)
    assert result.mismatches == 0, str(result)
    assert any(spikes.any() for spikes in spikelet.Program(graph).spikes(x.numpy()).values())


def test_frames_that_a_loop_shows_twice_are_fed_twice() -> None:
    torch.manual_seed(0)
    net, x = dense(two_steps_a_frame), bytes_for(FRAMES)
    with pytest.raises(
        ConversionError, match=r"again at step 1, .*x\.repeat_interleave\(2, 0\) for two, .* forward=\."
    ):
        converted(net, FRAMES, T)(x)
    model = converted(net, {"forward": frame_by_frame, **FRAMES}, 2 * T).eval()
    assert torch.allclose(model(x.repeat_interleave(2, 0)).sum(0), net(x / 255).sum(0), atol=1e-2)
