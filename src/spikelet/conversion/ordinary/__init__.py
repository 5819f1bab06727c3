"""Ordinary networks made ready: activations that spikes can count, and what integers have in place of what they lack.

calibrate   ReLU, GELU and others become QCFS, with thresholds from data
repair      batch norms for layer norms, levels for softmax, counts where weights read currents
finetune    the package's training for any network of torch's layers
"""
