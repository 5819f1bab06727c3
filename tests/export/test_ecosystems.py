"""Every ecosystem gets the same C, manifests that its own tools take, and an example that finds no wrong value.

No board is at hand: examples are built on this machine beside stubs of each ecosystem (stubs.py). The packers are
PlatformIO's `pio`, ESP-IDF's `compote` and Kconfiglib's `alldefconfig`; a test of theirs skips where it is not in the
PATH (`make ecosystems` installs them into a folder of their own).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from spikelet import Reference
from spikelet.base.errors import SpikeletError
from spikelet.cli.offered import ecosystems
from spikelet.export import to_c
from spikelet.export.c.ecosystems import ECOSYSTEMS
from tests.artifact_parts import small_graph
from tests.export.compiled import CC, needs_compiler
from tests.export.stubs import ARDUINO, ESP_IDF, MICROPYTHON, ZEPHYR
from tests.random_graphs import random_graph, random_input

CXX, CMAKE, MAKE = shutil.which("c++"), shutil.which("cmake"), shutil.which("make")
needs_cmake = pytest.mark.skipif(CMAKE is None or CC is None, reason="needs cmake and a C compiler")
SEED = 34


def project(folder: Path, name: str) -> Path:
    """The project of a random graph for the ecosystem `name`, in a folder that is called as the model."""
    to_c(random_graph(SEED), folder / "net", name="net", ecosystem=name)
    return folder / "net"


def stub(folder: Path, files: Mapping[str, str]) -> Path:
    """A new folder with these files."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def run(*command: str | Path, cwd: Path, given: bytes = b"") -> str:
    """What the command prints; it must succeed."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, input=given, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()[-3000:]
    return done.stdout.decode()


def tool(name: str) -> str:
    """The path of a packer; skips where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}: make ecosystems")
    return found


def test_the_command_offers_what_there_is() -> None:
    assert ecosystems() == list(ECOSYSTEMS)


@pytest.mark.parametrize("name", ECOSYSTEMS)
def test_the_c_is_the_same_everywhere(name: str, tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    plain, other = project(tmp_path / "c", "c"), project(tmp_path, name)
    texts = [{path.name: path.read_text() for path in (folder / "src").iterdir()} for folder in (plain, other)]
    assert texts[0] == texts[1]
    every = {path: path.read_text() for path in other.rglob("*") if path.is_file()}
    assert not [path for path, text in every.items() if re.search(r"@(name|NAME|title|version|c|how|form)@", text)]
    assert (plain / "selftest.c").read_text() in every.values()
    about = (other / "README.md").read_text()
    assert f"as {ECOSYSTEMS[name].form}" in about
    assert "No board" in about


@pytest.mark.parametrize("name", ["rust", "", "C", 3, None])
def test_another_name_is_refused_with_those_that_there_are(name: object, tmp_path: Path) -> None:
    with pytest.raises(SpikeletError, match=r"ecosystem \(--to\) must be one of c, arduino, .*, micropython, got"):
        to_c(small_graph(), tmp_path / "x", ecosystem=name)  # type: ignore[arg-type]
    assert not (tmp_path / "x").exists()


def test_an_arduino_library_has_the_fields_of_the_specification(tmp_path: Path) -> None:
    folder = project(tmp_path, "arduino")
    lines = (folder / "library.properties").read_text().splitlines()
    fields = dict(line.split("=", 1) for line in lines)
    assert len(fields) == len(lines)
    needed = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}
    assert needed <= fields.keys()
    assert all(fields.values())
    assert re.fullmatch(r"[a-zA-Z][\w .-]{0,62}", fields["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", fields["version"])
    assert fields["category"] == "Data Processing"
    assert "avr" not in fields["architectures"].split(",")
    assert (folder / "src" / fields["includes"]).is_file()
    assert all(sketch.stem == sketch.parent.name for sketch in folder.glob("examples/*/*.ino"))


@needs_compiler
@pytest.mark.skipif(CXX is None, reason="needs a C++ compiler")
def test_an_arduino_sketch_finds_no_wrong_value(tmp_path: Path) -> None:
    folder = project(tmp_path, "arduino")
    board, sketch = stub(tmp_path / "board", ARDUINO), folder / "examples" / "selftest"
    run(str(CC), "-c", "-O1", f"-I{folder / 'src'}", *sketch.glob("*.c"), *folder.glob("src/*.c"), cwd=board)
    flags = ("-include", "Arduino.h", f"-I{folder / 'src'}", "-x", "c++", sketch / "selftest.ino", "board.cpp")
    run(str(CXX), "-Wall", "-Wextra", "-Werror", *flags, "-x", "none", *board.glob("*.o"), "-o", "sketch", cwd=board)
    assert run(board / "sketch", cwd=board) == "wrong values: 0\n0 us a run\n"


def test_a_platformio_library_names_files_that_are_there(tmp_path: Path) -> None:
    folder = project(tmp_path, "platformio")
    manifest = json.loads((folder / "library.json").read_text())
    assert manifest["name"] == "net"
    assert (folder / manifest["build"]["srcDir"] / manifest["headers"]).is_file()
    for example in manifest["examples"]:
        assert all((folder / example["base"] / name).is_file() for name in example["files"])


@needs_compiler
def test_a_platformio_example_finds_no_wrong_value(tmp_path: Path) -> None:
    folder = project(tmp_path, "platformio")
    sources = [*folder.glob("src/*.c"), *folder.glob("examples/selftest/src/*.c")]
    run(str(CC), "-O1", "-DSPK_PRINT", f"-I{folder / 'src'}", *sources, "-o", "program", cwd=tmp_path)
    assert ", 0 wrong values" in run(tmp_path / "program", cwd=tmp_path)


def test_platformio_packs_the_library(tmp_path: Path) -> None:
    folder = project(tmp_path, "platformio")
    run(tool("pio"), "pkg", "pack", folder, "-o", tmp_path / "net.tar.gz", cwd=tmp_path)
    assert (tmp_path / "net.tar.gz").stat().st_size > 0
    (folder / "library.json").write_text('{"name": 5}')
    done = subprocess.run([tool("pio"), "pkg", "pack", str(folder)], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode != 0, "the packer looks at the manifest"


@needs_cmake
def test_a_zephyr_sample_finds_no_wrong_value(tmp_path: Path) -> None:
    folder, zephyr = project(tmp_path, "zephyr"), stub(tmp_path / "zephyr", ZEPHYR)
    run(str(CMAKE), "-S", folder / "samples" / "selftest", "-B", "build", f"-DZephyr_DIR={zephyr}", cwd=tmp_path)
    run(str(CMAKE), "--build", "build", cwd=tmp_path)
    assert run(tmp_path / "build" / "app", cwd=tmp_path) == "net: 0 wrong values\n0 cycles a run\n"


def test_a_zephyr_module_says_where_its_parts_are(tmp_path: Path) -> None:
    folder = project(tmp_path, "zephyr")
    said = dict(re.findall(r"^\s*(\w+): *(\S+)$", (folder / "zephyr" / "module.yml").read_text(), re.MULTILINE))
    assert said["name"] == "net"
    assert (folder / said["cmake"] / "CMakeLists.txt").is_file()
    assert (folder / said["kconfig"]).is_file()
    symbol = f"CONFIG_{re.findall(r'^config (.*)$', (folder / said['kconfig']).read_text(), re.MULTILINE)[0]}"
    assert f"if({symbol})" in (folder / said["cmake"] / "CMakeLists.txt").read_text()
    assert (folder / "samples" / "selftest" / "prj.conf").read_text() == f"{symbol}=y\n"


def test_kconfig_knows_the_switch_of_a_zephyr_module(tmp_path: Path) -> None:
    folder = project(tmp_path, "zephyr")
    run(tool("alldefconfig"), folder / "zephyr" / "Kconfig", cwd=tmp_path)
    assert "# CONFIG_SPIKELET_NET is not set" in (tmp_path / ".config").read_text()


@needs_cmake
def test_an_esp_idf_example_finds_no_wrong_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project(tmp_path, "esp-idf")
    monkeypatch.setenv("IDF_PATH", str(stub(tmp_path / "idf", ESP_IDF)))
    run(str(CMAKE), "-S", folder / "examples" / "selftest", "-B", "build", cwd=tmp_path)
    run(str(CMAKE), "--build", "build", cwd=tmp_path)
    assert run(tmp_path / "build" / "app", cwd=tmp_path) == "net: 0 wrong values\n0 us a run\n"


def test_esp_idf_packs_the_component(tmp_path: Path) -> None:
    folder = project(tmp_path, "esp-idf")
    run(tool("compote"), "component", "pack", "--name", "net", cwd=folder)
    assert list((folder / "dist").glob("net_*.tgz"))
    (folder / "idf_component.yml").write_text("version: none\n")
    words = [tool("compote"), "component", "pack", "--name", "net"]
    done = subprocess.run(words, cwd=folder, capture_output=True, check=False)
    assert done.returncode != 0, "the packer looks at the manifest"


def micropython_sources(folder: Path, board: Path, how: str) -> list[str]:
    """The sources that a port compiles, by its fragment for make or for CMake."""
    if how == "make":
        (board / "port.mk").write_text(
            f"USERMOD_DIR := {folder}\ninclude {folder}/micropython.mk\nall:\n"
            "\t@echo $(SRC_USERMOD_C) $(SRC_USERMOD_LIB_C)\n"
        )
        return run(str(MAKE), "-s", "-f", "port.mk", cwd=board).split()
    (board / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.16)\nproject(port C)\nadd_library(usermod INTERFACE)\n"
        f"include({folder}/micropython.cmake)\nget_target_property(found usermod_net INTERFACE_SOURCES)\n"
        'file(WRITE sources.txt "${found}")\n'
    )
    run(str(CMAKE), "-S", ".", "-B", "build", cwd=board)
    return (board / "sources.txt").read_text().split(";")


@needs_cmake
@pytest.mark.parametrize("how", ["make", "cmake"])
def test_a_micropython_module_gives_what_the_reference_does(how: str, tmp_path: Path) -> None:
    graph, folder = random_graph(SEED), project(tmp_path, "micropython")
    board = stub(tmp_path / "board", MICROPYTHON)
    words = set(re.findall(r"MP_QSTR_\w+", (folder / "binding.c").read_text()))
    names = [f'-D{word}="{word.removeprefix("MP_QSTR_")}"' for word in words]
    sources = micropython_sources(folder, board, how)
    warnings = ("-Wall", "-Wextra", "-Werror", "-Wpointer-arith", "-Wdouble-promotion", "-Wfloat-conversion")
    run(str(CC), *warnings, *names, "-I.", f"-I{folder / 'src'}", *sources, "board.c", "-o", "port", cwd=board)
    x = random_input(graph, 1, 1)
    x = x if x.ndim == 1 + len(graph.input.shape) else x[0]
    first, whole, streamed = run(board / "port", cwd=board, given=x.tobytes()).splitlines()
    expected = np.concatenate([outputs.reshape(-1) for outputs in Reference(graph).outputs(x).values()]).tolist()
    assert first == "0 wrong values"
    assert [int(word) for word in whole.split()] == expected
    assert [int(word) for word in streamed.split()][-len(expected) :] == expected
    wrong = run(board / "port", cwd=board, given=x.tobytes()[:-1])
    assert "ValueError: an input has net.INPUT bytes" in wrong


def test_the_script_for_micropython_is_python(tmp_path: Path) -> None:
    folder = project(tmp_path, "micropython")
    compile((folder / "examples" / "selftest.py").read_text(), "selftest.py", "exec")
