"""What every augmentation promises, over the whole catalogue."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from spikelet.data import Augmentation
from tests.data.catalogue import CASES, FOR_BOTH, FOR_EVENTS, FOR_IMAGES, FOR_SIGNALS, IDS, events, images, seeded

over_all = pytest.mark.parametrize(("augmentation", "x"), CASES, ids=IDS)


@over_all
def test_shape_and_type_are_kept_and_the_batch_itself_is_left_alone(augmentation, x):
    before = x.clone()
    y = augmentation(x, seeded())
    assert y.shape == x.shape
    assert y.dtype == torch.uint8
    assert torch.equal(x, before)


@over_all
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(augmentation, x):
    assert torch.equal(augmentation(x, seeded(3)), augmentation(x, seeded(3)))
    assert any(not torch.equal(augmentation(x, seeded(3)), augmentation(x, seeded(s))) for s in (4, 5, 6))


@over_all
def test_each_sample_is_drawn_for_on_its_own(augmentation, x):
    same = x.select(-4, 0).unsqueeze(-4).expand_as(x)
    y = augmentation(same, seeded()).transpose(0, -4).flatten(1)
    assert len(torch.unique(y, dim=0)) > 1


@over_all
def test_a_batch_of_one_works(augmentation, x):
    one = x.narrow(-4, 0, 1)
    assert augmentation(one, seeded()).shape == one.shape


@over_all
def test_a_batch_that_is_not_contiguous_gives_the_same_bytes(augmentation, x):
    strided = torch.stack([x, x], -1)[..., 0]
    assert not strided.is_contiguous()
    assert torch.equal(augmentation(strided, seeded()), augmentation(x, seeded()))


@pytest.mark.parametrize("augmentation", FOR_BOTH, ids=str)
def test_all_time_steps_of_a_sample_meet_the_same_transform(augmentation):
    still = events(1).expand(4, -1, -1, -1, -1)
    y = augmentation(still, seeded())
    assert not torch.equal(y, still)
    assert all(torch.equal(y[t], y[0]) for t in range(4))


@pytest.mark.parametrize("augmentation", FOR_BOTH, ids=str)
def test_frames_and_images_meet_the_same_transform(augmentation):
    x = images()
    assert torch.equal(augmentation(x, seeded()), augmentation(x.unsqueeze(0), seeded())[0])


@pytest.mark.parametrize("augmentation", FOR_IMAGES, ids=str)
def test_grey_images_are_augmented_too(augmentation):
    x = images(channels=1)
    assert augmentation(x, seeded()).shape == x.shape


@over_all
def test_settings_are_frozen_and_compared_by_value(augmentation, x):
    assert dataclasses.replace(augmentation) == augmentation
    assert hash(dataclasses.replace(augmentation)) == hash(augmentation)
    with pytest.raises(dataclasses.FrozenInstanceError):
        augmentation.seed = 1


def test_every_augmentation_is_in_the_catalogue():
    listed = {type(a) for a in (*FOR_BOTH, *FOR_IMAGES, *FOR_EVENTS, *FOR_SIGNALS)}
    assert set(Augmentation.__subclasses__()) == listed


@over_all
def test_other_types_than_bytes_are_refused(augmentation, x):
    with pytest.raises(TypeError, match=r"takes uint8 batches, got torch.float32. \(Augment before"):
        augmentation(x.float(), seeded())


@over_all
def test_a_single_sample_is_refused(augmentation, x):
    with pytest.raises(ValueError, match=r"takes images \[B, C, H, W\] or \[T, B, C, H, W\], got shape \(3, 17, 14\)"):
        augmentation(images()[0], seeded())


@pytest.mark.parametrize("augmentation", FOR_IMAGES, ids=str)
def test_policies_for_photographs_refuse_events(augmentation):
    with pytest.raises(ValueError, match=r"takes still images \[B, C, H, W\], got shape .* use spikelet.data.neuro"):
        augmentation(events(), seeded())


@pytest.mark.parametrize("augmentation", FOR_EVENTS, ids=str)
def test_augmentations_along_time_refuse_still_images(augmentation):
    with pytest.raises(ValueError, match=r"takes event frames \[T, B, C, H, W\], got shape .*no time axis"):
        augmentation(images(), seeded())
