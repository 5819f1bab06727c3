"""The C files of a model: its header, its constants, `run` and the functions of a stream."""

from __future__ import annotations

import dataclasses
import math

from spikelet.export.c.code import Code, said
from spikelet.export.c.constants import Constants
from spikelet.export.c.layout import Layout
from spikelet.export.c.maps import WORD
from spikelet.export.c.program import Function, Program
from spikelet.export.c.rules import RULES
from spikelet.export.c.sound import sound_files
from spikelet.export.c.stepwise import Stepwise
from spikelet.export.c.whole import Whole, can_run_whole
from spikelet.graph.analysis import reason_to_end
from spikelet.graph.ir import IntGraph
from spikelet.graph.trained_on import front_end_of


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Numbers of a model's header, in bytes and values.

    limit: the most steps of a stream; 0 where it has no end.
    """

    input: int
    steps: int
    limit: int
    run_outputs: int
    read_outputs: int
    run_ram: int
    stream_ram: int


class Model:
    """`graph` as C whose names begin with `name`. hears: the front end of a network that listens, or None."""

    def __init__(self, graph: IntGraph, name: str) -> None:
        self.graph, self.name = graph, name
        self.layout, self.constants = Layout(graph), Constants(name)
        self.stream = Stepwise(self.layout, self.constants, RULES)
        whole = Whole(self.layout, self.constants, RULES) if can_run_whole(graph) else None
        self.whole = whole if whole and whole.words <= self.stream.words else None
        self.files = {
            f"{name}.h": self._header(),
            f"{name}_run.c": self._run(),
            f"{name}_stream.c": self._stream(),
        }
        self.files |= {f"{name}_constants.h": self._declarations(), f"{name}_constants.c": self._definitions()}
        self.hears = front_end_of(graph)
        if self.hears is not None:
            self.files |= sound_files(self.hears, name)

    @property
    def sizes(self) -> Sizes:
        """The numbers of the header."""
        steps = self.graph.time_steps
        outputs = {
            times: sum(
                math.prod(self.layout.edges[name].shape) * (times if self.layout.edges[name].timed else 1)
                for name in self.layout.outputs
            )
            for times in (1, steps)
        }
        limit = steps if reason_to_end(self.graph, self.layout.edges) else 0
        stream = WORD * self.stream.words
        run = WORD * self.whole.words if self.whole else stream
        return Sizes(math.prod(self.graph.input.shape), steps, limit, outputs[steps], outputs[1], run, stream)

    # Files.

    def _header(self) -> str:
        upper, sizes, name = self.name.upper(), self.sizes, self.name
        stream = "for ever" if not sizes.limit else f"for {sizes.limit} steps at most"
        out = Code()
        out(f"/* {said(self.graph.title)}: {sizes.steps} steps, {sizes.input} bytes to {sizes.read_outputs} values. */")
        out(f"#ifndef {upper}_H\n#define {upper}_H\n\n#include <stdint.h>\n")
        out('#ifdef __cplusplus\nextern "C" {\n#endif\n')
        out(f"#define {upper}_INPUT {sizes.input} /* bytes of an input or a frame: {list(self.graph.input.shape)} */")
        out(f"#define {upper}_STEPS {sizes.steps} /* time steps of a run */")
        out(f"#define {upper}_OUTPUT {sizes.run_outputs} /* values that run gives */")
        out(f"#define {upper}_READ {sizes.read_outputs} /* values that read gives */")
        out(f"#define {upper}_RUN_RAM {sizes.run_ram} /* bytes that run works in */")
        out(f"#define {upper}_STREAM_RAM {sizes.stream_ram} /* bytes that a stream works in */\n")
        out("/* The outputs for one input that is the same at every step; the logits come first. */")
        out(f"void {name}_run(const uint8_t *input, int32_t *output);\n")
        out(f"/* A stream: init, then one frame a step, {stream}. step gives 0, or 1 where no step is left.")
        out("   read gives the outputs so far: sums over the steps taken, else what the last step gave. */")
        out(f"void {name}_init(void);\nint {name}_step(const uint8_t *frame);\nvoid {name}_read(int32_t *output);\n")
        out("#ifdef __cplusplus\n}\n#endif\n\n#endif")
        return out.text

    def _declarations(self) -> str:
        lines = "\n".join(self.constants.declarations)
        upper = self.name.upper()
        return f'#ifndef {upper}_CONSTANTS_H\n#define {upper}_CONSTANTS_H\n\n#include "spk.h"\n\n{lines}\n\n#endif\n'

    def _definitions(self) -> str:
        return f'#include "{self.name}_constants.h"\n\n' + "\n".join(self.constants.definitions) + "\n"

    def _memory(self, program: Program) -> str:
        return f"{self.name}_{program.kind}_memory"

    def _begin(self, program: Program) -> Code:
        out = Code()
        out(f'#include "{self.name}.h"\n#include "{self.name}_constants.h"\n')
        out(f"static uint32_t {self._memory(program)}[{max(program.words, 1)}];\n")
        for function in program.functions:
            out(function.text)
        return out

    def _run(self) -> str:
        program, name = self.whole, self.name
        if program is None:
            return self._run_by_steps()
        out = self._begin(program)
        with out.block(f"void {name}_run(const uint8_t *input, int32_t *output)"):
            out(f"uint32_t *const m = {self._memory(program)};")
            _calls(out, program.calls)
            out("(void)input;")
            steps = self.graph.time_steps
            for node, size, first, pointer in program.given(steps):
                form = f"&{self.constants.form(self.layout.forms[node])}"
                times = steps if self.layout.edges[node].timed else 1
                for t in range(times):
                    where = pointer.replace("t *", f"{t} *")
                    out(f"spk_give(output + {first + t * size}, {where}, {form});")
        return out.text

    def _run_by_steps(self) -> str:
        name, out, steps = self.name, Code(), self.graph.time_steps
        timed = [node for node in self.layout.outputs if self.layout.edges[node].timed]
        out(f'#include "{name}.h"\n\nvoid {name}_give(int32_t *output, uint32_t step); /* {name}_stream.c */\n')
        with out.block(f"void {name}_run(const uint8_t *input, int32_t *output)"):
            out("uint32_t t;")
            out(f"{name}_init();")
            with out.block(f"for (t = 0; t < {steps}; t++)"):
                out(f"(void){name}_step(input);")
                if timed:
                    out(f"{name}_give(output, t);")
            out(f"{name}_give(output, {steps});")
        return out.text

    def _stream(self) -> str:
        program, name = self.stream, self.name
        out = self._begin(program)
        out(f"static uint32_t {name}_taken;\n")
        self._init(out)
        self._step(out)
        with out.block(f"void {name}_read(int32_t *output)"):
            out(f"uint32_t *const m = {self._memory(program)};")
            _calls(out, [function for function in program.calls if function.is_late])
            for node, _, first, pointer in program.given(1):
                out(f"spk_give(output + {first}, {pointer}, &{self.constants.form(self.layout.forms[node])});")
        if self.whole is None:
            self._give(out)
        return out.text

    def _init(self, out: Code) -> None:
        with out.block(f"void {self.name}_init(void)"):
            memory = self._memory(self.stream)
            out(f"memset({memory}, 0, sizeof {memory});")
            out(f"{self.name}_taken = 0;")
            for where, form, constants in self.stream.starts():
                where = where.replace("m +", f"{memory} +")
                out(f"spk_begin({where}, &{self.constants.form(form)}, &{constants});")

    def _step(self, out: Code) -> None:
        program = self.stream
        functions = [function for function in program.calls if not function.is_late]
        takes = {word for function in functions for word in function.arguments}
        with out.block(f"int {self.name}_step(const uint8_t *input)"):
            out(f"uint32_t *const m = {self._memory(program)};")
            if "t" in takes:
                out(f"const uint32_t t = {self.name}_taken;")
            if limit := self.sizes.limit:
                out(f"if ({self.name}_taken == {limit}) return 1;")
            _calls(out, functions)
            for where, name, source, read in self.stream.delays():
                forms = [f"&{self.constants.form(self.layout.forms[edge])}" for edge in (name, read)]
                out(f"spk_delay({where}, {forms[0]}, {source}, {forms[1]});")
            out("(void)input;")
            out("(void)m;")
            out(f"{self.name}_taken++;")
            out("return 0;")

    def _give(self, out: Code) -> None:
        """What run takes from a stream: at step t what has a time axis, behind the last the rest."""
        program, steps = self.stream, self.graph.time_steps
        out(f"\nvoid {self.name}_give(int32_t *output, uint32_t step);")
        with out.block(f"void {self.name}_give(int32_t *output, uint32_t step)"):
            out(f"uint32_t *const m = {self._memory(program)};")
            with out.block(f"if (step == {steps})"):
                _calls(out, [function for function in self.stream.calls if function.is_late])
            for node, size, first, pointer in self.stream.given(steps):
                timed = self.layout.edges[node].timed
                form = f"&{self.constants.form(self.layout.forms[node])}"
                where = f"output + {first} + step * {size}" if timed else f"output + {first}"
                out(f"if (step {'<' if timed else '=='} {steps}) spk_give({where}, {pointer}, {form});")


def _calls(out: Code, functions: list[Function]) -> None:
    for function in functions:
        out(function.call)
