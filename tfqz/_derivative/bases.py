r"""Bases that are functions of the subspaces which they span.

X has orthonormal columns; B = X U, U unitary, is lower triangular with a positive diagonal at as many rows, which are chosen so that
they are well conditioned. With E the columns of the identity for these rows, E^H B = L, and P = X X^H = B B^H,

    dB = (I - P) dP B + B O         O = B^H dB skew-Hermitian                              (1)

and O is what keeps the strictly upper part of dL at 0 and its diagonal real: with K = L^{-1} E^H (I - P) dP B,

    O = -(striu(K) - striu(K)^H + i Im diag(K))                                            (2)

The adjoint, for a cotangent Bb of B:

    G = B^H Bb      M = striu(G - G^H) + i Im diag(G)      Pb = (I - P) (Bb - E L^{-H} M) B^H

Nothing in it tells how the subspace was found. Which rows are chosen is constant.
"""

import tensorflow as tf

from tfqz._backends import native as op_library
from tfqz._derivative.attach import attach_gradient, register_rule
from tfqz._form import blocks, tolerances
from tfqz._form.products import matmul, matvec, triangular_solve
from tfqz._form.traces import traced


def basis(X, projector, count, native):
    """B, [..., n, n] with zeros behind the last column, of what the first `count`, [...], columns of X span, as a function of
    the orthogonal projector onto it. X, projector: [..., n, n]. `native`: a Python bool, with the op library."""
    X = tf.stop_gradient(X)
    B, rows = op_library.basis(X, count, in_ops) if native else in_ops(X, count)
    B.set_shape(X.shape)
    return attach_gradient("Basis", [projector, rows], [B], native)[0]


@register_rule("Basis", arguments=2)
def _pullback(arguments, values, cotangents, native):
    """Pb, [..., n, n], the cotangent of the projector, by the adjoint of (1) and (2); None for the chosen rows."""
    (P, rows), (B,), (Bb,) = arguments, values, cotangents
    inside = rows >= 0
    Bb = blocks.masked(inside[..., None, :], Bb)
    E = tf.cast(tf.equal(tf.range(tf.shape(B)[-1])[:, None], rows[..., None, :]), B.dtype)
    # Triangular and regular also behind the last column.
    L = matmul(E, B, transpose_a=True) + tf.linalg.diag(tf.cast(~inside, B.dtype))
    G = matmul(B, Bb, adjoint_a=True)
    M = tf.linalg.band_part(G - tf.linalg.adjoint(G), 0, -1)
    diagonal = tf.linalg.diag_part(M) / 2  # i Im diag(G)
    M = blocks.with_diagonal(M, diagonal)
    turned = matmul(Bb - matmul(E, triangular_solve(L, M, lower=True, adjoint=True)), B, adjoint_b=True)
    return [turned - matmul(P, turned), None]


@traced
def in_ops(X, count):
    """B and the chosen rows, [..., n], int32, -1 behind the last one, without gradients: QR with pivoting (Businger and Golub 1965) of
    X^H. Row after row is chosen, the longest one where what those before it span is taken away, and a reflector from the right
    makes it a multiple of a unit vector."""
    inside = tf.range(tf.shape(X)[-1]) < count[..., None]
    X = blocks.masked(inside[..., None, :], X)

    def step(j, X, rows):
        column = tf.range(tf.shape(X)[-1])
        left = blocks.masked(column >= j, X)
        length = tf.reduce_sum(tf.abs(left) ** 2, axis=-1)
        reach = (1 - tolerances.tie(X.dtype)) * tf.reduce_max(length, axis=-1, keepdims=True)
        row = tf.argmax(tf.cast(length >= reach, tf.int32), axis=-1, output_type=tf.int32)  # rounding must not choose between equal ones
        chosen = tf.equal(column, row[..., None])
        # H = I - 2 v v^H / v^H v with x H = -conj(phase) length e^T for the row x, v = x^H + phase length e.
        x = tf.math.conj(tf.reduce_sum(blocks.masked(chosen[..., None], left), axis=-2))
        unit = tf.one_hot(j, tf.shape(X)[-1], dtype=X.dtype)
        pivot = tf.reduce_sum(x * unit, axis=-1, keepdims=True)
        modulus = tf.cast(tf.abs(pivot), X.dtype)
        phase = tf.where(tf.equal(modulus, 0), tf.ones_like(pivot), tf.math.divide_no_nan(pivot, modulus))
        norm = tf.cast(tf.norm(x, axis=-1, keepdims=True), X.dtype)
        v = x + phase * norm * unit
        weight = tf.math.divide_no_nan(tf.ones_like(norm), norm * (norm + modulus))
        turned = X - matvec(X, v)[..., None] * tf.math.conj(v * weight)[..., None, :]
        turned *= (1 - unit - phase * unit)[..., None, :]
        # The chosen row is known without rounding.
        turned = tf.where(chosen[..., None] & (column >= j), (norm * unit)[..., None, :], turned)
        active = (j < count)[..., None]
        rows = tf.where(active & tf.equal(column, j), row[..., None], rows)
        return j + 1, tf.where(active[..., None], turned, X), rows

    last = tf.reduce_max(tf.concat([tf.reshape(count, [-1]), [0]], axis=0))
    rows = tf.fill(tf.shape(X)[:-1], tf.constant(-1, tf.int32))
    _, X, rows = tf.while_loop(lambda j, *_: j < last, step, (tf.constant(0, tf.int32), X, rows), parallel_iterations=1)
    return blocks.masked(inside[..., None, :], X), rows
