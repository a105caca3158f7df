"""Orthonormal bases that pencils are compressed by, in TensorFlow ops. Nothing here has a derivative.

The pencils are wide, m < n. Of one that is not, the whole space is what is kept.
"""

import tensorflow as tf

from tfqz._backends import pivoting
from tfqz._form import blocks, tolerances
from tfqz._form.products import matmul


def compressed(A, B, rank):
    """X and the rank of B, as below, A X and B X, of which columns behind the rank are 0."""
    X, found = right_frame(A, B, rank)
    inside = tf.range(tf.shape(X)[-1]) < found[..., None]
    return X, found, matmul(A, X), blocks.masked(inside[..., None, :], matmul(B, X))


def right_frame(A, B, rank):
    """X, [..., n, min(m, n)], and the rank of B, [...], int32, or `rank` if that isn't None; A, B: [..., m, n].

    X spans the row space of B + (I - B B^+) A, its first columns that of B. It is the identity where m >= n; the rank counts as n there.
    """
    m, n = tf.shape(B)[-2], tf.shape(B)[-1]
    is_wide = m < n
    A, B = (X / blocks.of_dtype(blocks.largest(X), X.dtype) for X in (A, B))
    steps = tf.where(is_wide, m, 0)
    turned, _, lengths = pivoting.lower_triangular(pivoting.beside_identity(B), steps, candidates=m)
    L, U = turned[..., :m, :], turned[..., m:, :]
    if rank is None:
        threshold = tolerances.rank(B.dtype) * tf.cast(n, B.dtype.real_dtype)
        found = tf.reduce_sum(tf.cast(lengths > threshold * lengths[..., :1], tf.int32), axis=-1)
    else:
        found = tf.fill(tf.shape(B)[:-2], tf.convert_to_tensor(rank, tf.int32))
    found = tf.where(is_wide, found, tf.fill(tf.shape(found), n))

    def deficient():
        # What A does from ker B to the complement of B's range spans the rest.
        inside = tf.range(n) < found[..., None]
        of_range = tf.linalg.adjoint(blocks.masked(inside[..., None, :], L))
        V = pivoting.row_basis(of_range[..., :steps, :], steps)
        beyond = tf.range(m) >= found[..., None]
        rest = blocks.masked(beyond[..., :, None] & ~inside[..., None, :], matmul(matmul(V, A, adjoint_a=True), U))
        unit = tf.eye(m, n, batch_shape=tf.shape(B)[:-2], dtype=B.dtype)
        rest = tf.where(beyond[..., :, None], rest, unit)
        return matmul(U, pivoting.row_basis(rest[..., :steps, :], steps))

    basis = tf.cond(tf.reduce_any(found < tf.minimum(m, n)), deficient, lambda: U)
    return basis[..., : tf.minimum(m, n)], found


def complement(X):
    """A basis of the orthogonal complement of what X, [..., n, p], spans, [..., n, n - p], and rows at which it is lower triangular with a
    positive diagonal, [..., n - p], int32, ascending: chosen by pivoting, so that it is well conditioned there."""
    n, p = tf.shape(X)[-2], tf.shape(X)[-1]
    raw = pivoting.row_basis(tf.linalg.adjoint(X), p)[..., p:]
    rows = tf.sort(pivoting.lower_triangular(raw, n - p)[1], axis=-1)
    return pivoting.lower_triangular(raw, n - p, rows=rows)[0], rows


def singular_vectors(B, hermitian_schur):
    """U, s, V of B = U diag(s) V^H, thin: [..., m, p], [..., p], [..., n, p]. `hermitian_schur(H)` returns T and Z of a Schur form."""
    m, n = tf.shape(B)[-2], tf.shape(B)[-1]
    p = tf.minimum(m, n)
    if not B.dtype.is_complex:
        s, U, V = tf.linalg.svd(B)
        return U, s, V
    # XLA has no singular values of complex matrices on the CPU. [0 B; B^H 0] has the eigenvalues +-s and eigenvectors [u; +-v].
    batch = tf.shape(B)[:-2]
    H = tf.concat(
        [
            tf.concat([tf.zeros(tf.concat([batch, [m, m]], axis=0), B.dtype), B], axis=-1),
            tf.concat([tf.linalg.adjoint(B), tf.zeros(tf.concat([batch, [n, n]], axis=0), B.dtype)], axis=-1),
        ],
        axis=-2,
    )
    T, Z = hermitian_schur(H)
    s, order = tf.math.top_k(tf.math.real(tf.linalg.diag_part(T)), p)
    Z = tf.gather(Z, order, axis=-1, batch_dims=B.shape.rank - 2)
    # The halves are orthogonal but where s is 0, and only up to rounding where it is small.
    U, V = (pivoting.row_basis(tf.linalg.adjoint(X), p)[..., :p] for X in (Z[..., :m, :], Z[..., m:, :]))
    return U, tf.maximum(s, 0), V
