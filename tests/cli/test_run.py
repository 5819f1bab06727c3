"""`spikelet run`: pictures in, classes with scores out."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikelet
from spikelet.cli.predicting import softmax
from spikelet.data import load
from spikelet.graph.graph import IntGraph, Output
from tests.support.pictures import read_picture

images = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def digit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first test digit as a picture."""
    path = tmp_path_factory.mktemp("pictures") / "digit.png"
    images.fromarray(load("digits").test.x[0, 0].numpy()).save(path)
    return path


def test_logits_and_scores_are_those_of_the_program(packed: Path, digit: Path, command: Callable[..., Any]) -> None:
    graph = spikelet.load(packed)
    logits = spikelet.Program(graph)(load("digits").test.x[:1].numpy())[0]
    real = logits * graph.logit_scale
    expected = np.exp(real) / np.exp(real).sum()
    done = command("run", packed, digit)
    assert done.exit_code == 0, done.output
    found = re.findall(r"^(\d) +(-?[\d,]+) +([\d.]+) %", done.output, re.MULTILINE)
    assert len(found) == 5
    assert [score for _, _, score in found] == [f"{100 * expected[int(k)]:.2f}" for k, _, _ in found]
    assert [logit for _, logit, _ in found] == [f"{logits[int(k)]:,}" for k, _, _ in found]
    assert [int(k) for k, _, _ in found] == np.argsort(-expected, kind="stable")[:5].tolist()


def test_every_image_gets_a_table_of_the_size_asked_for(packed: Path, digit: Path, command: Callable[..., Any]) -> None:
    text = command("run", packed, digit, digit, "--top", 2).output
    assert text.count("used as it is") == 2
    assert len(re.findall(r"^\d +\S+ +[\d.]+ %", text, re.MULTILINE)) == 4


def test_a_shipped_model_runs_by_name(tmp_path: Path, command: Callable[..., Any]) -> None:
    from spikelet import zoo

    for name in zoo.names():
        shape = spikelet.load(name).input.shape
        np.save(tmp_path / "x.npy", np.zeros(shape, np.uint8))
        assert command("run", name, tmp_path / "x.npy").exit_code == 0


def test_a_large_colour_picture_is_cut_resized_and_made_grey(tmp_path: Path) -> None:
    whole = np.zeros((40, 60, 3), np.uint8)
    whole[:, 10:50] = (90, 90, 90)
    images.fromarray(whole).save(tmp_path / "wide.png")
    picture = read_picture(tmp_path / "wide.png", (1, 8, 8), 2)
    assert picture.done == "60 x 40 RGB, to grey, cut to the middle, resized to 8 x 8"
    assert (picture.pixels[:, :, 1:-1] == 90).all()
    assert (picture.pixels > 70).all(), "the black margins are cut away, but for what the filter reads at the edge"


def test_a_grey_picture_becomes_rgb_for_a_model_in_colour(tmp_path: Path) -> None:
    images.new("L", (8, 8), 77).save(tmp_path / "grey.png")
    picture = read_picture(tmp_path / "grey.png", (3, 8, 8), 2)
    assert picture.pixels.shape == (3, 8, 8)
    assert (picture.pixels == 77).all()
    assert picture.done == "8 x 8 grey, to RGB"


def test_a_picture_of_the_right_kind_passes_untouched(digit: Path) -> None:
    picture = read_picture(digit, (1, 8, 8), 2)
    assert (picture.batch == load("digits").test.x[:1].numpy()).all()
    assert picture.done == "8 x 8 grey, used as it is"


@pytest.mark.parametrize(("shape", "batch"), [((1, 8, 8), (1, 1, 8, 8)), ((2, 1, 8, 8), (2, 1, 1, 8, 8))])
def test_an_array_is_an_image_or_frames(shape: tuple[int, ...], batch: tuple[int, ...], tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(np.prod(shape)).astype(np.uint8).reshape(shape))
    picture = read_picture(tmp_path / "x.npy", (1, 8, 8), 2)
    assert picture.batch.shape == batch
    assert "used as it is" in picture.done


def test_frames_give_other_classes_than_one_image_only_through_the_program(
    packed: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    x = load("digits").test.x[0].numpy()
    np.save(tmp_path / "image.npy", x)
    np.save(tmp_path / "frames.npy", np.stack([x, x]))
    one, two = (command("run", packed, tmp_path / f"{name}.npy").output for name in ("image", "frames"))
    assert one.splitlines()[1:] == two.splitlines()[1:], "the same frame at every step is the same image"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((1, 8, 8), np.float32), r"must hold uint8 of shape .* got float32 .*\(x \* 255\)\.round\(\)"),
        (np.zeros((3, 3, 8, 8), np.uint8), r"got uint8 \[3, 3, 8, 8\]"),
        (np.zeros((0, 1, 8, 8), np.uint8), r"got uint8 \[0, 1, 8, 8\]"),
        (np.zeros((3, 2, 1, 8, 8), np.uint8), r"\[2, N, 1, 8, 8\] for N samples; got uint8 \[3, 2, 1, 8, 8\]"),
        (np.array([{}]), "must hold uint8 of shape .* got object"),
    ],
)
def test_an_array_of_another_kind_is_refused(array: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(ValueError, match=message):
        read_picture(tmp_path / "x.npy", (1, 8, 8), 2)


@pytest.mark.parametrize("name", ["empty.npy", "empty.png"])
def test_an_empty_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"is not|is an empty file"):
        read_picture(tmp_path / name, (1, 8, 8), 2)


def test_a_picture_of_sixteen_bits_is_refused(tmp_path: Path) -> None:
    images.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match="more than 8 bits"):
        read_picture(tmp_path / "deep.png", (1, 8, 8), 2)


def test_a_model_of_events_takes_no_pictures(digit: Path) -> None:
    with pytest.raises(ValueError, match=r"shape \[2, 34, 34\], which pictures don't have. Give an .npy file"):
        read_picture(digit, (2, 34, 34), 5)


def test_a_picture_that_is_not_there_is_refused(packed: Path, command: Callable[..., Any]) -> None:
    done = command("run", packed, "nothing.png")
    assert done.exit_code == 2
    assert done.stderr == "error: there is no file nothing.png.\n"


def test_logits_of_every_step_are_summed_and_scored_by_their_mean(
    packed: Path, digit: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    graph = spikelet.load(packed)
    every, last = graph.nodes[:-1], graph.output.inputs[0]
    steps = IntGraph(every, graph.time_steps, (Output(last, graph.logit_scale * graph.time_steps),), graph.labels)
    spikelet.save(steps, tmp_path / "steps.safetensors")
    whole, by_step = (command("run", model, digit).output for model in (packed, tmp_path / "steps.safetensors"))
    assert whole == by_step
    assert command("verify", tmp_path / "steps.safetensors").exit_code == 0
    accuracies = [command("eval", m, "--data", "digits").output for m in (packed, tmp_path / "steps.safetensors")]
    assert len({text.split("accuracy, integer program")[1] for text in accuracies}) == 1


def test_scores_of_large_logits_stay_finite() -> None:
    assert softmax(np.array([1e4, 1e4, -1e4])).tolist() == [0.5, 0.5, 0.0]
