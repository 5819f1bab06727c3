"""The example of motion builds in an empty folder with Zig's compiler, and gives the native runtime's sums."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "motion_on_a_device.py"


def test_the_device_says_what_the_native_runtime_says(tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    environment = os.environ | {"CC": f"{sys.executable} -m ziglang cc"}
    command = [sys.executable, str(EXAMPLE), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the device says walking: [" in done.stdout
