"""Networks without what integers have not, beside the networks that they were."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import ConversionError, SpikeletError
from spikelet.conversion import calibrate, repair
from spikelet.conversion.ordinary.called import Substituted, substituted
from spikelet.conversion.ordinary.currents import LevelsBefore, LevelsBehind, currents_of
from spikelet.conversion.ordinary.multihead import taken_apart
from spikelet.conversion.ordinary.norms import TokenNorm
from spikelet.conversion.ordinary.scores import LevelAttention, ScoreLevels
from spikelet.neurons import QCFS, Levels
from tests.conversion.ordinary import NETWORKS, Encoder, ViT, images, seeded

GONE = (nn.MultiheadAttention, nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.Softmax, nn.Tanh, nn.Dropout)


def whole(model: nn.Module) -> Substituted:
    return model if isinstance(model, Substituted) else Substituted(model, {})


def kinds(model: nn.Module, *types: type[nn.Module]) -> int:
    return sum(isinstance(m, types) for m in model.modules())


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_is_left_to_repair(name: str):
    net = seeded(NETWORKS[name])
    made, changes = repair(net, images())
    assert kinds(made, *GONE) == 0
    assert list(currents_of(whole(made), images())) == []
    assert len(changes.rows) > 3
    assert [row[0] for row in changes.table().rows] == [row.where for row in changes.rows]
    assert len(str(changes).splitlines()) > 3
    assert torch.isfinite(made(images())).all()
    assert str(repair(made, images()).changes) == "nothing to repair"


@pytest.mark.parametrize("name", NETWORKS)
def test_calibration_may_come_before_or_after(name: str):
    net, x = seeded(NETWORKS[name]), images()
    before, after = repair(calibrate(net, x), x).network, calibrate(repair(net, x).network, x)
    assert kinds(before, QCFS, Levels) == kinds(after, QCFS, Levels)
    assert before(x).shape == after(x).shape == net(x).shape
    assert kinds(before, nn.ReLU6, nn.GELU, nn.SiLU) == kinds(after, nn.ReLU6, nn.GELU, nn.SiLU) == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_every_threshold_and_weight_learns(name: str):
    made = calibrate(repair(seeded(NETWORKS[name]), images()).network, images()).train()
    made(images()).square().sum().backward()
    assert [n for n, p in made.named_parameters() if p.grad is None] == []


def test_each_part_is_found_however_it_is_written():
    x = images()
    assert kinds(repair(seeded(NETWORKS["fused attention"]), x).network, LevelAttention) == 1
    for name in ("softmax module", "softmax function"):
        made = repair(seeded(NETWORKS[name]), x).network
        assert kinds(made, ScoreLevels) == 1
        assert isinstance(whole(made).net.attention.qkv, LevelsBehind)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("norm_first", [True, False])
def test_torchs_encoder_taken_apart_is_the_same(batch_first: bool, norm_first: bool):
    net = seeded(lambda: Encoder(norm_first=norm_first, batch_first=batch_first))
    work = copy.deepcopy(net)
    for i, layer in enumerate(work.encoder.layers):
        work.encoder.layers[i] = taken_apart(layer, f"layers.{i}")
    with torch.no_grad():  # where torch takes its fast path
        assert torch.allclose(work(images()), net(images()), atol=1e-5)
    assert torch.allclose(work(images()), net(images()), atol=1e-5)


def test_attention_over_other_widths_taken_apart_is_the_same():
    torch.manual_seed(0)
    fused = nn.MultiheadAttention(8, 2, kdim=6, vdim=4, bias=False, batch_first=True).eval()
    q, k, v = torch.randn(3, 5, 8), torch.randn(3, 7, 6), torch.randn(3, 7, 4)
    apart, none = taken_apart(fused, "attention")(q, k, v, need_weights=False)
    assert torch.allclose(apart, fused(q, k, v)[0], atol=1e-6)
    assert none is None


def test_a_softmax_of_the_logits_is_left_out():
    net = seeded(NETWORKS["bottleneck"])
    made = repair(net, images()).network
    assert kinds(made, ScoreLevels) == 0
    assert not torch.allclose(made(images()).sum(-1), torch.ones(32))


@pytest.mark.parametrize("shape", [(7, 6), (7, 5, 6), (7, 2, 3, 6)])
def test_a_token_norm_is_a_batch_norm_of_the_last_axis(shape: tuple[int, ...]):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    norm = TokenNorm(6).train()
    flat = x.reshape(-1, 6)
    expected = (flat - flat.mean(0)) / (flat.var(0, correction=0) + 1e-5).sqrt()
    assert torch.allclose(norm(x), expected.view(shape), atol=1e-5)


def test_statistics_are_those_of_the_example():
    net = seeded(NETWORKS["fused attention"])
    made = repair(net, images()).network
    norm = made.get_submodule("net.before.norm.layer")
    seen = (net.embed(images()).flatten(2).transpose(1, 2) + net.position).reshape(-1, 16)
    assert torch.allclose(norm.running_mean, seen.mean(0), atol=1e-5)
    assert torch.allclose(norm.running_var, seen.var(0), atol=1e-4)
    assert norm.momentum == 0.1


def test_levels_behind_a_norm_keep_both_signs():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 4, bias=False)).train()
    x = torch.randn(500, 6)
    net(x)
    net.eval()
    made = repair(net, x, 128).network
    assert isinstance(made[1], LevelsBehind)
    assert (made(x) - net(x)).abs().mean() < 0.02 * net(x).abs().mean()
    made[1].levels = nn.Identity()
    assert torch.allclose(made(x), net(x), atol=1e-5)  # without levels nothing has changed


class SharesABias(nn.Module):
    """Two layers behind a norm that hold one bias, and a norm that holds the norm's."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm, self.other = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.BatchNorm1d(8)
        self.one, self.two = nn.Linear(8, 4), nn.Linear(8, 4)
        self.two.bias, self.other.bias = self.one.bias, self.norm.bias

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        y = self.norm(x)
        return torch.cat([self.one(y), self.two(y), self.other(x)], 1)


def test_a_bias_that_layers_share_is_shifted_once_for_each():
    torch.manual_seed(0)
    net, x = SharesABias().eval(), torch.randn(500, 6)
    net.one.bias.requires_grad_(False)
    made = repair(net, x, 128).network
    assert isinstance(made.norm, LevelsBehind)
    made.norm.levels = nn.Identity()
    assert torch.allclose(made(x), net(x), atol=1e-5)  # without levels nothing has changed
    assert [p.requires_grad for p in (made.one.bias, made.two.bias, made.norm.bias)] == [False, False, True]


class ReadsTheNormTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.second = nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x))
        return x + self.second(x)


def test_a_current_that_others_read_too_stays_as_it_is():
    net = ReadsTheNormTwice().eval()
    made = repair(net, torch.randn(20, 6)).network
    assert isinstance(made.second, LevelsBefore)
    assert isinstance(made.second.levels, QCFS)
    assert torch.equal(made.norm.bias, net.norm.bias)
    assert torch.equal(made.second.layer.bias, net.second.bias)


class Masked(nn.Module):
    def __init__(self, **options: object) -> None:
        super().__init__()
        self.options = options

    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x, **self.options)


class MaskedHeads(nn.Module):
    def __init__(self, **options: bool) -> None:
        super().__init__()
        self.heads = nn.MultiheadAttention(8, 2, batch_first=True, **options)

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, 0]
        return self.heads(x, x, x, attn_mask=torch.zeros(8, 8))[0]


BAD = {
    "a mask of heads": (lambda: (MaskedHeads(), images()), "heads: attends with a mask"),
    "keys of its own": (lambda: (MaskedHeads(add_zero_attn=True), images()), "heads: attends to keys of its own"),
    "a mask": (lambda: (Masked(attn_mask=torch.zeros(8, 8)), images()), "attends with a mask"),
    "a causal mask": (lambda: (Masked(is_causal=True), images()), "attends with a mask"),
    "a norm of many axes": (lambda: (nn.LayerNorm([8, 8]), images()), "norms over 2 axes at once"),
    "one sample": (lambda: (ViT("fused"), images(1)), "example must hold some hundred samples, got 1"),
    "another size": (lambda: (ViT("fused"), images(size=6)), r"does not run on a batch of shape \(32, 3, 6, 6\)"),
    "levels": (lambda: (ViT("fused"), images(), 3), "power of two from 1 to 128, got 3"),
    "no module": (lambda: ("vit", images()), "model must be a torch.nn.Module, got str"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence_and_leaves_the_network_alone(name: str):
    arguments, message = BAD[name]
    model, *others = arguments()
    state = copy.deepcopy(model.state_dict()) if isinstance(model, nn.Module) else {}
    with pytest.raises(SpikeletError, match=message):
        repair(model, *others)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in state.items())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_stays_as_it_was(name: str, training: bool):
    net = seeded(NETWORKS[name])
    before, state, printed = net(images()), copy.deepcopy(net.state_dict()), str(net)
    net.train(training)
    made = repair(net, images()).network
    assert {m.training for m in made.modules()} == {training}
    assert str(net) == printed
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert all(torch.equal(a, b) for a, b in zip(state.values(), net.state_dict().values(), strict=True))
    assert torch.equal(net.eval()(images()), before)


def test_a_model_that_cannot_be_copied_is_one_sentence():
    net = ViT("fused")
    net.keep = (torch.zeros(1, requires_grad=True) * 1,)
    with pytest.raises(ConversionError, match="can't be copied"):
        repair(net, images())


def test_code_may_ask_a_wrapped_layer_for_its_weights():
    net = ReadsTheNormTwice().eval()
    made = repair(net, torch.randn(20, 6)).network
    again = copy.deepcopy(made)
    assert again.second.weight is again.second.layer.weight
    assert again.second.in_features == 6
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        again.second.nothing  # noqa: B018


def test_no_stand_in_is_no_wrapper():
    net = nn.Linear(2, 2)
    assert substituted(net, {}) is net
