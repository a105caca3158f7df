"""The extended pencils of Riccati equations, and what their stable subspaces are solutions of. Without derivatives.

    continuous   [a  0  b; -q -a^H -s; s^H b^H r] - lambda diag(e, e^H, 0)
    discrete     [a  0  b; -q  e^H -s; s^H 0   r] - lambda [e 0 0; 0 a^H 0; 0 -b^H 0]

The last m columns, whose eigenvalues are infinite, are compressed away; on the stable subspace of what is left, spanned by [u1; u2], it is
X e u1 = u2. P. Van Dooren, A generalized eigenvalue approach for solving Riccati equations, SIAM J. Sci. Stat. Comput. 2 (1981) 121-135.
"""

from typing import NamedTuple

import tensorflow as tf

from tfqz._api import systems
from tfqz._derivative import linear, riccati
from tfqz._form import blocks, orthogonal, powers, quotients, tolerances
from tfqz._form.products import matmul
from tfqz._form.traces import traced


class Units(NamedTuple):
    """Exponents: i of states, [..., n], which costates have negative; k of costs, [..., 1, 1]; of rows and of columns of inputs, [..., m].
    In these units a is 2^i a 2^-i, and the solution 2^(-i - k) x 2^-i."""

    states: tf.Tensor
    costs: tf.Tensor
    rows: tf.Tensor
    columns: tf.Tensor


@traced
def in_units(a, b, q, r, e, s, *, discrete, balance):
    """The equation's arguments in units of states and costs in which none is small beside others, as far as units can do that; and these,
    with those of inputs. `balance`: None, or a backend's function."""
    none = tf.zeros(tf.shape(a)[:-1], tf.int32)
    if balance is None:
        of_inputs = tf.zeros_like(tf.linalg.diag_part(r), tf.int32)
        return (a, b, q, r, e, s), Units(none, tf.zeros_like(none[..., :1, None]), of_inputs, of_inputs)
    of_costs = powers.exponents(systems.matrix_of((q, s), (tf.linalg.adjoint(s), r)))
    q, r, s = (powers.times(X, -of_costs) for X in (q, r, s))
    of_states, *of_inputs = _units(*(tf.cast(tf.abs(X), tf.float64) for X in (a, b, q, r, e, s)), discrete, balance)
    of_columns = tf.zeros_like(of_inputs[0])
    a, e = powers.scaled((a, e), of_states, -of_states)
    b, s = (powers.scaled((X,), rows, of_columns)[0] for X, rows in ((b, of_states), (s, -of_states)))
    (q,) = powers.scaled((q,), -of_states, -of_states)
    return (a, b, q, r, e, s), Units(of_states, of_costs, *of_inputs)


def _units(a, b, q, r, e, s, discrete, balance):
    """The exponents of states and of inputs, by the moduli of the arguments, float64.

    States have such that [a - b r^-1 s^H, b r^-1 b^H; q - s r^-1 s^H, adjoint], up to signs, is balanced by diag(2^i, 2^-i), as far as
    a bound for it is, with r + b^H q b for r in discrete time: P. Benner, Symplectic balancing of Hamiltonian matrices, SIAM J. Sci.
    Comput. 22 (2001) 1885-1904. Inputs have such that b, s and r are of the same size in the columns that are compressed away.
    """
    n, one = tf.shape(a)[-1], tf.ones([], tf.float64)

    def or_else(x, y):
        return tf.where(x > 0, x, y)

    weight = riccati.of_inputs(r)
    largest = tf.linalg.matrix_transpose(tf.reduce_max(b, axis=-2, keepdims=True))
    if discrete:
        weight += tf.linalg.matrix_transpose(tf.reduce_sum(b * matmul(q, b), axis=-2, keepdims=True))
    weight = or_else(or_else(weight, largest**2 * blocks.largest(q)), one)
    b, s = (X / tf.linalg.matrix_transpose(tf.sqrt(weight)) for X in (b, s))
    of_a, of_b, of_q = a + e + matmul(b, s, transpose_b=True), matmul(b, b, transpose_b=True), q + matmul(s, s, transpose_b=True)
    size = systems.matrix_of((of_a, of_b), (of_q, tf.linalg.matrix_transpose(of_a)))
    # Sums of rows and columns stay in the range.
    size = tf.minimum(size, tf.float64.max / 4 / tf.cast(n, size.dtype))
    found = balance(blocks.with_diagonal(size, tf.zeros_like(tf.linalg.diag_part(size))), True)[0]
    states = (found[..., :n] - found[..., n:]) // 2
    none = tf.zeros_like(weight[..., 0], tf.int32)
    beside = tf.concat([*powers.scaled((b,), states, none), *powers.scaled((s,), -states, none)], axis=-2)
    of_inputs, of_weight = (powers.exponents(X[..., None])[..., 0, 0] for X in (tf.linalg.matrix_transpose(beside), tf.sqrt(weight)))
    return states, of_inputs - of_weight, -of_inputs - of_weight


@traced
def out_of_units(x, of_states, of_costs):
    """The solution as it was asked for."""
    return powers.times(powers.scaled((x,), of_states, of_states)[0], of_costs)


@traced
def compressed(a, b, q, r, e, s, rows, columns, *, discrete):
    """The pencil, both [..., 2 n, 2 n]. `rows`, `columns`: exponents of the inputs' ones."""
    n = tf.shape(a)[-1]
    H, J = _extended(a, b, q, r, e, s, discrete)
    none = tf.zeros_like(tf.linalg.diag_part(H)[..., : 2 * n], tf.int32)
    H, J = powers.scaled((H, J), tf.concat([none, rows], axis=-1), tf.concat([none, columns], axis=-1))
    complement = orthogonal.qr(H[..., 2 * n :], full_matrices=True)[0][..., tf.shape(b)[-1] :]
    return [matmul(complement, X[..., : 2 * n], adjoint_a=True) for X in (H, J)]


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
def solution(z, e):
    """X, [..., n, n], Hermitian, from z of the ordered pencil, [..., 2 n, 2 n]; and where it is none, [...]."""
    n = tf.shape(e)[-1]
    u1, u2 = z[..., :n, :n], z[..., n:, :n]
    u1 = matmul(e, u1)
    # For e = I nothing but a rotation.
    U = orthogonal.qr(tf.concat([u1, u2], axis=-2))[0]
    u1, u2 = U[..., :n, :], U[..., n:, :]
    Q, R = orthogonal.qr(tf.linalg.adjoint(u1))
    X = riccati.hermitian(linear.value(Q, R, tf.linalg.adjoint(u2)))
    product = matmul(u1, u2, adjoint_a=True)
    norm, asymmetry = (_norm(x) for x in (product, product - tf.linalg.adjoint(product)))
    epsilon = tolerances.epsilon(e.dtype)
    # SciPy's bounds.
    symmetric = asymmetry <= tf.maximum(tf.constant(1000 * epsilon, norm.dtype), 0.1 * norm)
    regular = tf.reduce_all(tf.abs(tf.linalg.diag_part(R)) > epsilon, axis=-1)
    return X, ~(regular & symmetric)


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


@traced
def undecided(alpha, beta):
    """[...], int32: how many eigenvalues of a closed loop are on the boundary up to what rounding does to one that is no pair. They can't
    be stabilized: the pencil's pairs, which rounding moves farther, came out one on each side."""
    size = tf.reduce_max(tf.abs(alpha), axis=-1, keepdims=True)
    n = tf.cast(tf.shape(alpha)[-1], size.dtype)
    return _count(tf.abs(tf.math.real(alpha)) <= 10 * tolerances.epsilon(size.dtype) * n * size)


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
        # In no units, of rows or of columns.
        for axis in (-1, -2):
            X = quotients.over(X, powers.up_to(tf.reduce_max(tf.abs(X), axis=axis, keepdims=True)))
        return linear.is_singular(orthogonal.qr(X)[1], tolerances.epsilon(X.dtype))

    none = tf.zeros(tf.shape(q)[:-2], tf.bool)
    return tf.cast(tf.stack([not_hermitian(q), not_hermitian(r), none if discrete else singular(r), singular(e)]), tf.int32)
