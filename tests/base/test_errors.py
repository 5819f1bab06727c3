"""Errors: one base, whose kinds are Python's own too, and words without the numbers of the system."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import spikelet
from spikelet.base import errors
from spikelet.base.errors import LoweringError, NoSuchFile, SpikeletError, WrongType, in_words, names_its_place
from spikelet.base.paths import path_of


def test_every_error_is_caught_as_one_and_as_a_value_error() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
    ours = [kind for kind in kinds if kind.__module__ == errors.__name__ and not issubclass(kind, Warning)]
    assert len(ours) > 15
    assert all(issubclass(kind, SpikeletError) and issubclass(kind, ValueError) for kind in ours)


@pytest.mark.parametrize(
    ("wrong", "also"),
    [
        (lambda: spikelet.load(None), TypeError),  # type: ignore[arg-type]
        (lambda: spikelet.load("no such model"), FileNotFoundError),
        (lambda: spikelet.load(Path(__file__).parent), IsADirectoryError),
    ],
)
def test_an_error_is_what_python_calls_it_too(wrong, also: type[Exception]) -> None:
    with pytest.raises(SpikeletError) as caught:
        wrong()
    assert isinstance(caught.value, also)
    assert "\n" not in str(caught.value)


def test_words_of_the_system_have_its_file_and_not_its_number(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:
        (tmp_path / "none").read_bytes()
    assert in_words(caught.value) == f"{tmp_path / 'none'}: No such file or directory"
    assert in_words(OSError(28, "No space left on device")) == "No space left on device"
    assert in_words(OSError("plain")) == "plain"
    assert in_words(NoSuchFile("there is nothing")) == "there is nothing"


def test_only_errors_of_an_argument_do_not_name_their_place() -> None:
    assert names_its_place(LoweringError("fc: ..."))
    assert not any(names_its_place(error) for error in (SpikeletError("a"), WrongType("b"), ValueError("c")))


def test_a_path_is_text_or_a_path() -> None:
    assert path_of("a", "file") == path_of(b"a", "file") == path_of(Path("a"), "file") == Path("a")
    for wrong in (None, 3, ["a"]):
        with pytest.raises(
            WrongType, match=r"file must be a path, such as 'model\.safetensors' or a pathlib\.Path, got "
        ):
            path_of(wrong, "file")
