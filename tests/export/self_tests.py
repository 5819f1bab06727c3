"""Self-tests of exported projects on every processor that is emulated, and many models in one project.

folder = many([graph, ...], tmp_path)
passes(folder, "cortex-m0")      whether the self-test of each model finds every value
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from spikelet.export import to_c
from spikelet.graph import ir
from tests.export.emulated import TARGETS, called, semihosted, zig

RIGHT, WRONG = 0x20026, 0x20023  # what a program says when it leaves by semihosting
CORTEX = ("cortex-m0", "cortex-m4", "cortex-m33")
PROCESSORS = (*CORTEX, *TARGETS, "wasm32")


def project(graph: ir.IntGraph, folder: Path, name: str = "net") -> Path:
    """The project of `graph`, in a new folder of that name."""
    to_c(graph, folder / name, name=name)
    return folder / name


def many(graphs: Sequence[ir.IntGraph], folder: Path) -> Path:
    """A project whose self-test is that of each graph in turn; it returns the number of the first that fails."""
    whole, calls = project(graphs[0], folder), []
    for i, graph in enumerate(graphs):
        name = f"m{i}"
        one = project(graph, folder, name)
        shutil.copytree(one / "src", whole / "src", dirs_exist_ok=True)
        shutil.copy(one / "selftest.c", whole / "src" / f"{name}_selftest.c")
        calls.append(f"int {name}_selftest(void);")
    (whole / "selftest.c").write_text(
        "\n".join([*calls, "int net_selftest(void);", "int net_selftest(void) {"])
        + "".join(f"\n    if (m{i}_selftest()) return {i + 1};" for i in range(len(graphs)))
        + "\n    return 0;\n}\n"
    )
    return whole


def make(folder: Path, target: str) -> Path:
    """The folder of what `make target` builds with Zig."""
    done = subprocess.run(
        ["make", "-s", target, f"ZIG={' '.join(zig())}"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "build"


def in_webassembly(folder: Path) -> int:
    """What the self-test returns in Wasmtime, where the module has all that a network exports."""
    wasmtime = pytest.importorskip("wasmtime")
    store = wasmtime.Store()
    module = wasmtime.Module.from_file(store.engine, str(make(folder, "wasm32") / "net.wasm"))
    exports = wasmtime.Instance(store, module, []).exports(store)
    assert {"net_run", "net_init", "net_step", "net_read", "memory"} <= set(exports)
    return exports["net_selftest"](store)


def passes(folder: Path, processor: str) -> bool:
    """Whether the self-test of a project named `net` passes on a processor, on Cortex-M from its reset on.

    Skips where Zig's compiler, Unicorn or Wasmtime is not installed.
    """
    if processor == "wasm32":
        return in_webassembly(folder) == 0
    pytest.importorskip("unicorn")
    if processor in TARGETS:
        return called(folder, "net_selftest", TARGETS[processor]) == 0
    elf = make(folder, processor) / f"{processor}.elf"
    return semihosted(elf, processor.upper().replace("-", "_")).reason == RIGHT
