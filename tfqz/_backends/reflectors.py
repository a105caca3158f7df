"""Unitary matrices of two or three rows, one for each pencil of a batch, and what they do to rows and columns of its factors."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfqz._form import checks, quotients
from tfqz._form.blocks import as_columns, as_rows


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
    norm = tf.sqrt(tf.reduce_sum(tf.abs(x) ** 2, axis=-1, keepdims=True))
    k = checks.inner(x.shape)[-1]
    chosen = tf.split(x, k, axis=-1)[pivot]
    modulus = tf.abs(chosen)
    positive = modulus > 0
    phase = quotients.over(chosen, tf.where(positive, modulus, tf.ones_like(modulus)))
    phase = tf.where(positive, phase, tf.ones_like(phase))
    unit = np.eye(k)[pivot]
    v = x + phase * tf.cast(norm, x.dtype) * tf.constant(unit, x.dtype)
    weight = tf.math.divide_no_nan(tf.constant(2, norm.dtype), tf.reduce_sum(tf.abs(v) ** 2, axis=-1, keepdims=True))
    H = tf.constant(np.eye(k), x.dtype) - as_columns(v) * as_rows(tf.math.conj(v) * tf.cast(weight, x.dtype))
    # h_pp = -|x_p| / |x|, and of two rows the other one is opposite: exactly 0 where x_p is, for then entries beside zeros change places,
    # and nothing of them may stay.
    cosine = tf.math.divide_no_nan(modulus, norm)
    diagonal = tf.where(norm > 0, cosine * tf.constant(1 - 2 * unit, norm.dtype), tf.ones_like(cosine))
    exact = np.diag(unit if k > 2 else np.ones(k)) > 0
    return tf.where(exact, as_rows(tf.cast(diagonal, x.dtype)), H)


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
    k, n = checks.inner(U.shape)[-1], tf.shape(x)[axis]
    first = as_columns(first)
    old = tf.unstack(tf.gather(x, first + np.arange(k, dtype=np.int32), axis=axis, batch_dims=1), num=k, axis=axis)
    # u_ij in the shape [batch, 1, ...] of what it multiplies.
    entries = tf.unstack(tf.reshape(U, [-1, k * k] + [1] * (x.shape.rank - 2)), axis=1)
    new = [tf.add_n([u * row for u, row in zip(entries[i * k : (i + 1) * k], old)]) for i in range(k)]
    rows = tf.stack(new, axis=axis)
    place = tf.range(n) - first
    if x.dtype.is_complex:  # of which a choice with broadcasting takes several times as long as this, outside XLA
        source = tf.where((place >= 0) & (place < k), n + place, tf.range(n))
        return tf.gather(tf.concat([x, rows], axis=axis), source, axis=axis, batch_dims=1), rows
    place = place[(slice(None), *[slice(None) if i == axis else None for i in range(1, x.shape.rank)])]
    for i, row in enumerate(new):
        x = tf.where(tf.equal(place, i), tf.expand_dims(row, axis), x)
    return x, rows


def product(X, Y):
    """X Y for matrices of a few rows, [batch, k, k]; not by tf.matmul, which may round them first."""
    return tf.reduce_sum(as_columns(X) * tf.expand_dims(Y, 1), axis=2)
