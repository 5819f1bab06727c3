"""A network's own loop over time, converted as it stands: what it gave, or refused by name; and one graph over T."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import spikelet
from spikelet.compression import Prune, Quantize
from spikelet.data import DataSplits, Samples
from spikelet.graph import ir
from spikelet.interop import ConversionError
from spikelet.interop.converted import Converted
from spikelet.neurons import LIF, Neuron, neurons_of
from spikelet.nn import Conv2d, Linear
from spikelet.nn.hooks import hooks
from spikelet.quant import Uniform
from spikelet.train import Phase
from spikelet.train.phases import set_phase

pytest.importorskip("snntorch", reason="needs snnTorch")
import snntorch as snn

T = 4


class Net(nn.Module):
    """Layers for `run`, which is the forward; all constants on the grids, so that spikes are the same."""

    def __init__(self, run: Callable[[Any, Tensor], Any], hidden: bool = False) -> None:
        super().__init__()
        self.run = run
        self.conv, self.next = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.fc = nn.Linear(4 * 16, 5)
        thresholds = (0.5, 0.25, 0.25)
        self.one, self.two, self.out = (
            snn.Leaky(beta=0.5, threshold=v, init_hidden=hidden, reset_mechanism="zero") for v in thresholds
        )
        if run is not tutorial:
            del self.out
        for p in self.parameters():
            if p.dim():
                p.data = (p.data * 64).round() / 64

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


def tutorial(net: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Membranes handed through, functions between the layers, spikes and membranes stacked."""
    mem1, mem2, mem3 = net.one.init_leaky(), net.two.init_leaky(), net.out.init_leaky()
    spikes, membranes = [], []
    for _ in range(T):
        spk1, mem1 = net.one(F.max_pool2d(net.conv(x), 2), mem1)
        spk2, mem2 = net.two(net.next(spk1), mem2)
        spk3, mem3 = net.out(net.fc(spk2.view(x.size(0), -1)), mem3)
        spikes.append(spk3)
        membranes.append(mem3)
    return torch.stack(spikes, dim=0), torch.stack(membranes, dim=0)


def layer_by_layer(net: Any, x: Tensor) -> Tensor:
    """A loop a layer, and a residual sum."""
    current, mem1, mem2 = F.avg_pool2d(net.conv(x), 2), None, torch.zeros(1)
    first = []
    for _ in range(T):
        spikes, mem1 = net.one(current, mem1)
        first.append(spikes)
    out = []
    for step in range(T):
        spikes, mem2 = net.two(net.next(first[step]) + first[step], mem2)
        out.append(net.fc(spikes.flatten(1)))
    return torch.stack(out).mean(0)


def summed(net: Any, x: Tensor) -> Tensor:
    """Answers added up in the loop, hidden membranes."""
    total = 0
    for _ in range(T):
        total = total + net.fc(net.two(net.next(net.one(F.max_pool2d(net.conv(x), 2)))).flatten(1))
    return total / T


def added_in_place(net: Any, x: Tensor) -> Tensor:
    """The same into a tensor that was made before the loop, behind a product of spikes."""
    total = torch.zeros(x.shape[0], 5)
    for _ in range(T):
        spk = net.one(F.max_pool2d(net.conv(x), 2))
        total += net.fc((spk * net.two(net.next(spk))).reshape(len(x), -1))
    return total


def added_to_the_first(net: Any, x: Tensor) -> Tensor:
    """The first answer, to which the others are added in place; the current is made before the loop."""

    def step(current: Tensor) -> Tensor:
        return net.fc(net.two(net.next(net.one(current))).flatten(1))

    current = F.max_pool2d(net.conv(x), 2)
    total = step(current)
    for _ in range(1, T):
        total += step(current)
    return total / T


def two_sums(net: Any, x: Tensor) -> Tensor:
    """Two sums in tensors that are made alike."""
    first, second = x.new_zeros(len(x), 4, 4, 4), x.new_zeros(len(x), 4, 4, 4)
    for _ in range(T):
        spikes = net.one(F.max_pool2d(net.conv(x), 2))
        first += spikes
        second += net.two(net.next(spikes))
    return net.fc((first / 4 - second / 4).flatten(1))


def written_through_a_view(net: Any, x: Tensor) -> Tensor:
    """Spikes that are written through views of them, and read again."""
    total = torch.zeros(len(x), 5)
    for _ in range(T):
        spikes = net.two(net.next(net.one(F.max_pool2d(net.conv(x), 2))))
        flat = spikes.flatten(1)
        flat += 1
        spikes[:, :2].zero_()
        total = total + net.fc(spikes.flatten(1))
    return total


def last_step(net: Any, x: Tensor) -> Tensor:
    """The last step's answer alone, its layer behind the loop."""
    spikes = [net.two(net.next(net.one(F.max_pool2d(net.conv(x), 2)))) for _ in range(T)]
    return net.fc(spikes[-1].flatten(1))


def joined(net: Any, x: Tensor) -> Tensor:
    """Channels cut and joined, doubled by interpolation and pooled again, a list of steps given back."""
    out = []
    for _ in range(T):
        a, b = net.one(F.max_pool2d(net.conv(x), 2)).chunk(2, dim=1)
        spikes = F.max_pool2d(F.interpolate(torch.cat([b, a], dim=1), scale_factor=2), 2)
        out.append(net.fc(net.two(net.next(spikes)).flatten(1)))
    return out  # type: ignore[return-value]


def over_frames(net: Any, x: Tensor) -> Tensor:
    """Frames [T, B, ...], each taken by its number."""
    first = [net.one(F.max_pool2d(net.conv(x[step]), 2)) for step in range(x.size(0))]
    return torch.stack([net.fc(net.two(net.next(spikes)).flatten(1)) for spikes in first])


def over_batch_first_frames(net: Any, x: Tensor) -> Tensor:
    """Frames [B, T, ...]."""
    return over_frames(net, x.transpose(0, 1)).transpose(0, 1)


def one_step(net: Any, x: Tensor) -> Tensor:
    """The body of a loop that stands outside."""
    return net.fc(net.two(net.next(net.one(F.max_pool2d(net.conv(x), 2)))).view(x.shape[0], -1))


WRITING = (two_sums, written_through_a_view)
HIDDEN = (summed, added_in_place, added_to_the_first, last_step, joined, over_frames, over_batch_first_frames, one_step)
CASES = {f.__name__: f for f in (tutorial, layer_by_layer, *HIDDEN)}
AXES = {over_frames: 0, over_batch_first_frames: 1}
every_case = pytest.mark.parametrize("run", CASES.values(), ids=list(CASES))


def converted(run: Callable[[Any, Tensor], Any], **options: Any) -> tuple[Net, Converted]:
    torch.manual_seed(0)
    net = Net(run, hidden=run in HIDDEN + WRITING).eval()
    options = {"scale": 1.0, "time_axis": AXES.get(run), **options}
    return net, spikelet.from_snntorch(net, time_steps=T, **options)


def counts(run: Callable[[Any, Tensor], Any], batch: int) -> Tensor:
    shape = {None: (batch,), 0: (T, batch), 1: (batch, T)}[AXES.get(run)]
    return torch.randint(0, 3, (*shape, 2, 8, 8), dtype=torch.uint8)


def theirs(net: nn.Module, x: Tensor, repeat: bool) -> Tensor:
    for m in net.modules():
        if isinstance(m, snn.Leaky):
            m.mem = torch.zeros(0)
    made: Any = torch.stack([net(x.float()) for _ in range(T)]) if repeat else net(x.float())
    made = made[0] if isinstance(made, tuple) else made
    return torch.stack(made) if isinstance(made, list) else made


@every_case
@pytest.mark.parametrize("batch", [1, T, 6])
def test_it_gives_what_it_gave(run: Callable[[Any, Tensor], Any], batch: int) -> None:
    net, model = converted(run)
    x = counts(run, batch)
    expected = theirs(net, x, repeat=run is one_step)
    assert expected.abs().sum() > 0
    assert torch.equal(model(x), expected)
    model.train()(x).sum().backward()
    assert torch.equal(model.eval()(x), expected), "nothing is kept between two calls"


@pytest.mark.parametrize("run", WRITING, ids=[f.__name__ for f in WRITING])
@torch.no_grad()
def test_tensors_that_are_written_into_hold_what_they_held(run: Callable[[Any, Tensor], Any]) -> None:
    net, model = converted(run)
    x = counts(run, 3)
    expected = theirs(net, x, repeat=False)
    assert expected.abs().sum() > 0
    assert torch.equal(model(x), expected)


def test_answers_added_to_the_first_train_in_one_pass() -> None:
    _, model = converted(added_to_the_first)
    model(counts(added_to_the_first, 2))
    set_phase(model.train(), Phase(1, T, one_pass=True))
    assert model(counts(added_to_the_first, 2)).shape == (2, 5)


@every_case
def test_every_layer_runs_once_for_all_steps(run: Callable[[Any, Tensor], Any]) -> None:
    _, model = converted(run)
    model(counts(run, 2))
    ran: list[str] = []
    kinds = (Neuron, Conv2d, Linear)
    layers = [(name, m) for name, m in model.named_modules() if isinstance(m, kinds)]
    with hooks(m.register_forward_hook(lambda *_, name=name: ran.append(name)) for name, m in layers):
        model(counts(run, 2))
    assert sorted(ran) == sorted(name for name, _ in layers)
    assert {type(m) for _, m in layers} == {LIF, Conv2d, Linear}, "outside of the run they are of their own classes"


@every_case
def test_it_lowers_to_one_graph_over_t(run: Callable[[Any, Tensor], Any]) -> None:
    _, model = converted(run)
    for m in model.modules():
        if isinstance(m, Conv2d | Linear):
            m.quantizer = Uniform(8, per_channel=False)
    x = counts(run, 5)
    graph = spikelet.lower(model, x, time_axis=model.time_axis)
    assert len(graph.of_type(ir.Lif)) == (3 if run is tutorial else 2)
    assert len(graph.of_type(ir.Conv)) == 2
    labels = torch.zeros(5, dtype=torch.long)
    for backend in (spikelet.Reference, spikelet.Program):
        result = spikelet.verify(graph, model, [(x, labels)], backend, time_axis=model.time_axis)
        assert result.mismatches == 0, str(result)
        assert not result.not_compared
    if run is not one_step:
        assert model.compare([(x, labels)], program=spikelet.Program(graph)).compared > 0


def test_it_trains_as_the_body_of_the_loop_does() -> None:
    def body(net: Any, x: Tensor) -> Tensor:
        s = net.one(F.max_pool2d(net.conv(x).flatten(0, 1), 2).unflatten(0, (1, -1)))[0]
        return net.out(net.fc(net.two(net.next(s))[0].flatten(2)))[0]

    net, looped = converted(tutorial)
    by_hand = spikelet.from_snntorch(net, time_steps=T, scale=1.0, forward=body)
    x, grads = counts(tutorial, 6), []
    for model in (looped.train(), by_hand.train()):
        model(x).square().sum().backward()
        grads.append({name: p.grad for name, p in model.named_parameters()})
    assert all(torch.allclose(grads[0][name], g, atol=1e-5) for name, g in grads[1].items())
    assert any(bool(g.any()) for g in grads[0].values())


@pytest.mark.filterwarnings("ignore::spikelet.base.errors.AccuracyWarning")
def test_it_can_be_pruned_compressed_and_profiled() -> None:
    _, model = converted(tutorial)
    x, y = counts(tutorial, 8), torch.arange(8) % 5
    samples = Samples(x, y, tuple("abcde"), "counts")
    data = DataSplits(samples, samples, samples)
    small = spikelet.compress(model, [Prune(0.5), Quantize(Uniform(4))], data).model
    assert sum(p.numel() for p in small.parameters()) < 0.7 * sum(p.numel() for p in model.parameters())
    graph = spikelet.lower(small, x)
    assert spikelet.verify(graph, small, [(x, y)]).mismatches == 0
    report = spikelet.profile(small, [x])
    assert {layer.name for layer in report.layers} >= set(neurons_of(small))


# --- refused ----------------------------------------------------------------------------------------------------------


def carried(net: Any, x: Tensor) -> Tensor:
    """Feedback that is more than a layer."""
    spikes, out = torch.zeros(len(x), 4, 4, 4), []
    for _ in range(T):
        spikes = net.one(F.max_pool2d(net.conv(x), 2) + F.relu(net.next(spikes)))
        out.append(net.fc(spikes.flatten(1)))
    return torch.stack(out)


def weighted(net: Any, x: Tensor) -> Tensor:
    """Another factor at each step."""
    return torch.stack([net.fc(net.one(F.max_pool2d(net.conv(x), 2) * (step + 1)).flatten(1)) for step in range(T)])


def longer(net: Any, x: Tensor) -> Tensor:
    return torch.stack([net.fc(net.one(F.max_pool2d(net.conv(x), 2)).flatten(1)) for _ in range(T + 2)])


def shorter(net: Any, x: Tensor) -> Tensor:
    return torch.stack([net.fc(net.one(F.max_pool2d(net.conv(x), 2)).flatten(1)) for _ in range(T - 1)])


def changed_membrane(net: Any, x: Tensor) -> Tensor:
    mem, out = None, []
    for _ in range(T):
        spikes, mem = net.one(F.max_pool2d(net.conv(x), 2), mem)
        mem = mem * 0.5
        out.append(net.fc(spikes.flatten(1)))
    return torch.stack(out)


def reset_half_way(net: Any, x: Tensor) -> Tensor:
    mem, out = net.one.reset_mem(), []
    for step in range(T):
        mem = net.one.reset_mem() if step == 2 else mem
        spikes, mem = net.one(F.max_pool2d(net.conv(x), 2), mem)
        out.append(net.fc(spikes.flatten(1)))
    return torch.stack(out)


def written_in_place(net: Any, x: Tensor) -> Tensor:
    out = []
    for _ in range(T):
        spikes = net.one(F.max_pool2d(net.conv(x), 2))
        x.mul_(2)
        out.append(net.fc(spikes.flatten(1)))
    return torch.stack(out)


def between(write: Callable[[Tensor], Any]) -> Callable[[Any, Tensor], Tensor]:
    """Currents that the code writes into between a layer and a neuron."""

    def run(net: Any, x: Tensor) -> Tensor:
        out = []
        for _ in range(T):
            current = net.next(net.one(F.max_pool2d(net.conv(x), 2)))
            write(current)
            out.append(net.fc(net.two(current).flatten(1)))
        return torch.stack(out)

    return run


WRITES: dict[str, Callable[[Tensor], Any]] = {
    "inplace": lambda c: F.relu(c, inplace=True),
    "inplace by position": lambda c: F.leaky_relu(c, 0.5, True),
    "out": lambda c: torch.mul(c, 0.5, out=c),
    "view": lambda c: c[:, :2].zero_(),
    "view of a view": lambda c: c.flatten(1)[:, 3:].mul_(2),
    "data": lambda c: c.data.mul_(2),
    "index": lambda c: c.__setitem__(0, 0.0),
    "list": lambda c: torch._foreach_mul_([c], 2.0),  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))
def test_a_write_into_what_a_neuron_reads_is_refused(write: Callable[[Tensor], Any]) -> None:
    torch.manual_seed(0)
    net = Net(between(write), hidden=True).eval()
    with (
        torch.no_grad(),
        pytest.raises(ConversionError, match=r"net\.two: at step 0 of the loop|writes into a tensor in place"),
    ):
        spikelet.from_snntorch(net, time_steps=T, scale=1.0)(counts(tutorial, 3))


def made_twice(net: Any, x: Tensor) -> Tensor:
    out = []
    for _ in range(T):
        spikes = net.one(F.max_pool2d(net.conv(x), 2))
        one, other = net.fc(spikes.flatten(1)), net.fc(spikes.flatten(1))
        one += 1
        out.append(one - other)
    return torch.stack(out)


def drawn(net: Any, x: Tensor) -> Tensor:
    """Rate coding."""
    return torch.stack(
        [net.fc(net.one(F.max_pool2d(net.conv((torch.rand_like(x) < x).float()), 2)).flatten(1)) for _ in range(T)]
    )


REFUSED: dict[Callable[[Any, Tensor], Any], str] = {
    carried: r"net\.one: at step 1 of the loop reads something else than the current of that step",
    weighted: r"net\.one: reads another image at step 1 than at step 0.* Feed frames",
    longer: r"net\.one: ran more than T = 4 times",
    shorter: r"net\.one: ran 3 times in one forward pass, and the conversion was told of time_steps=4",
    changed_membrane: r"net\.one: at step 1 of the loop is given another state than its own of step 0",
    reset_half_way: r"net\.one: at step 2 of the loop is given another state than its own of step 1",
    written_in_place: r"writes into its input in place \(mul_\).*a = a \+ b for a \+= b",
    made_twice: r"writes into a tensor that it makes twice in a step in place",
    drawn: r"draws random numbers at every step \(rand_like\).*time_axis=0",
}


@pytest.mark.parametrize("run", REFUSED, ids=[f.__name__ for f in REFUSED])
def test_a_loop_that_is_not_the_same_at_every_step_is_refused_by_name(run: Callable[[Any, Tensor], Any]) -> None:
    torch.manual_seed(0)
    net = Net(run, hidden=run not in (changed_membrane, reset_half_way)).eval()
    model = spikelet.from_snntorch(net, time_steps=T, scale=1.0)
    for _ in range(2):
        with pytest.raises(ConversionError, match=REFUSED[run]):
            model(counts(run, 3))
    assert {type(m).__module__.partition(".")[0] for m in model.modules()} <= {"spikelet", "torch", "tests"}


def test_a_phase_of_other_steps_than_the_loop_s_is_refused() -> None:
    _, model = converted(tutorial)
    model(counts(tutorial, 2))
    set_phase(model, Phase(1, T - 1))
    with pytest.raises(
        ConversionError, match=r"net.one: takes 3 time steps now, .* own loop takes 4.*Phase\(epochs, 4\)"
    ):
        model(counts(tutorial, 2))
    set_phase(model.train(), Phase(1, T, one_pass=True))
    assert model(counts(tutorial, 2)).shape == (T, 2, 5)


def test_an_image_s_scale_is_followed_through_a_loop() -> None:
    def skip(net: Any, x: Tensor) -> Tensor:
        return torch.stack([net.fc(net.one(F.max_pool2d(net.conv(x)[:, :2] + x, 2)).flatten(1)) for _ in range(T)])

    torch.manual_seed(0)
    net = Net(skip, hidden=True)
    net.fc = nn.Linear(2 * 16, 5)
    with pytest.raises(ConversionError, match=r"Net uses the image in the tensor function '.*add.*first="):
        spikelet.from_snntorch(net, time_steps=T)(counts(tutorial, 3))


@pytest.mark.parametrize("run", [tutorial, over_frames], ids=["image", "frames"])
def test_mean_and_std_a_channel_are_folded_under_a_loop(run: Callable[[Any, Tensor], Any]) -> None:
    mean, std = (0.25, 0.5), (0.25, 0.5)
    net, model = converted(run, mean=mean, std=std)
    x = counts(run, 6)
    normalised = (x.double() - torch.tensor(mean).view(2, 1, 1)) / torch.tensor(std).view(2, 1, 1)
    made = net(normalised.float())
    assert torch.equal(model(x), made[0] if isinstance(made, tuple) else made)
