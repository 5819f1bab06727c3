"""Every block of the README runs: its Python as it stands, its commands with what the reader has in their place."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import spikelet
from spikelet.cli.app import app
from spikelet.recipes import RECIPES
from spikelet.recipes.changes import of_length
from tests.support.shapes import Image, make_shapes
from tests.support.sounds import wav

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
PYTHON = [block for language, block in BLOCKS if language == "python"]
(COMMANDS,) = [block for language, block in BLOCKS if not language and "spikelet train" in block]
SHORTER = {  # than a reader would wait
    "convert": ("--levels", "2", "--steps", "1"),
    "fit": ("--epochs", "1", "--probes", "1"),
    "bench": ("--seconds", "0.05"),
}


def test_the_first_two_python_blocks_run_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, block in enumerate(PYTHON[:2]):
        (tmp_path / f"block{number}.py").write_text(block)
        runpy.run_path(f"block{number}.py")
    assert (tmp_path / "model.safetensors").stat().st_size > 10_000


def test_the_third_python_block_runs_on_a_network_and_data_of_the_readers(tmp_path: Path) -> None:
    assert len(PYTHON) == 3
    pytest.importorskip("accelerate")
    model = spikelet.create_model("qsnn_vgg_s", widths=[4, 8], image_size=8, in_channels=1)
    (tmp_path / "block.py").write_text(PYTHON[2])
    given = {"spikelet": spikelet, "model": model, "data": spikelet.data.load("digits")}
    small = runpy.run_path(str(tmp_path / "block.py"), given)["small"]
    assert sum(p.numel() for p in small.model.parameters()) < sum(p.numel() for p in model.parameters())


def commands() -> list[list[str]]:
    """The words of each command, trainings first, whose runs the others read. Options alone, such as
    --install-completion, change the reader's shell and are left out."""
    found = [match.split() for match in re.findall(r"spikelet (\w.*?)(?: {3,}| +#|$)", COMMANDS, re.MULTILINE)]
    order = ("train", "pack")
    return sorted(found, key=lambda words: order.index(words[0]) if words[0] in order else len(order))


def test_every_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("sklearn", "optuna", "matplotlib", "accelerate"):
        pytest.importorskip(library)
    monkeypatch.setenv("SPIKELET_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name in ("qsnn-digits", "est-digits"):
        monkeypatch.setitem(RECIPES, name, lambda make=RECIPES[name], **given: of_length(make(**given), 1))
    make_shapes(tmp_path / "my_pictures", {"train": 4, "test": 1})
    Image.fromarray(np.zeros((10, 12), np.uint8)).save("image.png")
    Path("scans").mkdir()
    Image.fromarray(np.full((9, 8), 200, np.uint8)).save("scans/first.png")
    Path("recordings").mkdir()
    for name in ("seven.wav", "recordings/one.wav"):
        Path(name).write_bytes(wav(np.arange(6000) % 2000 - 1000))
    reader = {"MODEL": "digits.safetensors"}
    for words in [["train", "est-digits"], *commands()]:
        typed = [*(reader.get(word, word) for word in words), *SHORTER.get(words[0], ())]
        done = CliRunner().invoke(app, typed)
        assert done.exit_code == 0, (typed, done.output)
    assert {words[0] for words in commands()} >= {"train", "eval", "pack", "run", "fit", "profile", "verify", "inspect"}
