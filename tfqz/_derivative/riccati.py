r"""The gradient of the stabilizing solutions of algebraic Riccati equations.

    continuous     a^H X e + e^H X a - (e^H X b + s) r^-1 (e^H X b + s)^H + q = 0
    discrete       a^H X a - e^H X e - (a^H X b + s) (r + b^H X b)^-1 (a^H X b + s)^H + q = 0

With M = e^H X b + s (discrete: a^H X b + s), K = (r [+ b^H X b])^-1 M^H and the closed loop Ac = a - b K, for a cotangent Xb, made
Hermitian,

    Ac P e^H + e P Ac^H = -Xb              discrete  Ac P Ac^H - e P e^H = -Xb
    ab   2 X e P                                     2 X Ac P
    bb  -2 X e P K^H                                -2 X Ac P K^H
    eb   2 X Ac P                                   -2 X e P
    qb   P          rb   K P K^H          sb   -2 P K^H             (the same in both)

It divides by lambda_i + conj(lambda_j), or by 1 - lambda_i conj(lambda_j), of the closed loop's eigenvalues, never by their differences:
exact for multiple and defective closed loops, and for indefinite r.

The value has the same equation: X + D, with the D of the adjoint equation for minus the residual, is Newton's next one. The discrete
equation is solved as the continuous one of the pencil (Ac - e, Ac + e) with twice the right-hand side.
"""

import tensorflow as tf

from tfqz._derivative import failed, linear, sylvester
from tfqz._derivative.attach import attach_gradient, differentiable, register_rule
from tfqz._form import blocks, pairs, powers, turned
from tfqz._form.products import matmul
from tfqz._form.traces import traced

_RULES = {
    (False, False): "Riccati",
    (True, False): "DiscreteRiccati",
    (False, True): "DescriptorRiccati",
    (True, True): "DiscreteDescriptorRiccati",
}


def attach(X, a, b, q, r, e, s, factors, discrete, native):
    """X, [..., n, n], as a function of the others. e and s may be None. `factors`: (S, T, Q, Z) of `pencil`, without gradients."""
    given = [a, b, q, r]
    if e is not None or s is not None:
        given += [blocks.identity_like(a) if e is None else e, tf.zeros_like(b) if s is None else s]
    return attach_gradient(_RULES[discrete, len(given) > 4], [*given, *factors], [X], native)[0]


def gain(X, a, b, r, e, s, discrete, native):
    """K and Ac. e and s may be None."""
    Xb = matmul(X, b)
    M = matmul(a, Xb, adjoint_a=True) if discrete else Xb if e is None else matmul(e, Xb, adjoint_a=True)
    M = M if s is None else M + s
    # In units of inputs in which none is small beside others: of what these are about nothing gets lost. From 0.7 to 1.4 it is 1.
    W = weight(X, b, r, discrete)
    units = blocks.of_dtype(powers.up_to(tf.math.rsqrt(of_inputs(W) / 2)), W.dtype)
    K = units * linear.solve(units * W * tf.linalg.matrix_transpose(units), units * tf.linalg.adjoint(M), native)
    return K, a - matmul(b, K)


@differentiable
def feedback(X, a, b, r, s, discrete=False, native=False):
    """`gain` without a descriptor."""
    return gain(X, a, b, r, None, s, discrete, native)


def weight(X, b, r, discrete):
    """What the gain divides by, [..., m, m]."""
    return r + matmul(b, matmul(X, b), adjoint_a=True) if discrete else r


def of_inputs(W):
    """What a Hermitian matrix, [..., m, m], is for each input, [..., m, 1], real: its diagonal if it is definite, or what its other
    entries are beside that of theirs. 0 for a row of zeros."""
    size = tf.abs(tf.stop_gradient(W))
    largest = tf.reduce_max(size, axis=-2, keepdims=True)
    others = tf.math.divide_no_nan(size, largest) * size
    return tf.maximum(tf.linalg.diag_part(size)[..., None], tf.reduce_max(others, axis=-1, keepdims=True))


def pencil(Ac, e, discrete):
    """The pencil of the Lyapunov equation, of which `attach` takes the factors."""
    e = blocks.identity_like(Ac) if e is None else e
    return (Ac - e, Ac + e) if discrete else (Ac, e)


@traced
def closed_loop(X, a, b, r, e, s, *, discrete, native):
    """`pencil`, and without a derivative."""
    return pencil(gain(X, a, b, r, e, s, discrete, native)[1], e, discrete)


@traced
def newton_step(X, a, b, q, r, e, s, S, T, Q, Z, *, discrete, native):
    """The next X, by the residual in more than the working precision and S, T, Q, Z of `pencil`, for X or for one near it. Without a
    derivative."""
    K, _ = gain(X, a, b, r, e, s, discrete, native)
    residual = _residual(X, K, a, b, q, r, e, s, discrete)
    D, _ = sylvester.solve_lyapunov(*turned.adjoint_pencil(S, T, Q, Z), -residual * (2 if discrete else 1), native=native)
    return hermitian(X + D)


def _residual(X, K, a, b, q, r, e, s, discrete):
    """What X leaves of the equation, Hermitian: with Z = [I; -K] it is Z^H [q s; s^H r] Z + Ac^H X e + e^H X Ac, or its discrete sister,
    which errors of K change by their squares."""
    dtype = X.dtype
    wide = tf.complex128 if dtype.is_complex else tf.float64
    X, K, a, b, q, r, e, s = (pairs.exact(tf.cast(x, wide)) for x in (X, K, a, b, q, r, e, s))
    n, m = tf.shape(b[0])[-2], tf.shape(b[0])[-1]

    def beside(*x):
        return pairs.stacked(*x, axis=-1)

    def above(*x):
        return pairs.stacked(*x, axis=-2)

    Z = above(pairs.exact(blocks.identity_like(a[0])), pairs.negative(K))
    Y = pairs.product(above(beside(q, s), beside(pairs.adjoint(s), r), beside(a, b)), Z)
    W, Ac = (pairs.part(Y, rows) for rows in (slice(None, n + m), slice(n + m, None)))
    if discrete:
        V = pairs.product(X, beside(Ac, e))
        of_Ac, of_e = (pairs.part(V, columns=columns) for columns in (slice(None, n), slice(n, None)))
        left, right = (Z, Ac, pairs.negative(e)), (W, of_Ac, of_e)
    else:
        V = pairs.product(X, Ac)
        left, right = (Z, V, e), (W, e, V)
    high, low = pairs.product(beside(*map(pairs.adjoint, left)), above(*right))
    return tf.cast(hermitian(high + low), dtype)


def hermitian(X):
    """Its Hermitian part."""
    return (X + tf.linalg.adjoint(X)) / 2


@register_rule("Riccati", arguments=8)
def _of_continuous(arguments, values, cotangents, native):
    """Cotangents of a, b, q, r, then of e and s in the descriptors' rules, and None for the factors."""
    return _of_standard(arguments, values, cotangents, False, native)


@register_rule("DiscreteRiccati", arguments=8)
def _of_discrete(arguments, values, cotangents, native):
    return _of_standard(arguments, values, cotangents, True, native)


def _of_standard(arguments, values, cotangents, discrete, native):
    a, b, _, r, *factors = arguments
    return [*_pull_standard(*factors, *values, a, b, r, *cotangents, discrete=discrete, native=native), *[None] * 4]


@register_rule("DescriptorRiccati", arguments=10)
def _of_continuous_descriptor(arguments, values, cotangents, native):
    return _of_descriptor(arguments, values, cotangents, False, native)


@register_rule("DiscreteDescriptorRiccati", arguments=10)
def _of_discrete_descriptor(arguments, values, cotangents, native):
    return _of_descriptor(arguments, values, cotangents, True, native)


def _of_descriptor(arguments, values, cotangents, discrete, native):
    a, b, _, r, e, s, *factors = arguments
    return [*_pull_descriptor(*factors, *values, a, b, r, e, s, *cotangents, discrete=discrete, native=native), *[None] * 4]


@differentiable
@failed.kept_from_gradients("FFFF PPPP M")
def _pull_standard(S, T, Q, Z, X, a, b, r, Xb, discrete=False, native=False):
    """ab, bb, qb, rb."""
    K, Ac, P = _multiplier(S, T, Q, Z, X, a, b, r, None, None, Xb, discrete, native)
    return _of_coefficients(X, K, P, Ac if discrete else None)


@differentiable
@failed.kept_from_gradients("FFFF PPPPPP M")
def _pull_descriptor(S, T, Q, Z, X, a, b, r, e, s, Xb, discrete=False, native=False):
    """ab, bb, qb, rb, eb, sb."""
    K, Ac, P = _multiplier(S, T, Q, Z, X, a, b, r, e, s, Xb, discrete, native)
    of_e = 2 * matmul(X, matmul(e if discrete else Ac, P))
    of_s = -2 * matmul(P, K, adjoint_b=True)
    return [*_of_coefficients(X, K, P, Ac if discrete else e), -of_e if discrete else of_e, of_s]


def _multiplier(S, T, Q, Z, X, a, b, r, e, s, Xb, discrete, native):
    """K, Ac and P."""
    K, Ac = gain(X, a, b, r, e, s, discrete, native)
    Xb = hermitian(Xb)
    P = sylvester.lyapunov(*pencil(Ac, e, discrete), -Xb * (2 if discrete else 1), (S, T, Q, Z), native, refined=not discrete)
    return K, Ac, (P + _correction(P, Xb, Ac, e, S, T, Q, Z, native) if discrete else P)


def _correction(P, Xb, Ac, e, S, T, Q, Z, native):
    """What P of the discrete equation has to be corrected by, a constant. As `sylvester.lyapunov` does, but by the residual of that
    equation itself: in Ac - e and Ac + e the smaller one of both has lost what it is smaller by."""
    P, Xb, Ac = map(tf.stop_gradient, (P, Xb, Ac))
    e = None if e is None else tf.stop_gradient(e)

    def between(X):
        return matmul(matmul(X, P), X, adjoint_b=True)

    residual = 2 * (between(Ac) - (P if e is None else between(e)) + Xb)
    return tf.stop_gradient(sylvester.solve_lyapunov(S, T, Q, Z, -residual, native=native)[0])


def _of_coefficients(X, K, P, left):
    """ab, bb, qb, rb. `left`: None for the identity."""
    KP = matmul(K, P)
    of_a = 2 * matmul(X, P if left is None else matmul(left, P))
    return [of_a, -matmul(of_a, K, adjoint_b=True), P, matmul(KP, K, adjoint_b=True)]
