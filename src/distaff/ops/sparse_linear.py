"""Interim."""

import torch


def sparse_linear(x, weight, bias=None):
    return torch.nn.functional.linear(x.to_dense(), weight, bias)
