"""Householder's reflectors from the right, with or without pivoting, in TensorFlow ops: what orthonormal bases are made of."""

import tensorflow as tf

from tfqz._form import blocks, quotients, tolerances
from tfqz._form.products import matvec


def lower_triangular(X, count, candidates=None, rows=None):
    """X times the unitary matrix that makes it lower triangular, with a diagonal >= 0, at `count` of its rows, one after the other.

    QR with pivoting (Businger and Golub 1965) of X^H: the row that comes next is the longest one where what those before it span is taken
    away. Without a derivative.

    Args:
      X: [..., R, C].
      count: how many rows, an int or a scalar tensor, or several numbers, [...].
      candidates: they are among the first so many, or
      rows: [..., count], int32, those that they are.

    Returns:
      X turned; the rows, [..., C], int32, -1 behind the last one; and what was left of their lengths, [..., C], real.
    """
    count = tf.broadcast_to(tf.convert_to_tensor(count, tf.int32), tf.shape(X)[:-2])
    column, place = tf.range(tf.shape(X)[-1]), tf.range(tf.shape(X)[-2])
    chosen_rows = tf.fill(tf.concat([tf.shape(X)[:-2], tf.shape(X)[-1:]], axis=0), tf.constant(-1, tf.int32))
    lengths = tf.zeros_like(tf.cast(chosen_rows, X.dtype.real_dtype))

    def step(j, X, chosen_rows, lengths):
        left = blocks.masked(column >= j, X)
        squares = tf.reduce_sum(tf.abs(left) ** 2, axis=-1)
        if rows is None:
            squares = squares if candidates is None else tf.where(place < candidates, squares, -tf.ones_like(squares))
            reach = (1 - tolerances.tie(X.dtype)) * tf.reduce_max(squares, axis=-1, keepdims=True)
            # Rounding must not choose between equal ones.
            row = tf.argmax(tf.cast(squares >= reach, tf.int32), axis=-1, output_type=tf.int32)
        else:
            row = tf.gather(rows, j, axis=-1)
        chosen = tf.equal(place, row[..., None])
        # H = I - 2 v v^H / v^H v with x H = -conj(phase) length e^T for the row x, v = x^H + phase length e; both over the length here.
        x = tf.math.conj(tf.reduce_sum(blocks.masked(chosen[..., None], left), axis=-2))
        unit = tf.one_hot(j, tf.shape(X)[-1], dtype=X.dtype)
        length = tf.math.real(tf.norm(x, axis=-1, keepdims=True))
        norm = tf.cast(length, X.dtype)
        x = quotients.over_no_nan(x, length)
        pivot = tf.reduce_sum(x * unit, axis=-1, keepdims=True)
        phase = quotients.phase(pivot)
        v = blocks.masked(length > 0, x + phase * unit)
        weight = tf.cast(1 / (1 + tf.abs(pivot)), X.dtype)
        turned = X - matvec(X, v)[..., None] * tf.math.conj(v * weight)[..., None, :]
        turned *= (1 - unit - phase * unit)[..., None, :]
        # The chosen row is known without rounding.
        turned = tf.where(chosen[..., None] & (column >= j), (norm * unit)[..., None, :], turned)
        active = (j < count)[..., None]
        here = active & tf.equal(column, j)
        return (
            j + 1,
            tf.where(active[..., None], turned, X),
            tf.where(here, row[..., None], chosen_rows),
            tf.where(here, length, lengths),
        )

    last = tf.reduce_max(tf.concat([tf.reshape(count, [-1]), [0]], axis=0))
    state = (tf.constant(0, tf.int32), X, chosen_rows, lengths)
    return tf.while_loop(lambda j, *_: j < last, step, state, parallel_iterations=1)[1:]


def beside_identity(X):
    """X on top of the identity, [..., R + C, C]: what turns X is what becomes of the latter."""
    return tf.concat([X, tf.eye(tf.shape(X)[-1], batch_shape=tf.shape(X)[:-2], dtype=X.dtype)], axis=-2)


def row_basis(X, count):
    """[..., C, C], unitary: for each j its first j columns span the first j rows of X, [..., R, C], as far as `count`."""
    rows = tf.broadcast_to(tf.range(count), tf.concat([tf.shape(X)[:-2], [count]], axis=0))
    return lower_triangular(beside_identity(X), count, rows=rows)[0][..., tf.shape(X)[-2] :, :]
