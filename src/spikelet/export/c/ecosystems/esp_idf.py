"""An ESP-IDF component: `idf_component.yml`, its CMake, and an example that depends on it."""

from __future__ import annotations

from spikelet.export.c.ecosystems.ecosystem import Ecosystem, Project

MANIFEST = """version: "@version@"
description: "A spiking neural network, @title@, in integers. Exported by spikelet."
dependencies:
  idf: ">=5.0"
"""
CMAKE = """idf_component_register(
  SRCS
    "src/@c@"
  INCLUDE_DIRS
    "src"
)
"""
PROJECT_CMAKE = """cmake_minimum_required(VERSION 3.16)

include($ENV{IDF_PATH}/tools/cmake/project.cmake)
project(@name@_selftest)
"""
MAIN_CMAKE = """idf_component_register(
  SRCS
    "main.c"
    "expected.c"
  PRIV_REQUIRES
    @name@ esp_timer
)
"""
MAIN_MANIFEST = """dependencies:
  @name@:
    path: "../../.."
"""
MAIN = """/* How many values this chip computes wrongly (0), and how long a run takes. */
#include <stdint.h>
#include <stdio.h>

#include "esp_timer.h"

#include "@name@.h"

int @name@_selftest(void);

static uint8_t input[@NAME@_INPUT];
static int32_t output[@NAME@_OUTPUT];

void app_main(void) {
    int64_t begin;
    printf("@name@: %d wrong values\\n", @name@_selftest());
    begin = esp_timer_get_time();
    @name@_run(input, output);
    printf("%ld us a run\\n", (long)(esp_timer_get_time() - begin));
}
"""

HOW = """Put this folder into `components` of a project, or name it in `main/idf_component.yml` as the example does.
ESP-IDF calls a component as its folder: call it @name@. The example says how many values are wrong (0)
and how long a run takes:

    idf.py -C examples/selftest set-target esp32s3 build flash monitor
"""


def files(project: Project) -> dict[str, str]:
    """The component's files and the example."""
    templates = {
        "idf_component.yml": MANIFEST,
        "CMakeLists.txt": CMAKE,
        "examples/selftest/CMakeLists.txt": PROJECT_CMAKE,
        "examples/selftest/main/CMakeLists.txt": MAIN_CMAKE,
        "examples/selftest/main/idf_component.yml": MAIN_MANIFEST,
        "examples/selftest/main/main.c": MAIN,
    }
    return project.filled(templates, "examples/selftest/main/expected.c")


ECOSYSTEM = Ecosystem("an ESP-IDF component", files, HOW)
