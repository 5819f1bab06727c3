/* From reset to main on a Cortex-M. What main returns leaves by semihosting, as emulators and debuggers read it. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memset(void *to, int value, size_t size);
int main(void);
void reset(void);
void fault(void);

extern uint32_t data_load[], data_begin[], data_end[], bss_begin[], bss_end[], stack_top[];

static void leave(uint32_t reason) {
    register uint32_t operation __asm__("r0") = 0x18;
    register uint32_t argument __asm__("r1") = reason;
    for (;;) __asm__ volatile("bkpt 0xab" : : "r"(operation), "r"(argument) : "memory");
}

void fault(void) { leave(0x20023); } /* a run-time error */

void reset(void) {
    memcpy(data_begin, data_load, (size_t)((uintptr_t)data_end - (uintptr_t)data_begin));
    memset(bss_begin, 0, (size_t)((uintptr_t)bss_end - (uintptr_t)bss_begin));
    leave(main() ? 0x20023 : 0x20026);
}

/* The stack, reset, and the fourteen exceptions of the core behind it. */
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    void (*handlers[15])(void);
} vectors = {stack_top, {reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault}};
