"""Compiled loops of the operations: numpy arrays in, numpy arrays filled."""
