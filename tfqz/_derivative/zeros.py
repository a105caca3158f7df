r"""The derivative of transmission zeros, which knows nothing of how they were found.

A zero z of a square system makes P - z N singular, P = [a b; c d] and N = diag(e, 0). With its null vectors x and y

    dz = y^H (dP - z dN) x / (y^H N x)                  Pb = y zb x^H / conj(y^H N x)         Nb = -conj(z) Pb

For derivatives of higher order x and y are functions of P, N and z, by a bordered matrix, which is regular where the null space is a line:

    M = (P - z N, y0; x0^H, 0)      M (x; g) = (0; 1)      M^H (y; conj(g)) = (0; 1)          g = 0 at a zero

with constant null vectors x0 and y0 on its border. (H. B. Keller, Numerical solution of bifurcation and nonlinear eigenvalue problems,
1977.) All that of the equilibrated diag(r) (P - z N) diag(c), with constants r and c, for diag(c)^-1 x and diag(r)^-1 y.
"""

import tensorflow as tf

from tfqz._derivative.attach import attach_gradient, differentiable, register_rule
from tfqz._form import blocks, checks
from tfqz._form.products import matmul

NOT_SQUARE = "`b`, `c` must be of a square system, with as many inputs as outputs, for gradients of transmission zeros; got {m} and {p}"


def attached(P, N, zeros, X, Y, native):
    """Zeros, [..., n], as functions of P and N, [..., n + p, n + m]. X, Y: null vectors of the equilibrated pencils, [..., n + m, n] and
    [..., n + p, n], 0 where there is no derivative."""
    return attach_gradient("Zeros", [P, N, X, Y], [zeros], native)[0]


@register_rule("Zeros", arguments=4)
def _of_zeros(arguments, values, cotangents, native):
    P, N, X, Y = arguments
    rows, columns = checks.inner(P.shape)
    if None not in (rows, columns) and rows != columns:
        n = checks.inner(values[0].shape)[-1]
        m, p = (size if n is None else size - n for size in (columns, rows))
        raise ValueError(NOT_SQUARE.format(m=m, p=p))
    return [*_pullback(P, N, *values, X, Y, *cotangents), None, None]


@differentiable
def _pullback(P, N, zeros, X, Y, zb):
    """Pb and Nb."""
    X, Y = tf.stop_gradient(X), tf.stop_gradient(Y)
    real = not P.dtype.is_complex
    good = tf.reduce_all(tf.math.is_finite(tf.math.real(P)) & tf.math.is_finite(tf.math.real(N)), axis=[-2, -1])
    asked = tf.reduce_any(tf.not_equal(zb, 0), axis=-1)
    P, N = (blocks.masked(good[..., None, None], x) for x in (P, N))
    P, N = (blocks.to_complex(x) if real else x for x in (P, N))
    known = tf.reduce_any(tf.not_equal(X, 0), axis=-2)
    z, zb = blocks.masked(known, zeros), blocks.masked(known, zb)
    pencil = P[..., None, :, :] - z[..., None, None] * N[..., None, :, :]
    rows, columns = _equilibrating(tf.stop_gradient(tf.abs(pencil)))
    pencil *= blocks.of_dtype(rows * columns, pencil.dtype)
    x0, y0 = (tf.linalg.matrix_transpose(x)[..., None] for x in (X, Y))
    corner = tf.zeros_like(z)[..., None, None]
    bordered = tf.concat([tf.concat([pencil, y0], -1), tf.concat([tf.linalg.adjoint(x0), corner], -1)], -2)
    bordered = tf.where(known[..., None, None], bordered, blocks.identity_like(bordered))  # which is never singular
    last = blocks.identity_like(bordered)[..., -1:]
    x, y = (
        _times(factors, tf.linalg.solve(bordered, last, adjoint=adjoint)[..., :-1, :])
        for factors, adjoint in ((tf.linalg.matrix_transpose(columns), False), (rows, True))
    )
    slope = tf.reduce_sum(tf.math.conj(y) * matmul(N[..., None, :, :], x), axis=[-2, -1])
    weight = tf.math.divide_no_nan(zb, tf.math.conj(slope))
    x, y = (tf.linalg.matrix_transpose(v[..., 0]) for v in (x, y))
    cotangents = [matmul(y * w[..., None, :], x, adjoint_b=True) for w in (weight, -tf.math.conj(z) * weight)]
    cotangents = [tf.math.real(x) for x in cotangents] if real else cotangents
    nan = tf.cast(float("nan"), cotangents[0].dtype)
    return [tf.where((~good & asked)[..., None, None], nan, x) for x in cotangents]


def _equilibrating(M):
    """r, [..., m, 1], and c, [..., 1, n], with which the largest entries of rows and columns of diag(r) M diag(c) are about 1; M, [..., m,
    n], entries >= 0. What `_backends/zeros_on_host.py` does."""
    rows, columns = tf.ones_like(M[..., :1]), tf.ones_like(M[..., :1, :])
    for _ in range(3):
        for axis in (-1, -2):
            size = tf.reduce_max(M * rows * columns, axis=axis, keepdims=True)
            size = tf.where(size > 0, size, tf.ones_like(size))
            rows, columns = (rows / size, columns) if axis == -1 else (rows, columns / size)
    return rows, columns


def _times(factors, x):
    """diag(factors) x, [..., n, 1], over a constant that makes the largest entry 1: both may leave the range together."""
    size = tf.reduce_max(factors * tf.stop_gradient(tf.abs(x)), axis=-2, keepdims=True)
    return x * blocks.of_dtype(tf.math.divide_no_nan(factors, size), x.dtype)
