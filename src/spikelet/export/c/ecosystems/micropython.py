"""A MicroPython user C module: its fragments for make and CMake, a binding, and a script."""

from __future__ import annotations

from spikelet.export.c.ecosystems.ecosystem import Ecosystem, Project

MAKE = """@NAME@_DIR := $(USERMOD_DIR)

SRC_USERMOD_C += $(@NAME@_DIR)/binding.c
SRC_USERMOD_LIB_C += $(@NAME@_DIR)/expected.c
SRC_USERMOD_LIB_C += $(@NAME@_DIR)/src/@c@
CFLAGS_USERMOD += -I$(@NAME@_DIR)/src
"""
CMAKE = """add_library(usermod_@name@ INTERFACE)
target_sources(usermod_@name@ INTERFACE
  ${CMAKE_CURRENT_LIST_DIR}/binding.c
  ${CMAKE_CURRENT_LIST_DIR}/expected.c
  ${CMAKE_CURRENT_LIST_DIR}/src/@c@
)
target_include_directories(usermod_@name@ INTERFACE ${CMAKE_CURRENT_LIST_DIR}/src)
target_link_libraries(usermod INTERFACE usermod_@name@)
"""
BINDING = """/* import @name@: run, init, step, read, selftest, and the sizes INPUT, STEPS, OUTPUT and READ. */
#include "py/obj.h"
#include "py/runtime.h"

#include "@name@.h"

int @name@_selftest(void);

static int32_t values[@NAME@_OUTPUT];

static const uint8_t *bytes_of(mp_obj_t object) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(object, &buffer, MP_BUFFER_READ);
    if (buffer.len != @NAME@_INPUT) mp_raise_ValueError(MP_ERROR_TEXT("an input has @name@.INPUT bytes"));
    return buffer.buf;
}

static mp_obj_t list_of(size_t count) {
    size_t i;
    mp_obj_t list = mp_obj_new_list(0, NULL);
    for (i = 0; i < count; i++) mp_obj_list_append(list, mp_obj_new_int(values[i]));
    return list;
}

static mp_obj_t binding_run(mp_obj_t input) {
    @name@_run(bytes_of(input), values);
    return list_of(@NAME@_OUTPUT);
}
static MP_DEFINE_CONST_FUN_OBJ_1(binding_run_obj, binding_run);

static mp_obj_t binding_init(void) {
    @name@_init();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(binding_init_obj, binding_init);

static mp_obj_t binding_step(mp_obj_t frame) {
    if (@name@_step(bytes_of(frame))) mp_raise_ValueError(MP_ERROR_TEXT("no step is left: init begins anew"));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(binding_step_obj, binding_step);

static mp_obj_t binding_read(void) {
    @name@_read(values);
    return list_of(@NAME@_READ);
}
static MP_DEFINE_CONST_FUN_OBJ_0(binding_read_obj, binding_read);

static mp_obj_t binding_selftest(void) { return mp_obj_new_int(@name@_selftest()); }
static MP_DEFINE_CONST_FUN_OBJ_0(binding_selftest_obj, binding_selftest);

static const mp_rom_map_elem_t binding_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_@name@)},
    {MP_ROM_QSTR(MP_QSTR_run), MP_ROM_PTR(&binding_run_obj)},
    {MP_ROM_QSTR(MP_QSTR_init), MP_ROM_PTR(&binding_init_obj)},
    {MP_ROM_QSTR(MP_QSTR_step), MP_ROM_PTR(&binding_step_obj)},
    {MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&binding_read_obj)},
    {MP_ROM_QSTR(MP_QSTR_selftest), MP_ROM_PTR(&binding_selftest_obj)},
    {MP_ROM_QSTR(MP_QSTR_INPUT), MP_ROM_INT(@NAME@_INPUT)},
    {MP_ROM_QSTR(MP_QSTR_STEPS), MP_ROM_INT(@NAME@_STEPS)},
    {MP_ROM_QSTR(MP_QSTR_OUTPUT), MP_ROM_INT(@NAME@_OUTPUT)},
    {MP_ROM_QSTR(MP_QSTR_READ), MP_ROM_INT(@NAME@_READ)},
};
static MP_DEFINE_CONST_DICT(binding_globals, binding_globals_table);

const mp_obj_module_t @name@_user_cmodule = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&binding_globals,
};
MP_REGISTER_MODULE(MP_QSTR_@name@, @name@_user_cmodule);
"""
SCRIPT = """# How many values this board computes wrongly (0), and how long a run takes.
import time

import @name@

print(@name@.selftest(), "wrong values")
begin = time.ticks_us()
logits = @name@.run(bytes(@name@.INPUT))
print(time.ticks_diff(time.ticks_us(), begin), "us a run:", logits)
"""

HOW = """A user C module is built into the firmware; a port takes it by make or by CMake:

    make -C micropython/ports/stm32 BOARD=NUCLEO_F446RE USER_C_MODULES=/path/to/folder-of-this-folder
    make -C micropython/ports/rp2 USER_C_MODULES=/path/to/this-folder/micropython.cmake

Then `import @name@` gives `run(bytes)`, which returns a list, and `init()`, `step(bytes)`, `read()` and `selftest()`.
`examples/selftest.py` says how many values are wrong (0) and how long a run takes.
"""


def files(project: Project) -> dict[str, str]:
    """Both fragments, the binding and the script."""
    templates = {
        "micropython.mk": MAKE,
        "micropython.cmake": CMAKE,
        "binding.c": BINDING,
        "examples/selftest.py": SCRIPT,
    }
    return project.filled(templates, "expected.c")


ECOSYSTEM = Ecosystem("a MicroPython module", files, HOW)
