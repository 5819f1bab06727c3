"""The examples do what they say, in fewer epochs."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from spikelet.recipes import RECIPES
from spikelet.train import Phase

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def example(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """An example as a module, as if it were run from its folder."""
    monkeypatch.syspath_prepend(EXAMPLES)
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_network_of_ones_own_goes_all_the_way_without_a_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verification = example("your_own_model", monkeypatch).main(tmp_path, epochs=1)
    assert verification.mismatches == 0
    assert verification.integer_accuracy == verification.float_accuracy > 0.5
    assert (tmp_path / "my_network.safetensors").stat().st_size < 8000
    assert "classes:" in capsys.readouterr().out


def test_a_dense_head_of_ones_own_classifies_pixels_in_the_same_integers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = example("segmentation_head", monkeypatch).main(tmp_path, steps=60)
    assert result.verification.mismatches == 0
    assert not result.verification.not_compared
    assert result.integer_accuracy == result.float_accuracy > result.background + 0.01
    assert "pixels right: PyTorch" in capsys.readouterr().out


@pytest.mark.parametrize("library", ["spikingjelly", "snntorch"])
def test_a_network_of_another_library_becomes_a_small_file_without_a_difference(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(library, reason="a test extra: see the Makefile")
    verification = example(f"{library}_to_integers", monkeypatch).main(tmp_path, epochs=1, finetune_epochs=1)
    assert verification.mismatches == 0
    assert verification.integer_accuracy == verification.float_accuracy > 0.7
    size = (tmp_path / f"{library}.safetensors").stat().st_size
    assert size < 9000
    printed = capsys.readouterr().out
    assert f"{size:,} bytes; the float32 network has 59,048" in printed
    assert "mismatches between PyTorch and the integer program: 0" in printed


def test_networks_of_transformers_become_integers_without_a_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("transformers", reason="a test extra: see the Makefile")
    done = example("transformers_to_integers", monkeypatch).main(tmp_path, epochs=2, finetune_epochs=1)
    printed = capsys.readouterr().out
    assert set(done) == {"vit", "resnet"}
    for name, verification in done.items():
        assert verification.mismatches == 0
        assert verification.integer_accuracy == verification.float_accuracy > 0.3
        size = (tmp_path / f"{name}.safetensors").stat().st_size
        assert f"{name}.safetensors: {size:,} bytes" in printed
    assert "vit.layernorm " in printed
    assert "nothing to repair" in printed


def test_the_demo_ends_with_a_picture_and_with_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    demo = example("demo", monkeypatch)
    config = dataclasses.replace(RECIPES[demo.RECIPE](), phases=(Phase(1, 2),), batch_size=64)
    demo.main(tmp_path, config)
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-1] == "spikes that differ between PyTorch and the integer runtime: 0, logits that differ: 0"
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    for word in ("accuracy, PyTorch", "accuracy, integer", "packed file", "float32", "latency", "firing rate", "SOPs"):
        assert any(word in line for line in lines), word


def test_the_demo_starts_anew_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = example("demo", monkeypatch)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("of another run")
    monkeypatch.setattr(demo.Run, "train", lambda run: run.model)
    demo.train(RECIPES[demo.RECIPE](), demo.load("digits"), tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_network_is_printed_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    example("looking_at_networks", monkeypatch).main(tmp_path, epochs=1)
    pyplot.close("all")
    said = capsys.readouterr()
    for words in ("IntGraph(a graph, ", "classifier", "Operations, means per sample", "drew "):
        assert words in said.out
    assert "epoch 1/1" in said.err
    for name in ("spikes", "learning", "confusion", "rates"):
        assert (tmp_path / f"{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_a_network_that_listens_is_built_from_the_exported_folder_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ziglang", reason="a test extra: see the Makefile")
    assert example("listening_device", monkeypatch).main(tmp_path)
    printed = capsys.readouterr().out
    assert "logits that differ between C and spikelet: 0" in printed
    assert "Cortex-M4 program: device.elf; heard" in printed
