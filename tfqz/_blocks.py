"""The 2 x 2 diagonal blocks of the real generalized Schur form, where they are and how to make them triangular.

All functions take S, T as [..., n, n] in canonical form: T's block is diag(a, d), a >= d > 0.
"""

from typing import NamedTuple

import tensorflow as tf


def to_complex(x):
    """A real x as complex numbers: tf.cast warns of the imaginary part that its gradient drops."""
    return tf.complex(x, tf.zeros_like(x))


def masked(mask, x):
    """x where the mask is true, else 0. (XLA would compute a mask of numbers when it compiles, and slowly.)"""
    return tf.where(mask, x, tf.zeros_like(x))


def largest(X):
    """[..., 1, 1], real: the largest modulus of a matrix, or 1 if it is zero."""
    modulus = tf.reduce_max(tf.abs(X), axis=[-2, -1], keepdims=True)
    return tf.where(modulus > 0, modulus, tf.ones_like(modulus))


def below(X):
    """[..., n]: x_{j+1,j}, and 0 at the end."""
    return _all_but_last(tf.linalg.diag_part(roll(X, -1, -2)))


def above(X):
    """[..., n]: x_{j,j+1}, and 0 at the end."""
    return _all_but_last(tf.linalg.diag_part(roll(X, -1, -1)))


def following(x):
    """[..., n]: x_{j+1}, cyclic."""
    return roll(x, -1, -1)


def preceding(x):
    """[..., n]: x_{j-1}, cyclic."""
    return roll(x, 1, -1)


def place_below(x):
    """The matrix with x_j at (j+1, j), for x that is 0 at the end."""
    return roll(tf.linalg.diag(x), 1, -2)


def place_above(x):
    """The matrix with x_j at (j, j+1), for x that is 0 at the end."""
    return roll(tf.linalg.diag(x), 1, -1)


def with_diagonal(X, x):
    """X with x, [..., n], on its diagonal. (tf.linalg.set_diag has a gradient that XLA can't compile for unknown shapes.)"""
    i = tf.range(tf.shape(X)[-1])
    return tf.where(tf.equal(i[:, None], i[None, :]), x[..., None, :], X)


def starts(S):
    """[..., n]: true at the first row of each 2 x 2 block. Always false for complex dtypes."""
    if S.dtype.is_complex:
        return tf.zeros_like(tf.linalg.diag_part(S), dtype=tf.bool)
    return tf.not_equal(below(S), 0)


def balanced(S, T):
    """[p rho, q; r, s / rho] for each block [p q; r s] of S, with rho = sqrt(d / a) for T's block diag(a, d).

    Its eigenvalues are the block's alpha where beta is sqrt(a d). Returns the four entries, rho and beta, each [..., n]; where
    no block starts these are of an arbitrary block with complex eigenvalues, so that derivatives stay finite there.
    """
    start = starts(S)
    one = tf.ones_like(tf.linalg.diag_part(S))

    def entry(x, otherwise):
        return tf.where(start, x, otherwise)

    a, d = tf.linalg.diag_part(T), following(tf.linalg.diag_part(T))
    a, d = entry(a, one), entry(d, one)
    p, s = tf.linalg.diag_part(S), following(tf.linalg.diag_part(S))
    p, q, r, s = entry(p, one), entry(above(S), one), entry(below(S), -one), entry(s, one)
    rho = tf.sqrt(d / a)
    return p * rho, q, r, s / rho, rho, tf.sqrt(a) * tf.sqrt(d)


def imaginary_part(p, q, r, s):
    """sqrt(-q r - ((p - s) / 2)^2), the imaginary part of the eigenvalues of [p q; r s], as a product: squares overflow."""
    outer = tf.sqrt(tf.abs(q)) * tf.sqrt(tf.abs(r))
    inner = tf.abs(p - s) / 2
    return tf.sqrt(tf.maximum(outer - inner, 0)) * tf.sqrt(outer + inner)


class BlockDiagonal(NamedTuple):
    """A matrix of 1 x 1 and 2 x 2 diagonal blocks. Entries by row j: (j, j), (j, j+1), (j, j-1), each [..., n]."""

    diagonal: tf.Tensor
    above: tf.Tensor
    below: tf.Tensor

    def adjoint(self):
        conj = tf.math.conj
        return BlockDiagonal(conj(self.diagonal), conj(following(self.below)), conj(preceding(self.above)))

    def dense(self):
        return tf.linalg.diag(self.diagonal) + place_above(self.above) + place_below(following(self.below))

    def rows(self, X):
        """This matrix times X."""
        return (
            self.diagonal[..., :, None] * X
            + self.above[..., :, None] * roll(X, -1, -2)
            + self.below[..., :, None] * roll(X, 1, -2)
        )

    def columns(self, X):
        """X times this matrix."""
        return (
            X * self.diagonal[..., None, :]
            + roll(X, 1, -1) * preceding(self.above)[..., None, :]
            + roll(X, -1, -1) * following(self.below)[..., None, :]
        )


def rotations(angle):
    """The BlockDiagonal of [cos -sin; sin cos] for angle_j at (j, j + 1); 0 where no block starts."""
    cosine, sine = tf.cos(angle), tf.sin(angle)
    second = tf.not_equal(preceding(sine), 0)
    return BlockDiagonal(
        tf.where(second, preceding(cosine), cosine), above=-sine, below=tf.where(second, preceding(sine), tf.zeros_like(sine))
    )


def triangularize(S, T):
    """G, H, block diagonal unitary, such that G^H S H and G^H T H are upper triangular: a complex QZ of each block.

    The first column of a block of H is the right eigenvector of alpha / beta, that of G the direction of T h and S h.
    """
    start = starts(S)
    p, q, r, s, rho, _ = balanced(S, T)
    alpha = tf.complex((p + s) / 2, imaginary_part(p, q, r, s))
    p, q, r, s, rho = (to_complex(x) for x in (p, q, r, s, rho))
    # An eigenvector v of the balanced block, from whichever of its rows has more of it; then h = diag(sqrt(rho),
    # 1 / sqrt(rho)) v and T h is parallel to diag(1 / sqrt(rho), sqrt(rho)) v.
    from_first = tf.abs(q) >= tf.abs(r)
    v1 = tf.where(from_first, q, alpha - s)
    v2 = tf.where(from_first, alpha - p, r)
    root = tf.sqrt(rho)
    return tuple(_unitary(start, v1 * x, v2 / x) for x in (1 / root, root))


def _unitary(start, x1, x2):
    """The unitary BlockDiagonal whose blocks have (x1, x2), normalised, as their first column."""
    zero, one = tf.zeros_like(x1), tf.ones_like(x1)
    largest = to_complex(tf.maximum(tf.abs(x1), tf.abs(x2)))
    largest = tf.where(start, largest, one)
    x1, x2 = tf.where(start, x1 / largest, one), tf.where(start, x2 / largest, zero)
    norm = to_complex(tf.sqrt(tf.abs(x1) ** 2 + tf.abs(x2) ** 2))
    c, s = x1 / norm, x2 / norm
    second = preceding(start)  # the last entry of `start` is false, so nothing wraps around
    diagonal = tf.where(second, tf.math.conj(preceding(c)), c)
    return BlockDiagonal(diagonal, above=-tf.math.conj(s), below=tf.where(second, preceding(s), zero))


def _all_but_last(x):
    n = tf.shape(x)[-1]
    return tf.where(tf.range(n) < n - 1, x, tf.zeros_like(x))


def roll(x, shift, axis):
    """tf.roll for an axis counted from the end: vectorised by tf.vectorized_map or tape.jacobian, TensorFlow 2.21 takes a
    negative axis for another one."""
    rank = tf.rank(x) if x.shape.rank is None else x.shape.rank
    return tf.roll(x, shift, axis=rank + axis)
