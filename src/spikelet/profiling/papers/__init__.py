"""Sizes and energies by the formulas of single papers, so that a result can be put beside theirs."""
