"""`spikelet pack`: one file, its bytes beside the theory, and where it comes from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import spikelet
from spikelet.cli.lowered import origin
from spikelet.cli.result import Result, load_result
from spikelet.recipes import RECIPES
from spikelet.train import load_run


def test_the_file_holds_the_lowered_run_its_classes_and_its_origin(trained: Path, packed: Path) -> None:
    graph = spikelet.load(packed)
    result = load_result(trained)
    assert graph.labels == tuple("0123456789")
    assert graph.time_steps == 2
    assert dict(graph.meta).items() >= {
        "model": "qsnn_vgg_s", "recipe": "tiny", "seed": "0", "weight_bits": "1", "membrane_bits": "2",
        "data": "digits (scikit-learn's 8x8 digits)", "spikelet": spikelet.__version__,
    }.items()  # fmt: skip
    assert f"{100 * (result.test_accuracy or 0):.2f} % of 359" in graph.meta["test_accuracy"]
    assert graph.meta.get("commit", "") == result.commit


def test_packing_twice_gives_the_same_bytes(
    trained: Path, packed: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    assert command("pack", trained, "--out", tmp_path / "again.safetensors").exit_code == 0
    assert (tmp_path / "again.safetensors").read_bytes() == packed.read_bytes()


def test_the_file_is_described_as_inspect_describes_it(packed: Path, command: Callable[..., Any]) -> None:
    text = packed.with_suffix(".txt").read_text()
    weights = 9 * 12 + 12 * 12 * 9 // 8 + 12 * 10  # 8 bits, 1 bit, 8 bits
    assert f"{weights:,} bytes for {9 * 12 + 12 * 12 * 9 + 12 * 10:,} weights" in text
    assert f"{2 * 12 * 5} bytes" in text, "scales and thresholds"
    assert text == command("inspect", packed).output + f"saved {packed}\n"


def test_the_origin_leaves_out_what_is_unknown(trained: Path) -> None:
    _, config = load_run(trained)
    meta = origin(config, Result(None, 0, "mine", "", ("a",), (1, 8, 8), ""))
    assert {"commit", "test_accuracy", "data_options"}.isdisjoint(meta)
    assert meta["data"] == "mine"


def test_the_origin_names_no_recipe_for_a_configuration_of_its_own(trained: Path) -> None:
    _, config = load_run(trained)
    config.model_options["widths"] = [16]
    assert "recipe" not in origin(config, load_result(trained))


def test_event_options_stay_with_the_file() -> None:
    config = RECIPES["qsnn-nmnist"]()
    meta = origin(config, Result(0.5, 100, "nmnist", "", (), (5, 2, 34, 34), ""))
    assert json.loads(meta["data_options"]) == config.data_options


def test_a_run_without_a_result_is_refused_with_the_command_that_makes_it(
    trained: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    done = command("pack", tmp_path / "run", "--out", tmp_path / "m.safetensors")
    assert done.exit_code == 2
    assert f"Make it with: spikelet eval {tmp_path / 'run'}" in done.stderr
    assert not (tmp_path / "m.safetensors").exists()


def test_a_damaged_result_is_refused(trained: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "result.json").write_text('{"data": "digits"}')
    done = command("pack", tmp_path / "run", "--out", tmp_path / "m.safetensors")
    assert done.exit_code == 2
    assert "result.json is damaged" in done.stderr


def test_an_unfinished_run_is_refused(trained: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "weights.safetensors").unlink()
    done = command("pack", tmp_path / "run", "--out", tmp_path / "m.safetensors")
    assert done.exit_code == 2
    assert "the run is not finished" in done.stderr


@pytest.mark.parametrize("out", ["no-such-folder/m.safetensors", "."])
def test_a_place_that_cannot_be_written_is_refused(
    out: str, trained: Path, tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command("pack", trained, "--out", out)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert list(tmp_path.iterdir()) == []
