"""What a packed file may ask for is said on the command line too: no command is without a way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

COMMANDS = ("inspect FILE", "run FILE IMAGE", "profile FILE IMAGE", "verify FILE IMAGE", "eval FILE")


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_that_opens_a_file_takes_its_limits(
    words: str, packed: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 8, 8), np.uint8))
    line = [{"FILE": packed, "IMAGE": tmp_path / "x.npy"}.get(word, word) for word in words.split()]
    for option, limit in (("max_operations", "operations a sample"), ("max_bytes", "bytes")):
        name = f"--{option.replace('_', '-')}"
        refused = command(*line, name, 100)
        assert refused.exit_code == 2
        assert f"{option} allows 100. Pass a larger {option} if you trust the file." in refused.output
        assert limit in refused.output
        done = command(*line, name, 2**60)
        assert done.exit_code == 0, done.output


def test_the_limits_of_one_command_are_not_those_of_the_next(packed: Path, command: Callable[..., Any]) -> None:
    assert command("inspect", packed, "--max-operations", 100).exit_code == 2
    assert command("inspect", packed).exit_code == 0
    assert command("inspect", packed, "--max-operations", 0).exit_code == 2
