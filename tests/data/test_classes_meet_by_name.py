"""Classes meet by name: whatever order or part of them a data set has, a sample's label names its class."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.data import DataSplits, Samples, batches
from spikelet.train import evaluate

KNOWN = ("ant", "bee", "cat", "10", "2")


def samples(labels: tuple[str, ...], y: list[int], name: str = "later") -> Samples:
    """One sample a label; its first pixel is the place of its class's name in KNOWN."""
    x = torch.zeros(len(y), 1, 2, 2, dtype=torch.uint8)
    for row, number in enumerate(y):
        x[row, 0, 0, 0] = KNOWN.index(labels[number]) if labels[number] in KNOWN else 99
    return Samples(x, torch.tensor(y, dtype=torch.int64), labels, name)


class Perfect(nn.Module):
    """A network that reads the class off the first pixel."""

    def __init__(self, class_names: tuple[str, ...] | None = KNOWN) -> None:
        super().__init__()
        self.class_names = class_names

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.one_hot(x[:, 0, 0, 0].long(), 100)[:, : len(KNOWN)].float()


subsets = st.permutations(KNOWN).flatmap(lambda order: st.integers(1, len(KNOWN)).map(lambda n: tuple(order[:n])))


@given(subsets, st.data())
def test_a_sample_keeps_its_class_whatever_order_and_part_of_the_names_a_set_has(labels, data):
    y = data.draw(st.lists(st.integers(0, len(labels) - 1), max_size=9))
    renumbered = samples(labels, y).by_name(KNOWN)
    assert [KNOWN[number] for number in renumbered.y.tolist()] == [labels[number] for number in y]
    assert renumbered.labels == KNOWN


@given(subsets, st.data())
def test_a_perfect_network_is_perfect_on_any_part_of_its_classes(labels, data):
    y = data.draw(st.lists(st.integers(0, len(labels) - 1), min_size=1, max_size=9))
    assert evaluate(Perfect(), batches(samples(labels, y), 4)) == 1.0


def test_a_class_that_the_network_lacks_is_refused_by_name():
    with pytest.raises(SpikeletError, match=r"later has a class that the network does not know: 'dog'\. It knows"):
        samples(("bee", "dog"), [0, 1]).by_name(KNOWN)
    with pytest.raises(SpikeletError, match=r"2 classes that the network does not know: 'dog', 'emu'"):
        evaluate(Perfect(), batches(samples(("bee", "dog", "emu"), [0, 1, 2]), 4))


def test_a_class_that_the_network_lacks_and_no_sample_has_is_no_fault():
    assert samples(("dog", "bee"), [1, 1]).by_name(KNOWN).y.tolist() == [1, 1]


@pytest.mark.parametrize(("given", "meant"), [("Bee", "bee"), ("bee ", "bee"), ("002", "2"), ("cats", "cat")])
def test_names_are_equal_letter_by_letter_and_a_near_one_is_suggested(given: str, meant: str):
    with pytest.raises(SpikeletError, match=rf"does not know: '{given}'\..* Is it '{meant}' for '{given}'\?"):
        samples((given,), [0]).by_name(KNOWN)


def test_a_message_of_many_or_long_names_is_short():
    many = tuple(f"class {k} " + "x" * 1000 for k in range(500))
    with pytest.raises(SpikeletError) as caught:
        samples(many, list(range(500))).by_name(KNOWN)
    assert "and 488 more" in str(caught.value)
    assert len(str(caught.value)) < 2000


def test_a_network_without_names_takes_only_as_many_classes_as_it_has():
    own = samples(KNOWN, [0, 1])
    assert own.by_name((), len(KNOWN)) is own
    with pytest.raises(SpikeletError, match=r"has 5 classes without names, and later has 2: 'bee', 'cat'"):
        samples(("bee", "cat"), [0, 1]).by_name((), len(KNOWN))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("a", "b", "a"), r"Samples\.labels names the classes 0 and 2 both 'a'\. Give each its own name"),
        ((0, 1), r"Samples\.labels\[0\] must be a class name, a string, got 0"),
        ("ab", r"Samples\.labels must be the names of the classes, such as .*, got 'ab'"),
    ],
)
def test_names_that_are_no_names_or_stand_twice_are_refused(labels, message: str):
    with pytest.raises(SpikeletError, match=message):
        Samples(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), torch.tensor([0]), labels, "bad")
    if labels != "ab":
        with pytest.raises(SpikeletError, match="known"):
            samples(("ant",), [0]).by_name(labels)


def test_splits_with_names_in_another_order_get_those_of_the_training_set():
    train, test = samples(("ant", "bee", "cat"), [0, 1, 2]), samples(("cat", "ant"), [0, 1, 0])
    splits = DataSplits(train, samples((), []), test)
    assert splits.test.labels == splits.validation.labels == train.labels
    assert splits.test.y.tolist() == [2, 0, 2]
    with pytest.raises(SpikeletError, match=r"field has a class that the rest of later does not know: 'dog'"):
        DataSplits(train, samples((), []), samples(("dog",), [0], "field"))


def test_splits_without_a_training_set_have_the_names_of_the_first_part():
    empty = samples(("ant", "bee", "cat"), [])
    splits = DataSplits(empty, empty, samples(("bee", "2"), [1, 0]))
    assert (splits.test.labels, splits.train.labels) == (("bee", "2"), ("bee", "2"))
    assert splits.test.y.tolist() == [1, 0]


def test_a_label_beyond_the_names_asks_for_names_and_not_for_missing_labels():
    with pytest.raises(ValueError, match=r"must lie in 0 \.\. 1, got 2\. later names 2 classes\. Name the others too"):
        Samples(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.arange(3), ("ant", "bee"), "later")
