"""The extended pencils of Riccati equations, and what their stable subspaces are solutions of. Without derivatives.

    continuous   [a  0  b; -q -a^H -s; s^H b^H r] - lambda diag(e, e^H, 0)
    discrete     [a  0  b; -q  e^H -s; s^H 0   r] - lambda [e 0 0; 0 a^H 0; 0 -b^H 0]

The last m columns, whose eigenvalues are infinite, are compressed away; on the stable subspace of what is left, spanned by [u1; u2], it is
X e u1 = u2. P. Van Dooren, A generalized eigenvalue approach for solving Riccati equations, SIAM J. Sci. Stat. Comput. 2 (1981) 121-135.
"""

import tensorflow as tf

from tfqz._derivative import linear
from tfqz._form import blocks, tolerances
from tfqz._form.products import matmul
from tfqz._form.traces import traced


@traced
def compressed(a, b, q, r, e, s, *, discrete, balance):
    """The pencil, both [..., 2 n, 2 n], and the scales d, [..., n], real powers of 2: in it u1 is that of the equation times d, u2 over d.

    `balance`: None, or a backend's function. That leaves the pencil what it is, of a Hamiltonian or symplectic kind: P. Benner, Symplectic
    balancing of Hamiltonian matrices, SIAM J. Sci. Comput. 22 (2001) 1885-1904.
    """
    n = tf.shape(a)[-1]
    H, J = _extended(a, b, q, r, e, s, discrete)
    scales = tf.ones_like(tf.math.real(a[..., 0]))
    if balance is not None:
        size = tf.abs(H) + tf.abs(J)
        powers = balance(blocks.with_diagonal(size, tf.zeros_like(size[..., 0])), True)[0]
        first, second, third = powers[..., :n], powers[..., n : 2 * n], powers[..., 2 * n :]
        powers = tf.cast((first - second) // 2, size.dtype)
        scales = 2**powers
        rows = blocks.of_dtype(tf.concat([scales, 2**-powers, 2 ** tf.cast(third, size.dtype)], axis=-1), a.dtype)
        H, J = (rows[..., :, None] * X / rows[..., None, :] for X in (H, J))
    complement = tf.linalg.qr(H[..., 2 * n :], full_matrices=True).q[..., tf.shape(b)[-1] :]
    H, J = (matmul(complement, X[..., : 2 * n], adjoint_a=True) for X in (H, J))
    return H, J, scales


def _extended(a, b, q, r, e, s, discrete):
    """H and J of the pencil, [..., 2 n + m, 2 n + m]."""

    def matrix(*rows):
        return tf.concat([tf.concat(row, axis=-1) for row in rows], axis=-2)

    adjoint, O, Ob, Or = tf.linalg.adjoint, tf.zeros_like(a), tf.zeros_like(b), tf.zeros_like(r)
    Obh = adjoint(Ob)
    if discrete:
        H = matrix((a, O, b), (-q, adjoint(e), -s), (adjoint(s), Obh, r))
        return H, matrix((e, O, Ob), (O, adjoint(a), Ob), (Obh, -adjoint(b), Or))
    H = matrix((a, O, b), (-q, -adjoint(a), -s), (adjoint(s), adjoint(b), r))
    return H, matrix((e, O, Ob), (O, adjoint(e), Ob), (Obh, Obh, Or))


@traced
def solution(z, alpha, beta, S, T, stable, e, scales, *, discrete):
    """X, [..., n, n], Hermitian, and how it can be none, [...], int32.

    Args:
      z, alpha, beta, S, T: of the ordered pencil, [..., 2 n, 2 n] and [..., 2 n].
      stable: [...], how many eigenvalues are stable.
      e, scales: [..., n, n], [..., n].
      discrete: a Python bool.

    Returns:
      X; how many eigenvalues are on the boundary of stability, up to the square root of the precision, in elements that fail, else 0; and 1
      where elements fail without any, else 0.
    """
    n, real = tf.shape(e)[-1], scales.dtype
    scale = blocks.of_dtype(scales, e.dtype)
    u1, u2 = z[..., :n, :n], z[..., n:, :n]
    u1 = matmul(scale[..., :, None] * e / scale[..., None, :], u1)
    # For e = I nothing but a rotation.
    U = tf.linalg.qr(tf.concat([u1, u2], axis=-2)).q
    u1, u2 = U[..., :n, :], U[..., n:, :]
    of_u1 = linear.factors(tf.linalg.adjoint(u1))
    X = linear.value(*of_u1, tf.linalg.adjoint(u2))
    X = (X + tf.linalg.adjoint(X)) / 2
    product = matmul(u1, u2, adjoint_a=True)
    norm, asymmetry = (_norm(x) for x in (product, product - tf.linalg.adjoint(product)))
    epsilon = tolerances.epsilon(e.dtype)
    bad = (
        linear.is_singular(of_u1[1], epsilon)
        | ~(asymmetry <= tf.maximum(tf.constant(1000 * epsilon, real), 0.1 * norm))
        | tf.not_equal(stable, n)
    )
    beta = blocks.to_complex(tf.math.real(beta))
    x, y = (v / blocks.to_complex(blocks.largest(F)[..., 0]) for v, F in ((alpha, S), (beta, T)))
    size = tf.sqrt(tf.abs(x) ** 2 + tf.abs(y) ** 2)
    distance = tf.abs(tf.abs(x) - tf.abs(y)) if discrete else tf.abs(tf.math.real(x))
    near = tf.reduce_sum(tf.cast(distance <= tf.cast(epsilon**0.5, real) * size, tf.int32), axis=-1)
    near = tf.where(bad, near, tf.zeros_like(near))
    X = scale[..., :, None] * X * scale[..., None, :]
    return X, near, tf.cast(bad & tf.equal(near, 0), tf.int32)


def _norm(X):
    """The 1-norm, [...], real."""
    return tf.reduce_max(tf.reduce_sum(tf.abs(X), axis=-2), axis=-1)


@traced
def unfit(q, r, e, *, discrete):
    """How arguments are what they must not be, [4, ...], int32, 0 or 1: q not Hermitian, r not, r singular (continuous), e singular."""

    def not_hermitian(X):
        # SciPy's bound.
        return _norm(X - tf.linalg.adjoint(X)) > 100 * tolerances.epsilon(X.dtype) * _norm(X)

    def singular(X):
        return linear.is_singular(tf.linalg.qr(X).r, tolerances.epsilon(X.dtype))

    none = tf.zeros(tf.shape(q)[:-2], tf.bool)
    return tf.cast(tf.stack([not_hermitian(q), not_hermitian(r), none if discrete else singular(r), singular(e)]), tf.int32)
