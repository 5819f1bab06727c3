/* What one thread of this machine can do at most, a line each: a word and how many a nanosecond.

     logic      three-input operations on the bits of whole vectors, in registers
     load_16    whole vectors read in random order from 16 KiB, load_256 from 256 KiB, load_4096 from 4 MiB
     product    multiplications of two bytes whose sums of four are added to 32 bits

   A vector has as many bytes as the widest that this was compiled for: the word `vector`. */

#define _POSIX_C_SOURCE 199309L

#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__AVX512F__)
#define WIDE 64
#elif defined(__AVX2__)
#define WIDE 32
#else
#define WIDE 16
#endif

typedef uint64_t wide __attribute__((vector_size(WIDE)));

enum {
    CHAINS = 8, /* side by side, so that no operation waits for another */
    ROUNDS = 200000,
    TRIES = 15,
    ROWS = 4096
};

/* Unrolled wherever the chains are named, so that they stay in registers. */
#define EACH(i) _Pragma("GCC unroll 8") for (int i = 0; i < CHAINS; i++)

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static volatile uint64_t sink;

/* One instruction with AVX-512, else two. */
static inline wide three_inputs(wide a, wide b, wide c) {
#if defined(__AVX512F__)
    return (wide)_mm512_ternarylogic_epi64((__m512i)a, (__m512i)b, (__m512i)c, 0x96);
#else
    return a ^ b ^ c;
#endif
}

static double logic(void) {
    wide a[CHAINS], b = {1, 2}, c = {3, 5};
    EACH(i) a[i] = (wide){(uint64_t)i + 7, 11};
    const double start = now();
    for (int r = 0; r < ROUNDS; r++) {
        EACH(i) {
            a[i] = three_inputs(a[i], b, c);
            __asm__ volatile("" : "+v"(a[i]));
        }
    }
    const double taken = now() - start;
    EACH(i) sink += a[i][0];
    return CHAINS * (double)ROUNDS / taken;
}

static double load(size_t bytes) {
    uint8_t *rows = aligned_alloc(64, bytes);
    uint32_t *order = malloc(ROWS * sizeof *order);
    uint32_t random = 1;
    for (size_t i = 0; i < bytes; i++) rows[i] = (uint8_t)i;
    for (int i = 0; i < ROWS; i++) {
        random = random * 1664525u + 1013904223u;
        order[i] = (uint32_t)(((uint64_t)random * (bytes / WIDE)) >> 32) * WIDE;
    }
    wide a[CHAINS] = {{0}};
    const int rounds = ROUNDS * CHAINS / ROWS;
    const double start = now();
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < ROWS; i += CHAINS) EACH(k) a[k] ^= *(const wide *)(const void *)(rows + order[i + k]);
    const double taken = now() - start;
    EACH(k) sink += a[k][0];
    free(rows), free(order);
    return (double)rounds * ROWS / taken;
}

static double product(void) {
    double start, taken;
#if defined(__AVX512VNNI__)
    __m512i a[CHAINS], x = _mm512_set1_epi8(3), y = _mm512_set1_epi8(5);
    EACH(i) a[i] = _mm512_set1_epi32(i);
    start = now();
    for (int r = 0; r < ROUNDS; r++) EACH(i) {
            a[i] = _mm512_dpbusd_epi32(a[i], x, y);
            __asm__ volatile("" : "+v"(a[i]));
        }
    taken = now() - start;
    EACH(i) sink += (uint64_t)_mm512_reduce_add_epi32(a[i]);
    return 64.0 * CHAINS * ROUNDS / taken;
#elif defined(__AVX2__)
    __m256i a[CHAINS], x = _mm256_set1_epi8(3), y = _mm256_set1_epi8(5), ones = _mm256_set1_epi16(1);
    EACH(i) a[i] = _mm256_set1_epi32(i);
    start = now();
    for (int r = 0; r < ROUNDS; r++) EACH(i) {
            a[i] = _mm256_add_epi32(a[i], _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), ones));
            __asm__ volatile("" : "+v"(a[i]), "+v"(x));
        }
    taken = now() - start;
    EACH(i) sink += (uint64_t)_mm256_extract_epi32(a[i], 0);
    return 32.0 * CHAINS * ROUNDS / taken;
#else
    (void)start, (void)taken;
    return 0;
#endif
}

/* The most of several tries: what else the machine does only takes away. */
#define MOST(name, measure)                                                                                            \
    do {                                                                                                               \
        double most = 0;                                                                                               \
        for (int i = 0; i < TRIES; i++) {                                                                              \
            const double got = measure;                                                                                \
            if (got > most) most = got;                                                                                \
        }                                                                                                              \
        printf("%s %.4f\n", name, most);                                                                               \
    } while (0)

int main(void) {
    printf("vector %d\n", WIDE);
    MOST("logic", logic());
    MOST("load_16", load(16 << 10));
    MOST("load_256", load(256 << 10));
    MOST("load_4096", load(4096 << 10));
    MOST("product", product());
    return 0;
}
