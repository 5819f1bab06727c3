/* Kernels in plain C that every set shares: they only move values about, or are rare. */

#ifndef SPIKELET_PLAIN_H
#define SPIKELET_PLAIN_H

#include "spikelet.h"

void spk_reshape(const spk_op *op, const spk_frame *f);
void spk_export_values(const spk_op *op, const spk_frame *f);
void spk_export_spikes(const spk_op *op, const spk_frame *f);
void spk_export_steps(const spk_op *op, const spk_frame *f);
void spk_expand(const spk_op *op, const spk_frame *f);
void spk_constant(const spk_op *op, const spk_frame *f);
void spk_gather(const spk_op *op, const spk_frame *f);
void spk_running(const spk_op *op, const spk_frame *f);
void spk_charge(const spk_op *op, const spk_frame *f);
void spk_carry(const spk_op *op, const spk_frame *f);
void spk_delay(const spk_op *op, const spk_frame *f);
void spk_keep(const spk_op *op, const spk_frame *f);
void spk_call_back(const spk_op *op, const spk_frame *f);

/* Their lines in the table of a set. */
#define SPK_PLAIN_KERNELS                                                                                              \
    [SPK_RESHAPE] = {spk_reshape, NULL}, [SPK_EXPORT_VALUES] = {spk_export_values, NULL},                              \
    [SPK_EXPORT_SPIKES] = {spk_export_spikes, NULL}, [SPK_EXPORT_STEPS] = {spk_export_steps, NULL},                    \
    [SPK_EXPAND] = {spk_expand, NULL}, [SPK_CONSTANT] = {spk_constant, NULL}, [SPK_GATHER] = {spk_gather, NULL},       \
    [SPK_RUNNING] = {spk_running, NULL}, [SPK_CHARGE] = {spk_charge, NULL}, [SPK_CARRY] = {spk_carry, NULL},           \
    [SPK_DELAY] = {spk_delay, NULL}, [SPK_KEEP] = {spk_keep, NULL}, [SPK_CALL] = {spk_call_back, NULL}

#endif
