"""Several reporters as one."""

from __future__ import annotations

import io

from spikelet.cli.reporters import Together
from spikelet.train.progress_bar import Lines
from tests.train.test_progress import CONFIG, run_through


def test_reporters_together_hear_the_same() -> None:
    outs = [io.StringIO(), io.StringIO()]
    run_through(Together([Lines(CONFIG, out) for out in outs]))
    assert outs[0].getvalue().count("epoch") == 4
    assert outs[0].getvalue() == outs[1].getvalue()
