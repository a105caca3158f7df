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


def flattened(X):
    """The entries of matrices, row after row: [..., rows * columns]."""
    shape = tf.shape(X)
    return tf.reshape(X, tf.concat([shape[:-2], [shape[-2] * shape[-1]]], axis=0))


def below(X):
    """[..., n]: x_{j+1,j}, and 0 at the end."""
    return _and_zero(tf.linalg.diag_part(X[..., 1:, :-1]), X)


def above(X):
    """[..., n]: x_{j,j+1}, and 0 at the end."""
    return _and_zero(tf.linalg.diag_part(X[..., :-1, 1:]), X)


def _and_zero(x, X):
    return _padded(x, 0, 1, -1)[..., : tf.shape(X)[-1]]  # of which an empty X has none


def bands(X):
    """x_jj; x_{j,j+1} and x_{j+1,j}, 0 at the end; each [..., n]. Without a derivative worth having: XLA compiles one gather quickly,
    and what that one's gradient takes slowly."""
    n = tf.shape(X)[-1]
    j = tf.range(n)
    places = tf.minimum(j * (n + 1) + tf.stack([0, 1, n])[:, None], tf.maximum(n * n - 1, 0))
    entries = tf.gather(flattened(X), places, axis=-1)
    return entries[..., 0, :], *(masked(j < n - 1, entries[..., k, :]) for k in (1, 2))


def following(x):
    """[..., n]: x_{j+1}, and 0 at the end."""
    return roll(x, -1, -1)


def preceding(x):
    """[..., n]: x_{j-1}, and 0 at the beginning."""
    return roll(x, 1, -1)


def place_below(x):
    """The matrix with x_j at (j+1, j), for x that is 0 at the end."""
    return masked(_is_diagonal(x, -1), x[..., None, :])


def place_above(x):
    """The matrix with x_j at (j, j+1), for x that is 0 at the end."""
    return masked(_is_diagonal(x, 1), x[..., :, None])


def _is_diagonal(x, k):
    """[n, n]: true at (j, j + k), for a vector or matrix x."""
    i = tf.range(tf.shape(x)[-1])
    return tf.equal(i[:, None] + k, i[None, :])


def with_diagonal(X, x):
    """X with x, [..., n], on its diagonal. (tf.linalg.set_diag has a gradient that XLA can't compile for unknown shapes.)"""
    return tf.where(_is_diagonal(X, 0), x[..., None, :], X)


def starts(S):
    """[..., n]: true at the first row of each 2 x 2 block. Always false for complex dtypes."""
    if S.dtype.is_complex:
        return tf.zeros_like(tf.linalg.diag_part(S), dtype=tf.bool)
    return tf.not_equal(bands(S)[2], 0)


def balanced(S, T):
    """[p rho, q; r, s / rho] for each block [p q; r s] of S, with rho = sqrt(d / a) for T's block diag(a, d).

    Its eigenvalues are the block's alpha where beta is sqrt(a d). Returns the four entries, rho and beta, each [..., n]; where
    no block starts these are of an arbitrary block with complex eigenvalues, so that derivatives stay finite there.
    """
    return _balanced(starts(S), tf.linalg.diag_part(S), above(S), below(S), tf.linalg.diag_part(T))


def _balanced(start, s_diagonal, s_above, s_below, t_diagonal):
    one = tf.ones_like(s_diagonal)

    def entry(x, otherwise):
        return tf.where(start, x, otherwise)

    a, d = entry(t_diagonal, one), entry(following(t_diagonal), one)
    p, s = entry(s_diagonal, one), entry(following(s_diagonal), one)
    q, r = entry(s_above, one), entry(s_below, -one)
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
    """G and H in one tensor [2, ..., n, n], block diagonal unitary matrices such that G^H S H and G^H T H are upper triangular: a complex
    QZ of each block. Without a derivative.

    The balanced block [p q; r s] with eigenvalues x +- iy has q r < 0, (p - s)^2 / 4 + y^2 = -q r and the eigenvector v with
    |v_1|^2 : |v_2|^2 = |q| : |r|, in which v_2 / v_1 has the phase of (-(p - s) / 2 + iy) / q. The first column of a block of H is the
    direction of diag(sqrt(rho), 1 / sqrt(rho)) v, that of G the direction of T h and S h, diag(1 / sqrt(rho), sqrt(rho)) v.
    """
    diagonal, above_, below_ = bands(S)
    start = tf.not_equal(below_, 0)
    p, q, r, s, rho, _ = _balanced(start, diagonal, above_, below_, bands(T)[0])
    of_G = tf.reshape([True, False], tf.concat([[2], tf.ones([_rank(rho)], tf.int32)], axis=0))
    ratio = tf.where(of_G, 1 / rho, rho)
    first, second = tf.abs(q) * ratio, tf.abs(r) / ratio
    size = tf.sqrt(tf.abs(q)) * tf.sqrt(tf.abs(r))
    real = tf.clip_by_value((p - s) / 2, -size, size)  # the phase is right to where rounding leaves no imaginary part
    imaginary = tf.sqrt((size - real) * (size + real))
    c = tf.sqrt(tf.where(start, first / (first + second), tf.ones_like(first)))
    modulus = tf.sqrt(tf.where(start, second / (first + second), tf.zeros_like(first))) * tf.sign(q)
    # A division comes last: XLA computes again what is cheaper, for every entry of G and H.
    s = tf.complex(-modulus * real / size, modulus * imaginary / size)
    c = to_complex(c)
    X = masked(_is_diagonal(S, 0), (c * tf.roll(c, 1, tf.rank(c) - 1))[..., None])
    X = tf.where(_is_diagonal(S, 1), -tf.math.conj(s)[..., :, None], X)
    return tf.where(_is_diagonal(S, -1), s[..., None, :], X)


def roll(x, shift, axis):
    """x moved by `shift` places along an axis counted from the end, with zeros behind it.

    Not by tf.roll: XLA makes a loop of its own of each, and fuses a padded slice into whatever uses it. And vectorised by
    tf.vectorized_map or tape.jacobian, TensorFlow 2.21 takes tf.roll's negative axis for another one.
    """
    n = tf.shape(x)[axis]
    places = tf.minimum(abs(shift), n)
    before, after = (places, 0) if shift > 0 else (0, places)
    # Not tf.slice, whose gradient in a graph for XLA has none itself.
    kept = x[(..., slice(after, n - before), *[slice(None)] * (-1 - axis))]
    moved = _padded(kept, before, after, axis)
    moved.set_shape(x.shape)
    return moved


def _padded(x, before, after, axis):
    return tf.pad(x, tf.one_hot(_axis(x, axis), _rank(x), dtype=tf.int32)[:, None] * [before, after])


def _axis(x, axis):
    return _rank(x) + axis


def _rank(x):
    return tf.rank(x) if x.shape.rank is None else x.shape.rank
