"""The front end in C hears what the one in Python hears, bit for bit: on this machine, and on emulated Cortex-M."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
from pathlib import Path

import numpy as np
import pytest

from spikelet.base.errors import SpikeletError
from spikelet.base.logmel import STEPS, LogMel
from spikelet.export import front_end_of, to_c
from spikelet.export.c.kernels import sources
from spikelet.export.c.project import written
from spikelet.export.c.report import report
from spikelet.export.c.sound import sound_files
from spikelet.graph import ir
from tests.artifact_parts import small_graph
from tests.export.compiled import CC, SANITIZE, STRICT, needs_compiler
from tests.export.emulated import semihosted
from tests.export.test_targets import RIGHT, make
from tests.support.sounds import FRONT_ENDS, SOUNDS, name_of

MAIN = """#include <stdio.h>
#include "net_sound.h"
int main(void) {{
    static int16_t samples[NET_HOP];
    static uint8_t frame[{bands}];
    net_silence();
    while (fread(samples, 2, NET_HOP, stdin) == NET_HOP) {{
        net_hear(samples, frame);
        fwrite(frame, 1, {bands}, stdout);
    }}
    return 0;
}}
"""


@needs_compiler
@pytest.mark.parametrize("flags", [SANITIZE, ("-O3",)], ids=["sanitized", "optimised"])
@pytest.mark.parametrize("hears", FRONT_ENDS, ids=name_of)
def test_frames_in_c_are_those_of_python(hears: LogMel, flags: tuple[str, ...], tmp_path: Path) -> None:
    texts = {**sound_files(hears, "net"), **{name: sources()[name] for name in ("spk.h", "logmel.h", "logmel.c")}}
    for name, text in {**texts, "main.c": MAIN.format(bands=hears.bands)}.items():
        (tmp_path / name).write_text(text)
    files = ["main.c", "net_sound.c", "logmel.c"]
    done = subprocess.run(
        [str(CC), *STRICT, *flags, *files, "-o", "hear"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for name, make_sound in SOUNDS.items():
        samples = make_sound(12 * hears.hop + 5)
        heard = subprocess.run([str(tmp_path / "hear")], input=samples.tobytes(), capture_output=True)
        assert heard.returncode == 0, heard.stderr.decode()
        assert np.array_equal(np.frombuffer(heard.stdout, np.uint8).reshape(-1, hears.bands), hears.frames(samples)), (
            name
        )


def listening(hears: LogMel | None = None, **others: object) -> ir.IntGraph:
    """A graph whose meta says that it hears with `hears`, or with a front end of its frames' size."""
    graph = small_graph()
    hears = hears or LogMel(window=512, bands=math.prod(graph.input.shape))
    meta = {"data_options": json.dumps({"sound": {**dataclasses.asdict(hears), **others}})}
    return dataclasses.replace(graph, meta={**graph.meta, **meta})


@needs_compiler
def test_the_project_of_a_network_that_listens_tests_its_front_end_too(tmp_path: Path) -> None:
    to_c(listening(), tmp_path / "c", name="net")
    made = {path.name for path in (tmp_path / "c" / "src").iterdir()}
    assert {"net_sound.h", "net_sound.c", "logmel.c", "logmel.h"} <= made
    assert "net_hear(samples, frame);" in (tmp_path / "c" / "README.md").read_text()
    check = subprocess.run(["make", "-s", "check"], cwd=tmp_path / "c", capture_output=True, text=True)
    assert (check.returncode, check.stderr) == (0, "")
    test = tmp_path / "c" / "selftest.c"
    head, tail = test.read_text().split("expected_frames_1")[0], test.read_text().split("expected_frames_1", 1)[1]
    test.write_text(head + "expected_frames_1" + tail.replace("{\n    ", "{\n    99, ", 1).replace("[192]", "[193]", 1))
    assert subprocess.run(["make", "-s", "check"], cwd=tmp_path / "c", capture_output=True).returncode != 0


@pytest.mark.parametrize("cpu", ["cortex-m0", "cortex-m4"])
def test_a_cortex_m_hears_the_same(cpu: str, tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    to_c(listening(), tmp_path / "c", name="net")
    built = make(tmp_path / "c", cpu)
    assert semihosted(built / f"{cpu}.elf", cpu.upper().replace("-", "_")).reason == RIGHT


def test_what_a_front_end_takes_is_told_and_counted() -> None:
    deaf, hears = report(written(small_graph())), report(written(listening()))
    assert (deaf.sound, deaf.sound_ram) == (0, 0)
    assert hears.flash - deaf.flash == hears.sound > 2 * 512 + 2 * 256  # its two largest tables
    assert hears.sound_ram == 4 * 512 + 4 * 34
    adapting = report(written(listening(LogMel(window=512, bands=32, adapt=4))))
    assert adapting.sound_ram == hears.sound_ram + 2 * 32
    needs = hears.ram + hears.stack + hears.sound_ram
    hears.require(None, needs)
    with pytest.raises(SpikeletError, match=f"needs {needs:,} bytes of RAM"):
        hears.require(None, needs - 1)


def test_meta_that_says_no_front_end_of_the_frames_size_says_none() -> None:
    assert front_end_of(listening()) == LogMel(window=512, bands=32)
    assert front_end_of(small_graph()) is None
    for other in (listening(LogMel(bands=24)), listening(bands=0), listening(tone=1)):
        assert front_end_of(other) is None
    for text in ("[", "[]", '{"sound": 5}', '{"sound": null}', " " * 5000):
        assert front_end_of(dataclasses.replace(small_graph(), meta={"data_options": text})) is None


def test_the_logarithms_steps_are_the_same_in_both_languages() -> None:
    assert f"{{{', '.join(map(str, STEPS))}}}" in sources()["logmel.c"]
