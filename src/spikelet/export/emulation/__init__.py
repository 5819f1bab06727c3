"""Exported C on an emulated Cortex-M, counted instruction by instruction. Needs the extra `targets`."""
