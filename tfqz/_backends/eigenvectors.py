"""Eigenvectors from factors, in TensorFlow ops: by substitution, all at once, row by row."""

import tensorflow as tf

from tfqz._form import blocks, powers, tolerances, turned, vectors
from tfqz._form.products import matmul
from tfqz._form.traces import traced


@traced
def in_ops(S, T, Q, Z, *, left, right):
    """[Y, X], those asked for of the left and the right eigenvectors, [..., n, n], complex, of canonical factors, as `vectors.unique` says.

    Column j solves (t_j S - s_j T) v = 0 with v_j = 1 and v_i = 0 for i > j, and is turned back by Z. Where a diagonal entry of this matrix
    is 0 up to rounding, at coinciding eigenvalues, it counts as `tolerances.smallest_divisor`, as in LAPACK's xTGEVC. Where s_j = t_j = 0
    the column is that of Z.
    """
    (S, T), _ = powers.near_one([S, T])
    factors = vectors.triangular(S, T, Q, Z)
    found = []
    if left:
        found.append(vectors.unique(turned.columns(_columns(*turned.adjoint_pencil(*factors))), S))
    if right:
        found.append(vectors.unique(_columns(*factors), S))
    return found


def _columns(S, T, Q, Z):
    """Right eigenvectors of complex triangular factors, of any length."""
    S, T = (X / blocks.to_complex(blocks.largest(X)) for X in (S, T))
    s, t = vectors.unit_ratios(S, T)
    rows = tf.stack([S, T], axis=-2)
    limit, smallest = 1 / tolerances.epsilon(S.dtype), tolerances.smallest_divisor(S.dtype)

    def step(count, V):
        n = tf.shape(rows)[-1]
        k, j = n - 1 - count, tf.range(n)
        row = tf.gather(rows, k, axis=-3)
        of_S, of_T = tf.unstack(matmul(row, V), num=2, axis=-2)
        s_k, t_k = tf.unstack(tf.gather(row, k, axis=-1)[..., None], num=2, axis=-2)
        divisor = t * s_k - s * t_k
        divisor = tf.where(tf.abs(divisor) < smallest, tf.cast(smallest, divisor.dtype), divisor)
        entries = blocks.masked(j > k, (s * of_T - t * of_S) / divisor)
        V = tf.where(tf.equal(j[:, None], k) & (j > k), entries[..., None, :], V)
        # Long before the next entries leave the range.
        size = tf.abs(entries)
        shorter = tf.where(size > limit, 1 / tf.maximum(size, limit), tf.ones_like(size))
        V = V * blocks.to_complex(shorter)[..., None, :]
        V.set_shape(S.shape)
        return count + 1, V

    start = (tf.constant(0, tf.int32), blocks.identity_like(S))
    V = tf.while_loop(lambda count, _: count < tf.shape(rows)[-1], step, start, parallel_iterations=1)[1]
    return matmul(Z, V)
