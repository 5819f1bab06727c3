"""The axes of time, batch, heads and tokens: what PyTorch moves is followed, and nothing is guessed from an extent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import LoweringError, TimeAxisError
from spikelet.base.time_axis import TimeAxis
from spikelet.lowering import lower, verify
from spikelet.neurons import LIF, LIFParams
from spikelet.nn import Conv2d
from spikelet.quant import Uniform
from tests.support.user_modules import (
    SHAPE,
    T,
    User,
    after_conv,
    assert_exact,
    classifier,
    conv,
    images,
    neuron,
    plain,
    user,
)


def on_spikes(function: Callable[[Tensor], Tensor], features: int = 144, time_steps: int = T) -> User:
    """A classifier that reads what `function` makes of spikes [T, B, 4, 6, 6]."""
    return user(
        lambda m, x: m.fc(function(m.lif(m.conv(x)))), fc=classifier(features),
        lif=LIF(time_steps, LIFParams(threshold=0.25)),
    )  # fmt: skip


MOVES: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "channels last": (lambda s: s.permute(0, 1, 3, 4, 2).flatten(2), 144),
    "rows and columns swapped": (lambda s: s.transpose(3, 4).flatten(2), 144),
    "swapaxes": (lambda s: s.swapaxes(-1, -2).flatten(2), 144),
    "movedim": (lambda s: s.movedim(2, -1).flatten(2), 144),
    "channels cut": (lambda s: s[:, :, 1:3].flatten(2), 72),
    "channels by step": (lambda s: s[:, :, ::2].flatten(2), 72),
    "channels backwards": (lambda s: s.flip(2).flatten(2), 144),
    "one channel": (lambda s: s[:, :, 3].flatten(2), 36),
    "channels by list": (lambda s: s[:, :, [3, 0, 0]].flatten(2), 108),
    "rows cut": (lambda s: s[..., 2:, :].flatten(2), 96),
    "every other position": (lambda s: s[..., ::2, ::2].flatten(2), 36),
    "rolled": (lambda s: s.roll((1, -2), (3, 4)).flatten(2), 144),
    "chunk": (lambda s: sum(s.chunk(2, dim=2)).flatten(2), 72),  # pyright: ignore[reportAttributeAccessIssue]
    "split": (lambda s: torch.cat(s.split([1, 3], dim=2)[::-1], dim=2).flatten(2), 144),
    "unbind and stack": (lambda s: torch.stack(s.unbind(2)[::-1], dim=2).flatten(2), 144),
    "cat of channels": (lambda s: torch.cat([s, s[:, :, :1], s], dim=2).flatten(2), 324),
    "cat of positions": (lambda s: torch.cat([s, s[..., :2]], dim=4).flatten(2), 192),
    "narrow and select": (lambda s: (s.narrow(2, 1, 2) + s.select(2, 0).unsqueeze(2)).flatten(2), 72),
    "heads and back": (lambda s: s.view(T, -1, 2, 2, 6, 6).transpose(2, 3).flatten(2), 144),
    "unflatten": (lambda s: s.flatten(3).unflatten(3, (6, 6)).flatten(2), 144),
    "channel shuffle": (lambda s: s.unflatten(2, (2, 2)).transpose(2, 3).flatten(2, 3).flatten(2), 144),
    "squeeze and unsqueeze": (lambda s: s.unsqueeze(2).squeeze(2).flatten(2), 144),
    "repeat": (lambda s: s.repeat(1, 1, 2, 1, 1).flatten(2), 288),
    "repeat_interleave": (lambda s: s.repeat_interleave(2, dim=3).flatten(2), 288),
    "expand": (lambda s: s[:, :, 1:2].expand(-1, -1, 3, -1, -1).flatten(2), 108),
    "padded with zeros": (lambda s: F.pad(s, (1, 0, 0, 2)).flatten(2), 224),
    "channels of zeros": (lambda s: F.pad(s, (0, 0, 0, 0, 1, 1)).flatten(2), 216),
    "padded round the edges": (
        lambda s: F.pad(s.flatten(0, 1), (1, 1, 1, 1), mode="circular").flatten(1).view(T, -1, 256),
        256,
    ),
    "mirrored at the edges": (
        lambda s: F.pad(s.flatten(0, 1), (1, 1, 1, 1), mode="reflect").flatten(1).view(T, -1, 256),
        256,
    ),
    "windows by unfold": (lambda s: s.unfold(3, 3, 3).unfold(4, 3, 3).flatten(2), 144),
    "columns of an image": (lambda s: F.unfold(s.flatten(0, 1), 2, stride=2).flatten(1).view(T, -1, 144), 144),
    "nearest upsampling": (
        lambda s: F.interpolate(s.flatten(0, 1), scale_factor=2).unflatten(0, (T, -1)).flatten(2),
        576,
    ),
    "pixel shuffle": (lambda s: F.pixel_unshuffle(s, 2).flatten(2), 144),
    "time and batch folded": (lambda s: F.max_pool2d(s.flatten(0, 1), 2).unflatten(0, (T, -1)).flatten(2), 36),
    "a loop over time": (lambda s: torch.stack([one.flatten(1) for one in s]), 144),
    "batch first and back": (lambda s: s.transpose(0, 1).flatten(2).transpose(0, 1), 144),
    "one list of samples": (lambda s: s.reshape(-1, 4, 6, 6).flatten(1).view(T, -1, 144), 144),
    "means of rows": (lambda s: (s[..., :4].mean(4)).flatten(2), 24),
    "means of windows": (lambda s: s.unflatten(3, (3, 2)).unflatten(5, (3, 2)).mean((4, 6)).flatten(2), 36),
    "sums of channels": (lambda s: s.sum(2).flatten(2), 36),
    "sums of groups of channels": (lambda s: s.unflatten(2, (2, 2)).sum(3).flatten(2), 72),
    "a broadcast sum over the map": (lambda s: (s + s[..., :4, :4].mean((3, 4), keepdim=True)).flatten(2), 144),
    "a class token": (lambda s: torch.cat([torch.ones(T, s.shape[1], 4, 1), s.flatten(3)], 3).flatten(2), 148),
    "a position embedding": (lambda s: (s + torch.arange(144).view(4, 6, 6) / 8).flatten(2), 144),
    "a constant for each channel": (lambda s: (s - torch.arange(4.0).view(4, 1, 1)).flatten(2), 144),
    "a mask": (lambda s: (s * (torch.arange(36.0).view(6, 6) % 2)).flatten(2), 144),
    "a gate by channel": (lambda s: (s * s[..., :1, :1]).flatten(2), 144),
    "and": (lambda s: (s * s.roll(1, 2)).flatten(2), 144),
    "and not": (lambda s: ((1 - s) * s.roll(1, 2)).flatten(2), 144),
    "halved": (lambda s: ((s + s.roll(1, 2)) / 2).flatten(2), 144),
    "three times": (lambda s: (3 * s).flatten(2), 144),
    "negated": (lambda s: (-s + 0.25 * s).flatten(2), 144),
    "float64 and back": (lambda s: s.double().flatten(2).float(), 144),
    "to a type": (lambda s: s.to(torch.float64).flatten(2).to(torch.float32), 144),
}


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("batch", [1, T, 5])
def test_a_move_is_followed_for_any_batch(name: str, batch: int):
    function, features = MOVES[name]
    torch.manual_seed(0)
    assert_exact(on_spikes(function, features), torch.randint(0, 256, (batch, *SHAPE[1:]), dtype=torch.uint8))


FRAMES: dict[str, Callable[[User, Tensor], Tensor]] = {
    "time first": lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)),
    "a sum over time": lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)).sum(0),
    "the last step": lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2))[-1],
    "the last two steps": lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2))[1:].mean(0),
    "a loop that adds": lambda m, x: sum(m.fc(one.flatten(1)) for one in m.lif(m.conv(x))),  # type: ignore[misc]
    "a loop that stacks": lambda m, x: torch.stack([m.fc(one.flatten(1)) for one in m.lif(m.conv(x))]).mean(0),
    "steps that overlap": lambda m, x: (lambda s: s[:-1].mean(0) + s[1:].mean(0))(m.fc(m.lif(m.conv(x)).flatten(2))),
}


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("batch", [1, 3, 4])
def test_frames_may_have_as_many_samples_as_steps(name: str, batch: int):
    torch.manual_seed(1)
    model = user(FRAMES[name], lif=LIF(3, LIFParams(threshold=0.25)))
    assert_exact(model, torch.randint(0, 256, (3, batch, *SHAPE[1:]), dtype=torch.uint8), time_axis=0)


@pytest.mark.parametrize("batch", [1, 3, 4])
def test_a_batch_first_forward_is_lowered_where_it_is_declared(batch: int):
    torch.manual_seed(2)

    def body(m: User, x: Tensor) -> Tensor:
        return m.fc(m.lif(m.conv(x.transpose(0, 1))).flatten(2)).transpose(0, 1).mean(1)

    model = user(body, lif=LIF(3, LIFParams(threshold=0.25)))
    assert_exact(model, torch.randint(0, 256, (batch, 3, *SHAPE[1:]), dtype=torch.uint8), time_axis=1)


@pytest.mark.parametrize("batch", [1, 3, 4])
def test_a_neuron_that_reads_batch_first_is_refused_for_any_batch(batch: int):
    model = user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)), lif=LIF(3, LIFParams(threshold=0.25)))
    x = torch.randint(0, 256, (batch, 3, *SHAPE[1:]), dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"(time first|first axis is time)"):
        lower(model, x, time_axis=1)


def test_frames_that_are_not_declared_are_refused():
    frames = torch.zeros(T, *SHAPE, dtype=torch.uint8)
    with pytest.raises(TimeAxisError, match=r"example has 5 axes.*time_axis=0"):
        lower(plain(), frames)


def test_one_frame_is_no_still_image():
    model = user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)), lif=LIF(4))
    with pytest.raises(TimeAxisError, match="example has 1 time steps"):
        lower(model, torch.zeros(1, *SHAPE, dtype=torch.uint8), time_axis=0)


def test_a_sum_over_the_batch_is_refused_where_the_batch_is_one():
    model = user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)).mean(1, keepdim=True))
    with pytest.raises(LoweringError, match="sums over the batch"):
        lower(model, images()[:1])


def test_a_step_on_its_own_has_no_neuron():
    model = user(lambda m, x: m.fc(m.two(m.lif(m.conv(x))[:1]).flatten(2)), two=neuron())
    with pytest.raises(LoweringError, match=r"^two: a neuron reads .* time first"):
        lower(model, images())


def test_a_forward_for_one_batch_size_only_is_lowered_on_it():
    assert_exact(
        user(lambda m, x: m.fc(m.lif(m.conv(x)).reshape(T, 5, -1))), torch.randint(0, 256, (5, *SHAPE[1:])).byte()
    )


def test_channels_and_positions_mixed_are_refused_by_name():
    order = torch.randperm(144, generator=torch.Generator().manual_seed(0))

    def body(m: User, x: Tensor) -> Tensor:
        s = m.lif(m.conv(x)).flatten(2)
        return m.fc(m.two(m.next(s[:, :, order].view(T, -1, 4, 6, 6))).flatten(2))

    with pytest.raises(LoweringError, match=r"^next: reads channels and positions mixed"):
        lower(user(body, next=conv(4, 4), two=neuron()), images())


@pytest.mark.parametrize("time_axis", [None, 0])
@pytest.mark.parametrize("batch", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["map", "mean", "turned", "turned mean", "last", "batch first", "several"])
def test_outputs_are_verified_in_batches_of_any_size(name: str, batch: int, time_axis: TimeAxis) -> None:
    bodies: dict[str, Callable[[User, Tensor], Any]] = {
        "map": lambda m, x: m.head(m.lif(m.conv(x))).mean((3, 4)),
        "mean": lambda m, x: m.head(m.lif(m.conv(x))).mean((3, 4)).mean(0),
        "turned": lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)).flip(-1),
        "turned mean": lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)).flip(-1).mean(0),
        "last": lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2))[-1],
        "batch first": lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)).transpose(0, 1),
        "several": lambda m, x: (m.fc(m.lif(m.conv(x)).flatten(2)), m.lif(m.conv(x)).flip(2)),
    }
    model = user(bodies[name], head=Conv2d(4, 5, 3, Uniform(4)))
    with torch.no_grad():
        model.head.weight[0].mul_(8)  # channels of several scales
    graph = lower(model, images() if time_axis is None else torch.stack([images()] * T), time_axis=time_axis)
    shape = (batch, 3, 6, 6) if time_axis is None else (T, batch, 3, 6, 6)
    x = torch.randint(0, 256, shape, dtype=torch.uint8)
    result = verify(graph, model, [(x, torch.zeros(batch, dtype=torch.long))], time_axis=time_axis)
    assert result.mismatches == 0, str(result)
    assert result.logits == 5 * batch


def test_a_constant_made_like_a_tensor_keeps_the_constant_it_is_made_of() -> None:
    assert_exact(on_spikes(lambda s: (s + s.new_tensor([0.5])).flatten(2)))
    assert_exact(on_spikes(lambda s: (s + torch.full_like(s, 0.25)).flatten(2)))


@pytest.mark.parametrize("time_steps", [1, 2, 3, 5])
def test_a_sum_over_time_divided_by_a_count_is_a_mean(time_steps: int) -> None:
    lif = LIF(time_steps, LIFParams(threshold=0.25))
    assert_exact(user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)).sum(0) / time_steps, lif=lif))
    assert_exact(user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2).sum(0) / 3), lif=lif))


def test_a_pool_of_torch_that_meets_an_axis_of_time_is_refused_with_the_way_out():
    said = r"^part: .* \(Layers of torch take maps without an axis of time: x\.flatten\(0, 1\) before it"
    with pytest.raises(LoweringError, match=said):
        lower(after_conv(nn.AvgPool2d(2), 36), images())
    folded = user(lambda m, x: m.fc(m.part(m.lif(m.conv(x)).flatten(0, 1)).unflatten(0, (T, -1)).flatten(2)),
                  part=nn.AvgPool2d(2), fc=classifier(36))  # fmt: skip
    assert_exact(folded)
