"""A layer of one's own lowers by a rule in one's own code; without one, the error says so."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from torch import Tensor, nn

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering import Builder, Call, Value, as_elements, lower, registry, rule
from tests.support.user_modules import User, assert_exact, images, user
from tests.support.user_modules import classifier as classifier_of
from tests.support.user_modules import conv as conv_of


class Negate(nn.Module):
    """The example of lowering/registry.py, with arithmetic that no tensor rule can see."""

    def forward(self, x: Tensor) -> Tensor:
        return x.detach().apply_(lambda v: -v)


def network() -> User:
    return user(
        lambda m, x: m.fc(m.lif(m.negate(m.conv(x))).flatten(2)),
        conv=conv_of(3, 8), negate=Negate(), fc=classifier_of(8 * 36),
    )  # fmt: skip


@pytest.fixture
def _negation() -> Iterator[None]:
    """The rule, for one test."""

    @rule(Negate)
    def negate(b: Builder, call: Call, layer: Negate, x: Value) -> Value:
        e = as_elements(b, x, call.where)
        one, zero = np.full(1, -1, np.int32), np.zeros(1, np.int32)
        node = ir.Affine(b.name(call.where), (e.source.node,), one, zero.astype(np.uint8), zero)
        return e.made(b.like(e.source, node), tuple(call.output.shape))

    yield
    del registry.MODULES[Negate]


@pytest.mark.usefixtures("_negation")
def test_a_rule_in_ones_own_code_is_all_that_a_layer_needs():
    graph = assert_exact(network())
    assert any(isinstance(node, ir.Affine) and (node.multiplier == -1).all() for node in graph.nodes)


def test_without_it_the_function_is_named():
    with pytest.raises(LoweringError, match="negate"):
        lower(network(), images())
