"""EST: its size and neurons as published, its attention by definition, and partial information in what it lowers to."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from spikelet.base.errors import PartialWarning, SpikeletError
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.reference import Reference
from spikelet.lowering import LoweringError, lower, verify
from spikelet.models import create_model
from spikelet.models.est import Block, RunningSoftmaxWeights, SoftmaxWeights, WindowAttention
from spikelet.neurons import QCFS, Levels, Neuron
from spikelet.nn import RelativeBias, WholeInformation, shift_mask
from spikelet.profiling import attention_operations, est_neurons
from spikelet.profiling.papers.est import RELEASED_NEURONS
from spikelet.runtime import Program
from tests.support.catalogue import small_model

SMALL = {"width": 16, "depths": (2, 1), "patch": 1, "window": 4, "head_width": 8, "image_size": 8}


def settled(**options: object) -> nn.Module:
    """A small network of two heads or more, whose batch norms have seen 8 images; its odd blocks shift."""
    torch.manual_seed(0)
    model = create_model("est_cifar", **{**SMALL, **options})
    with torch.no_grad():
        model.train()(images(8))
    return model.eval()


def images(batch: int, seed: int = 1) -> Tensor:
    return torch.randint(0, 256, (batch, 3, 8, 8), generator=torch.Generator().manual_seed(seed)).byte()


def attentions(model: nn.Module) -> list[WindowAttention]:
    return [m for m in model.modules() if isinstance(m, WindowAttention)]


# --- as published -----------------------------------------------------------------------------------


def abstract(**options: object) -> nn.Module:
    with torch.device("meta"):
        return create_model("est_swin_t", **options)


def test_swin_t_has_the_published_28_33_million_parameters_and_124_thresholds():
    model = abstract()
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == 28.33
    assert sum(isinstance(m, Neuron) for m in model.modules()) == 124
    assert sum(name.endswith("threshold") for name, _ in model.named_parameters()) == 124


def test_swin_t_has_the_released_designs_neurons():
    neurons = est_neurons(abstract(), (3, 224, 224))
    assert {place: round(count, -4) for place, count in neurons.items()} == RELEASED_NEURONS


def test_half_of_the_tokens_have_half_of_the_scores_neurons():
    whole, halved = (est_neurons(settled(partial_ratio=p), (3, 8, 8)) for p in (0.0, 0.5))
    scores = 2 * 64 * 2 * 16 + 16 * 4 * 16  # blocks, tokens, heads and keys of both stages
    assert whole["attention"] - halved["attention"] == scores // 2
    assert whole["perceptrons"] == halved["perceptrons"]


def test_blocks_have_the_released_place_of_every_activation():
    """Ten populations a block; those that the stream reads have their threshold's size."""
    block = next(m for m in small_model("est_cifar").modules() if isinstance(m, Block))
    sized = {name for name, m in block.named_modules() if isinstance(m, QCFS)}
    assert sized == {"attention.project.1", "mlp.6"}
    assert sum(isinstance(m, Levels) for m in block.modules()) == 10


def test_windows_of_odd_blocks_are_shifted_where_there_are_several():
    model = abstract()
    assert [(a.place.side, a.place.size, a.place.shift) for a in attentions(model)] == [
        *[(56, 7, 0), (56, 7, 3), (28, 7, 0), (28, 7, 3)],
        *[(14, 7, 0), (14, 7, 3)] * 3,
        *[(7, 7, 0)] * 2,
    ]


# --- attention --------------------------------------------------------------------------------------


def test_the_relative_bias_is_that_of_the_distance():
    bias = RelativeBias(2, 3, std=1.0)
    with torch.no_grad():
        made = bias.on_grid()
    table = (torch.floor(bias.table.detach().double() * 4096 + 0.5) / 4096).float()
    for head, i, j in itertools.product(range(2), range(9), range(9)):
        down, right = i // 3 - j // 3, i % 3 - j % 3
        assert made[head, 0, i, j] == table[(down + 2) * 5 + right + 2, head]
    bias.on_grid().sum().backward()
    assert bias.table.grad is not None
    assert float(bias.table.grad.sum()) == 2 * 81


def test_pairs_that_a_shift_brought_together_are_silenced():
    near = shift_mask(2, 1, (4, 4))
    with torch.no_grad():
        made = RelativeBias(1, 2, near).on_grid()
    assert torch.equal(made[0] < -50, ~near)
    model = settled()
    shifted = next(a for a in attentions(model) if a.place.shift)
    scores: list[Tensor] = []
    shifted.weights.register_forward_hook(lambda m, args, made: scores.append(made))
    with torch.no_grad():
        model(images(2))
    assert not scores[0][..., ~shifted.bias.near].any()
    assert scores[0].any()


def test_window_attention_is_its_definition_token_by_token():
    attention = settled().stages[0][0].attention
    s = torch.randint(0, 17, (1, 2, 16, 8, 8)).float() / 16
    with torch.no_grad():
        made = attention(s)
        q, k, v = (layer(s) for layer in (attention.query, attention.key, attention.value))
        bias = attention.bias.on_grid()
        counts = torch.zeros_like(q)
        for head, row, column in itertools.product(range(2), (0, 4), (0, 4)):
            parts = [x[0, :, 8 * head : 8 * head + 8, row : row + 4, column : column + 4].flatten(2) for x in (q, k, v)]
            scores = torch.einsum("bdi,bdj->bij", parts[0], parts[1])[None]
            weights = attention.weights.neuron(attention.scale(scores) + bias[head])
            mixed = torch.einsum("bij,bdj->bdi", weights[0], parts[2])
            counts[0, :, 8 * head : 8 * head + 8, row : row + 4, column : column + 4] = mixed.unflatten(2, (4, 4))
        assert torch.equal(made, attention.project(attention.last(counts)))
    assert counts.any()


def test_the_running_softmax_is_that_of_mean_scores_and_the_softmax_at_one_step():
    torch.manual_seed(0)
    instant, running = settled(attention="softmax"), settled(attention="running_softmax")
    running.load_state_dict(instant.state_dict())
    with torch.no_grad():
        assert torch.equal(instant(images(3)), running(images(3)))
    scores, kinds = torch.randn(3, 2, 1, 1, 4, 4), (SoftmaxWeights, RunningSoftmaxWeights)
    none = RelativeBias(1, 2, std=0.0).eval(), WholeInformation().eval()
    made = [kind(instant_fire).eval()(scores, *none) for kind in kinds]
    levels = kinds[0](instant_fire).eval().neuron(scores)
    for t in range(3):
        assert torch.allclose(made[0][t], levels[t].softmax(-1))
        assert torch.allclose(made[1][t], levels[: t + 1].mean(0).softmax(-1))


class _Fire:
    """What makes the activations of weights."""

    def sized(self, threshold: float) -> QCFS:
        return QCFS(16, threshold)


instant_fire = _Fire()


@pytest.mark.parametrize("attention", ["softmax", "running_softmax"])
def test_a_softmax_is_refused_by_name(attention: str):
    with pytest.raises(LoweringError, match=r"attention\.weights.*softmax.*: .*Softmax needs exponentials"):
        lower(settled(attention=attention), images(1))


# --- partial information ----------------------------------------------------------------------------


def products(graph: ir.IntGraph) -> int:
    """Multiply-accumulates of a graph's products of two edges, of one sample."""
    edges = analyse(graph)
    return sum(node.work(*(edges[name].shape for name in node.inputs)).macs for node in graph.of_type(ir.Matmul))


@pytest.mark.parametrize("kind", ["tokens", "heads", "channels"])
def test_half_of_the_information_halves_the_products_of_the_integer_graph(kind: str):
    whole, half = settled(), settled(partial=kind, partial_ratio=0.5)
    graphs = [lower(model, images(1)) for model in (whole, half)]
    assert [products(graph) for graph in graphs] == [attention_operations(m).products for m in (whole, half)]
    saved = 1 - products(graphs[1]) / products(graphs[0])
    assert 0.24 <= saved <= 0.26 if kind == "channels" else 0.49 <= saved <= 0.51
    assert attention_operations(half, whole=True) == attention_operations(whole)


def test_windows_of_49_tokens_leave_out_one_half_too():
    whole, half = (attention_operations(abstract(partial="tokens", partial_ratio=p)).products for p in (0.0, 0.5))
    assert half * 2 == whole


@pytest.mark.parametrize("kind", ["tokens", "heads", "channels"])
@pytest.mark.parametrize("ratio", [0.3, 0.75])
def test_partial_information_runs_natively_as_it_evaluates(kind: str, ratio: float):
    model, x = settled(partial=kind, partial_ratio=ratio), images(4)
    graph = lower(model, x[:1])
    for backend in (Reference, Program):
        result = verify(graph, model, [(x, torch.zeros(4, dtype=torch.long))], backend)
        assert result.mismatches == 0
        assert not result.not_compared


def test_random_partial_information_is_refused_by_name_and_repeats_itself():
    model, x = settled(partial="random", partial_ratio=0.5), images(4)
    with pytest.raises(LoweringError, match=r"attention\.partial\.masks\.0 \(RandomMask\): leaves elements out"):
        lower(model, x)
    with torch.no_grad():
        made = model(x)
        assert torch.equal(model(x), made)
        assert torch.equal(model(x[2:]), made[:, 2:])
    seeds = Counter(mask.seed for a in attentions(model) for mask in a.partial.masks)
    assert len(seeds) == 3 * len(attentions(model))


def test_a_checkpoint_of_another_ratio_warns():
    half = settled(partial="tokens", partial_ratio=0.5)
    half.train()(images(2))
    whole = settled()
    whole.load_state_dict(half.state_dict())
    with torch.no_grad(), pytest.warns(PartialWarning, match=r"at ratio 0\.5 is evaluated at 0: "):
        whole.eval()(images(2))


# --- bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_steps": 4}, r"est\.time_steps must be 1, got 4: .*spikelet\.convert"),
        ({"membrane_bits": 8}, r"est\.membrane_bits must be 32, got 8"),
        ({"image_size": 10}, r"est\.image_size must be a multiple of patch \* 2\^\(stages - 1\), 8, got 10"),
        ({"window": 3}, r"est\.window must divide the 8 x 8 tokens of stage 1, or be larger than them, got 3"),
        ({"head_width": 5}, r"est\.head_width must divide width=64, got 5"),
        ({"levels": 12}, r"levels must be a power of two from 1 to 128, got 12"),
        ({"attention": "linear"}, r"est\.attention must be one of .*running_softmax.*, got 'linear'"),
        ({"partial": "rows"}, r"est\.partial must be one of .*tokens"),
        ({"partial_ratio": 1.0}, r"est\.partial_ratio must lie in \[0, 1\), got 1\.0"),
        ({"partial_ratio": -0.5}, r"est\.partial_ratio must lie in \[0, 1\), got -0\.5"),
        ({"rescale": True}, r"rescale belongs to kind='random', got kind='tokens'"),
    ],
)
def test_options_that_make_no_network_are_refused(options: dict[str, object], message: str):
    with pytest.raises(SpikeletError, match=message):
        create_model("est_cifar", **options)
