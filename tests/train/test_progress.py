"""How a training shows itself, by default and where asked: the time left, the bar, the lines, and nothing at all."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import pytest

from spikelet.base.errors import SpikeletError
from spikelet.base.words import duration
from spikelet.compression import Finetune, compress
from spikelet.data import DataSplits, load
from spikelet.fitting import Budget, Quiet, fit
from spikelet.fitting.progress import Shown
from spikelet.models import create_model
from spikelet.recipes import RECIPES
from spikelet.train import Phase, Run, Silent, Teacher, TrainConfig, Training, progress_bar, train_further
from spikelet.train.loop import Loop
from spikelet.train.progress import Together
from spikelet.train.progress_bar import Bar, Lines, Work, reporter_for

CONFIG = dataclasses.replace(RECIPES["qsnn-digits"](), phases=(Phase(2, 1), Phase(1, 4)))
METRICS = {"loss": 1.0, "firing_rate": 0.2, "validation_accuracy": 0.5, "learning_rate": 0.1, "seconds": 1.0}


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class OutStream(io.StringIO):
    """The stream of a notebook's cell, as ipykernel calls it; it is no terminal."""

    __module__ = "ipykernel.iostream"


def metrics(epoch: int) -> dict[str, Any]:
    return {**METRICS, "epoch": epoch, "time_steps": CONFIG.time_steps(epoch)}


def run_through(reporter: Any, done: int = 0, steps: int = 10) -> None:
    reporter.start(CONFIG.epochs, steps, done)
    for epoch in range(done, CONFIG.epochs):
        for step in range(steps):
            reporter.step(epoch, step, 1.0)
        reporter.epoch(metrics(epoch))
    reporter.finish()


def test_a_step_costs_its_number_of_time_steps() -> None:
    work = Work(CONFIG, 10)
    assert work.total == 3 * (10 * 1 + 10 * 1 + 10 * 4)
    assert [work.until(epoch) for epoch in range(4)] == [0, 30, 60, 180]
    assert work.until(2, 3) == 60 + 3 * 3 * 4


def test_a_teachers_word_costs_a_pass_forwards() -> None:
    work = Work(dataclasses.replace(CONFIG, teacher=Teacher(1, after=1)), 10)
    assert [work.until(epoch) for epoch in range(4)] == [0, 30, 70, 200]


@pytest.mark.parametrize("kind", [io.StringIO, Terminal, OutStream], ids=["file", "terminal", "notebook"])
def test_a_teachers_epochs_are_named(kind: type[io.StringIO]) -> None:
    for name in ("teacher", ""):
        out = kind()
        run_through(reporter_for(CONFIG, out, name))
        assert ("teacher  epoch 3/3" in out.getvalue()) == bool(name)
        assert "epoch 3/3" in out.getvalue()


def test_the_time_left_counts_what_is_still_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 5.0, 10.0, 30.0])
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: next(clock))
    out = io.StringIO()
    run_through(Lines(CONFIG, out))
    left = [line.rpartition("left ")[2] for line in out.getvalue().splitlines()[1:]]
    assert left == ["25 s", "20 s", "0 s"], "5 s a unit of 10, 60 in all"


def test_lines_of_a_resumed_run_count_only_the_time_since() -> None:
    out = io.StringIO()
    run_through(Lines(CONFIG, out), done=2)
    lines = out.getvalue().splitlines()
    assert lines[0] == "3 epochs of 10 steps, 2 of them done"
    assert lines[1].startswith("epoch 3/3  T 4  loss 1.0000  validation 50.00 %")
    assert len(lines) == 2


def test_the_bar_is_full_at_the_end_and_shows_loss_and_validation() -> None:
    out = Terminal()
    bar = Bar(CONFIG, out)
    run_through(bar)
    assert bar.progress.finished
    last = out.getvalue().split("\r")[-1]
    for part in ("epoch 3/3", "100%", "loss 1.000", "validation 50.00 %"):
        assert part in last


def test_the_bar_of_a_resumed_run_counts_what_is_left() -> None:
    bar = Bar(CONFIG, Terminal())
    bar.start(CONFIG.epochs, 10, 2)
    assert bar.progress.length == bar.work.total - 60
    bar.step(2, 0, 1.0)
    assert bar.progress.pos == 3 * 4
    bar.finish()


def test_a_terminal_and_a_notebook_get_the_bar_and_a_file_the_lines() -> None:
    assert isinstance(reporter_for(CONFIG, Terminal()), Bar)
    assert isinstance(reporter_for(CONFIG, OutStream()), Bar)
    assert isinstance(reporter_for(CONFIG, io.StringIO()), Lines)
    assert isinstance(Loop(model(), digits(), TRAINING).reporter, Lines)


def test_a_notebook_gets_one_line_that_is_written_over_and_no_control_sequence() -> None:
    out = OutStream()
    run_through(reporter_for(CONFIG, out))
    shown = out.getvalue()
    assert "\x1b" not in shown
    assert shown.count("\n") == 1, "at the end"
    assert shown.split("\r")[-1].startswith("epoch 3/3")
    assert "100%" in shown.split("\r")[-1]


@pytest.mark.parametrize("stream", ["closed", "without isatty", "none"])
def test_any_stream_of_errors_will_do(stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Log:
        def write(self, text: str) -> None:
            lines.append(text)

        def flush(self) -> None:
            """Nothing is held back."""

    lines: list[str] = []
    out: Any = {"closed": io.StringIO(), "without isatty": Log(), "none": None}[stream]
    if stream == "closed":
        out.close()
    monkeypatch.setattr("sys.stderr", out)
    reporter = reporter_for(CONFIG)
    assert isinstance(reporter, Silent if out is None else Lines)
    if stream != "closed":
        run_through(reporter)
    assert len(lines) == (4 if stream == "without isatty" else 0)


TRAINING = Training(phases=(Phase(2, 1),), batch_size=256)


def digits() -> DataSplits:
    data = load("digits", validation=0.1)
    return DataSplits(data.train.spread(512), data.validation.spread(64), data.test.spread(64))


def model() -> Any:
    return create_model("qsnn_vgg_s", weight_bits=8, image_size=8, in_channels=1, widths=(4,), time_steps=1)


def trained_by(way: str, reporter: Any, folder: Path) -> None:
    """Trains two epochs in one of the ways that there are."""
    if way == "run":
        phases = (Phase(2, 1),)
        config = TrainConfig("mine", {}, "digits", phases=phases, batch_size=256, teacher=Teacher(1))
        Run(config, digits(), folder, reporter, model=model()).train()
    elif way == "train_further":
        train_further(model(), digits(), TRAINING, reporter)
    else:
        compress(model(), [Finetune(2, batch_size=256, reporter=reporter)], digits())


@pytest.mark.parametrize("way", ["run", "train_further", "Finetune"])
def test_every_training_in_python_shows_itself_on_the_standard_error_unless_silenced(
    way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("accelerate")
    pytest.importorskip("sklearn")
    trained_by(way, None, tmp_path / "shown")
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert [line.partition("  T ")[0] for line in lines if not line.startswith("teacher")] == [
        "2 epochs of 2 steps", "epoch 1/2", "epoch 2/2",
    ]  # fmt: skip
    assert lines[-1].endswith("left 0 s")
    assert "loss " in lines[-1]
    assert sum(line.startswith("teacher  ") for line in lines) == (2 if way == "run" else 0)
    trained_by(way, Silent(), tmp_path / "silent")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("wrong", [False, Silent, "no", Quiet()], ids=["False", "the class", "a string", "a watcher"])
def test_what_is_no_reporter_is_refused_with_the_one_that_shows_nothing(wrong: Any) -> None:
    words = r"^reporter must have the methods of spikelet\.train\.Reporter, got \w+\. To show nothing: reporter="
    with pytest.raises(SpikeletError, match=words):
        train_further(model(), digits(), TRAINING, wrong)


def test_a_fit_that_is_given_a_reporter_is_told_of_its_own_kind() -> None:
    words = r"^fit\.watcher must have the methods .*, got Silent\. To show nothing: watcher=.*Quiet\(\)"
    with pytest.raises(SpikeletError, match=words):
        fit(model(), digits(), Budget(max_bytes=1000), watcher=Silent())  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [io.StringIO, Terminal, OutStream], ids=["file", "terminal", "notebook"])
def test_a_fit_shows_its_stages_and_trainings(kind: type[io.StringIO]) -> None:
    out = kind()
    watcher = Shown(out)
    watcher.stage("sensitivity", 2)
    for _ in range(2):
        watcher.step()
    run_through(watcher.reporter(CONFIG))
    assert ("sensitivity: 2 steps\n" in out.getvalue()) == (kind is io.StringIO)
    assert ("2/2" in out.getvalue()) == (kind is not io.StringIO)
    assert "epoch 3/3" in out.getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.4, "59 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")]
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_reporters_together_hear_the_same() -> None:
    outs = [io.StringIO(), io.StringIO()]
    run_through(Together([Lines(CONFIG, out) for out in outs]))
    assert outs[0].getvalue().count("epoch") == 4
    assert outs[0].getvalue() == outs[1].getvalue()
