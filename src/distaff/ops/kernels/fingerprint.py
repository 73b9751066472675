"""Checksums that run at the speed of memory: of words in their order, and of a matrix however it is stored.

Sums and products are those of unsigned integers, which wrap around. They recognise accidents, not attacks.
"""

from __future__ import annotations

import numpy as np

from distaff.ops.kernels.compile import bits, helper, kernel

__all__ = ["dense_sum", "sparse_sum", "words_sum"]

U = np.uint64
FACTOR = U(0x9E3779B97F4A7C15)  # odd, hence nothing is lost by multiplication; half of its bits are set
HALF = U(32)


@helper
def folded(word):
    """Word whose upper half is in its lower too: there products have few bits, and counts as floats none."""
    return word ^ (word >> HALF)


@helper
def value_word(value):
    """Word of a value, 0 of 0, the same for all types of numbers."""
    return folded(U(bits(np.float64(value))))


@helper
def mixed(state, word):
    """State after a word; each bit of the word changes about half of those of the states to come."""
    return folded((state ^ word) * FACTOR)


@kernel
def words_sum(words, start):
    """Checksum of words in their order; four states do not wait for each other."""
    a = b = c = d = start
    n = words.size - words.size % 4
    for i in range(0, n, 4):
        a = mixed(a, words[i])
        b = mixed(b, words[i + 1])
        c = mixed(c, words[i + 2])
        d = mixed(d, words[i + 3])
    for i in range(n, words.size):
        a = mixed(a, words[i])
    return mixed(mixed(mixed(a, b), c), d)


@kernel
def sparse_sum(pointers, indices, values, row_weights, column_weights):
    """Sum of all entries' words, each times the odd weights of its row and column."""
    total = U(0)
    for i in range(row_weights.size):
        row = U(0)
        for k in range(pointers[i], pointers[i + 1]):
            row += value_word(values[k]) * column_weights[np.uint32(indices[k])]
        total += row * row_weights[i]
    return total


@kernel
def dense_sum(values, row_weights, column_weights):
    """Do the same for a dense matrix."""
    total = U(0)
    for i in range(row_weights.size):
        row = U(0)
        for j in range(column_weights.size):
            row += value_word(values[i, j]) * column_weights[j]
        total += row * row_weights[i]
    return total
