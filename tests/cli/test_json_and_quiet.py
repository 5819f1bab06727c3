"""`--json` prints one document and nothing else; `--quiet` leaves results and errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikelet
from spikelet import zoo
from spikelet.cli import catalogue, verifying
from spikelet.recipes import RECIPES
from tests.cli.test_verify import Wrong

Command = Callable[..., Any]


def document_of(done: Any) -> dict[str, Any]:
    """The document that was printed: standard output has nothing else, standard error nothing at all."""
    assert done.exit_code in (0, 1), done.output
    assert done.stderr == ""
    assert done.stdout.isascii()
    return json.loads(done.stdout)


@pytest.fixture
def array(tmp_path: Path) -> Path:
    """Three samples of zeros."""
    np.save(tmp_path / "x.npy", np.zeros((3, 1, 8, 8), np.uint8))
    return tmp_path / "x.npy"


def test_models_are_listed_with_numbers(
    command: Command, everything: catalogue.Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "models", {"*": everything}.__getitem__)
    document = document_of(command("models", "--json"))
    assert {row["name"] for row in document["recipes"]} == set(RECIPES)
    assert {row["name"] for row in document["networks"]} == set(spikelet.list_models())
    assert {row["name"]: row["bytes"] for row in document["shipped"]} == {
        name: zoo.path_of(name).stat().st_size for name in zoo.names()
    }
    assert {"bits_w_u", "epochs_at_t"} < document["recipes"][0].keys()
    assert "accuracy_integers" in document["shipped"][0]


def test_what_pack_writes_is_what_inspect_finds(trained: Path, packed: Path, tmp_path: Path, command: Command) -> None:
    made = document_of(command("pack", trained, "--out", tmp_path / "m.safetensors", "--json"))
    read = document_of(command("inspect", tmp_path / "m.safetensors", "--json"))
    graph = spikelet.load(packed)
    assert made == read
    assert read["bytes"]["file"] == packed.stat().st_size == read["bytes"]["arrays"] + read["bytes"]["header"]
    assert sum(node["bytes"] for node in read["nodes"]) == read["bytes"]["arrays"]
    assert [node["name"] for node in read["nodes"]] == [node.name for node in graph.nodes]
    assert (tuple(read["classes"]), read["origin"]) == (graph.labels, dict(graph.meta))


def test_a_profile_is_what_its_file_holds(packed: Path, array: Path, tmp_path: Path, command: Command) -> None:
    printed = command("profile", packed, array, "--json", "--out", tmp_path / "p.json")
    assert document_of(printed)["samples"] == 3
    assert printed.stdout == (tmp_path / "p.json").read_text()


def test_verify_says_what_differs(packed: Path, array: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    right = document_of(command("verify", packed, array, "--json"))
    assert right["is_exact"] is True
    assert {count["samples"] for count in right["kernels"].values()} == {3}
    monkeypatch.setattr(verifying, "Program", Wrong)
    done = command("verify", packed, array, "--json")
    assert done.exit_code == 1
    assert document_of(done)["is_exact"] is False


@pytest.mark.parametrize("place", ["before", "after"])
def test_quiet_leaves_results_and_errors(place: str, packed: Path, array: Path, command: Command) -> None:
    def quietly(*words: object) -> Any:
        return command("--quiet", *words) if place == "before" else command(*words, "-q")

    verified = quietly("verify", packed, array)
    assert "is whole" not in verified.stdout
    assert "exact on this machine" in verified.stdout
    assert quietly("inspect", packed).stdout == command("inspect", packed).stdout
    refused = quietly("eval", "nothing")
    assert (refused.exit_code, refused.stderr.startswith("error: no file")) == (2, True)


def test_quiet_work_prints_its_result_alone(tmp_path: Path, command: Command) -> None:
    made = command("train", "tiny", "--out", tmp_path / "run", "--threads", 1, "-q")
    assert made.exit_code == 0, made.output
    (line,) = made.output.splitlines()
    assert line.startswith("test accuracy ")
    packed = command("pack", tmp_path / "run", "--out", tmp_path / "m.safetensors", "-q")
    assert (packed.exit_code, packed.output) == (0, "")
    assert (tmp_path / "m.safetensors").exists()


def test_warnings_are_left_out_by_quiet_and_not_by_json(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    def warns(pattern: str) -> catalogue.Catalogue:
        warnings.warn("odd", UserWarning, stacklevel=1)
        return catalogue.Catalogue((), (), ())

    monkeypatch.setattr(catalogue, "models", warns)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert command("models").stderr == "warning: odd\n"
        assert command("models", "-q").output == ""
        for_programs = command("models", "--json")
        assert for_programs.stderr == "warning: odd\n"
        assert json.loads(for_programs.stdout) == {"networks": [], "recipes": [], "shipped": []}
        assert command("models", "--json", "-q").stderr == ""
