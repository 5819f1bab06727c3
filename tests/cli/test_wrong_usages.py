"""What newcomers typed and got wrong: one sentence that names both sides and the way out, and exit code 2."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.shapes import make_shapes

Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKELET_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with pictures in it, in which commands are typed."""
    make_shapes(tmp_path / "shapes", {"train": 4, "test": 2})
    make_shapes(tmp_path / "alike", {"train": 4, "test": 2}, sides=((32, 32),))
    make_shapes(tmp_path / "grey", {"train": 4, "test": 2}, "L")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alike", "grey", "shapes"], "nothing was written"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trainn"], "No such command 'trainn'. Did you mean 'train'?"),
        (["train", "qsnn-digts"], "there is no recipe 'qsnn-digts'. Did you mean 'qsnn-digits'?"),
        (["train", "shapes"], "but a folder: spikelet train --data shapes trains on it."),
        (["train", "--data", "shaps"], "data set 'shaps' was not found: it must be a folder"),
        (["train", "--data", "shapes", "--model", "qsnn_vgg"], "no model named 'qsnn_vgg'."),
        (["train", "--data", "shapes", "--model", "qsnn_vgg"], "Did you mean 'qsnn_vgg_s'?"),
        (["train", "--data", "shapes/train/bar/0.png"], "shapes/train/bar/0.png' was not found: it must be a folder, "),
        (["train", "tiny", "--data", "shapes"], "batch_size 64 on 1 process(es) is more than the 12 samples of shapes"),
        (["train", "qsnn-cifar10", "--data-root", "alike"],
         "'alike' has the classes 'bar', 'cross', 'square', and cifar10 'airplane', "),
        (["train", "qsnn-digits", "--data-root", "shapes"], "comes with scikit-learn and is read from no folder"),
        (["train", "--data", "shapes", "--image-size", "3", "--model", "qsnn_vgg_s_avg"],
         "image_size must be at least 8 for 3 widths, got 3"),
    ],
)  # fmt: skip
def test_a_wrong_word_of_train_is_one_sentence(words: list[str], said: str, here: Path, command: Command) -> None:
    assert said in sentence_of(command(*words))


def test_a_folder_of_one_class_is_no_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    monkeypatch.chdir(make_shapes(tmp_path / "shapes", {"": 4}))
    for name in ("cross", "square"):
        shutil.rmtree(name)
    said = sentence_of(command("train", "--data", ".", "--out", tmp_path / "run"))
    assert ". has one class, 'bar', and a network tells two or more apart. Give each a folder of its own" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["eval", "FILE", "--data", "shapes"], "takes samples of shape [1, 8, 8] (channels, height, width), and "),
        (["eval", "FILE", "--data", "shapes"], "those of shapes are [3, 8, 8]. Choose other data with --data."),
        (["eval", "FILE", "--data", "grey"], "grey has 3 classes that FILE does not know: 'bar', 'cross', 'square'."),
        (["eval", "RUN", "--data", "shapes"], "takes samples of shape [1, 8, 8]"),
        (["eval", "RUN", "--data", "grey"], "grey has 3 classes that RUN does not know: 'bar', 'cross', 'square'."),
        (["profile", "RUN", "--data", "grey"], "grey has 3 classes that RUN does not know"),
        (["fit", "RUN", "--max-bytes", "3k", "--data-root", "shapes"], "is read from no folder"),
        (["run", "FILE", "pngs"], "there is no file pngs."),
        (["run", "FILE", "shapes/*.gif"], "nothing matches shapes/*.gif, and there is no file of this name."),
        (["run", "FILE", "-"], "- reads a picture, a sound or an array from the standard input, which was empty."),
        (["run", "qsnn-vgg-s-cifar100", "a.png"], "Did you mean 'qsnn-vgg-s-cifar10'?"),
        (["bench", "qsnn-vgg-cifar10"], "Did you mean 'qsnn-vgg-s-cifar10'?"),
        (["models", "qsnn_vgg_t"], "nothing matches 'qsnn_vgg_t'. Did you mean 'qsnn_vgg_s'?"),
        (["fit"], "Missing argument 'DIR'. As in: spikelet fit runs/qsnn-digits --max-bytes 8k"),
        (["pack", "RUN"], "Missing option '--out'. As in: spikelet pack runs/digits --out digits.safetensors"),
        (["train", "tiny", "--seed", "1", "--out", "RUN"],
         "holds a run of another configuration. Choose another folder, or remove this one."),
        (["pack", "RUN", "--out", "model.pt"],
         "and model.pt would be taken for weights of PyTorch. Name it model.safetensors."),
        (["convert", "RUN", "--out", "twin.onnx"],
         "twin.onnx would be taken for an ONNX model. Name it twin.safetensors."),
        (["eval", "nowhere"], "no file 'nowhere', and no such model ships with spikelet."),
        (["pack", "nowhere", "--out", "m.safetensors"], "is not a run's configuration (there is no folder nowhere)."),
        (["pack", "FILE", "--out", "m.safetensors"], "is not a run's configuration (FILE is a file and no folder)."),
        (["train", "--config", "nowhere.json"], "is not a run's configuration (there is no such file)."),
        (["eval", "shapes"], "shapes/config.json is not a run's configuration"),
        (["pack", "shapes", "--out", "m.safetensors"], "shapes/config.json is not a run's configuration"),
    ],
)  # fmt: skip
def test_data_that_does_not_fit_a_network_is_one_sentence(
    words: list[str], said: str, here: Path, command: Command, packed: Path, trained: Path
) -> None:
    places = {"FILE": str(packed), "RUN": str(trained)}
    done = command(*(places.get(word, word) for word in words))
    for name, place in places.items():
        said = said.replace(name, place)
    assert said in sentence_of(done)
    assert "accuracy" not in done.stdout


def test_a_file_that_was_cut_off_says_what_is_missing(packed: Path, tmp_path: Path, command: Command) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(packed.read_bytes()[:-100])
    for name in ("eval", "run", "inspect", "verify", "bench"):
        done = command(name, cut, *(["a.png"] if name == "run" else []))
        assert "its tensors take " in sentence_of(done)
        assert " follow the header" in sentence_of(done)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no folder that nobody can write into")
def test_a_file_that_cannot_be_written_is_named_as_it_was_typed(trained: Path, command: Command) -> None:
    for words in (("pack", trained), ("profile", trained), ("fit", trained, "--max-bytes", "3k"), ("export", trained),
                  ("train", "tiny")):  # fmt: skip
        said = sentence_of(command(*words, "--out", "/proc/x"))
        assert "--out: nothing can be written into /proc (No such file or directory). Choose another place" in said


def sentence_of(done: Any) -> str:
    """The one line that a refused command says."""
    assert done.exit_code == 2, done.output
    lines = [line for line in done.stderr.splitlines() if line.lower().startswith("error")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.output
    assert "unexpected" not in lines[0]
    return lines[0]
