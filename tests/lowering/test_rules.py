"""Rules of one's own: where they are found, a layer of attention, a tensor function, and a rule that is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering import Builder, Call, Value, as_elements, as_maps, function, lower, registry, rule, verify
from spikelet.runtime import Program
from tests.support.user_modules import assert_exact, images, neuron, user


@pytest.fixture(autouse=True)
def _tables_as_they_were() -> Iterator[None]:
    before = [dict(table) for table in (registry.MODULES, registry.BASES, registry.FUNCTIONS)]
    yield
    for table, kept in zip((registry.MODULES, registry.BASES, registry.FUNCTIONS), before, strict=True):
        table.clear()
        table.update(kept)


class Negate(nn.Module):
    """A layer whose work no torch function shows."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(-x.numpy())


def negate(b: Builder, call: Call, layer: Negate, x: Value) -> Value:
    e = as_elements(b, x, call.where)  # the edge behind x, each element for itself
    minus, zero = np.full(e.source.channels, -1, np.int32), np.zeros(e.source.channels, np.int32)
    node = ir.Affine(b.name(call.where), (e.source.node,), minus, zero.astype(np.uint8), zero)
    return e.made(b.like(e.source, node), tuple(call.output.shape))


def test_a_rule_is_found_by_the_exact_class_unless_it_is_for_subclasses():
    class Other(Negate):
        """May compute something else."""

    model = user(lambda m, x: m.fc(m.lif(m.minus(m.conv(x))).flatten(2)), minus=Other())
    rule(Negate)(negate)
    with pytest.raises(LoweringError, match=r"^minus \(Other\): this layer has no integer form"):
        lower(model, images())
    rule(Negate, subclasses=True)(negate)
    assert_exact(model)


class Attention(nn.Module):
    """q k^T v between neurons of its own, with one head; written so that no torch function shows."""

    def __init__(self) -> None:
        super().__init__()
        self.scores, self.mixed = neuron(2.0), neuron(1.0)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (np.ascontiguousarray(x.flatten(3).numpy()) for x in (q, k, v))
        scores = self.scores(torch.from_numpy(q.swapaxes(3, 2) @ k))
        return self.mixed(torch.from_numpy(v @ scores.mT.numpy())).unflatten(3, (6, 6))


def attention(b: Builder, call: Call, layer: Attention, *values: Value) -> Value:
    q, k, v = (as_maps(b, x, call.where) for x in values)
    n = q.source.positions

    def lif(name: str, product: ir.Matmul, shape: tuple[int, int, int], threshold: int) -> object:
        summed = b.append(product, shape, np.array(1.0), "steps")
        current = b.on_grid(summed, f"{call.where}.{name}")
        node = ir.Lif(b.name(f"{call.where}.{name}"), (current.node,), 1, 2, 1, threshold, "hard", None)
        return b.append(node, shape, np.array(1.0), "steps")

    scores = lif(
        "scores", ir.Matmul(b.name("qk"), (q.source.node, k.source.node), 1, (True, False), (6, 6)), (n, 6, 6), 2 << 12
    )
    product = ir.Matmul(b.name("av"), (v.source.node, scores.node), 1, (False, True), (6, 6))  # type: ignore[attr-defined]
    return q.made(lif("mixed", product, q.source.map, 1 << 12), tuple(call.output.shape))  # type: ignore[arg-type]


def test_a_layer_of_attention_is_one_rule_and_what_verify_can_t_see_is_said():
    torch.manual_seed(0)
    model = user(
        lambda m, x: (lambda s: m.fc(m.attention(s, s.roll(1, 2), s.flip(2)).flatten(2)))(m.lif(m.conv(x))),
        attention=Attention(),
    )  # fmt: skip
    rule(Attention)(attention)
    x, labels = images(), torch.zeros(4, dtype=torch.long)
    graph = lower(model, x)
    for backend in (None, Program):
        result = verify(graph, model, [(x, labels)], *([backend] if backend else []))
        assert result.mismatches == 0, str(result)
        assert result.not_compared == ("attention.scores",)
        assert str(result).endswith("not compared: attention.scores")


def test_a_tensor_function_gets_a_rule():
    model = user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2).cumprod(1)))
    with pytest.raises(LoweringError, match="'cumprod' has no integer form"):
        lower(model, images())

    @function("positive")
    def positive(b: Builder, call: Call, x: Value) -> Value:
        return x

    assert_exact(user(lambda m, x: m.fc((+m.lif(m.conv(x))).positive().flatten(2))))


def test_what_a_rule_states_wrongly_is_counted_by_verify():
    rule(Negate)(lambda b, call, layer, x: x)  # forgets the sign
    torch.manual_seed(0)
    model = user(lambda m, x: m.fc(m.lif(m.minus(m.conv(x))).flatten(2)), minus=Negate())
    x = images()
    result = verify(lower(model, x), model, [(x, torch.zeros(4, dtype=torch.long))])
    assert result.spike_mismatches["lif"] > 0
