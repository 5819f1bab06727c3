"""Forwards as users write them: loops over time, accumulators, dense and U-shaped networks, gates, class tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.neurons import LIF, LIFParams
from spikelet.nn import BatchNorm2d, Conv2d, Linear, SumPool2d
from spikelet.quant import Uniform
from tests.support.user_modules import User, assert_exact, classifier, conv, user

T = 3
Body = Callable[[User, Tensor], Tensor]


def neuron() -> LIF:
    return LIF(T, LIFParams(threshold=0.25))


def halving(outputs: int) -> Conv2d:
    return Conv2d(4, outputs, 3, Uniform(4), stride=2, padding=1)


def network(body: Body) -> User:
    torch.manual_seed(0)
    return user(
        body, lif=neuron(), two=neuron(), three=neuron(), next=conv(4, 4), norm=BatchNorm2d(4), wide=conv(8, 4),
        down=halving(4), widen=halving(8), gate=Conv2d(4, 4, 1, Uniform(4)), pool=SumPool2d(6),
        flat_norm=nn.BatchNorm2d(4), token=Linear(4, 8, Uniform(4)), of_36=classifier(36), of_72=classifier(72),
        of_432=classifier(432), of_288=classifier(288), of_8=classifier(8),
    )  # fmt: skip


def spikes(m: User, x: Tensor) -> Tensor:
    """[T, B, 4, 6, 6]"""
    return m.lif(m.conv(x))


def an_accumulator(m: User, x: Tensor) -> Tensor:
    s = spikes(m, x).flatten(2)
    out = torch.zeros_like(s[0])
    for t in range(T):
        out = out + s[t]
    return m.fc(out)


def an_accumulator_in_place(m: User, x: Tensor) -> Tensor:
    s = spikes(m, x).flatten(2)
    out = torch.zeros(s.shape[1], 144)
    for t in range(T):
        out += s[t]
    return m.fc(out)


def a_loop_over_frames(m: User, x: Tensor) -> Tensor:
    return m.fc(m.lif(torch.cat([m.conv(x[t : t + 1]) for t in range(len(x))])).flatten(2))


def a_loop_of_pools(m: User, x: Tensor) -> Tensor:
    return m.of_36(torch.stack([F.max_pool2d(one, 2) for one in spikes(m, x)]).flatten(2))


def a_loop_of_two_layers(m: User, x: Tensor) -> Tensor:
    currents = torch.stack([m.norm(m.next(one[None]))[0] for one in spikes(m, x)])
    return m.fc(m.two(currents).flatten(2)).mean(0)


def a_list_of_logits(m: User, x: Tensor) -> Tensor:
    return sum(m.fc(one) for one in spikes(m, x).flatten(2)) / 4  # type: ignore[return-value]


def a_current_that_is_expanded(m: User, x: Tensor) -> Tensor:
    current = m.conv(x)
    return m.fc(m.lif(current.expand(T, -1, -1, -1, -1) + m.next(m.two(current))).flatten(2))


def a_shortcut_without_parameters(m: User, x: Tensor) -> Tensor:
    s = spikes(m, x)
    return m.of_72(m.two(m.widen(s) + F.pad(s[..., ::2, ::2], (0, 0, 0, 0, 2, 2))).flatten(2))


def a_dense_block(m: User, x: Tensor) -> Tensor:
    s = spikes(m, x)
    joined = torch.cat([s, m.two(m.next(s))], 2)
    return m.of_432(torch.cat([joined, m.three(m.wide(joined))], 2).flatten(2))


def a_u_shape(m: User, x: Tensor) -> Tensor:
    s = spikes(m, x)
    up = F.interpolate(m.two(m.down(s)).flatten(0, 1), scale_factor=2, mode="nearest").unflatten(0, (T, -1))
    return m.of_288(torch.cat([s, up], 2).flatten(2))


def a_gate_by_channel(m: User, x: Tensor) -> Tensor:
    s = spikes(m, x)
    return m.fc((s * m.two(m.gate(m.pool(s)))).flatten(2))


def time_folded_into_the_batch(m: User, x: Tensor) -> Tensor:
    s = spikes(m, x)
    t, b = s.shape[:2]
    return m.fc(m.two(m.flat_norm(s.reshape(t * b, 4, 6, 6)).reshape(t, b, 4, 6, 6)).flatten(2))


def a_class_token(m: User, x: Tensor) -> Tensor:
    s = spikes(m, x).flatten(3).mT
    tokens = torch.cat([torch.full((T, s.shape[1], 1, 4), 0.5), s], 2)
    return m.of_8(m.three(m.token(tokens))[:, :, 0])


BODIES: tuple[Body, ...] = (
    an_accumulator, an_accumulator_in_place, a_loop_over_frames, a_loop_of_pools, a_loop_of_two_layers,
    a_list_of_logits, a_shortcut_without_parameters, a_dense_block, a_u_shape, a_gate_by_channel,
    time_folded_into_the_batch, a_class_token,
)  # fmt: skip


@pytest.mark.parametrize("frames", [False, True])
@pytest.mark.parametrize("body", BODIES, ids=lambda f: f.__name__)
def test_a_forward_of_a_user_is_lowered_and_exact(body: Body, frames: bool):
    x = torch.randint(0, 256, (T, 4, 3, 6, 6) if frames else (4, 3, 6, 6), dtype=torch.uint8)
    assert_exact(network(body), x, 0 if frames else None)


@pytest.mark.parametrize("batch", [1, T, 4])
def test_an_image_that_the_forward_repeats_is_a_still_image(batch: int):
    class Repeating(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network(lambda m, x: m.fc(spikes(m, x).flatten(2)))

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x.unsqueeze(0).repeat(T, 1, 1, 1, 1))

    assert_exact(Repeating().eval(), torch.randint(0, 256, (batch, 3, 6, 6), dtype=torch.uint8))


def test_a_current_of_one_step_is_held():
    assert_exact(network(a_current_that_is_expanded), torch.randint(0, 256, (4, 3, 6, 6), dtype=torch.uint8))


def test_a_loop_over_time_makes_one_node_for_all_steps():
    graph = assert_exact(network(a_loop_of_two_layers), torch.randint(0, 256, (4, 3, 6, 6), dtype=torch.uint8))
    assert [node.name for node in graph.nodes if node.name.startswith(("next", "norm"))] == ["next", "norm"]


def test_the_largest_logit_over_time_is_exact():
    body = network(lambda m, x: m.fc(spikes(m, x).flatten(2)).amax(0))
    assert_exact(body, torch.randint(0, 256, (4, 3, 6, 6), dtype=torch.uint8))
