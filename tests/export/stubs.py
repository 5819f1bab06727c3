"""Just enough of each ecosystem to build an exported example on this machine and to run it: text for files by path."""

from __future__ import annotations

ARDUINO = {
    "Arduino.h": """#include <cstdio>
struct Port {
    void begin(long) {}
    explicit operator bool() { return true; }
    void print(const char *text) { std::printf("%s", text); }
    void print(unsigned long value) { std::printf("%lu", value); }
    void println(const char *text) { std::printf("%s\\n", text); }
    void println(int value) { std::printf("%d\\n", value); }
};
inline Port Serial;
static inline unsigned long millis() { return 0; }
static inline unsigned long micros() { return 7; }
static inline void delay(unsigned long) {}
""",
    "board.cpp": """void setup();
void loop();
int main() {
    setup();
    loop();
}
""",
}

ZEPHYR = {
    "ZephyrConfig.cmake": """enable_language(C)
set(here ${CMAKE_CURRENT_LIST_DIR})
file(WRITE ${CMAKE_BINARY_DIR}/empty.c "typedef int empty;")
add_executable(app ${CMAKE_BINARY_DIR}/empty.c)
target_include_directories(app PRIVATE ${here})
file(STRINGS ${CMAKE_CURRENT_SOURCE_DIR}/prj.conf settings)
foreach(setting ${settings})
  string(REGEX MATCH "^(.*)=(.*)$" _ ${setting})
  set(${CMAKE_MATCH_1} ${CMAKE_MATCH_2})
endforeach()
function(zephyr_include_directories)
  foreach(folder ${ARGN})
    get_filename_component(whole ${folder} ABSOLUTE)
    target_include_directories(app PUBLIC ${whole})
  endforeach()
endfunction()
function(zephyr_library)
  add_library(module STATIC ${CMAKE_BINARY_DIR}/empty.c)
  target_link_libraries(app PRIVATE module)
endfunction()
function(zephyr_library_sources)
  target_sources(module PRIVATE ${ARGN})
endfunction()
foreach(module ${ZEPHYR_EXTRA_MODULES})
  file(STRINGS ${module}/zephyr/module.yml lines REGEX "cmake:")
  string(REGEX REPLACE " *cmake: *" "" folder ${lines})
  add_subdirectory(${module}/${folder} ${CMAKE_BINARY_DIR}/module)
endforeach()
""",
    "zephyr/kernel.h": """#include <stdint.h>
#include <stdio.h>
#define printk printf
static inline uint32_t k_cycle_get_32(void) { return 7; }
""",
}

ESP_IDF = {
    "tools/cmake/project.cmake": """set(here ${CMAKE_CURRENT_LIST_DIR}/../..)
function(idf_component_register)
  cmake_parse_arguments(its "" "" "SRCS;INCLUDE_DIRS;PRIV_REQUIRES" ${ARGN})
  get_filename_component(name ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  add_library(component_${name} STATIC ${its_SRCS})
  target_include_directories(component_${name} PUBLIC ${its_INCLUDE_DIRS} ${here})
  foreach(other ${its_PRIV_REQUIRES})
    if(NOT other STREQUAL esp_timer)
      target_link_libraries(component_${name} PRIVATE component_${other})
    endif()
  endforeach()
endfunction()
macro(project name)
  _project(${name} C)
  file(STRINGS main/idf_component.yml lines REGEX "path:")
  string(REGEX REPLACE "[^\\"]*\\"(.*)\\"" "\\\\1" folder ${lines})
  get_filename_component(folder main/${folder} ABSOLUTE)
  add_subdirectory(${folder} ${CMAKE_BINARY_DIR}/component)
  add_subdirectory(main)
  add_executable(app ${here}/board.c)
  target_link_libraries(app PRIVATE component_main)
endmacro()
""",
    "esp_timer.h": "#include <stdint.h>\nstatic inline int64_t esp_timer_get_time(void) { return 7; }\n",
    "board.c": "void app_main(void);\nint main(void) { app_main(); return 0; }\n",
}

MICROPYTHON = {
    "py/obj.h": """#include <stddef.h>
#include <stdint.h>
typedef struct object { struct object *next; long value; } *mp_obj_t;
typedef struct { void *buf; size_t len; } mp_buffer_info_t;
typedef struct { const char *key; const void *value; } mp_rom_map_elem_t;
typedef struct { const mp_rom_map_elem_t *table; size_t used; } mp_obj_dict_t;
typedef struct { int type; } mp_obj_base_t;
typedef struct { const void *type; } mp_base;
typedef struct { mp_base base; mp_obj_dict_t *globals; } mp_obj_module_t;
typedef struct { mp_obj_t (*none)(void); mp_obj_t (*one)(mp_obj_t); } function;
extern const int mp_type_module;
#define mp_const_none ((mp_obj_t)0)
#define MP_BUFFER_READ 1
#define MP_ERROR_TEXT(text) text
#define MP_ROM_QSTR(name) (name)
#define MP_ROM_PTR(pointer) (pointer)
#define MP_ROM_INT(value) ((const void *)(intptr_t)(value))
#define MP_DEFINE_CONST_FUN_OBJ_0(name, f) const function name = {f, 0}
#define MP_DEFINE_CONST_FUN_OBJ_1(name, f) const function name = {0, f}
#define MP_DEFINE_CONST_DICT(name, t) const mp_obj_dict_t name = {t, sizeof t / sizeof *t}
#define MP_REGISTER_MODULE(name, module) const mp_obj_module_t *const registered = &module; \\
    const char *const registered_name = name
""",
    "py/runtime.h": """void mp_get_buffer_raise(mp_obj_t object, mp_buffer_info_t *buffer, int flags);
void mp_raise_ValueError(const char *text);
mp_obj_t mp_obj_new_list(size_t count, mp_obj_t *items);
void mp_obj_list_append(mp_obj_t list, mp_obj_t item);
mp_obj_t mp_obj_new_int(long value);
""",
    "board.c": """#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "py/obj.h"
#include "py/runtime.h"
extern const mp_obj_module_t *const registered;
const int mp_type_module = 1;
static unsigned char given[1 << 20];
static size_t given_size;
void mp_get_buffer_raise(mp_obj_t object, mp_buffer_info_t *buffer, int flags) {
    (void)object, (void)flags;
    buffer->buf = given, buffer->len = given_size;
}
void mp_raise_ValueError(const char *text) { printf("ValueError: %s\\n", text); exit(0); }
mp_obj_t mp_obj_new_int(long value) {
    mp_obj_t made = calloc(1, sizeof *made);
    made->value = value;
    return made;
}
mp_obj_t mp_obj_new_list(size_t count, mp_obj_t *items) { (void)count, (void)items; return mp_obj_new_int(0); }
void mp_obj_list_append(mp_obj_t list, mp_obj_t item) {
    while (list->next) list = list->next;
    list->next = item;
}
static const void *of(const char *key) {
    size_t i;
    for (i = 0; i < registered->globals->used; i++)
        if (!strcmp(registered->globals->table[i].key, key)) return registered->globals->table[i].value;
    exit(9);
}
static void show(mp_obj_t list) {
    for (list = list->next; list; list = list->next) printf("%ld ", list->value);
    printf("\\n");
}
int main(void) {
    long t;
    given_size = fread(given, 1, sizeof given, stdin);
    printf("%ld wrong values\\n", ((const function *)of("selftest"))->none()->value);
    show(((const function *)of("run"))->one(0));
    ((const function *)of("init"))->none();
    for (t = 0; t < (long)(intptr_t)of("STEPS"); t++) ((const function *)of("step"))->one(0);
    show(((const function *)of("read"))->none());
    return 0;
}
""",
}
