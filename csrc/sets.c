/* The kernel sets, slowest first. A new one is a file and a line here. */

#include "spikelet.h"

extern const spk_kernels spk_kernels_scalar;
extern const spk_kernels spk_kernels_portable;
#if defined(SPK_WITH_AVX2)
extern const spk_kernels spk_kernels_avx2;
#endif
#if defined(SPK_WITH_AVX512)
extern const spk_kernels spk_kernels_avx512;
#endif
#if defined(SPK_WITH_AMX)
extern const spk_kernels spk_kernels_amx;
#endif
#if defined(SPK_WITH_NEON)
extern const spk_kernels spk_kernels_neon;
#endif
#if defined(SPK_WITH_DOTPROD)
extern const spk_kernels spk_kernels_dotprod;
#endif

static const spk_kernels *const sets[] = {
    &spk_kernels_scalar,  &spk_kernels_portable,
#if defined(SPK_WITH_AVX2)
    &spk_kernels_avx2,
#endif
#if defined(SPK_WITH_AVX512)
    &spk_kernels_avx512,
#endif
#if defined(SPK_WITH_AMX)
    &spk_kernels_amx,
#endif
#if defined(SPK_WITH_NEON)
    &spk_kernels_neon,
#endif
#if defined(SPK_WITH_DOTPROD)
    &spk_kernels_dotprod,
#endif
};

const spk_kernels *spk_set(int32_t set) { return sets[set]; }

int32_t spk_set_count(void) { return (int32_t)(sizeof sets / sizeof sets[0]); }

const char *spk_set_name(int32_t set) { return sets[set]->name; }

int32_t spk_set_available(int32_t set) { return sets[set]->available(); }

const spk_kernel *spk_kernel_of(const spk_kernels *set, int32_t kind) {
    while (set->kernel[kind].run == NULL && set->base != NULL) set = set->base;
    return &set->kernel[kind];
}

int32_t spk_set_offers(int32_t set, int32_t kind) { return spk_kernel_of(sets[set], kind)->run != NULL; }

int64_t spk_op_scratch(int32_t set, const spk_op *op) {
    const spk_scratch_bytes scratch = spk_kernel_of(sets[set], op->kind)->scratch;
    return scratch ? scratch(op) : 0;
}

#define KIND_NAME(name) #name,

const char *const *spk_kind_names(void) {
    static const char *const names[] = {SPK_KIND_LIST(KIND_NAME) NULL};
    return names;
}

#define OP_FIELD(type, name) {#name, offsetof(spk_op, name), sizeof(type)},
#define CALL_FIELD(type, name) {#name, offsetof(spk_call, name), sizeof(type)},

const spk_field *spk_op_fields(void) {
    static const spk_field fields[] = {SPK_OP_FIELDS(OP_FIELD){NULL, sizeof(spk_op), 0}};
    return fields;
}

const spk_field *spk_call_fields(void) {
    static const spk_field fields[] = {SPK_CALL_FIELDS(CALL_FIELD){NULL, sizeof(spk_call), 0}};
    return fields;
}
