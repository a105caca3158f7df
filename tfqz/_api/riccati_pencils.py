"""The extended pencils of Riccati equations, and what their stable subspaces are solutions of. Without derivatives.

    continuous   [a  0  b; -q -a^H -s; s^H b^H r] - lambda diag(e, e^H, 0)
    discrete     [a  0  b; -q  e^H -s; s^H 0   r] - lambda [e 0 0; 0 a^H 0; 0 -b^H 0]

The last m columns, whose eigenvalues are infinite, are compressed away; on the stable subspace of what is left, spanned by [u1; u2], it is
X e u1 = u2. P. Van Dooren, A generalized eigenvalue approach for solving Riccati equations, SIAM J. Sci. Stat. Comput. 2 (1981) 121-135.
"""

import tensorflow as tf

from tfqz._api import systems
from tfqz._derivative import linear, riccati
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
    scales = tf.ones(tf.shape(a)[:-1], a.dtype.real_dtype)
    if balance is not None:
        size = tf.abs(H) + tf.abs(J)
        powers = balance(blocks.with_diagonal(size, tf.zeros_like(tf.linalg.diag_part(size))), True)[0]
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
    matrix = systems.matrix_of
    adjoint, O, Ob, Or = tf.linalg.adjoint, tf.zeros_like(a), tf.zeros_like(b), tf.zeros_like(r)
    Obh = adjoint(Ob)
    if discrete:
        H = matrix((a, O, b), (-q, adjoint(e), -s), (adjoint(s), Obh, r))
        return H, matrix((e, O, Ob), (O, adjoint(a), Ob), (Obh, -adjoint(b), Or))
    H = matrix((a, O, b), (-q, -adjoint(a), -s), (adjoint(s), adjoint(b), r))
    return H, matrix((e, O, Ob), (O, adjoint(e), Ob), (Obh, Obh, Or))


@traced
def solution(z, e, scales):
    """X, [..., n, n], Hermitian, from z of the ordered pencil, [..., 2 n, 2 n]; and where it is none, [...]."""
    n = tf.shape(e)[-1]
    scale = blocks.of_dtype(scales, e.dtype)
    u1, u2 = z[..., :n, :n], z[..., n:, :n]
    u1 = matmul(scale[..., :, None] * e / scale[..., None, :], u1)
    # For e = I nothing but a rotation.
    U = tf.linalg.qr(tf.concat([u1, u2], axis=-2)).q
    u1, u2 = U[..., :n, :], U[..., n:, :]
    Q, R = tf.linalg.qr(tf.linalg.adjoint(u1))
    X = riccati.hermitian(linear.value(Q, R, tf.linalg.adjoint(u2)))
    product = matmul(u1, u2, adjoint_a=True)
    norm, asymmetry = (_norm(x) for x in (product, product - tf.linalg.adjoint(product)))
    epsilon = tolerances.epsilon(e.dtype)
    # SciPy's bounds.
    symmetric = asymmetry <= tf.maximum(tf.constant(1000 * epsilon, norm.dtype), 0.1 * norm)
    regular = tf.reduce_all(tf.abs(tf.linalg.diag_part(R)) > epsilon, axis=-1)
    return scale[..., :, None] * X * scale[..., None, :], ~(regular & symmetric)


@traced
def on_boundary(alpha, beta, *, discrete):
    """[...], int32: how many eigenvalues of a pencil are where stability ends, up to what rounding does to a pair that meets there."""
    beta = tf.math.real(beta)
    distance = tf.abs(tf.abs(alpha) - beta) if discrete else tf.abs(tf.math.real(alpha))
    return _count(distance <= _reach(alpha, beta))


@traced
def unstable(alpha, beta):
    """[...], int32: how many eigenvalues of a closed loop's pencil, `riccati.pencil`, are outside the left half plane by more than that."""
    return _count(~(tf.math.real(alpha) < _reach(alpha, tf.math.real(beta))))


def _reach(alpha, beta):
    return tf.cast(10 * tolerances.epsilon(beta.dtype) ** 0.5, beta.dtype) * tf.sqrt(tf.abs(alpha) ** 2 + beta**2)


def _count(which):
    return tf.reduce_sum(tf.cast(which, tf.int32), axis=-1)


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
