"""Eigenvectors of a pencil beside its factors: complex triangular factors, and what makes a column unique."""

import tensorflow as tf

from tfqz._form import blocks, canonical, quotients
from tfqz._form.products import matmul


def triangular(S, T, Q, Z):
    """The factors, [..., n, n], as complex ones, S and T upper triangular, with the eigenvalues in the same order. Without a derivative."""
    if not S.dtype.is_complex:
        frames = blocks.triangularize(S, T)
        S, T, Q, Z = (blocks.to_complex(X) for X in (S, T, Q, Z))
        S, T = (matmul(frames[0], matmul(X, frames[1]), adjoint_a=True) for X in (S, T))
        Q, Z = matmul(Q, frames[0]), matmul(Z, frames[1])
    return tf.linalg.band_part(S, 0, -1), tf.linalg.band_part(T, 0, -1), Q, Z


def unit_ratios(S, T):
    """s_j and t_j, [..., n], complex: the diagonals of triangular S and T, [..., n, n], with |s_j|^2 + |t_j|^2 = 1, but for 0 and 0."""
    s, t = tf.linalg.diag_part(S), tf.linalg.diag_part(T)
    scale = tf.maximum(tf.abs(s), tf.abs(t))  # whose square may be 0
    s, t = (quotients.over_no_nan(x, scale) for x in (s, t))
    length = tf.sqrt(tf.abs(s) ** 2 + tf.abs(t) ** 2)
    return [quotients.over_no_nan(x, length) for x in (s, t)]


def unique(X, S):
    """Columns, [..., n, n], as eigenvectors are returned: of length 1, the largest entry real and positive as in `canonical.is_largest`;
    real ones for real eigenvalues, and conjugates for the pairs, of a real factor S."""
    X = X / blocks.to_complex(tf.reduce_max(tf.abs(X), axis=-2, keepdims=True))  # before squares
    if not S.dtype.is_complex:
        second = blocks.preceding(blocks.starts(S))
        real = ~(blocks.starts(S) | second)
        X = tf.where(real[..., None, :], blocks.to_complex(tf.math.real(X)), X)
        X = tf.where(second[..., None, :], tf.math.conj(blocks.roll(X, 1, -1)), X)
    X = canonical.with_positive_largest(X)
    return X / blocks.to_complex(tf.sqrt(tf.reduce_sum(tf.abs(X) ** 2, axis=-2, keepdims=True)))
