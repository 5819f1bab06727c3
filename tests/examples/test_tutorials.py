"""The tutorials do what they say: their commands end well, and their Python runs, in the order of the page."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import spikelet
from spikelet.cli.app import app
from tests.support.shapes import Image, draw

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ("circle", "square", "triangle")


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the page speaks of, in the folder where its commands are typed."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 10), ("test", 3)):
        for kind, drawn in zip(CLASSES, ("bar", "square", "cross"), strict=True):
            (tmp_path / "shapes" / split / kind).mkdir(parents=True)
            for k in range(count):
                Image.fromarray(draw(drawn, rng)).save(tmp_path / "shapes" / split / kind / f"{k}.png")
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


def test_own_pictures_become_a_file_as_the_page_says(shapes: Path) -> None:
    page = (ROOT / "docs" / "tutorials" / "own_pictures.md").read_text()
    said = []
    for language, block in re.findall(r"```(sh|python)\n(.*?)```", page, re.DOTALL):
        if language == "sh":
            said += [typed(line) for line in block.splitlines()]
        else:
            (shapes / "block.py").write_text(block)
            runpy.run_path(str(shapes / "block.py"))
    assert len(said) == 10
    assert "test accuracy" in said[0]
    assert "spikes that differ            0 of" in said[1]
    assert "cut to the middle, resized to 32 x 32" in said[3]
    assert all(name in said[3] for name in CLASSES)
    assert len((shapes / "found.csv").read_text().splitlines()) == 1 + 9
    assert spikelet.load(shapes / "my_net.safetensors").labels == CLASSES
