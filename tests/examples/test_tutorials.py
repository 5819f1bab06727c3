"""The tutorials do what they say: their commands end well, and their Python runs, in the order of the page.

A block of `sh` is typed line by line, one of `python` goes on with the names of those before it, and those of
`python without-torch` are one program for a device, run where torch can't be imported.
"""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import spikelet
from spikelet.cli.app import app
from tests.data.test_sounds import tone
from tests.support.shapes import Image, draw
from tests.support.sounds import put, wav

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "tutorials"
CLASSES = ("circle", "square", "triangle")
DEVICE = "import sys; sys.modules['torch'] = None\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where a page's commands are typed."""
    monkeypatch.setenv("SPIKELET_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(line: str) -> str:
    """What a command of the page prints; written to a file where the line says `> FILE`."""
    words, _, file = line.partition(" > ")
    program, *arguments = shlex.split(words)
    assert program == "spikelet"
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    if file:
        Path(file).write_text(done.stdout)
    return done.stdout


def follow(page: str) -> tuple[list[str], dict[str, Any]]:
    """What the commands of a page print, each by itself, and the names that its Python ends with."""
    said: list[str] = []
    names: dict[str, Any] = {}
    device = ""
    for language, block in re.findall(
        r"```(sh|python|python without-torch)\n(.*?)```", (PAGES / page).read_text(), re.DOTALL
    ):
        match language:
            case "sh":
                said += [typed(line) for line in block.splitlines()]
            case "python":
                Path("block.py").write_text(block)
                names = runpy.run_path("block.py", names)
            case _:
                device += block
    if device:
        command = [sys.executable, "-W", "error", "-c", DEVICE + device]
        said.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return said, names


def test_every_page_is_followed_here():
    assert sorted(path.name for path in PAGES.glob("*.md")) == [
        "events.md", "limited_device.md", "own_network.md", "own_pictures.md", "own_sounds.md",
    ]  # fmt: skip


def test_own_pictures_become_a_file_as_the_page_says(folder: Path):
    rng = np.random.default_rng(0)
    for split, count in (("train", 10), ("test", 3)):
        for kind, drawn in zip(CLASSES, ("bar", "square", "cross"), strict=True):
            (folder / "shapes" / split / kind).mkdir(parents=True)
            for k in range(count):
                Image.fromarray(draw(drawn, rng)).save(folder / "shapes" / split / kind / f"{k}.png")
    said, _ = follow("own_pictures.md")
    assert len(said) == 10
    assert "test accuracy" in said[0]
    assert "spikes that differ            0 of" in said[1]
    assert "cut to the middle, resized to 32 x 32" in said[3]
    assert all(name in said[3] for name in CLASSES)
    assert spikelet.load("my_net.safetensors").labels == CLASSES
    assert len(Path("found.csv").read_text().splitlines()) == 1 + 9


def test_own_sounds_are_heard_as_the_page_says(folder: Path):
    for split, count in (("train", 8), ("test", 2)):
        for word, hertz in (("yes", 300), ("no", 1500)):
            for k in range(count):
                put(folder / "words" / split / word / f"{k}.wav", wav(tone(hertz + 10 * k + len(split), 4000)))
    said, names = follow("own_sounds.md")
    assert "accuracy, integer program" in said[2]
    assert "0.5 s of 16-bit sound at 8,000 Hz, laid into 0.8 s of silence" in said[3]
    assert len(Path("heard.csv").read_text().splitlines()) == 1 + 4
    assert "front end for sound" in said[4]
    assert names["frames"].shape == (40, 24)
    assert names["graph"].labels == ("no", "yes")


def test_a_network_of_ones_own_becomes_a_file_as_the_page_says(folder: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("snntorch", reason="a test extra: see the Makefile")
    pytest.importorskip("spikingjelly", reason="a test extra: see the Makefile")
    follow("own_network.md")
    printed = capsys.readouterr().out
    assert len(re.findall(r"of [\d,]+ spikes and [\d,]+ logits differ: 0 and 0\n", printed)) == 3, printed
    for name in ("snntorch", "spikingjelly", "ordinary"):
        assert spikelet.load(f"{name}.safetensors").labels == tuple("0123456789")


def test_events_are_learned_and_streamed_as_the_page_says(folder: Path, capsys: pytest.CaptureFixture[str]):
    rng = np.random.default_rng(0)
    for part, count in (("Train", 4), ("Test", 1)):
        for digit in range(4):
            place = folder / "recordings" / part / str(digit)
            place.mkdir(parents=True)
            for k in range(count):
                x, y, t = rng.integers(0, 34, 40), rng.integers(0, 34, 40), np.sort(rng.integers(0, 300_000, 40))
                events = np.stack([x, y, t >> 16, t >> 8 & 255, t & 255], 1)  # of one polarity; microseconds in 3 bytes
                (place / f"{k:05d}.bin").write_bytes(events.astype(np.uint8).tobytes())
    said, names = follow("events.md")
    assert len(said) == 4
    assert "spikes that differ            0 of" in said[1]
    printed = capsys.readouterr().out
    right = re.search(r"right: (\d+) of 20", printed)
    assert right and int(right[1]) > 15, printed
    whole = spikelet.Program(names["graph"])(names["x"][:, :1].numpy())
    np.testing.assert_array_equal(names["logits"], whole)


def test_a_network_is_made_to_fit_a_device_as_the_page_says(folder: Path):
    pytest.importorskip("optuna")
    pytest.importorskip("matplotlib")
    said, _ = follow("limited_device.md")
    assert Path("runs/qsnn-digits-fit/model.safetensors").stat().st_size <= 8000
    assert "within the budget" in said[4]
    assert re.search(r"working memory for one picture: [\d,]+ bytes", said[-1])
