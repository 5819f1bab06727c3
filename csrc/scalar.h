/* Scalar kernels that the fast sets share: they only move values about. */

#ifndef SPIKELET_SCALAR_H
#define SPIKELET_SCALAR_H

#include "spikelet.h"

void spk_scalar_reshape(const spk_op *op, const spk_frame *f);
void spk_scalar_export_values(const spk_op *op, const spk_frame *f);
void spk_scalar_export_spikes(const spk_op *op, const spk_frame *f);

#endif
