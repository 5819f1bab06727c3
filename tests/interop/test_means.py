"""A mean over 49 positions or 10 steps before weights is a sum, and the rest stands in the weights: exactly."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import LoweringError
from spikelet.interop.converted import Converted
from spikelet.interop.means import mean_of
from spikelet.nn import Conv2d, Linear
from spikelet.quant import Uniform
from spikelet.train import Phase
from spikelet.train.phases import set_phase

pytest.importorskip("snntorch", reason="needs snnTorch")
import snntorch as snn

T = 5
Run = Callable[[Any, Tensor], Tensor]


class Net(nn.Module):
    """A neuron layer, and `run` from its spikes [B, 3, 6, 6] a step, or [T, B, 3, 6, 6], to the output."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.conv, self.lif = nn.Conv2d(1, 3, 3, padding=1), snn.Leaky(beta=0.5, threshold=0.25, init_hidden=True)
        self.pool, self.fc, self.wide = nn.AdaptiveAvgPool2d(1), nn.Linear(3, 4), nn.Linear(108, 4)
        self.next, self.two = nn.Conv2d(3, 3, 1), snn.Leaky(beta=0.5, threshold=0.25, init_hidden=True)
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, self.lif(self.conv(x)))


EXACT: dict[str, tuple[Run, dict[str, float]]] = {
    "adaptive pool, fc with bias": (lambda n, s: n.fc(n.pool(s).flatten(-3)), {"fc": 64 / 36}),
    "mean over the map": (lambda n, s: n.fc(s.mean((-2, -1))), {"fc": 64 / 36}),
    "time before a layer": (lambda n, s: n.wide(s.mean(0).flatten(-3)), {"wide": 8 / 5}),
    "a sum over T": (lambda n, s: n.wide((s.sum(0) / T).flatten(-3)), {"wide": 8 / 5}),
    "both": (lambda n, s: n.fc(s.mean((-2, -1)).mean(0)), {"fc": 64 / 36 * 8 / 5}),
    "a convolution, then a neuron": (
        lambda n, s: n.two(n.next(s.mean((-2, -1), keepdim=True))).flatten(-3),
        {"next": 64 / 36},
    ),
    "windows of 3 x 3": (
        lambda n, s: n.two(n.next(F.avg_pool2d(s.flatten(0, 1), 3).unflatten(0, s.shape[:2]))).flatten(-3),
        {"next": 16 / 9},
    ),
}
LEFT: dict[str, Run] = {
    "the last operation": lambda n, s: s.mean((-2, -1)),
    "a power of two": lambda n, s: n.fc(s[..., :4, :4].mean((-2, -1))),
    "a neuron": lambda n, s: n.two(s.mean((-2, -1), keepdim=True)).flatten(-3),
    "weights and a sum": lambda n, s: (lambda m: n.fc(m)[..., :3] + m)(s.mean((-2, -1))),
    "a branch on a number": lambda n, s: n.fc(s.mean((-2, -1)) if s.max() > 0 else s[..., 0, 0]),
    "a layer that reads spikes too": lambda n, s: n.fc(s.mean((-2, -1))) + n.fc(s[..., 0, 0]),
}  # fmt: skip


def converted(run: Run) -> tuple[Net, Converted]:
    torch.manual_seed(0)
    net = Net(run).eval()
    return net, spikelet.from_snntorch(net, time_steps=T, scale=1.0)


def images(batch: int = 6) -> Tensor:
    return torch.randint(0, 3, (batch, 1, 6, 6), dtype=torch.uint8)


def lowered_exactly(model: Converted, x: Tensor) -> bool:
    for m in model.modules():
        if isinstance(m, Conv2d | Linear):
            m.quantizer = Uniform(8, per_channel=False)
    labels = torch.zeros(len(x), dtype=torch.long)
    graph = spikelet.lower(model, x)
    result = spikelet.verify(graph, model, [(x, labels)], spikelet.Program)
    assert result.mismatches == 0, str(result)
    return result.spikes > 0


@pytest.mark.parametrize("name", EXACT)
def test_the_weights_take_the_rest_and_the_answer_stays(name: str) -> None:
    run, factors = EXACT[name]
    net, model = converted(run)
    before = {n: p.clone() for n, p in model.named_parameters()}
    plain = copy.deepcopy(model)
    plain.means = {}
    spikes: list[Tensor] = []
    model.net.lif.register_forward_hook(lambda m, args, s: spikes.append(s))
    made = model(images())
    assert model.factors == pytest.approx(factors)
    for n, p in model.named_parameters():
        factor = factors.get(n.removeprefix("net.").removesuffix(".weight"), 1.0) if n.endswith("weight") else 1.0
        assert torch.allclose(p, before[n] * factor), n
    if "neuron" not in name and "windows" not in name:
        assert torch.allclose(made, run(net, spikes[-1]), atol=1e-3)
    assert lowered_exactly(model, images())


@pytest.mark.parametrize("name", LEFT)
def test_what_cannot_be_taken_so_stays_as_it_is(name: str) -> None:
    _, model = converted(LEFT[name])
    model(images())
    assert model.means == model.factors == {}
    if name in ("the last operation", "a power of two"):
        assert lowered_exactly(model, images())
    elif name == "a neuron":
        with pytest.raises(
            LoweringError, match=r"net\.two\.grid: reads a mean over a number of values that is no power of two"
        ):
            lowered_exactly(model, images())


def test_weights_that_are_loaded_have_the_factors_once() -> None:
    run, _ = EXACT["adaptive pool, fc with bias"]
    x = images()
    _, fresh = converted(run)
    before = copy.deepcopy(fresh.state_dict())
    _, used = converted(run)
    expected, after = used(x), copy.deepcopy(used.state_dict())
    old = {key: value for key, value in before.items() if key != "folded"}
    for state in (before, after, old):
        for model in (converted(run)[1], used):
            model.load_state_dict(state)
            assert torch.equal(model(x), expected)
            assert torch.equal(model(x), expected)


def test_another_size_and_one_pass_training_get_the_same_mean() -> None:
    net, model = converted(EXACT["mean over the map"][0])
    model(images())
    larger = torch.randint(0, 3, (4, 1, 8, 8), dtype=torch.uint8)
    spikes: list[Tensor] = []
    model.net.lif.register_forward_hook(lambda m, args, s: spikes.append(s))
    assert torch.allclose(model(larger), net.fc(spikes[-1].mean((-2, -1))), atol=1e-3)
    net, model = converted(EXACT["time before a layer"][0])
    model(images())
    set_phase(model.train(), Phase(1, T, one_pass=True))
    rates: list[Tensor] = []
    model.net.lif.register_forward_hook(lambda m, args, s: rates.append(s))
    made = model(images())
    assert len(rates[-1]) == 1
    assert torch.allclose(made, net.wide(rates[-1].mean(0).flatten(-3)), atol=1e-3)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((3, 2, 1), {}), ((3,), {"padding": 1, "stride": 2}), ((3, 2, 1, False, True), {}),
        ((), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ],
)  # fmt: skip
def test_a_pool_is_the_same_by_whatever_names_its_arguments_are_given(args: Any, kwargs: Any) -> None:
    mean = mean_of(F.avg_pool2d, (torch.zeros(1, 1, 9, 9), *args), kwargs)
    assert mean is not None
    assert (mean.kind, mean.n) == (("avg_pool2d", "(3, 2, 1)"), 9)


@pytest.mark.parametrize("kwargs", [{"divisor_override": 16}, {"ceil_mode": True}, {"count_include_pad": False}])
def test_a_pool_that_takes_no_mean_of_its_window_is_left_alone(kwargs: Any) -> None:
    assert mean_of(F.avg_pool2d, (torch.zeros(1, 1, 9, 9), 3), kwargs) is None
