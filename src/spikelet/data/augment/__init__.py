"""Augmentation of whole batches of bytes: a draw a sample, the same on every device, byte-equal to Pillow."""
