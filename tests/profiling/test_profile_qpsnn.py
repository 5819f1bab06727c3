"""QP-SNN's published sizes and energies come out of our models; packed files beside them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.qpsnn_sizes import IMAGENET, PUBLISHED, Row, sizes
from spikelet.graph.file.artifact import dumps
from spikelet.lowering import lower
from spikelet.models import create_model
from spikelet.profiling import profile, qpsnn_megabytes, qpsnn_millijoules, qpsnn_millijoules_of
from tests.graph.test_artifact_size import theoretical_bytes
from tests.profiling.networks import images, trained

ROWS = [pytest.param(row, bits, id=f"{row.name}, {bits} bits") for row in PUBLISHED for bits in row.published]


def abstract(row: Row, bits: int) -> nn.Module:
    with torch.device("meta"):
        return row.build(bits)


def test_there_are_39_published_sizes():
    assert len(ROWS) == 39


@pytest.mark.parametrize(("row", "bits"), ROWS)
def test_a_published_size_comes_out_of_the_model_to_a_hundredth_of_a_megabyte(row: Row, bits: int):
    assert qpsnn_megabytes(abstract(row, bits)) == pytest.approx(row.published[bits], abs=0.00501)


@pytest.mark.parametrize("bits", [8, 4])
def test_the_imagenet_row_is_that_of_the_network_before_pruning(bits: int):
    # 13.286 where 13.28 is printed: the row shows no pruning, and no ratios are published for it
    assert qpsnn_megabytes(abstract(IMAGENET, bits)) == pytest.approx(IMAGENET.published[bits], abs=0.0065)


def test_full_precision_sizes_are_the_published_ones():
    # 58.88 and 68.4 MB; VGG16's is 0.02 MB above, the second number of each batch-norm channel
    for name, classes, published in (("qpsnn_vgg16", 10, 58.88), ("qpsnn_resnet20", 100, 68.4)):
        with torch.device("meta"):
            model = create_model(name, num_classes=classes, weight_bits=32)
        assert qpsnn_megabytes(model) == pytest.approx(published, abs=0.021)


SMALL = [p for p in ROWS if p.values[0].published[p.values[1]] < 0.5]


@pytest.mark.parametrize(("row", "bits"), SMALL)
def test_the_packed_file_is_what_its_codes_and_constants_take_and_smaller_than_published(row: Row, bits: int):
    graph = lower(row.build(bits), row.example())
    size = len(dumps(graph))
    assert theoretical_bytes(graph) < size <= 1.02 * theoretical_bytes(graph) + 4096
    assert size / 1e6 < row.published[bits]  # whose first and last layer have 32 bits


def test_a_residual_network_stores_its_shortcuts_in_two_bytes_a_channel():
    row = next(r for r in PUBLISHED if r.name == "CIFAR-10, resnet20 B")
    made = sizes(row, 2)
    graph = lower(row.build(2), row.example())
    assert made.arrays == pytest.approx(theoretical_bytes(graph), abs=64)  # codes end on whole bytes
    assert made.file <= 1.02 * theoretical_bytes(graph) + 4096
    assert made.file / 1e6 < row.published[2]


# --- energy -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sops_millions", "time_steps", "first_channels", "published"),
    [(54.60, 4, 64, 0.204), (11.63, 4, 32, 0.046), (415.64, 2, 64, 0.756)],
    ids=["VGG16", "VGG16 pruned", "ResNet20"],
)
def test_published_energies_follow_from_published_operations(
    sops_millions: float, time_steps: int, first_channels: int, published: float
):
    first = 32 * 32 * 27 * first_channels
    made = qpsnn_millijoules(step_sops=sops_millions * 1e6, time_steps=time_steps, first_macs=first)
    assert made == pytest.approx(published, abs=0.0015)


def test_the_energy_published_for_pruned_resnet20_leaves_the_time_steps_out():
    first = 32 * 32 * 27 * 57
    with_t, without = (qpsnn_millijoules(step_sops=131.53e6, time_steps=t, first_macs=first) for t in (2, 1))
    assert without == pytest.approx(0.126, abs=0.0005)
    assert with_t == pytest.approx(0.244, abs=0.0005)


def test_the_energy_of_a_profile_counts_the_first_layer_once_and_all_others_by_their_input():
    x = images(2, 16, 4)
    model = trained(create_model("qpsnn_vggsnn", pruning=[0.9] * 8, image_size=16, time_steps=3), x)
    report = profile(model, x)
    first, *rest = report.synapses
    expected = 4.6 * first.macs_per_step
    expected += 0.9 * sum(
        s.macs_per_step * s.input_events / (s.in_shape[0] * s.in_shape[1] * s.in_shape[2]) for s in rest[:-1]
    )
    head = rest[-1]
    expected += 0.9 * head.macs_per_step * head.input_events / head.in_shape[0]
    assert qpsnn_millijoules_of(report) == pytest.approx(expected / 1e9)


def test_a_model_without_two_layers_has_no_first_and_last():
    with pytest.raises(ValueError, match="model must have a first and a last layer of weights, got 1 such layers"):
        qpsnn_megabytes(nn.Sequential(nn.Linear(2, 3)))
