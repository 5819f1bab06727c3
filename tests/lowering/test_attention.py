"""Products of two tensors, as attention is written: heads, tokens and windows in any order of axes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering import lower
from spikelet.neurons import LIF, LIFParams
from spikelet.nn import Conv2d
from spikelet.quant import Uniform
from tests.support.user_modules import T, User, assert_exact, classifier, conv, images, user

C, HEADS = 8, 2
Attention = Callable[["Parts", Tensor, Tensor, Tensor], Tensor]
Parts = User


def pointwise(inputs: int = C, outputs: int = C) -> Conv2d:
    return Conv2d(inputs, outputs, 1, Uniform(4))


def neuron(threshold: float = 1.0) -> LIF:
    return LIF(T, LIFParams(threshold=threshold))


def network(attention: Attention) -> User:
    """Spikes [T, B, C, 6, 6], q, k, v by 1 x 1 convolutions, `attention`, and a classifier."""

    def body(m: User, x: Tensor) -> Tensor:
        s = m.lif(m.conv(x))
        q, k, v = (getattr(m, f"{name}_lif")(getattr(m, name)(s)) for name in "qkv")
        return m.fc(m.proj(m.out_lif(attention(m, q, k, v))).flatten(2))

    torch.manual_seed(0)
    return user(
        body, conv=conv(3, C), proj=Conv2d(C, C, 1, Uniform(4, per_channel=False)), fc=classifier(C * 36),
        **{name: pointwise() for name in "qkv"}, **{f"{name}_lif": neuron(0.25) for name in "qkv"},
        map_lif=neuron(2.0), out_lif=neuron(0.5),
    )  # fmt: skip


def heads(x: Tensor) -> Tensor:
    """[T, B, C, H, W] -> [T, B, heads, N, d], as Spikformer writes it."""
    return x.flatten(3).transpose(-1, -2).reshape(x.shape[0], x.shape[1], 36, HEADS, C // HEADS).permute(0, 1, 3, 2, 4)


def back(y: Tensor) -> Tensor:
    """The inverse."""
    return y.transpose(3, 4).reshape(y.shape[0], y.shape[1], C, 6, 6)


def scores_first(m: Parts, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = heads(q), heads(k), heads(v)
    return back((q @ k.transpose(-2, -1)) @ v * 0.125)


def binary_map(m: Parts, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = heads(q), heads(k), heads(v)
    return back(m.map_lif(q @ k.mT) @ v * 0.125)


def linear_in_tokens(m: Parts, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = heads(q), heads(k), heads(v)
    return back(torch.matmul(q, k.transpose(-2, -1) @ v) / 32)


def binary_features(m: Parts, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = heads(q), heads(k), heads(v)
    return back(q @ m.map_lif(k.mT @ v))


def channels_first(m: Parts, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """[T, B, heads, d, N] throughout."""
    q, k, v = (x.flatten(3).unflatten(2, (HEADS, C // HEADS)) for x in (q, k, v))
    return (v @ m.map_lif(k.mT @ q)).flatten(2, 3).unflatten(3, (6, 6))


def by_einsum(m: Parts, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = heads(q), heads(k), heads(v)
    a = m.map_lif(torch.einsum("tbhid,tbhjd->tbhij", q, k))
    return back(torch.einsum("tbhij,tbhjd->tbhid", a, v))


def time_and_batch_folded(m: Parts, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = (heads(x).flatten(0, 2) for x in (q, k, v))
    return back(torch.bmm(torch.bmm(q, k.mT), v).view(T, -1, HEADS, 36, C // HEADS) * 0.25)


def between_channels(m: Parts, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """A map of channels by channels (cross-covariance)."""
    q, k, v = (x.flatten(3).unflatten(2, (HEADS, C // HEADS)) for x in (q, k, v))
    return (m.map_lif(q @ k.mT / 4) @ v).flatten(2, 3).unflatten(3, (6, 6))


def windows(x: Tensor) -> Tensor:
    """[T, B, C, 6, 6] -> [T, B * 4, heads, 9, d]: windows of 3 x 3, as Swin writes them."""
    x = x.unflatten(3, (2, 3)).unflatten(5, (2, 3)).permute(0, 1, 3, 5, 4, 6, 2)  # T B 2 2 3 3 C
    return x.reshape(x.shape[0], -1, 9, HEADS, C // HEADS).transpose(2, 3)


def windows_back(y: Tensor) -> Tensor:
    y = y.transpose(2, 3).reshape(y.shape[0], -1, 2, 2, 3, 3, C)
    return y.permute(0, 1, 6, 2, 4, 3, 5).reshape(y.shape[0], -1, C, 6, 6)


def shifted_windows(m: Parts, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = (windows(x.roll((-1, -1), (3, 4))) for x in (q, k, v))
    bias = torch.arange(HEADS * 81.0).view(HEADS, 9, 9) / 64
    return windows_back(m.map_lif(q @ k.mT + bias) @ v).roll((1, 1), (3, 4))


def some_tokens(m: Parts, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = heads(q), heads(k)[..., ::2, :], heads(v)[..., ::2, :]
    return back(m.map_lif(q @ k.mT) @ v * 0.25)


def gated_tokens(m: Parts, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """QK attention: a spike for each token of each head lets k pass."""
    q, k = (x.flatten(3).unflatten(2, (HEADS, C // HEADS)) for x in (q, k))
    return (m.map_lif(q.sum(3, keepdim=True)) * k).flatten(2, 3).unflatten(3, (6, 6)) + v


def one_projection(m: Parts, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q, k and v cut from one tensor of 3 C channels."""
    qkv = torch.cat([q, k, v], 2).flatten(3).unflatten(2, (3, HEADS, C // HEADS)).permute(2, 0, 1, 3, 5, 4)
    q, k, v = qkv[0], qkv[1], qkv[2]
    return back(m.map_lif(q @ k.mT) @ v)


FORMS: dict[str, Attention] = {
    f.__name__: f
    for f in (
        scores_first, binary_map, linear_in_tokens, binary_features, channels_first, by_einsum, time_and_batch_folded,
        between_channels, shifted_windows, some_tokens, gated_tokens, one_projection,
    )
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_attention_is_lowered_and_exact(name: str, batch: int):
    model = network(FORMS[name])
    graph = assert_exact(model, torch.randint(0, 256, (batch, 3, 6, 6), dtype=torch.uint8))
    assert graph.of_type(ir.Matmul) or name == "gated_tokens"


@pytest.mark.parametrize("name", ["scores_first", "binary_map", "linear_in_tokens", "channels_first"])
def test_heads_and_tokens_need_no_gather(name: str):
    graph = lower(network(FORMS[name]), images())
    assert not graph.of_type(ir.Gather)
    assert not graph.of_type(ir.ChannelMap)
    assert all(node.heads == HEADS for node in graph.of_type(ir.Matmul))


def test_windows_are_matrices_by_row():
    graph = lower(network(shifted_windows), images())
    assert [(node.heads, node.by_row) for node in graph.of_type(ir.Matmul)] == [(HEADS, True), (HEADS, True)]


@pytest.mark.parametrize(
    ("attention", "message"),
    [
        (lambda m, q, k, v: back(heads(q) @ (torch.eye(C // HEADS) / 3)), r"no multiples of 2\^-16"),
        (lambda m, q, k, v: back((heads(q) @ heads(k).mT).softmax(-1) @ heads(v)), "Softmax needs exponentials"),
        (
            lambda m, q, k, v: (q.transpose(0, 1) @ k.transpose(0, 1).mT).transpose(0, 1) @ v,
            "multiplies matrices that are not channels by positions",
        ),
        (lambda m, q, k, v: back(heads(q) * 0.3), "multiplies by 0.3, which is no power of two. Use spikelet.nn.Scale"),
        (
            lambda m, q, k, v: (q.flatten(3) @ k.flip(1).flatten(3).mT @ v.flatten(3)).view(T, -1, C, 6, 6),
            "different samples",
        ),
        (
            lambda m, q, k, v: (q.flatten(3) @ k.flip(0).flatten(3).mT @ v.flatten(3)).view(T, -1, C, 6, 6),
            "different time steps",
        ),
    ],
)
def test_what_no_product_of_edges_is_is_refused(attention: Attention, message: str):
    model = network(attention)
    with pytest.raises(LoweringError, match=message):
        lower(model, images())
