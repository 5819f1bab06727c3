"""A folder of one's own sounds goes from the command line to C that hears them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import spikelet
from spikelet.base.logmel import LogMel
from spikelet.cli.app import app
from spikelet.data import load
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
    described = json.loads(typed("inspect", "hum.safetensors", "--json").stdout)
    assert LogMel(**described["hears"]) == LogMel()
    said = " ".join(typed("inspect", "hum.safetensors").stdout.split())
    assert "8,000 Hz; spikelet run hum.safetensors SOUND.wav" in said
    options = json.dumps({**json.loads(graph.meta["data_options"]), "sound": {"adapt": 4}})
    spikelet.save(dataclasses.replace(graph, meta={**graph.meta, "data_options": options}), "adapts.safetensors")
    said = " ".join(typed("inspect", "adapts.safetensors").stdout.split())
    assert "8,000 Hz, beside their running means; spikelet run adapts.safetensors SOUND.wav" in said


def test_a_second_is_heard_where_nothing_is_said(sounds: Path) -> None:
    config = json.loads(typed("train", "--data", sounds, "--dry-run").stdout)
    assert config["model_options"]["time_steps"] == config["data_options"]["time_steps"] == 50


def heard_of(*words: str | Path) -> list[dict]:
    """What `spikelet run --json` says of sounds."""
    return [json.loads(line) for line in typed("run", *words, "--json").stdout.splitlines()]


def test_a_wav_file_is_run_on_the_frames_it_was_evaluated_on(tmp_path: Path) -> None:
    names = [f"{digit}_anna_{index}.wav" for digit in (3, 7) for index in range(2)]
    rng = np.random.default_rng(0)
    for name in names:
        put(tmp_path / "recordings" / name, wav(rng.integers(-9000, 9000, 3000 + 1500 * int(name[0] == "7"))))
    graph = spikelet.load("stream-lif-fsdd")
    test = load("fsdd", root=tmp_path, time_steps=graph.time_steps, validation=0.0).test
    expected = spikelet.Program(graph)(test.batch(np.arange(4))[0].numpy())
    found = heard_of("stream-lif-fsdd", tmp_path / "recordings")
    assert [Path(line["input"]).name for line in found] == names
    logits = [[next(g["logit"] for g in line["top"] if g["index"] == k) for k in range(10)] for line in
              heard_of("stream-lif-fsdd", tmp_path / "recordings", "--top", "10")]  # fmt: skip
    assert logits == expected.tolist()
    one = tmp_path / "recordings" / names[0]
    (alone,) = heard_of("stream-lif-fsdd", one)
    piped = CliRunner().invoke(app, ["run", "stream-lif-fsdd", "-", "--json"], input=one.read_bytes())
    assert alone["top"] == json.loads(piped.stdout)["top"] == found[0]["top"]
    typed("run", "stream-lif-fsdd", one, "--csv", tmp_path / "heard.csv")
    assert (tmp_path / "heard.csv").read_text().splitlines()[1].split(",")[1] == alone["class"]
    assert (
        "0.375 s of 16-bit sound at 8,000 Hz, laid into 0.72 s of silence"
        in typed("run", "stream-lif-fsdd", one).stdout
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["qsnn-vgg-s-cifar10", "a.wav"],
            "a.wav is a sound, and the model takes input of shape [3, 32, 32] and says no ",
        ),
        (["stream-lif-fsdd", "cut.wav"], "cut.wav is damaged: it has "),
        (["stream-lif-fsdd", "picture.wav"], "picture.wav is no WAV file: it does not begin as one."),
        (["stream-lif-fsdd", "a.wav", "--invert"], "--invert and --ground change pictures, and this network hears "),
        (["stream-lif-fsdd", "a.png"], "which pictures don't have. Give a .wav sound or an .npy file."),
        (["stream-lif-fsdd", "empty"], "empty is a folder without sounds and without .npy or .npz files."),
        (["qsnn-vgg-s-cifar10", "sounds"], "sounds is a folder without pictures and without .npy or .npz files."),
    ],
)
def test_what_can_not_be_heard_is_one_sentence(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = wav(tone(300))
    for path, content in (("a.wav", data), ("cut.wav", data[:-9]), ("picture.wav", b"P5 1 1 255 a"), ("a.png", data)):
        put(Path(path), content)
    put(Path("sounds/a.wav"), data)
    Path("empty").mkdir()
    done = CliRunner().invoke(app, ["run", *words])
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.output
