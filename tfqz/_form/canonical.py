"""The canonical form in TensorFlow operations, for the backends that don't get it from the C++ core.

The rules, which `cc/pencil/canonical.h` has too:

 1. t_jj is real and >= 0; where t_jj = 0 (an infinite eigenvalue) s_jj is real and >= 0; where both are 0 the largest entry
    of column j of Q is real and positive.
 2. In each column of Z the largest entry is real and positive: the first that reaches the largest modulus up to ties.
 3. In a 2 x 2 block of the real form T's block is diag(a, d), a >= d > 0, as LAPACK's xHGEQZ leaves it.
"""

import tensorflow as tf

from tfqz._form import blocks, quotients, tolerances


def canonicalize(S, T, Q, Z):
    """The factors [..., n, n] with columns of Q and Z multiplied by the phases, or signs, of the canonical form."""
    conj = tf.math.conj
    right = conj(quotients.phase(_largest(Z)))[..., None, :]
    S, T, Z = S * right, T * right, _with_positive_largest(Z * right)
    s, t = tf.linalg.diag_part(S), tf.linalg.diag_part(T)
    left = tf.where(tf.not_equal(t, 0), t, tf.where(tf.not_equal(s, 0), s, conj(_largest(Q))))
    left = quotients.phase(left)
    S, T, Q = conj(left)[..., :, None] * S, conj(left)[..., :, None] * T, Q * left[..., None, :]
    # Rounding leaves imaginary parts where the convention has none.
    T = blocks.with_diagonal(T, _modulus(t))
    S = blocks.with_diagonal(S, tf.where(tf.equal(t, 0), _modulus(s), tf.linalg.diag_part(S)))
    return S, T, Q, Z


def canonicalize_schur(T, Z):
    """The factors of an ordinary Schur form, [..., n, n], in canonical form: rule 2, and 2 x 2 blocks [p b; c p], |b| >= |c|."""
    if not T.dtype.is_complex:
        T, Z = _with_equal_diagonals(T, Z)
    turn = tf.math.conj(quotients.phase(_largest(Z)))
    diagonal = tf.linalg.diag_part(T)  # turned forth and back
    T = tf.math.conj(turn)[..., :, None] * T * turn[..., None, :]
    return blocks.with_diagonal(T, diagonal), _with_positive_largest(Z * turn[..., None, :])


def _with_equal_diagonals(T, Z):
    """Turns each 2 x 2 block so that both entries on its diagonal are equal and the larger one beside it is the upper one.

    A rotation by w turns the traceless symmetric part [x y; y -x] by -2 w, to [0 z; z 0] here, and leaves the skew-symmetric part
    [0 u; -u 0]; z has the sign of u.
    """
    p, b, c, s = blocks.bands(T)
    start, zero = tf.not_equal(c, 0), tf.zeros_like(c)
    x, y, u = (p - s) / 2, (b + c) / 2, (b - c) / 2
    sign = tf.where(u < 0, -tf.ones_like(u), tf.ones_like(u))
    angle = tf.atan2(-sign * x, sign * y) / 2
    turn = blocks.rotations(tf.where(start & (tf.not_equal(x, 0) | tf.not_equal(y, 0)), angle, zero))
    T, Z = turn.adjoint().rows(turn.columns(T)), turn.columns(Z)
    p, c = tf.linalg.diag_part(T), tf.where(start, blocks.below(T), zero)
    mean = (p + blocks.following(p)) / 2
    mean = tf.where(start, mean, tf.where(blocks.preceding(start), blocks.preceding(mean), p))
    # What is as good as a double real eigenvalue to rounding: b c >= 0.
    c = tf.where(blocks.above(T) * tf.sign(c) < 0, c, zero)
    return blocks.with_diagonal(tf.linalg.band_part(T, 0, -1), mean) + blocks.place_below(c), Z


def is_largest(X):
    """[..., n, n] of X's dtype: 1 at each column's largest entry, else 0."""
    reaches = tf.cast(ties(X), tf.int32)
    return tf.cast(tf.equal(tf.cumsum(reaches, axis=-2) * reaches, 1), X.dtype)


def ties(X):
    """[..., n, n]: true at the entries of each column whose modulus is the largest up to ties."""
    modulus = tf.abs(X)
    return modulus >= (1 - tolerances.tie(X.dtype)) * tf.reduce_max(modulus, axis=-2, keepdims=True)


def with_positive_largest(X):
    """X, [..., n, n], with columns multiplied by phases, or signs, so that the largest entry of each is real and positive."""
    return _with_positive_largest(X * tf.math.conj(quotients.phase(_largest(X)))[..., None, :])


def _largest(X):
    """[..., n]: the largest entry of each column, the one that `is_largest` chooses."""
    return tf.reduce_sum(is_largest(X) * X, axis=-2)


def _with_positive_largest(Z):
    """Z, [..., n, n], whose largest entries are real and positive up to rounding, without that rounding."""
    if not Z.dtype.is_complex:
        return Z
    return tf.where(tf.equal(is_largest(Z), 1), _modulus(Z), Z)


def _modulus(x):
    """|x| in the dtype of x."""
    return tf.cast(tf.abs(x), x.dtype)
