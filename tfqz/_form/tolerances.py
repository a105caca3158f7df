"""Every threshold of the package, one function each.

All are relative: the callers scale by the norms of their own data. They answer different questions and are not
interchangeable.
"""

import math

import numpy as np
import tensorflow as tf


def epsilon(dtype):
    """Distance from 1 to the next number of `dtype`'s precision, as a Python float."""
    return float(np.finfo(tf.as_dtype(dtype).real_dtype.as_numpy_dtype).eps)


def tie(dtype):
    """Two entries of a column count as equally large if their moduli differ by less than this, relative.

    Rounding must not choose the entry of Z that the canonical form makes positive. The value stands in
    `cc/pencil/canonical.cc` too.
    """
    return 1024 * epsilon(dtype)


def equal_eigenvalues(dtype, n):
    """Two eigenvalues of an n x n pencil count as equal if their chordal distance is below this.

    Near the backward error of QZ, which grows like sqrt(n) in practice: rounding moves two equal eigenvalues so far apart.
    Not near sqrt(epsilon): a defective double eigenvalue is split by that, and plain division by such a distance is still
    right to about sqrt(epsilon).
    """
    return 16 * epsilon(dtype) * tf.sqrt(tf.cast(n, tf.as_dtype(dtype).real_dtype))


def zero_pair(dtype, n):
    """A pair (s_jj, t_jj) below this times the norms of S and T is 0/0: the pencil is singular up to rounding."""
    return 4 * epsilon(dtype) * tf.cast(n, tf.as_dtype(dtype).real_dtype)


def zero_beta(dtype, n):
    """A t_jj below this times the norm of T is an infinite eigenvalue up to rounding: its phase is noise."""
    return 4 * epsilon(dtype) * tf.cast(n, tf.as_dtype(dtype).real_dtype)


def rank(dtype):
    """What QR with column pivoting leaves of an m x n matrix counts as nothing if it is at most this, times the larger of m and n, times
    the longest column: the numerical rank. The value stands in `cc/algorithms/compression.cc` too."""
    return 8 * epsilon(dtype)


def system_rank(dtype, rows, columns):
    """Singular values of blocks of a system pencil below this times its Frobenius norm are 0 up to rounding."""
    return rows * columns * epsilon(dtype)


def fed_through(dtype):
    """Entries of d of a linear system below this times the largest of their row and of their column of [a b; c d] are rounding errors."""
    return 10 * epsilon(dtype)


def alike_units(dtype):
    """Inputs, outputs and d of a linear system are near to a in size if the logarithms of their largest entries differ by less than this:
    rounding errors of one are less than about half of the digits of the other."""
    return -0.42 * math.log(epsilon(dtype))


def cancellation(dtype, n):
    """A sum of products of n terms below this times the largest product is 0 up to rounding."""
    return 8 * epsilon(dtype) * tf.cast(n, tf.as_dtype(dtype).real_dtype)


def equal_block_entries(dtype):
    """T's block diag(a, d) in a 2 x 2 block has a = d up to rounding if (a - d) / (a + d) is below this."""
    return 64 * epsilon(dtype)


def block_entries(dtype):
    """The entries of a 2 x 2 block have rounding errors below this, relative: eigenvalues that these may make real count as real. The value
    stands in `cc/vectors/lanes_canonical-inl.h` and `cc/pencil/canonical.cc` too."""
    return 4 * epsilon(dtype)


def negligible(dtype):
    """Beside matrices of norm 1 an entry below this is 0, however small its neighbours are: flushed denormals and products
    that underflow must not keep an iteration going."""
    return epsilon(dtype) ** 4


def brought_back(dtype):
    """Factors of a balanced pencil, brought back to the pencil as it was, may miss this much of it, relative to its largest entry, for the
    sake of its small eigenvalues: half of the digits."""
    return epsilon(dtype) ** 0.5


def exchange(dtype):
    """What the exchange of two diagonal blocks may leave below them, relative to the norm of both: LAPACK's xTGEX2 has this bound."""
    return 20 * epsilon(dtype)


def moved(dtype):
    """An eigenvalue that an exchange has moved farther than this, chordal, is another one."""
    return epsilon(dtype) ** 0.5


def cluster(dtype):
    """Eigenvalues nearer than this, chordal, coincide for functions of eigenvalues alone: farther apart than rounding puts
    semisimple ones, nearer than it puts defective ones."""
    return epsilon(dtype) ** 0.75


def move(dtype, times):
    """How far, chordal, a gradient moves eigenvalues apart that coincide, `times` times along one cluster: distances are divided by so
    often, one after the other."""
    return epsilon(dtype) ** (1 / (tf.cast(tf.maximum(times, 1), tf.as_dtype(dtype).real_dtype) + 1))


def longest_vectors(dtype):
    """The eigenvectors of an eigenvalue give its derivative if the product of their lengths, in the frames of the factors and divided by
    the entries of this eigenvalue, is at most this. The derivative is as long, its relative error epsilon times that, and a sum over
    a cluster may be of order 1 where each of its terms is so long: sqrt(epsilon) is what it may lose."""
    return epsilon(dtype) ** -0.25


def smallest_divisor(dtype):
    """Beside unit s_j, t_j and matrices of norm 1, what stands for a smaller diagonal entry of t_j S - s_j T where an eigenvector is found
    by substitution: an entry of that size is rounding. LAPACK's xTGEVC has this bound."""
    return epsilon(dtype)


def length(dtype):
    """The part of (alphab, betab) along (alpha, beta) is 0, for a function of alpha / beta, if it is below this times its summands."""
    return 64 * epsilon(dtype)
