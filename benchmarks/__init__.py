"""Timings, published results and the tables made of them; each module is a command."""
