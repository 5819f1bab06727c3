"""Arguments, places to write to and data are looked at before anything long begins; side files never cost a result."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import spikelet
from spikelet.cli import configuring, evaluation, fitting, lowered, profiling, sources
from spikelet.cli.result import Result
from spikelet.data import load

WORDS = (
    ("train tiny --threads 100000", "--threads"), ("fit RUN --max-bytes 3k --threads 100000", "--threads"),
    ("eval RUN --threads 65", "--threads"), ("run FILE a.png --threads 0", "--threads"),
    ("profile RUN --threads -1", "--threads"), ("verify FILE --threads 1e3", "--threads"),
    ("train tiny --seed -1", "--seed"), ("train tiny --seed 4294967296", "--seed"),
    ("fit RUN --max-bytes 3k --seed -1", "--seed"), ("verify FILE --seed 4294967296", "--seed"),
    ("fit RUN --max-bytes 3k --seed 1.5", "--seed"), ("verify FILE --samples 0", "--samples"),
    ("profile RUN --samples 0", "--samples"), ("profile RUN --part cost", "--part"),
    ("profile RUN --out NOWHERE/p.json", "--out"), ("profile RUN --out FOLDER", "--out"),
    ("profile FILE a.npy --out NOWHERE/p.json", "--out"), ("pack RUN --out NOWHERE/m.safetensors", "--out"),
    ("pack RUN --out FOLDER", "--out"), ("fit RUN --max-bytes 3k --out FILE", "--out"),
    ("fit RUN --max-bytes 3k --out FILE/x", "--out"), ("train tiny --out FILE", "--out"),
    ("train tiny --out FILE/x", "--out"), ("fit RUN --max-bytes 3k --validation 1", "--validation"),
    ("fit RUN --max-bytes 3k --validation nan", "--validation"), ("fit RUN --max-bytes 3k --epochs 0", "--epochs"),
    ("fit RUN --max-bytes 3k --probes -1", "--probes"), ("fit RUN", "max_bytes"),
    ("fit RUN --max-bytes -1", "--max-bytes"), ("fit RUN --max-bytes 3q", "--max-bytes"),
    ("fit RUN --max-sops nan", "sops"),
    ("fit RUN --max-sops -1", "sops"), ("fit RUN --max-sops inf", "sops"), ("fit RUN --max-accuracy-drop nan", "drop"),
    ("eval RUN --split exam", "--split"), ("profile FILE --split ''", "--split"), ("run FILE a.png --top 0", "--top"),
    ("train tiny --weight-bits 9", "--weight-bits"), ("train tiny --membrane-bits 1", "--membrane-bits"),
    ("train tiny --weight-bits 0", "--weight-bits"), ("train nothing", "recipe"), ("train", "needs data or a recipe"),
    ("train --data FOLDER --model qsnn_vgg", "qsnn_vgg"), ("train --data FOLDER --lr 0", "--lr"),
    ("train --data FOLDER --lr nan", "--lr"), ("train --data FOLDER --epochs 0", "--epochs"),
    ("train --data FOLDER --batch-size 0", "--batch-size"), ("train --data FOLDER --time-steps 1025", "--time-steps"),
    ("train --data FOLDER --image-size 0", "--image-size"), ("train tiny --image-size 8", "--image-size"),
    ("train tiny --config FILE", "--config"), ("train --config NOWHERE", "configuration"),
    ("train --config FILE", "configuration"), ("train --resume RUN --epochs 3", "--resume"),
    ("train --resume RUN --data FOLDER", "--resume"), ("train --data FOLDER --out FILE", "--out"),
    ("run FILE a.png --ground red", "ground"), ("run FILE a.png --axes CHWN", "--axes"),
    ("run FILE a.png --csv NOWHERE/a.csv", "--csv"), ("run FILE a.png --csv FOLDER", "--csv"),
    ("train tiny --tracker tensorbord", "--tracker"), ("train --resume RUN --tracker tensorbord", "--tracker"),
    ("run FILE a.png --csv FILE", "--csv"), ("run FILE a.png --csv - --json", "--csv"),
    ("bench FILE --batch 0", "--batch"), ("bench FILE --seconds 0", "--seconds"), ("bench FILE --seed -1", "--seed"),
    ("bench FILE --threads 65", "--threads"), ("fit", "spikelet fit runs/"), ("run", "spikelet run "),
)  # fmt: skip


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What long work was begun, in place of doing it."""
    begun: list[str] = []

    def begin(name: str) -> Callable[..., Any]:
        def begins(*_: object, **__: object) -> None:
            begun.append(name)
            raise ValueError("enough")

        return begins

    monkeypatch.setattr(sources, "load_data", begin("reading data"))
    monkeypatch.setattr(configuring, "splits_of", begin("reading data"))
    monkeypatch.setattr(fitting, "splits_of", begin("reading data"))
    monkeypatch.setattr(lowered, "lower", begin("lowering"))
    monkeypatch.setattr(profiling, "profile_graph", begin("profiling"))
    return begun


@pytest.mark.parametrize(("words", "named"), WORDS, ids=[words for words, _ in WORDS])
def test_an_argument_is_refused_by_name_before_work(
    words: str, named: str, trained: Path, packed: Path, tmp_path: Path, command: Callable[..., Any], work: list[str]
) -> None:
    places = {"RUN": trained, "FILE": packed, "FOLDER": tmp_path, "NOWHERE": tmp_path / "no"}
    for name, path in places.items():
        words = words.replace(name, str(path))
    done = command(*("" if word == "''" else word for word in words.split()))
    assert done.exit_code == 2
    assert named in done.stderr.splitlines()[-1], done.stderr
    assert not work


def test_no_command_writes_over_what_it_reads(
    trained: Path, packed: Path, tmp_path: Path, command: Callable[..., Any], work: list[str]
) -> None:
    run, file, array = tmp_path / "run", tmp_path / "m.safetensors", tmp_path / "a.npy"
    shutil.copytree(trained, run)
    shutil.copy(packed, file)
    np.save(array, np.zeros((1, 8, 8), np.uint8))
    (tmp_path / "link").symlink_to(file)
    made_by_a_run = [path for path in run.iterdir() if path.name not in ("printed.txt", "logs")]
    calls = [
        *(("pack", run, "--out", path) for path in made_by_a_run),
        *(("profile", run, "--out", path) for path in made_by_a_run),
        *(("profile", file, array, "--out", out) for out in (file, array, tmp_path / "link", Path("/dev/null"))),
    ]
    before = {path: path.read_bytes() for path in (*made_by_a_run, file, array)}
    for words in calls:
        done = command(*words)
        assert (done.exit_code, done.stderr.startswith("error: --out")) == (2, True), (words, done.stderr)
    assert before == {path: path.read_bytes() for path in before}
    assert not work


def test_a_result_that_cannot_be_kept_is_printed_all_the_same(
    trained: Path, tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(result: Result, folder: Path) -> None:
        raise OSError(28, "No space left on device", str(folder / "result.json.tmp"))

    monkeypatch.setattr(Result, "save", full)
    warning = "result.json was not written (No space left on device)"
    evaluated = command("eval", trained)
    assert evaluated.exit_code == 0, evaluated.output
    assert "spikes that differ" in evaluated.stdout
    assert warning in evaluated.stderr
    trained_too = command("train", "tiny", "--out", tmp_path / "run", "--threads", 1)
    assert trained_too.exit_code == 0, trained_too.output
    assert "test accuracy" in trained_too.stdout
    assert warning in trained_too.stderr


@pytest.mark.filterwarnings("default:tensorboard was not written:UserWarning")
def test_scalars_that_cannot_be_kept_cost_a_warning_and_no_training(
    tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SummaryWriter, "add_scalar", full)
    done = command("train", "tiny", "--out", tmp_path / "run", "--threads", 1, "--tracker", "tensorboard")
    assert done.exit_code == 0, done.output
    assert done.stderr.count("tensorboard was not written (No space left on device)") == 1
    assert "test accuracy" in done.stdout


def pictures(folder: Path, mode: str, size: int, classes: tuple[str, ...]) -> Path:
    """A folder of one picture a class, in training and in test."""
    images = pytest.importorskip("PIL.Image")
    for level, split in enumerate(("train", "test")):
        for k, name in enumerate(classes):
            (folder / split / name).mkdir(parents=True)
            grey = images.new("L", (size, size), 20 * k + level)
            grey.convert(mode).save(folder / split / name / "one.png")
    return folder


DIGITS = tuple("0123456789")


def test_data_of_other_channels_or_classes_is_refused_in_a_sentence_before_work(
    trained: Path, packed: Path, tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def begins(*_: object, **__: object) -> None:
        raise AssertionError("long work")

    for target in (evaluation, profiling):
        monkeypatch.setattr(target, "Program" if target is evaluation else "profile_graph", begins)
    colour = pictures(tmp_path / "colour", "RGB", 8, DIGITS)
    unknown = pictures(tmp_path / "unknown", "L", 8, ("0", "1", "eleven"))
    for name, target in (("eval", trained), ("eval", packed), ("profile", trained), ("profile", packed)):
        done = command(name, target, "--data", colour)
        assert done.exit_code == 2
        assert f"{target} takes samples of shape [1, 8, 8]" in done.stderr
        assert "[3, 8, 8]" in done.stderr
    done = command("eval", packed, "--data", unknown)
    assert done.exit_code == 2
    assert "eleven" in done.stderr


def test_grey_samples_become_rgb_for_a_network_that_takes_it() -> None:
    test = load("digits").test
    made = sources.Takes((3, 8, 8), None, test.labels, 10).checked(test, "m")
    assert (made.x == test.x).all()
    assert made.sample_shape == (3, 8, 8)
    assert made.note == "scikit-learn's 8x8 digits, grey, to RGB"
    assert (made.y == test.y).all()
    colour = dataclasses.replace(test, x=made.x)
    with pytest.raises(ValueError, match=r"are \[3, 8, 8\]. .* \(The same pictures saved in grey will do.\)"):
        sources.Takes((1, 8, 8), None, test.labels, 10).checked(colour, "m")


def test_of_other_data_every_sample_is_used(
    trained: Path, packed: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    """Pictures without a split are a training set, of which nothing is held out where they are only evaluated."""
    images = pytest.importorskip("PIL.Image")
    for k in range(20):
        (tmp_path / "field" / f"{k % 2}").mkdir(parents=True, exist_ok=True)
        images.new("L", (8, 8), 10 * k).save(tmp_path / "field" / f"{k % 2}" / f"{k}.png")
    for target in (trained, packed):
        done = command("eval", target, "--data", tmp_path / "field")
        assert done.exit_code == 2
        assert "field has no test samples. It has 20 of --split train." in done.stderr
        assert (
            "train set, 20 samples" in command("eval", target, "--data", tmp_path / "field", "--split", "train").output
        )


def test_classes_meet_by_name(packed: Path, trained: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    """Data that holds some of the classes, in another order of numbers, has the accuracy of the same pictures."""
    images = pytest.importorskip("PIL.Image")

    test = load("digits").test
    some = [k for k in range(len(test)) if int(test.y[k]) in (3, 7, 9)]
    for split in ("train", "test"):
        for k in some:
            folder = tmp_path / "later" / split / str(int(test.y[k]))
            folder.mkdir(parents=True, exist_ok=True)
            pixels = test.x[k, 0].numpy() ^ (split == "train")  # another picture
            images.fromarray(pixels).save(folder / f"{k}.png")
    x, y = test.batch(torch.tensor(some))
    logits = spikelet.Program(spikelet.load(packed))(x.numpy())
    hits = int(((logits.sum(0) if logits.ndim == 3 else logits).argmax(1) == y.numpy()).sum())
    for target in (packed, trained):
        done = command("eval", target, "--data", tmp_path / "later")
        assert done.exit_code == 0, done.output
        assert done.output.count(f"{100 * hits / len(some):.2f} %") == (1 if target is packed else 2)
