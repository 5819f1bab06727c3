"""A Zephyr module: `zephyr/module.yml`, its CMake and Kconfig, and a sample."""

from __future__ import annotations

from spikelet.export.c.ecosystems.ecosystem import Ecosystem, Project

MODULE = """name: @name@
build:
  cmake: zephyr
  kconfig: zephyr/Kconfig
samples:
  - samples
"""
CMAKE = """if(CONFIG_SPIKELET_@NAME@)
  zephyr_include_directories(../src)
  zephyr_library()
  zephyr_library_sources(
    ../src/@c@
  )
endif()
"""
KCONFIG = """config SPIKELET_@NAME@
    bool "Spiking network @name@"
    help
      A spiking neural network in integers, exported by spikelet: @name@.h.
"""
SAMPLE_CMAKE = """cmake_minimum_required(VERSION 3.20.0)

list(APPEND ZEPHYR_EXTRA_MODULES ${CMAKE_CURRENT_SOURCE_DIR}/../..)
find_package(Zephyr REQUIRED HINTS $ENV{ZEPHYR_BASE})
project(@name@_selftest C)

target_sources(app PRIVATE src/main.c src/expected.c)
"""
SAMPLE_YAML = """sample:
  name: Self-test of the spiking network @name@
tests:
  spikelet.@name@.selftest:
    tags: spikelet
    harness: console
    harness_config:
      type: one_line
      regex:
        - "0 wrong values"
"""
MAIN = """/* How many values this board computes wrongly (0), and how long a run takes. */
#include <stdint.h>

#include <zephyr/kernel.h>

#include "@name@.h"

int @name@_selftest(void);

static uint8_t input[@NAME@_INPUT];
static int32_t output[@NAME@_OUTPUT];

int main(void) {
    uint32_t begin;
    printk("@name@: %d wrong values\\n", @name@_selftest());
    begin = k_cycle_get_32();
    @name@_run(input, output);
    printk("%u cycles a run\\n", (unsigned int)(k_cycle_get_32() - begin));
    return 0;
}
"""

HOW = """Name this folder in `ZEPHYR_EXTRA_MODULES`, or in the manifest that `west` reads, and write into `prj.conf`:

    CONFIG_SPIKELET_@NAME@=y

The sample says how many values are wrong (0) and how long a run takes:

    west build -b qemu_cortex_m3 samples/selftest -t run
"""


def files(project: Project) -> dict[str, str]:
    """The module's files and the sample."""
    templates = {
        "zephyr/module.yml": MODULE,
        "zephyr/CMakeLists.txt": CMAKE,
        "zephyr/Kconfig": KCONFIG,
        "samples/selftest/CMakeLists.txt": SAMPLE_CMAKE,
        "samples/selftest/prj.conf": "CONFIG_SPIKELET_@NAME@=y\n",
        "samples/selftest/sample.yaml": SAMPLE_YAML,
        "samples/selftest/src/main.c": MAIN,
    }
    return project.filled(templates, "samples/selftest/src/expected.c")


ECOSYSTEM = Ecosystem("a Zephyr module", files, HOW)
