"""A PlatformIO library: `library.json`, `src`, and a project in `examples` that runs the self-test."""

from __future__ import annotations

import json

from spikelet.export.c.ecosystems.ecosystem import VERSION, Ecosystem, Project
from spikelet.export.c.selftest import MAIN

INI = """; pio run -e native -t exec runs the self-test on this machine. A board is one environment more:
;   [env:board]
;   platform = ststm32
;   board = nucleo_f446re
;   framework = mbed
[platformio]
default_envs = native

[env]
lib_deps = symlink://../..
build_flags = -DSPK_PRINT

[env:native]
platform = native
"""

HOW = """Name this folder in `lib_deps` of a project, `lib_deps = symlink:///path/to/@name@`, or put it into its `lib`.
`pio run -e native -t exec` in `examples/selftest` builds the self-test for this machine and runs it; the
`platformio.ini` there shows how a board is added.
"""


def files(project: Project) -> dict[str, str]:
    """The manifest and the example."""
    name = project.model.name
    manifest = {
        "name": name,
        "version": VERSION,
        "description": project.fill("A spiking neural network, @title@, in integers. Exported by spikelet."),
        "keywords": ["machine learning", "spiking neural network"],
        "authors": [{"name": "spikelet"}],
        "frameworks": "*",
        "platforms": "*",
        "headers": f"{name}.h",
        "build": {"srcDir": "src", "includeDir": "src"},
        "examples": [{"name": "selftest", "base": "examples/selftest", "files": ["src/main.c", "src/expected.c"]}],
    }
    return {
        "library.json": json.dumps(manifest, indent=2) + "\n",
        "examples/selftest/platformio.ini": INI,
        "examples/selftest/src/main.c": project.fill(MAIN),
        "examples/selftest/src/expected.c": project.selftest,
    }


ECOSYSTEM = Ecosystem("a PlatformIO library", files, HOW)
