r"""The policy T of a linear rational expectations model, A + B T + C T^2 = 0, as a function of the coefficients.

With M = B + C T and the solution L for a cotangent Tb of the adjoint equation

    M dT + C dT T = -(dA + dB T + dC T^2)
    M^H L + C^H L T^H = -Tb                  Ab = L      Bb = L T^H      Cb = L (T^2)^H

The pencil (M, -C) has the eigenvalues that are not stable, T the stable ones: the equation is regular
whatever coincides on either side.

P. Klein, Using the generalized Schur form to solve a multivariate linear rational expectations model, J. Econ. Dyn. Control 24 (2000)
1405-1423, for the policy.
"""

import tensorflow as tf

from tfqz._derivative import failed, sylvester
from tfqz._derivative.attach import attach_gradient, differentiable, register_rule
from tfqz._form import turned
from tfqz._form.products import matmul


def policy(A, B, C, T, of_pencil, of_T, native):
    """T as a function of A, B and C.

    Args:
      A, B, C, T: [..., n, n], of one dtype and batch shape.
      of_pencil, of_T: factors of M, C = Q S Z^H, Q N Z^H and T = V W V^H: (S, N, Q, Z) and (W, V). Where S is NaN, T is.
      native: a Python bool, as in `equations.py`.
    """
    (T,) = failed.filled(~failed.succeeded(of_pencil[0]), [T])
    return attach_gradient("RationalExpectations", [A, B, C, *of_pencil, *of_T], [T], native)[0]


@register_rule("RationalExpectations", arguments=9)
def _of_expectations(arguments, values, cotangents, native):
    """Cotangents of A, B, C, [..., n, n], and None for the factors."""
    _, B, C, *factors = arguments
    return [*_pull_expectations(*factors, B, C, *values, *cotangents, native=native), *[None] * 6]


@differentiable
@failed.kept_from_gradients("FFFFFF PPP M")
def _pull_expectations(S, N, Q, Z, W, V, B, C, T, Tb, native=False):
    M = B + matmul(C, T)
    of_adjoint = turned.adjoint_pencil(S, N, Q, Z), turned.adjoint_schur(W, V)
    L = sylvester.policy(*map(tf.linalg.adjoint, (M, C, T)), -Tb, *of_adjoint, native)
    LT = matmul(L, T, adjoint_b=True)
    return [L, LT, matmul(LT, T, adjoint_b=True)]
