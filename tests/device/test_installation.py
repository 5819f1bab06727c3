"""The plain installation in an environment of its own: no torch, a running command, little time and memory.

It needs a package index, so it is left out of the usual tests: `make device`, which continuous integration runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import spikelet
from spikelet.cli.predicting import softmax

pytestmark = pytest.mark.index

ROOT = Path(__file__).resolve().parents[2]
MAX_IMPORT_S, MAX_RSS_MIB = 0.3, 70  # seconds of the processor, which other processes do not add to
MODEL = "qsnn-vgg-s-cifar10"  # a transformer that ships is larger, and no network for a device

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment that holds `pip install .` and nothing else; its folder of programs."""
    folder = tmp_path_factory.mktemp("device")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([programs / "python", "-m", "pip", "install", "--quiet", ROOT], check=True)
    return programs


@pytest.fixture(scope="module")
def device(venv: Path) -> Run:
    """Runs a program of the environment, far from the checkout: `device("spikelet", "models")`."""

    def run(program: str, *words: object) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        command = [str(venv / program), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=venv.parent, env=clean)

    return run


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A colour picture of another size than the model takes."""
    path = tmp_path_factory.mktemp("pictures") / "noise.png"
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_nothing_that_trains_is_installed(device: Run):
    listed = device("python", "-m", "pip", "list", "--format", "freeze").stdout.splitlines()
    names = {line.partition("==")[0].lower() for line in listed}
    assert names <= {"spikelet", "numpy", "safetensors", "click", "pillow", "pip", "setuptools"}, names


def test_a_shipped_model_runs_on_a_picture_by_command_and_in_python(device: Run, picture: Path):
    done = device("spikelet", "run", MODEL, picture, "--top", 1)
    assert (done.returncode, done.stderr) == (0, "")
    code = (
        "import spikelet, sys; from spikelet.cli.images import Wanted, pictures_of; "
        f"g = spikelet.load({MODEL!r}); (x,) = pictures_of(sys.argv[1:], Wanted.by(g)); "
        "print(*spikelet.Program(g)(x.batch)[0], 'torch' in sys.modules)"
    )
    *logits, torch = device("python", "-c", code, picture).stdout.split()
    assert torch == "False"
    graph = spikelet.load(MODEL)
    scores = softmax(np.array(logits, np.int64) * graph.logit_scale)
    best = int(scores.argmax())
    assert done.stdout.splitlines()[3].split()[:3] == [
        graph.labels[best], f"{int(logits[best]):,}", f"{100 * scores[best]:.2f}",
    ]  # fmt: skip


def test_the_other_commands_of_a_device_run(device: Run, picture: Path):
    for words in (
        ("inspect", MODEL),
        ("verify", MODEL, picture),
        ("profile", MODEL, picture),
        ("bench", MODEL, picture, "--seconds", 0.01),
        ("models",),
        ("--version",),
    ):
        done = device("spikelet", *words)
        assert (done.returncode, done.stderr) == (0, ""), words


def test_training_says_how_to_install_it(device: Run):
    done = device("python", "-m", "spikelet", "train", "qsnn-digits")
    assert done.returncode == 2
    assert done.stderr == "error: spikelet train needs PyTorch. Install it with: pip install 'spikelet[train]'\n"
    done = device("python", "-c", "import spikelet; spikelet.lower")
    assert done.stderr.splitlines()[-1].endswith("needs PyTorch. Install it with: pip install 'spikelet[train]'")


@pytest.mark.parametrize("first", ["", "import numpy; "], ids=["the package", "what runs a model, beside numpy"])
def test_importing_takes_little_time(first: str, device: Run):
    what = "spikelet.load, spikelet.Program" if first else "spikelet"
    code = f"{first}import time; t = time.process_time(); import spikelet; {what}; print(time.process_time() - t)"
    assert min(float(device("python", "-c", code).stdout) for _ in range(5)) < MAX_IMPORT_S


@pytest.mark.skipif(os.name != "posix", reason="needs the peak memory of a child process")
def test_running_a_model_takes_little_memory(venv: Path, device: Run, picture: Path):
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (2**20 if sys.platform == 'darwin' else 2**10))"
    )
    done = device("python", "-c", code, venv / "spikelet", "run", MODEL, picture)
    assert float(done.stdout) < MAX_RSS_MIB
