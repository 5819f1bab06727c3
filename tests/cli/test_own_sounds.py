"""A folder of one's own sounds goes from the command line to C that hears them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import spikelet
from spikelet.base.logmel import LogMel
from spikelet.cli.app import app
from spikelet.export import front_end_of
from tests.data.test_sounds import tone
from tests.support.sounds import put, wav


def typed(*words: str | Path) -> Result:
    """A command that ends well."""
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture
def sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of tones; what is typed makes its folders beside them."""
    monkeypatch.chdir(tmp_path)
    for split, count in (("train", 12), ("test", 2)):
        for name, hertz in (("low", 300), ("high", 2000)):
            for i in range(count):
                put(tmp_path / "hum" / split / name / f"{i}.wav", wav(tone(hertz + 20 * i + len(split))))
    return tmp_path / "hum"


def test_from_a_folder_to_c_that_hears(sounds: Path) -> None:
    typed("train", "--data", sounds, "--time-steps", "8", "--epochs", "2", "--out", "run")
    config = json.loads(Path("run/config.json").read_text())
    assert config["model"] == "stream_lif"
    assert config["augment"] == "spoken"
    assert config["data_options"]["sound"]["bands"] == 24
    typed("pack", "run", "--out", "hum.safetensors")
    graph = spikelet.load("hum.safetensors")
    assert graph.input.shape == (24, 1, 1)
    assert front_end_of(graph) == LogMel()
    said = typed("export", "hum.safetensors", "--to", "c", "--out", "c", "--name", "hum")
    assert "front end for sound" in said.output
    assert Path("c/src/hum_sound.c").exists()
    typed("eval", "hum.safetensors", "--data", sounds)


def test_a_second_is_heard_where_nothing_is_said(sounds: Path) -> None:
    config = json.loads(typed("train", "--data", sounds, "--dry-run").stdout)
    assert config["model_options"]["time_steps"] == config["data_options"]["time_steps"] == 50
