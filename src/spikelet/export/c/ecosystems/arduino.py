"""An Arduino library (specification 1.5): `library.properties`, `src`, and a sketch in `examples`."""

from __future__ import annotations

from spikelet.export.c.ecosystems.ecosystem import Ecosystem, Project

# Cores of 32 bits. AVR is left out: its int has 16 bits, and its constants lie in RAM.
CORES = (
    *("sam", "samd", "nrf52", "rp2040", "mbed", "mbed_nano", "mbed_portenta", "mbed_rp2040", "renesas_uno"),
    *("renesas_portenta", "esp32", "stm32", "zephyr"),
)

PROPERTIES = """name=@name@
version=@version@
author=spikelet
maintainer=spikelet
sentence=A spiking neural network, @title@, in integers.
paragraph=Exported by spikelet. It needs no allocation and no floats, and gives the integers that were evaluated.
category=Data Processing
url=https://example.com
architectures=@cores@
includes=@name@.h
"""

SKETCH = """/* How many values this board computes wrongly (0), and then how long a run takes, again and again. */
#include <@name@.h>

extern "C" int @name@_selftest(void);

static uint8_t input[@NAME@_INPUT];
static int32_t output[@NAME@_OUTPUT];

void setup() {
  Serial.begin(115200);
  while (!Serial && millis() < 3000) {
  }
  Serial.print("wrong values: ");
  Serial.println(@name@_selftest());
}

void loop() {
  const unsigned long begin = micros();
  @name@_run(input, output);
  Serial.print(micros() - begin);
  Serial.println(" us a run");
  delay(1000);
}
"""

HOW = """Put this folder into `libraries` of the sketchbook, or a zip of it: Sketch, Include Library, Add .ZIP Library.
Then File, Examples, @name@, selftest says over the serial line how many values are wrong (0) and how long a run takes.
It does not run on boards of 8 bits (AVR). Before you publish it, write your own `author`, `maintainer` and `url`
into `library.properties`.
"""


def files(project: Project) -> dict[str, str]:
    """The manifest and the sketch."""
    return {
        "library.properties": project.fill(PROPERTIES, cores=",".join(CORES)),
        "examples/selftest/selftest.ino": project.fill(SKETCH),
        "examples/selftest/expected.c": project.selftest,
    }


ECOSYSTEM = Ecosystem("an Arduino library", files, HOW)
