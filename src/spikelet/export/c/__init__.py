"""Prints an integer graph as portable C99: a program of straight calls beside a few kernels."""
