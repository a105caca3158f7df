r"""Systems of linear equations that don't harm others in their batch, as functions of coefficients and right-hand sides.

    A X = F          A = Q R Z^H, R upper triangular

With Y of A^H Y = Xb, a system of the same kind, Fb = Y and Ab = -Y X^H. tf.linalg.solve raises an error for a batch of which one matrix
is singular, and XLA's is for real matrices on CPUs.
"""

import tensorflow as tf

from tfqz._derivative.attach import attach_gradient, register_rule
from tfqz._form import blocks, orthogonal, turned
from tfqz._form.products import matmul, triangular_solve


def factors(A):
    """(Q, R, Z) of A, [..., n, n], without a derivative."""
    Q, R = orthogonal.qr(A)
    return Q, R, blocks.identity_like(R)


def solve(A, F, native, of_A=None):
    """X of A X = F.

    Args:
      A: [..., n, n], differentiable.
      F: [..., n, k], of its batch shape, differentiable.
      native: a Python bool, with the op library.
      of_A: None, or (Q, R, Z) of it.
    """
    Q, R, Z = factors(A) if of_A is None else of_A
    X = value(*map(tf.stop_gradient, (Q, R, F)))
    X = X if of_A is None else matmul(tf.stop_gradient(Z), X)  # else Z = I
    return attach_gradient("LinearSolve", [A, F, Q, R, Z], [X], native)[0]


def value(Q, R, F):
    """R^-1 Q^H F, without a derivative worth having. Where R is singular it is what is left without its zeros."""
    return triangular_solve(blocks.regular(R), matmul(Q, F, adjoint_a=True), lower=False)


def is_singular(R, tolerance):
    """[...]: whether a diagonal entry of R, [..., n, n], is at most `tolerance` times the largest one, or not finite."""
    size = tf.abs(tf.linalg.diag_part(R))
    return ~tf.reduce_all(size > tolerance * tf.reduce_max(size, axis=-1, keepdims=True), axis=-1)


@register_rule("LinearSolve", arguments=5)
def _pullback(arguments, values, cotangents, native):
    """Cotangents of A and F; None for factors."""
    (A, _, Q, R, Z), (X,), (Xb,) = arguments, values, cotangents
    Y = solve(tf.linalg.adjoint(A), Xb, native, (turned.columns(Z), turned.adjoint(R), turned.columns(Q)))
    return [-matmul(Y, X, adjoint_b=True), Y, None, None, None]
