"""A converted network says what its network says; with the barrier exactly, and its integers say what it says."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.conversion import IntegrateAndFire, Twin
from spikelet.neurons import QCFS, Levels
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear, MaxPool2d, Scale, evaluation_mode
from spikelet.nn.hooks import hooks
from spikelet.quant import Uniform
from spikelet.quant.grid import round_to_grid
from tests.conversion.networks import CNN, NETWORKS, SIZE, ViT, trained

every_network = pytest.mark.parametrize("name", NETWORKS)
ONE = {"scale": 1 / 256}  # the network is fed what the twin reads


@functools.cache
def network(name: str) -> tuple[nn.Module, Tensor]:
    return trained(NETWORKS[name])


@torch.no_grad()
def snapped(net: nn.Module) -> nn.Module:
    """A copy whose numbers are such that floats compute what integers do: weights of 6 bits after the point,
    thresholds and norms of powers of two, biases on a grid."""
    net, numbers = copy.deepcopy(net), np.random.default_rng(0)
    for module in net.modules():
        if isinstance(module, QCFS | Levels):
            (module.levels if isinstance(module, QCFS) else module).threshold.fill_(float(numbers.choice([0.5, 1, 2])))
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eps = 0.0
            module.running_mean.copy_((module.running_mean * 16).round() / 16)
            module.running_var.copy_(4.0 ** torch.randint(-1, 1, module.running_var.shape))
            module.weight.copy_(2.0 ** torch.randint(0, 2, module.weight.shape))
            module.bias.copy_((module.bias * 16).round() / 16)
        else:
            unit = 16 if getattr(module, "in_channels", 0) == 3 else 64  # what reads bytes has their 8 bits besides
            for parameter in module.parameters(recurse=False):
                parameter.copy_((parameter * unit).round().clamp(1 - unit, unit - 1) / unit)
    return net


def outputs(net: nn.Module, x: Tensor, wanted: Callable[[nn.Module], bool]) -> dict[str, Tensor]:
    """What the modules for which `wanted` holds give, by name, and the network's own output as ``."""
    made: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: made.update({name: output})

    handles = (m.register_forward_hook(keep(n)) for n, m in net.named_modules() if wanted(m))
    with hooks(handles), evaluation_mode(net), torch.no_grad():
        made[""] = net(x)
    return made


@pytest.mark.parametrize("levels", [2, 8, 16])
@pytest.mark.parametrize("make", [CNN, functools.partial(ViT, token=False)], ids=["cnn", "vit"])
def test_the_barrier_is_the_network_bit_for_bit(make: Callable[..., nn.Module], levels: int):
    """Every activation and logit, of PyTorch's floats, of the twin and of its integers, on numbers that floats hold."""
    net, x = trained(make, levels=levels)
    net = snapped(net)
    twin = spikelet.convert(net, x, time_steps=levels, **ONE)
    theirs = outputs(net, x / 256, lambda m: type(m) in (QCFS, Levels))
    ours = outputs(twin, x, lambda m: type(m) is Levels)
    compared = 0
    for name, count in ours.items():
        if name:
            layer = net.get_submodule(name.removeprefix("net."))
            theta = layer.theta.detach() if isinstance(layer, QCFS) else 1.0
            assert torch.equal(count * theta, theirs[name.removeprefix("net.")]), name
            compared += count.numel()
    assert compared > 30_000
    assert torch.equal(ours[""][0], round_to_grid(theirs[""]))  # a mean of finer counts is rounded before the bias
    report = spikelet.verify(spikelet.lower(twin, x), twin, [(x, torch.zeros(24, dtype=torch.long))])
    assert report.mismatches == 0
    assert report.spikes == compared


@every_network
@pytest.mark.parametrize(("schedule", "steps"), [("barrier", 8), ("barrier", 2), ("stream", 6)])
def test_integers_say_what_the_twin_says(name: str, schedule: Any, steps: int):
    net, x = network(name)
    twin = spikelet.convert(net, x, time_steps=steps, schedule=schedule, mean=0.5, std=0.25)
    graph = spikelet.lower(twin, x)
    assert graph.time_steps == (1 if schedule == "barrier" else steps)
    report = spikelet.verify(graph, twin, [(x, torch.arange(24) % 5)], spikelet.Program)
    assert report.mismatches == 0
    assert report.not_compared == ()
    assert report.spikes > 0
    assert report.float_accuracy == report.integer_accuracy


@every_network
def test_a_stream_s_integers_are_pytorch_s_after_every_step(name: str):
    net, x = network(name)
    twin = spikelet.convert(net, x, time_steps=5, schedule="stream", mean=0.5, std=0.25)
    report = spikelet.verify(spikelet.lower(twin.every_step(), x), twin.every_step(), [(x, torch.arange(24) % 5)])
    assert report.mismatches == 0
    program = spikelet.Program(spikelet.lower(twin, x))
    with torch.no_grad(), evaluation_mode(twin):
        sums = twin(x).cumsum(0)
    stream = program.stream()
    state = stream.start(len(x))
    for t in range(5):
        logits, state = stream(x.numpy()[None], state)
        whole = (sums[t].double() / program.graph.outputs[0].scale / 5).round()  # the graph's output is the mean
        assert np.array_equal(logits, whole.numpy())


@every_network
def test_with_float_weights_the_barrier_is_the_network_up_to_the_grid(name: str):
    """Its counts are the activations', but where a current lies within the grid's rounding of a threshold."""
    net, x = network(name)
    twin = spikelet.convert(net, x, time_steps=8, weight_bits=32, mean=0.5, std=0.25)
    with torch.no_grad(), evaluation_mode(twin), evaluation_mode(net):
        logits, theirs = twin(x)[0], net((x / 255 - 0.5) / 0.25)
    assert (logits - theirs).abs().mean() < 0.03 * theirs.std()


@pytest.mark.parametrize("name", ["cnn", "resnet", "vit"])
def test_the_stream_tends_to_as_many_levels_as_it_has_steps(name: str):
    """The mean output of a stream's neurons tends to the clipped input, which the barrier rounds to T levels."""
    net, x = network(name)
    options: dict[str, Any] = {"weight_bits": 32, "mean": 0.5, "std": 0.25}
    finest = spikelet.convert(net, x, time_steps=128, **options)
    gaps = []
    for steps in (4, 32, 128):
        twin = spikelet.convert(net, x, time_steps=steps, schedule="stream", **options)
        with torch.no_grad(), evaluation_mode(twin), evaluation_mode(finest):
            gaps.append(float((twin(x).mean(0) - finest(x)[0]).abs().mean()))
    assert gaps[1] < 0.5 * gaps[0]
    assert gaps[2] < 0.5 * gaps[1]


def test_a_stream_s_neurons_lose_nothing():
    """v(T) - v(0) = sum of inputs - theta * number of spikes."""
    theta, steps = 1.25, 50
    neuron = IntegrateAndFire(steps, theta).eval()
    z = torch.randint(-4096, 3 * 4096, (steps, 7, 5), generator=torch.Generator().manual_seed(0)) / 4096
    trace = neuron.trace(z)
    given = neuron.current(z).sum(0) - trace.spikes.sum(0)
    assert torch.equal(trace.membrane[-1] - 0.5, given)
    assert ((theta * given - (z.sum(0) - theta * trace.spikes.sum(0))).abs() < theta * steps * 2**-12).all()
    assert 0 < trace.spikes.mean() < 1


def test_the_barrier_is_integrate_and_fire_that_waits():
    """T steps of input, whose sum is T z, and then one spike for each theta: a literal simulation, by rows."""
    levels, theta = 16, 1.5
    z = torch.linspace(-0.5, 2.5, 3001).mul(4096).round() / 4096
    membrane = torch.full_like(z, theta / 2).double()
    for t in range(levels):
        membrane += z * (2 if t % 2 else 0)  # the same sum, unevenly
    count = torch.zeros_like(z)
    for _ in range(levels):
        fires = membrane >= theta
        membrane[fires] -= theta
        count += fires
    made = Levels(levels, theta).eval()(z) * levels
    ties = ((z * levels / theta + 0.5).double() % 1 < 2**-6) | ((z * levels / theta + 0.5).double() % 1 > 1 - 2**-6)
    assert torch.equal(made[~ties], count[~ties])  # 1 / theta of 15 bits moves what lies on a threshold
    assert (made - count).abs().max() <= 1


# --- what is fed --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image",
    [{}, {"scale": 1.0}, {"std": 0.25}, {"mean": 0.5, "std": 0.25}, {"mean": (0.1, 0.5, 0.9), "std": (0.2, 0.3, 0.4)}],
)
@pytest.mark.parametrize("name", ["cnn", "vit"])
def test_the_network_s_own_scaling_of_images_is_in_the_weights(name: str, image: dict[str, Any]):
    net, x = network(name)
    twin = spikelet.convert(net, x, time_steps=8, weight_bits=32, **image)
    mean, std = (torch.tensor(image.get(k, d)).view(-1, 1, 1) for k, d in (("mean", 0.0), ("std", 1.0)))
    with torch.no_grad(), evaluation_mode(twin), evaluation_mode(net):
        theirs = net((x * image.get("scale", 1 / 255) - mean) / std)
        assert (twin(x)[0] - theirs).abs().mean() < 0.05 * theirs.std() + 0.02
    assert not any(m is not None for m in [twin.image])


class Standardized(nn.Module):
    """A network that does more with its image than to convolve it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.fc = nn.Conv2d(3, 4, 1), QCFS(8, 1.0), nn.Linear(4 * SIZE * SIZE, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.act(self.conv(x) + x.sum(1, keepdim=True)).flatten(1))


def test_an_image_with_a_mean_that_other_code_uses_is_scaled_itself():
    torch.manual_seed(0)
    net, x = Standardized().eval(), torch.randint(0, 256, (6, 3, SIZE, SIZE), dtype=torch.uint8)
    twin = spikelet.convert(net, x, time_steps=8, mean=0.5, std=0.25)
    assert twin.image is not None
    report = spikelet.verify(spikelet.lower(twin, x), twin, [(x, torch.zeros(6, dtype=torch.long))])
    assert report.mismatches == 0
    full = spikelet.convert(net, x, time_steps=8, weight_bits=32, mean=0.5, std=0.25)
    with torch.no_grad():
        assert (full(x)[0] - net((x / 255 - 0.5) / 0.25)).abs().mean() < 0.01


class Weighed(nn.Module):
    """A network of torch's layers with one of ours, which takes values as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.fc = nn.Conv2d(3, 4, 1), QCFS(8, 1.5), nn.Linear(4 * SIZE * SIZE, 5)
        self.scale, self.last = Scale(0.7), QCFS(8, 0.9)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.last(self.scale(self.act(self.conv(x)))).flatten(1))


@pytest.mark.parametrize("schedule", ["barrier", "stream"])
def test_what_takes_values_as_they_are_gets_them(schedule: Any):
    torch.manual_seed(0)
    net, x = Weighed().eval(), torch.randint(0, 256, (6, 3, SIZE, SIZE), dtype=torch.uint8)
    twin = spikelet.convert(net, x, time_steps=8, schedule=schedule, weight_bits=32)
    with torch.no_grad():
        theirs = net(x / 255)
        assert (twin(x).mean(0) - theirs).abs().mean() < (0.01 if schedule == "barrier" else 0.2) * theirs.std()
    lowered = spikelet.convert(net, x, time_steps=8, schedule=schedule)
    report = spikelet.verify(spikelet.lower(lowered, x), lowered, [(x, torch.zeros(6, dtype=torch.long))])
    assert report.mismatches == 0


# --- networks of spikelet's layers ----------------------------------------------------------------------


class Ours(nn.Module):
    """A network of spikelet's layers, time first, with the product of two activations."""

    def __init__(self, activation: type[Levels] | type[QCFS]) -> None:
        super().__init__()
        self.encode, self.conv, self.norm = Encode(), Conv2d(3, 8, 3, Uniform(4)), BatchNorm2d(8)
        self.pool = MaxPool2d(2)
        self.act, self.q, self.k, self.score = activation(8, 1.5), Levels(8, 0.8), Levels(8, 1.2), activation(8, 0.5)
        self.to_q, self.to_k = (Conv2d(8, 8, 1, Uniform(4), bias=True) for _ in range(2))
        self.fc = Linear(64, 5, Uniform(8, per_channel=False), bias=True)

    def forward(self, x: Tensor) -> Tensor:
        s = self.pool(self.act(self.norm(self.conv(self.encode(x)))))
        q, k = self.q(self.to_q(s)).flatten(3), self.k(self.to_k(s)).flatten(3)
        return self.fc(self.score(q @ k.transpose(-2, -1) / 32).flatten(2))


@pytest.mark.parametrize("activation", [Levels, QCFS])
def test_networks_of_our_layers_keep_their_layers(activation: type):
    torch.manual_seed(0)
    net, x = Ours(activation), torch.randint(0, 256, (9, 3, SIZE, SIZE), dtype=torch.uint8)
    net(x).sum().backward()
    net.eval()
    twin = spikelet.convert(net, x, time_steps=8)
    with torch.no_grad():
        assert torch.equal(twin(x), net(x))
    for schedule, steps in (("barrier", 4), ("stream", 4)):
        other = spikelet.convert(net, x, time_steps=steps, schedule=schedule)  # type: ignore[arg-type]
        assert other(x).shape == (1 if schedule == "barrier" else 4, 9, 5)
        report = spikelet.verify(spikelet.lower(other, x), other, [(x, torch.zeros(9, dtype=torch.long))])
        assert report.mismatches == 0


# --- the model stays as it is ---------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["barrier", "stream"])
def test_the_model_is_left_alone_and_the_twin_is_its_own(schedule: Any):
    net, x = trained(CNN)
    net.features[3].train()  # modes of their own
    before, modes = copy.deepcopy(net.state_dict()), [m.training for m in net.modules()]
    twin = spikelet.convert(net, x, time_steps=4, schedule=schedule)
    assert isinstance(twin, Twin)
    with torch.no_grad():
        for tensor in (*twin.parameters(), *twin.buffers()):
            if tensor.is_floating_point():
                tensor.add_(1.0)
    assert [m.training for m in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_a_twin_can_be_trained_on_and_copied():
    net, x = trained(CNN)
    for schedule in ("barrier", "stream"):
        twin = spikelet.convert(net, x, time_steps=4, schedule=schedule).train()  # type: ignore[arg-type]
        twin(x).mean(0).sum().backward()
        assert all(p.grad is not None for p in twin.parameters() if p.requires_grad)
        twin.eval()
        again = copy.deepcopy(twin)
        assert torch.equal(again(x), twin(x))


@pytest.mark.parametrize("schedule", ["barrier", "stream"])
@pytest.mark.parametrize(
    "between",
    [
        lambda x: (x * torch.full((1, 1, 1, 1, 1), 0.3))[0],  # it makes a tensor of more axes
        lambda x: torch.nn.functional.pad(x, (1, 0), value=0.75)[..., :-1],
        lambda x: torch.nn.functional.pad(x, (1, 0), "constant", 0.75)[..., :-1],
    ],
    ids=["more axes", "pad", "pad by place"],
)
@torch.no_grad()
def test_constants_keep_their_worth(between: Callable[[Tensor], Tensor], schedule: Any):
    """A constant that meets counts of a threshold is worth in the twin what it is worth in the network."""

    class Between(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.act, self.fc = nn.Conv2d(3, 4, 1), QCFS(128, 0.3), nn.Linear(256, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(between(self.act(self.conv(x))).flatten(1))

    torch.manual_seed(0)
    net, x = Between().eval(), torch.randint(0, 256, (2, 3, SIZE, SIZE), dtype=torch.uint8)
    twin = spikelet.convert(net, x, time_steps=128, schedule=schedule, weight_bits=32, **ONE)
    assert torch.allclose(twin(x).mean(0), net(x / 256), atol=5e-3)
