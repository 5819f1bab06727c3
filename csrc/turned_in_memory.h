/* Eight vectors of eight 32-bit lanes turned, rows to columns, by way of memory: for sets without shuffles of their
 * own.
 */

#ifndef SPIKELET_TURNED_IN_MEMORY_H
#define SPIKELET_TURNED_IN_MEMORY_H

SPK_INLINE void v_turn32(vec *rows) {
    int32_t from[8][8], to[8][8];
    for (int i = 0; i < 8; i++) v_store(from[i], rows[i]);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) to[j][i] = from[i][j];
    for (int i = 0; i < 8; i++) rows[i] = v_load(to[i]);
}

#endif
