"""The same project on other processors, under emulation: Cortex-M from its reset on, big-endian, 64 bits, WebAssembly.

Each test skips where Zig's compiler, Unicorn or Wasmtime is not installed (pip install 'spikelet[targets]').
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from spikelet.export.c.kernels import needed, sources
from spikelet.export.c.project import written
from spikelet.export.c.report import CODE, STACK
from tests.export.emulated import TARGETS, code_bytes, semihosted, zig
from tests.export.self_tests import CORTEX, RIGHT, WRONG, make, passes, project
from tests.format_3_graph import format_3_graph
from tests.random_graphs import random_graph

MODELS = {"every operation": format_3_graph, "spikes": lambda: random_graph(29)}


def test_a_network_of_the_targets_counts_spikes_32_outputs_at_a_time_and_runs_row_by_row() -> None:
    text = "".join(written(random_graph(29)).files.values())
    assert "conv_bits.c" in needed(text)
    assert all(f"model_{kind}_band_0(" in text for kind in ("run", "step"))


@pytest.mark.parametrize("cpu", CORTEX)
@pytest.mark.parametrize("model", MODELS)
def test_the_self_test_passes_on_a_cortex_m_from_its_reset_on(cpu: str, model: str, tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    built = make(project(MODELS[model](), tmp_path), cpu)
    ended = semihosted(built / f"{cpu}.elf", cpu.upper().replace("-", "_"))
    assert ended.reason == RIGHT
    assert 64 < ended.stack <= STACK


def test_a_wrong_value_on_a_cortex_m_is_told(tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    folder = project(random_graph(29), tmp_path)
    text = (folder / "selftest.c").read_text()
    (folder / "selftest.c").write_text(re.sub(r"(expected_runs_\d+\[\d+\] = \{\s*)-?\d+", r"\g<1>123456", text))
    assert semihosted(make(folder, "cortex-m4") / "cortex-m4.elf", "CORTEX_M4").reason == WRONG


@pytest.mark.parametrize("processor", [*TARGETS, "wasm32"])
@pytest.mark.parametrize("model", MODELS)
def test_the_self_test_passes_on_other_processors(processor: str, model: str, tmp_path: Path) -> None:
    assert passes(project(MODELS[model](), tmp_path), processor)


def test_kernels_take_the_bytes_of_the_report(tmp_path: Path) -> None:
    for name, text in sources().items():
        (tmp_path / name).write_text(text)
    found = {}
    for name in CODE:
        flags = ["-std=c99", "-Os", "-fno-sanitize=undefined", "-c", name, "-o", "a.o"]
        command = [*zig(), "cc", "-target", "thumb-freestanding-eabi", "-mcpu=cortex_m4", *flags]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found[name] = code_bytes(tmp_path / "a.o")
    assert found == {name: pytest.approx(size, rel=0.1, abs=16) for name, size in CODE.items()}
