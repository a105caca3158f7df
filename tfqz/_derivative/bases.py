r"""Bases that are functions of the subspaces which they span.

X has orthonormal columns; B = X U, U unitary, is lower triangular with a positive diagonal at as many rows, which are chosen so that
they are well conditioned. With E the columns of the identity for these rows, E^H B = L, and P = X X^H = B B^H,

    dB = (I - P) dP B + B O         O = B^H dB skew-Hermitian                              (1)

and O is what keeps the strictly upper part of dL at 0 and its diagonal real: with K = L^{-1} E^H (I - P) dP B,

    O = -(striu(K) - striu(K)^H + i Im diag(K))                                            (2)

The adjoint, for a cotangent Bb of B:

    G = B^H Bb      M = striu(G - G^H) + i Im diag(G)      Pb = (I - P) (Bb - E L^{-H} M) B^H

Nothing in it tells how the subspace was found. Which rows are chosen is constant.

If it is the orthogonal complement of what X spans, X with orthonormal columns, (I - P) dP B = -X dX^H B, and

    Xb = -B (Bb - E L^{-H} M)^H X
"""

import tensorflow as tf

from tfqz._backends import native as op_library
from tfqz._backends import pivoting
from tfqz._derivative.attach import attach_gradient, register_rule
from tfqz._form import blocks
from tfqz._form.products import matmul, triangular_solve
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
    M = _turning(matmul(B, Bb, adjoint_a=True))
    turned = matmul(Bb - matmul(E, triangular_solve(L, M, lower=True, adjoint=True)), B, adjoint_b=True)
    return [turned - matmul(P, turned), None]


def _turning(G):
    """M of G."""
    M = tf.linalg.band_part(blocks.skew(G), 0, -1)
    return blocks.with_diagonal(M, tf.linalg.diag_part(M) / 2)  # i Im diag(G)


def of_complement(B, X, across, within, rows):
    """Xb, the cotangent of orthonormal columns, [..., n, p], of a basis B of their complement, [..., n, d], of whose cotangent Bb `across`
    and `within` are X^H Bb and B^H Bb, and with its chosen rows, [..., d]."""
    E = tf.one_hot(rows, tf.shape(X)[-2], dtype=X.dtype)
    of_X, L = tf.split(matmul(E, tf.concat([X, B], axis=-1)), [tf.shape(X)[-1], tf.shape(B)[-1]], axis=-1)
    turned = triangular_solve(blocks.regular(L), of_X, lower=True)
    return -matmul(B, tf.linalg.adjoint(across) - matmul(_turning(within), turned, adjoint_a=True))


@traced
def in_ops(X, count):
    """B and the chosen rows, [..., n], int32, -1 behind the last one, without gradients."""
    inside = tf.range(tf.shape(X)[-1]) < count[..., None]
    X, rows, _ = pivoting.lower_triangular(blocks.masked(inside[..., None, :], X), count)
    return blocks.masked(inside[..., None, :], X), rows
