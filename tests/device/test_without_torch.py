"""Where torch is missing: what a device needs works, and everything else says how to install it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import spikelet

BLOCKED = "import sys; sys.modules['torch'] = None; import spikelet; "
SENTENCE = "this part of spikelet needs PyTorch. Install it with: pip install 'spikelet[train]'"
TRAINING = (
    "LIF", "Budget", "LIFParams", "check", "compress", "convert", "create_model", "fit", "from_pretrained",
    "from_snntorch", "from_spikingjelly", "list_models", "lower", "profile", "push_to_hub", "register_model",
    "save_pretrained", "verify",
)  # fmt: skip
DEVICE = ("IntGraph", "LoweringError", "Program", "Reference", "SpikeletError", "load", "save")
FOLDERS = (
    "compression", "conversion", "data", "fitting", "interop", "lowering", "models", "neurons", "nn", "quant",
    "recipes", "train",
)  # fmt: skip


def without_torch(code: str) -> subprocess.CompletedProcess[str]:
    """Runs `code` in a fresh interpreter in which torch can't be imported."""
    return subprocess.run([sys.executable, "-c", BLOCKED + code], capture_output=True, text=True, check=False)


def command(*words: object) -> subprocess.CompletedProcess[str]:
    """The command line without torch."""
    return without_torch(f"from spikelet.cli import main; sys.argv[1:] = {[str(w) for w in words]}; main()")


def test_every_public_name_is_on_one_side():
    assert sorted([*TRAINING, *DEVICE]) == sorted(spikelet.__all__)


def test_what_a_device_needs_is_there():
    done = without_torch("; ".join(f"spikelet.{name}" for name in DEVICE))
    assert (done.returncode, done.stderr) == (0, "")


def test_what_trains_says_how_to_install_it():
    tries = "".join(
        f"\ntry:\n    {statement}\nexcept spikelet.SpikeletError as error:\n    print(type(error).__name__, error)"
        for statement in (
            *(f"spikelet.{name}" for name in (*TRAINING, *FOLDERS)),
            *(f"from spikelet import {name}" for name in TRAINING),
            *(f"import spikelet.{name}" for name in FOLDERS),
        )
    )
    done = without_torch(tries)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"MissingLibrary {SENTENCE}"] * 2 * len((*TRAINING, *FOLDERS))


def test_it_is_an_import_error_too():
    done = without_torch("\ntry:\n    from spikelet import lower\nexcept ImportError as error:\n    print(error)")
    assert done.stdout == SENTENCE + "\n"


@pytest.mark.parametrize("name", ["train", "eval", "pack", "fit", "convert"])
def test_a_command_that_trains_says_how_to_install_it_and_explains_itself(name: str):
    words = ("run", "--out", "out") if name == "pack" else ("run",)
    done = command(name, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: spikelet {name} needs PyTorch. Install it with: pip install 'spikelet[train]'\n"
    shown = command(name, "--help")
    assert shown.returncode == 0
    assert "Needs PyTorch: pip install 'spikelet[train]'" in shown.stdout


def test_a_device_can_run_inspect_verify_and_list(tmp_path: Path):
    name = spikelet.zoo.names()[0]
    np.save(tmp_path / "x.npy", np.zeros(spikelet.load(name).input.shape, np.uint8))
    image = tmp_path / "x.npy"
    for words in (
        ("run", name, image),
        ("inspect", name),
        ("verify", name, image),
        ("profile", name, image),
        ("bench", name, image, "--seconds", 0.01),
    ):
        done = command(*words)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
    refused = command("profile", name)
    assert (refused.returncode, refused.stderr) == (
        2, "error: spikelet profile without an INPUT needs PyTorch. Install it with: pip install 'spikelet[train]'\n",
    )  # fmt: skip
    listed = command("models")
    assert "Networks and recipes are listed where PyTorch is: pip install 'spikelet[train]'" in listed.stdout
    assert all(f"\n{shipped} " in listed.stdout for shipped in spikelet.zoo.names())
