"""How a run shows itself: the time left, the bar, the lines."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest

from spikelet.cli import reporters
from spikelet.cli.printing import duration
from spikelet.cli.reporters import Bar, Lines, Together, Work, reporter_for
from spikelet.recipes import RECIPES
from spikelet.train import Phase, Teacher

CONFIG = dataclasses.replace(RECIPES["qsnn-digits"](), phases=(Phase(2, 1), Phase(1, 4)))
METRICS = {"loss": 1.0, "firing_rate": 0.2, "validation_accuracy": 0.5, "learning_rate": 0.1, "seconds": 1.0}


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


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


@pytest.mark.parametrize("out", [io.StringIO(), Terminal()], ids=["file", "terminal"])
def test_a_name_stands_before_what_is_shown(out: io.StringIO) -> None:
    run_through(reporter_for(CONFIG, "teacher  ", out))
    assert "teacher  epoch 3/3" in out.getvalue()


def test_the_time_left_counts_what_is_still_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 5.0, 10.0, 30.0])
    monkeypatch.setattr(reporters.time, "monotonic", lambda: next(clock))
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


def test_a_terminal_gets_the_bar_and_a_file_the_lines() -> None:
    assert isinstance(reporter_for(CONFIG, out=Terminal()), Bar)
    assert isinstance(reporter_for(CONFIG, out=io.StringIO()), Lines)


def test_reporters_together_hear_the_same() -> None:
    outs = [io.StringIO(), io.StringIO()]
    run_through(Together([Lines(CONFIG, out) for out in outs]))
    assert outs[0].getvalue().count("epoch") == 4
    assert outs[0].getvalue() == outs[1].getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.4, "59 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")]
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
