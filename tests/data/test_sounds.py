"""Folders and zips of sound, and spoken digits: what a network that listens is trained on."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from spikelet.base.errors import DataError, DataWarning, SpikeletError
from spikelet.base.logmel import LogMel
from spikelet.base.sound import centred
from spikelet.cli.own_data import own_data
from spikelet.data import load
from tests.artifact_parts import small_graph
from tests.support.sounds import put, wav

T = 6


def tone(hertz: float, n: int = 1500) -> np.ndarray:
    """A tone at 8 kHz, int16."""
    return (8000 * np.sin(2 * np.pi * hertz / 8000 * np.arange(n))).astype(np.int16)


def folder(root: Path) -> Path:
    """Two splits of two classes."""
    for split, count in (("train", 3), ("test", 1)):
        for name, hertz in (("low", 300), ("high", 2000)):
            for i in range(count):
                put(root / split / name / f"{i}.wav", wav(tone(hertz + 40 * i + 5 * len(split))))
    return root


def test_a_folder_of_sounds_is_frames_of_each(tmp_path: Path) -> None:
    splits = load(folder(tmp_path / "s"), time_steps=T, validation=0.0)
    assert splits.train.x.shape == (6, T, 24, 1, 1)
    assert splits.train.labels == ("high", "low")
    assert splits.train.y.tolist() == [0, 0, 0, 1, 1, 1]
    expected = LogMel().frames(centred(tone(2000 + 20), T * 160))
    assert np.array_equal(splits.test.x[0, :, :, 0, 0].numpy(), expected)
    assert splits.test.batch(np.arange(2))[0].shape == (T, 2, 24, 1, 1)
    assert str(splits.reading) == "s: 2 test, 6 train samples of 2 classes, 0 left out"
    assert splits.train.note == "6 frames of 24 log-mels, 0.12 s at 8000 Hz"


def test_a_zip_of_sounds_is_the_folder(tmp_path: Path) -> None:
    root = folder(tmp_path / "s")
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*.wav")):
            archive.write(path, path.relative_to(root))
        archive.writestr("notes.txt", "mine")
    with pytest.warns(DataWarning, match="'notes.txt' \\(no sound\\)"):
        packed = load(tmp_path / "z.zip", time_steps=T, validation=0.0)
    lying = load(root, time_steps=T, validation=0.0)
    for part in ("train", "test"):
        assert np.array_equal(getattr(packed, part).x, getattr(lying, part).x)
        assert getattr(packed, part).y.tolist() == getattr(lying, part).y.tolist()


def test_a_sound_at_another_rate_in_stereo_is_nearly_the_same_frames(tmp_path: Path) -> None:
    t = np.arange(3000) / 16000
    stereo = np.stack([8000 * np.sin(2 * np.pi * 500 * t)] * 2, axis=1).astype(np.int16)
    put(tmp_path / "a" / "x" / "1.wav", wav(stereo, rate=16000))
    put(tmp_path / "b" / "x" / "1.wav", wav(tone(500)))
    a, b = (load(tmp_path / name, time_steps=T, validation=0.0).train.x.int() for name in "ab")
    loud = b > 60
    assert loud.any()
    assert (a - b)[loud].abs().max() <= 3


def test_another_front_end_is_asked_for_by_its_numbers(tmp_path: Path) -> None:
    splits = load(folder(tmp_path / "s"), time_steps=4, sound={"bands": 12, "hop": 200}, validation=0.0)
    assert splits.train.x.shape == (6, 4, 12, 1, 1)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "s is sound, and needs time_steps, the frames that are heard of each: time_steps=40, say"),
        ({"time_steps": T, "image_size": 8}, "image_size=8 says nothing about the sounds of s. Leave it out."),
        ({"time_steps": T, "held_out": "ann"}, "held_out='ann' says nothing about the sounds of s. Leave it out."),
        ({"time_steps": T, "sound": {"bands": 0}}, "LogMel.bands must be a whole number"),
        ({"time_steps": T, "sound": {"tone": 1}}, "sound must be numbers by name, of rate, window"),
    ],
)
def test_what_does_not_fit_is_refused(form: dict[str, object], words: str, tmp_path: Path) -> None:
    root = folder(tmp_path / "s")
    with pytest.raises(SpikeletError, match=words):
        load(root, **form)  # type: ignore[arg-type]


def test_a_damaged_sound_is_named(tmp_path: Path) -> None:
    root = folder(tmp_path / "s")
    put(root / "train" / "low" / "bad.wav", b"RIFF....")
    with pytest.raises(DataError, match=r"low/bad\.wav' is no WAV file"):
        load(root, time_steps=T)


def test_a_zips_name_that_leads_out_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("../x/1.wav", wav(tone(300)))
    with pytest.raises(DataError, match="is no name in a zip of sounds"):
        load(tmp_path / "z.zip", time_steps=T)


def digits(root: Path) -> Path:
    """Two digits, two speakers, seven recordings of each."""
    for digit in (3, 7):
        for speaker in ("ann", "bob"):
            for i in range(7):
                put(
                    root / f"{digit}_{speaker}_{i}.wav",
                    wav(tone(200 * digit + 10 * i + len(root.name) + ord(speaker[0]))),
                )
    return root


@pytest.mark.parametrize("place", ["folder", "recordings", "zip"])
def test_spoken_digits_are_split_as_their_authors_say(place: str, tmp_path: Path) -> None:
    root = digits(tmp_path / "d" / ("recordings" if place != "folder" else "")).parent
    root = tmp_path / "d"
    if place == "zip":
        with zipfile.ZipFile(root / "recordings.zip", "w") as archive:
            for path in sorted((root / "recordings").iterdir()):
                archive.write(path, f"recordings/{path.name}")
                path.unlink()
    splits = load("fsdd", root=root, time_steps=T, validation=0.0)
    assert (len(splits.train), len(splits.test)) == (8, 20)
    assert sorted(set(splits.test.y.tolist())) == [3, 7]
    assert splits.train.labels == tuple("0123456789")


def test_a_speaker_who_is_held_out_is_in_no_other_split(tmp_path: Path) -> None:
    root = digits(tmp_path / "d")
    splits = load("fsdd", root=root, time_steps=T, validation=0.0, held_out="ann")
    assert (len(splits.train), len(splits.test)) == (14, 14)
    assert splits.test.note.endswith("without ann")
    other = load("fsdd", root=root, time_steps=T, validation=0.0, held_out="bob")
    assert np.array_equal(splits.train.x, other.test.x)
    with pytest.raises(DataError, match="held_out must be one of ann, bob, or None; got 'eve'"):
        load("fsdd", root=root, time_steps=T, held_out="eve")


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no recordings: recordings.zip, or 0_jackson_0.wav and so on"):
        load("fsdd", root=tmp_path, time_steps=T)


def test_a_packed_file_may_say_which_front_end_it_heard_with() -> None:
    import dataclasses

    def named(**options: object) -> object:
        meta = {"data": "fsdd", "data_options": json.dumps(options)}
        return own_data(dataclasses.replace(small_graph(), meta=meta)).options

    steps = small_graph().time_steps
    assert named(sound={"bands": 20}, held_out="theo") == {
        "time_steps": steps,
        "sound": {"bands": 20},
        "held_out": "theo",
    }
    with pytest.raises(SpikeletError, match="sound must be the numbers of a front end"):
        named(sound={"bands": 1000})


@pytest.mark.slow
def test_the_published_recordings_are_all_there(shared_data: Path) -> None:
    splits = load("fsdd", root=shared_data / "fsdd", time_steps=36, validation=0.0)
    assert (len(splits.train), len(splits.test)) == (2700, 300)
    assert np.bincount(splits.test.y).tolist() == [30] * 10
