"""Order, shares, resumption and shape of batches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikelet.data import Compose, Cutout, Epoch, HorizontalFlip, RandomCrop, Roll, Samples, Share, batches
from spikelet.data.order import generator, permutation
from tests.data.catalogue import events, images

AUGMENT = Compose((RandomCrop(2), HorizontalFlip(), Cutout(4)))


def _numbered(n: int = 23) -> Samples:
    """Sample i has the label i, and pixels of value i + 1."""
    x = (torch.arange(n) + 1).view(n, 1, 1, 1).expand(n, 1, 6, 6).to(torch.uint8)
    return Samples(x, torch.arange(n), tuple(map(str, range(n))), "numbered")


def _labels(made) -> list[list[int]]:
    return [y.tolist() for _, y in made]


@settings(max_examples=40)
@given(st.integers(0, 300), st.integers(-(2**70), 2**70), st.integers(0, 10**6))
def test_a_permutation_holds_every_index_once(n, seed, epoch):
    assert sorted(permutation(n, seed, epoch).tolist()) == list(range(n))


def test_the_order_is_what_it_was_when_the_first_figures_were_published():
    assert permutation(10, 0).tolist() == [5, 7, 1, 4, 2, 8, 0, 6, 3, 9]
    assert permutation(10, 3, 7).tolist() == [9, 7, 3, 0, 1, 4, 6, 2, 5, 8]
    assert generator(3, 7, 1).initial_seed() == 3215885549101425350


def test_positions_are_uniform():
    where_zero_goes = torch.tensor([permutation(8, seed, 0).tolist().index(0) for seed in range(1600)])
    assert torch.bincount(where_zero_goes, minlength=8).float().sub(200).abs().max() < 50


def test_streams_of_numbers_are_told_apart():
    seeds = {generator(*stream).initial_seed() for stream in [(), (0,), (0, 0), (1, 0), (0, 1), (0, 0, 0), (-1,)]}
    assert len(seeds) == 7


def test_an_epoch_shows_every_sample_once_with_its_label():
    seen = []
    for x, y in batches(_numbered(), 5, epoch=Epoch(0, 0)):
        assert torch.equal(x[:, 0, 0, 0].long(), y + 1)
        seen += y.tolist()
    assert sorted(seen) == list(range(23))


def test_the_order_depends_on_seed_and_epoch_alone():
    def order(seed: int, number: int) -> list[list[int]]:
        torch.rand(7)  # torch's own generator is not drawn on
        return _labels(batches(_numbered(), 5, epoch=Epoch(seed, number)))

    assert order(1, 2) == order(1, 2)
    assert len({str(order(seed, number)) for seed in range(3) for number in range(3)}) == 9


def test_without_an_epoch_samples_come_in_their_own_order():
    assert _labels(batches(_numbered(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]


def test_the_length_is_the_number_of_batches_and_iterating_twice_gives_the_same():
    made = batches(_numbered(), 5, epoch=Epoch(0, 1), augment=AUGMENT)
    first, second = list(made), list(made)
    assert len(made) == len(first) == 5
    assert all(torch.equal(a[0], b[0]) for a, b in zip(first, second, strict=True))


def test_drop_last_leaves_out_the_incomplete_batch():
    assert [len(y) for y in _labels(batches(_numbered(), 5, epoch=Epoch(0, 0), drop_last=True))] == [5, 5, 5, 5]


@pytest.mark.parametrize("start", range(6))
def test_a_resumed_epoch_goes_on_bit_for_bit(start):
    whole = list(batches(_numbered(), 5, epoch=Epoch(4, 2), augment=AUGMENT))
    rest = list(batches(_numbered(), 5, epoch=Epoch(4, 2), augment=AUGMENT, start=start))
    assert len(rest) == 5 - start
    for (x, y), (x2, y2) in zip(whole[start:], rest, strict=True):
        assert torch.equal(x, x2)
        assert torch.equal(y, y2)


def test_augmentation_leaves_the_labels_as_they_were():
    plain = batches(_numbered(), 5, epoch=Epoch(0, 0))
    augmented = batches(_numbered(), 5, epoch=Epoch(0, 0), augment=AUGMENT)
    assert _labels(plain) == _labels(augmented)
    assert any(not torch.equal(a[0], b[0]) for a, b in zip(plain, augmented, strict=True))


def test_batches_of_an_epoch_and_epochs_of_a_run_are_augmented_differently():
    same = Samples(images(1).expand(40, -1, -1, -1), torch.zeros(40, dtype=torch.int64), ("a",), "same")
    shown = [x for number in range(2) for x, _ in batches(same, 20, epoch=Epoch(0, number), augment=Roll(3))]
    assert all(not torch.equal(shown[i], shown[j]) for i in range(4) for j in range(i))


def test_processes_share_the_batches_of_one_process():
    whole = _labels(batches(_numbered(), 2, epoch=Epoch(0, 0)))
    shares = [_labels(batches(_numbered(), 2, epoch=Epoch(0, 0), share=Share(r, 3))) for r in range(3)]
    assert [shares[b % 3][b // 3] for b in range(12)] == whole


def test_with_drop_last_every_process_takes_as_many_steps():
    counts = [len(batches(_numbered(), 3, epoch=Epoch(0, 0), drop_last=True, share=Share(r, 3))) for r in range(3)]
    assert counts == [2, 2, 2]


def test_batches_of_events_come_time_first():
    x = events().transpose(0, 1).contiguous()
    data = Samples(x, torch.arange(12), tuple("abcdefghijkl"), "events")
    for k, (batch, y) in enumerate(batches(data, 5)):
        assert batch.is_contiguous()
        assert torch.equal(batch, events()[:, 5 * k : 5 * k + 5])
        assert y.tolist() == list(range(12))[5 * k : 5 * k + 5]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: batches(d.subset(torch.arange(0)), 4), "this split of numbered is empty"),
        (lambda d: batches(d, 0), r"batches\.batch_size must be a whole number from 1 on, got 0"),
        (lambda d: batches(d, 1, start=-1), r"batches\.start must be a whole number from 0 on, got -1"),
        (lambda d: batches(d, 4, augment=AUGMENT), r"augmentation but no epoch .* Pass epoch=Epoch\(seed, number\)"),
        (lambda d: batches(d, 24, drop_last=True), "batch_size 24 on 1 .* more than the 23 samples"),
        (lambda d: Share(2, 2), "Share.rank must lie in 0 .. world_size - 1 = 1, got 2"),
    ],
)
def test_what_cannot_be_iterated_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make(_numbered())
