"""Unitary matrices of two or three rows, one for each pencil of a batch, and what they do to rows and columns of its factors."""

from typing import NamedTuple

import tensorflow as tf

from tfqz._form import checks, quotients


class Factors(NamedTuple):
    """S and T side by side row for row, [batch, N, 2, N]; Q^H and Z^T, [batch, N, N]: rows are what can be replaced."""

    ST: tf.Tensor
    Q_H: tf.Tensor
    Z_T: tf.Tensor


def size(X):
    """|x| without squares, up to a factor of sqrt(2)."""
    return tf.maximum(tf.abs(tf.math.real(X)), tf.abs(tf.math.imag(X))) if X.dtype.is_complex else tf.abs(X)


def reflector(x, pivot):
    """[batch, k, k]: a unitary Hermitian H = I - 2 v v^H / v^H v with H x = c e_pivot; the identity for x = 0. x: [batch, k]."""
    scale = tf.reduce_max(size(x), axis=-1, keepdims=True)
    x = quotients.over(x, tf.where(scale > 0, scale, tf.ones_like(scale)))
    norm = tf.sqrt(tf.reduce_sum(tf.abs(x) ** 2, axis=-1))
    chosen = x[:, pivot]
    modulus = tf.abs(chosen)
    positive = modulus > 0
    phase = quotients.over(chosen, tf.where(positive, modulus, tf.ones_like(modulus)))
    phase = tf.where(positive, phase, tf.ones_like(phase))
    k = checks.inner(x.shape)[-1]
    unit = tf.one_hot(pivot, k, dtype=x.dtype)
    v = x + (phase * tf.cast(norm, x.dtype))[:, None] * unit
    weight = tf.math.divide_no_nan(tf.constant(2, norm.dtype), tf.reduce_sum(tf.abs(v) ** 2, axis=-1))
    v_H = tf.math.conj(v)[:, None, :] * tf.cast(weight, x.dtype)[:, None, None]
    H = tf.eye(k, dtype=x.dtype) - v[:, :, None] * v_H
    # h_pp = -|x_p| / |x|, and of two rows the other one is opposite: exactly 0 where x_p is, for then entries beside zeros change places,
    # and nothing of them may stay.
    cosine = tf.math.divide_no_nan(modulus, norm)[:, None]
    diagonal = tf.cast(tf.where(norm[:, None] > 0, cosine * (1 - 2 * tf.math.real(unit)), tf.ones_like(cosine)), x.dtype)
    exact = tf.linalg.diag(unit if k > 2 else tf.ones_like(unit))
    return tf.where(tf.cast(exact, tf.bool), diagonal[:, None, :], H)


def on_rows(factors, first, L):
    """L times the rows first, first + 1, ... of S, T and Q^H; also the new rows of S and T, [batch, k, 2, N]."""
    ST, rows = _replace(factors.ST, first, L, axis=1)
    return factors._replace(ST=ST, Q_H=_replace(factors.Q_H, first, L, axis=1)[0]), rows


def on_columns(factors, first, R):
    """The columns first, first + 1, ... of S, T and Z times R."""
    R_T = tf.linalg.matrix_transpose(R)
    return factors._replace(ST=_replace(factors.ST, first, R_T, axis=3)[0], Z_T=_replace(factors.Z_T, first, R_T, axis=1)[0])


def _replace(x, first, U, axis):
    """x with U, [batch, k, k], times the rows first, first + 1, ... of each batch element in their place, and these; rows along the axis.

    Neither by tf.matmul, which may round to fewer bits first, nor by a scatter, which XLA makes a loop over the batch of for what is
    wider than 64 bits.
    """
    k, n = U.shape[-1], tf.shape(x)[axis]
    old = tf.unstack(tf.gather(x, first[:, None] + tf.range(k), axis=axis, batch_dims=1), num=k, axis=axis)
    new = [tf.add_n([_by_batch(U[:, i, j], row) * row for j, row in enumerate(old)]) for i in range(k)]
    rows = tf.stack(new, axis=axis)
    place = tf.range(n) - first[:, None]
    if x.dtype.is_complex:  # of which a choice with broadcasting takes several times as long as this, outside XLA
        source = tf.where((place >= 0) & (place < k), n + place, tf.range(n))
        return tf.gather(tf.concat([x, rows], axis=axis), source, axis=axis, batch_dims=1), rows
    place = tf.reshape(place, tf.concat([tf.shape(place)[:1], [-1 if i == axis else 1 for i in range(1, x.shape.rank)]], axis=0))
    for i, row in enumerate(new):
        x = tf.where(tf.equal(place, i), tf.expand_dims(row, axis), x)
    return x, rows


def _by_batch(x, y):
    """x, [batch], so that it multiplies y, [batch, ...]."""
    return tf.reshape(x, [-1] + [1] * (y.shape.rank - 1))


def product(X, Y):
    """X Y for matrices of a few rows, [batch, k, k]; not by tf.matmul, which may round them first."""
    return tf.reduce_sum(X[:, :, :, None] * Y[:, None], axis=2)
