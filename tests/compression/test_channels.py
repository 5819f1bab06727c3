"""The analysis finds which channels hang together, and says why others stay."""

from __future__ import annotations

import copy
import re

import pytest
import torch
from torch import Tensor, nn

from spikelet.compression import CompressionError, find_channels
from spikelet.compression.channels import first_removable
from spikelet.compression.channels.union_find import UnionFind
from tests.compression.networks import NETWORKS, image
from tests.support.catalogue import DISTINCT, model_input, small_model

KEPT = {  # a word of the reason by the network's name
    "depthwise on the image": ("one", "the network's input"),
    "membrane by pixel": ("one", r"membrane\.share of shape \(6, 6\)"),
    "constant of a cube": ("one", r"layer \(AddConstant\) adds a constant of shape \(6, 6, 6\), not one a channel"),
    "padded with channels": ("one", r"\(pad\) adds channels"),
    "unknown function": ("one", r"\(cumprod\) is not known to keep them apart"),
    "softmax over channels": ("one", r"\(softmax\) mixes them"),
    "attention in numbers": ("q", r"\(unflatten\) spreads them over several axes, none of which is -1"),
    "attention to keys that heads share": ("k", r"\(matmul\) pairs them with what has other channels or none"),
    "attention of what is not 0 when silenced": ("q", r"\(matmul\) sums over them, and zeroed out they are not known"),
    "factors by name": ("q", r"\(matmul\) pairs them with a tensor of the model's own"),
    "outer product": ("q", r"\(mul\) pairs each with every channel|with every channel of another tensor"),
    "attention over channels": ("q", r"\(matmul\) pairs them with what has other channels or none"),
    "a scale of one's own": ("one", r"\(mul\) pairs them with a tensor of the model's own"),
    "layer norm": ("one", r"norm \(LayerNorm\) is not known"),
    "some channels": ("one", r"\(__getitem__\) takes some of them"),
    "channels in another order": ("one", r"\(__getitem__\) takes some of them"),
    "half of the channels": ("one", r"\(chunk\) takes some of them"),
    "shuffled channels": ("one", r"\(unflatten\) spreads them over several axes"),
    "mean over channels": ("one", r"\(mean\) mixes them"),
    "a parameter for each channel": ("one", r"\(add\) pairs them with a tensor of the model's own"),
    "written in parts": ("one", r"\(__setitem__\) is not known to keep them apart"),
    "the logits' own layer": ("one", "the network's outputs"),
    "chain": ("fc", "the network's outputs"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_units_that_may_leave_are_counted(name: str):
    make, units = NETWORKS[name]
    assert sum(len(group.units) for group in find_channels(make(), image()).groups) == units


@pytest.mark.parametrize("name", KEPT)
def test_channels_that_stay_are_kept_for_a_reason_that_names_the_culprit(name: str):
    layer, reason = KEPT[name]
    kept = find_channels(NETWORKS[name][0](), image()).kept
    assert re.search(reason, kept[layer]), kept[layer]


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("residual", ["one + two"]),
        ("difference of three", ["one", "two + three"]),
        ("concatenation", ["one", "two"]),
        ("concatenation, then sum", ["one + three + two"]),
        ("channel map", ["one", "two"]),
        ("layer used twice", ["one + two"]),
        ("groups", ["one", "two"]),
        ("depthwise", ["one + two"]),
    ],
)
def test_layers_that_share_channels_form_a_group(name: str, groups: list[str]):
    found = find_channels(NETWORKS[name][0](), image()).groups
    assert sorted(" + ".join(sorted(g.layers)) for g in found) == sorted(
        " + ".join(sorted(g.split(" + "))) for g in groups
    )


def test_a_flattened_channel_is_as_many_inputs_as_it_has_pixels():
    channels = find_channels(NETWORKS["chain"][0](), image())
    reads, makes = channels.layers["fc"].reads, channels.layers["one"].makes
    assert reads is not None
    assert makes is not None
    assert torch.equal(reads, makes.repeat_interleave(36))


def test_the_same_place_of_every_group_of_a_convolution_is_one_unit():
    layers = find_channels(NETWORKS["groups"][0](), image()).layers
    reads, makes = layers["two"].reads, layers["two"].makes
    assert reads is not None
    assert makes is not None
    assert reads[:2].tolist() == reads[2:].tolist() != sorted({*reads.tolist()}) * 3
    assert makes[:3].tolist() == makes[3:].tolist()
    assert len({*reads.tolist(), *makes.tolist()}) == 2 + 3


def test_a_stage_of_a_residual_network_is_one_group():
    channels = find_channels(small_model("qsnn_resnet19"), model_input("qsnn_resnet19", 1))
    stages = [group for group in channels.groups if len(group.layers) > 1]
    assert [len(group.units) for group in stages] == [4, 8, 16]
    assert len(channels.groups) == 3 + 8  # and the first convolution of each block
    assert list(channels.kept) == ["classifier"]


@pytest.mark.parametrize("name", DISTINCT)
def test_all_hidden_channels_of_the_catalogue_s_models_can_leave(name: str):
    kept = find_channels(small_model(name), model_input(name, 2)).kept
    assert set(kept.values()) == {"they are the network's outputs"}
    assert len(kept) == (2 if name.startswith("bestformer") else 1)  # one head a stream


def test_frames_are_followed_as_images_are():
    model = small_model("qsnn_vgg_s")
    still, frames = (find_channels(model, model_input("qsnn_vgg_s", 2, t), time_axis=0 if t else None) for t in (0, 3))
    assert [g.layers for g in still.groups] == [g.layers for g in frames.groups]
    assert all(torch.equal(a.units, b.units) for a, b in zip(still.groups, frames.groups, strict=True))


def test_the_analysis_leaves_no_trace():
    model = small_model("qsnn_vgg_s").train()
    state, parts = copy.deepcopy(model.state_dict()), [id(m) for m in model.modules()]
    find_channels(model, model_input("qsnn_vgg_s", 2))
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [id(m) for m in model.modules()] == parts
    assert all(m.training and not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())


def test_a_layer_that_never_runs_has_no_channels():
    model = NETWORKS["chain"][0]()
    model.add_module("spare", nn.Conv2d(3, 3, 1))
    assert "spare" not in find_channels(model, image()).layers


def test_a_model_that_does_not_run_is_refused():
    with pytest.raises(
        CompressionError, match=r"does not run on an input of shape \(2, 5, 6, 6\) with time_axis=None: "
    ):
        find_channels(NETWORKS["chain"][0](), torch.zeros(3, 5, 6, 6, dtype=torch.uint8))


def test_a_model_that_ignores_its_input_is_refused():
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.zeros(2, 3)

    with pytest.raises(CompressionError, match="output must be a tensor computed from its input"):
        find_channels(Constant(), image())


# --- which may leave together -----------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, (_, units) in NETWORKS.items() if units])
def test_no_layer_loses_its_last_channel(name: str):
    channels = find_channels(NETWORKS[name][0](), image())
    units = torch.cat([group.units for group in channels.groups])
    gone = first_removable(channels, units[torch.randperm(len(units))], len(units))
    assert len(gone) > 0
    for layer in channels.layers.values():
        assert layer.makes is None or not torch.isin(layer.makes, gone).all()


def test_units_leave_in_the_order_given_and_no_more_than_asked_for():
    channels = find_channels(NETWORKS["frames in a row"][0](), image())
    units = torch.cat([group.units for group in channels.groups])
    order = units[torch.randperm(len(units))]
    assert torch.equal(first_removable(channels, order, 3), order[:3])
    assert len(first_removable(channels, order, 0)) == 0
    assert len(first_removable(channels, order, 99)) == 6


# --- identities -------------------------------------------------------------------------------------


def test_joined_identities_have_one_root_and_share_a_reason():
    ids = UnionFind()
    a, b, c = ids.new(3), ids.new(3), ids.new(3)
    ids.freeze(c[:1], "first")
    ids.join(a, b)
    ids.join(b[:1], c[:1])
    ids.freeze(a, "second")
    assert torch.equal(ids.roots(a), ids.roots(b))
    assert ids.roots(a)[0] == ids.roots(c)[0] != ids.roots(c)[1]
    assert [ids.reason(int(x)) for x in b] == ["first", "second", "second"]
    assert ids.reason(int(c[1])) is None
