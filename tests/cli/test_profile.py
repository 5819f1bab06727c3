"""`spikelet profile`: tables that fit, and the same figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikelet.data import load


def test_a_run_prints_every_part_and_saves_the_same_as_json(
    trained: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    done = command("profile", trained, "--samples", 7, "--out", tmp_path / "p.json")
    assert done.exit_code == 0, done.output
    saved = json.loads((tmp_path / "p.json").read_text())
    assert (saved["model"], saved["samples"], saved["time_steps"]) == ("qsnn_vgg_s", 7, 2)
    for word in ("Size", "packed [B]", "SOPs", "(NeuroBench)", "horowitz_int"):
        assert word in done.output, word
    assert f"{saved['total']['packed_bytes']:,}" in done.output
    assert "features.1.body.0" in done.output, "names of layers are not cut"


def test_one_part_is_printed_alone(trained: Path, command: Callable[..., Any]) -> None:
    text = command("profile", trained, "--samples", 2, "--part", "size").output
    assert "packed [B]" in text
    assert "SOPs" not in text
    assert "horowitz_int" not in text


def test_a_packed_file_has_the_bytes_of_its_run(
    trained: Path, packed: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    totals = []
    for i, target in enumerate((trained, packed)):
        done = command("profile", target, "--samples", 4, "--out", tmp_path / f"{i}.json")
        assert done.exit_code == 0, done.output
        totals.append(json.loads((tmp_path / f"{i}.json").read_text())["total"])
    for figure in ("packed_bytes", "membrane_bytes", "neurons", "spikes", "macs"):
        assert totals[0][figure] == totals[1][figure], figure


def test_flash_and_ram_are_those_of_the_export(trained: Path, packed: Path, command: Callable[..., Any]) -> None:
    exported = json.loads(command("export", packed, "--dry-run", "--json").stdout)
    for target in (trained, packed):
        device = json.loads(command("profile", target, "--samples", 1, "--json").stdout)["device"]
        for figure in ("flash", "constants", "ram", "stream_ram", "stack"):
            assert device[figure] == exported[figure], figure
    text = command("profile", packed, "--samples", 1, "--part", "size").output
    assert f"{exported['flash']:,} bytes" in text
    assert f"{exported['ram']:,} bytes" in text


def test_an_unknown_part_is_refused(trained: Path, command: Callable[..., Any]) -> None:
    done = command("profile", trained, "--part", "money")
    assert done.exit_code == 2
    assert "--part must be one of size, operations, energy, got 'money'" in done.stderr


@pytest.mark.parametrize("out", ["no-such-folder/p.json"])
def test_a_place_that_cannot_be_written_is_refused(out: str, trained: Path, command: Callable[..., Any]) -> None:
    done = command("profile", trained, "--samples", 1, "--out", trained / out)
    assert done.exit_code == 2


def test_images_give_the_profile_of_the_same_samples(packed: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    x = load("digits").test.spread(3).x
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", x[i].numpy())
    by_images = ("profile", packed, *(tmp_path / f"{i}.npy" for i in range(3)), "--out", tmp_path / "images.json")
    by_name = ("profile", packed, "--samples", 3, "--out", tmp_path / "samples.json")
    for words in (by_images, by_name):
        done = command(*words)
        assert done.exit_code == 0, done.output
    assert (tmp_path / "images.json").read_text() == (tmp_path / "samples.json").read_text()


@pytest.mark.parametrize("frames", [False, True])
def test_frames_are_joined_along_the_samples(
    frames: bool, packed: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 1, 8, 8) if frames else (1, 8, 8), np.uint8))
    done = command("profile", packed, tmp_path / "x.npy", tmp_path / "x.npy", "--out", tmp_path / "p.json")
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "p.json").read_text())["samples"] == 2


def test_images_are_refused_where_they_do_not_fit(
    trained: Path, packed: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 8, 8), np.uint8))
    np.save(tmp_path / "frames.npy", np.zeros((2, 1, 8, 8), np.uint8))
    for words, message in (
        ((trained, tmp_path / "x.npy"), "INPUT goes with a packed file"),
        ((packed, tmp_path / "x.npy", tmp_path / "frames.npy"), "INPUT must be images or frames alone, got both"),
        ((packed, tmp_path / "x.npy", "--samples", 2), "Give INPUTs or a data set's"),
    ):
        done = command("profile", *words)
        assert done.exit_code == 2
        assert message in done.stderr


def test_without_its_data_set_a_packed_file_asks_for_a_picture(
    trained: Path, packed: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*words: Any, **more: Any) -> Any:
        raise FileNotFoundError("no image data set could be read.")

    monkeypatch.setattr("spikelet.cli.sources.load_data", absent)
    done = command("profile", packed)
    assert done.exit_code == 2
    assert f"which needs no data set: spikelet profile {packed} picture.png" in done.stderr
    assert "picture.png" not in command("profile", trained).stderr
