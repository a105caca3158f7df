r"""Sylvester and Lyapunov equations, as functions of their coefficients and right-hand sides.

    sylvester      A X + X B = F                       from A = U S U^H, B = V W V^H
    policy         A X + C X D = F                     from A = Q S Z^H, C = Q T Z^H, D = V W V^H
    lyapunov       A X E^H + E X A^H = F               from A = Q S Z^H, E = Q T Z^H
    coupled        A R - L B = C,  D R - L E = F       from A, D = Q S Z^H, Q T Z^H and B, E = P V Y^H, P W Y^H

Each is a block of the triangular equations (2) between both pencils, in the frames of their factors. With the solution Y for a cotangent
Xb of the adjoint equation, which for the first three is one of the same kind,

    A^H Y + Y B^H = Xb                  Fb = Y    Ab = -Y X^H               Bb = -X^H Y
    A^H Y + C^H Y D^H = Xb              Fb = Y    Ab = -Y X^H               Cb = -Y (X D)^H       Db = -(C X)^H Y
    A^H Y E + E^H Y A = Xb              Fb = Y    Ab = -Y E X^H - Y^H E X   Eb = -Y A X^H - Y^H A X

    A^H U + D^H V = Rb                  Cb = U    Ab = -U R^H               Bb = L^H U
    -U B^H - V E^H = Lb                 Fb = V    Db = -V R^H               Eb = L^H V

The factors are a means and have no derivative: nothing is divided but by what makes the equation regular, and among themselves the
eigenvalues of a coefficient may coincide. That they are factors of other matrices than the coefficients, but near ones, costs as much
accuracy and no more.

J. D. Gardiner, A. J. Laub, J. J. Amato and C. B. Moler, Solution of the Sylvester matrix equation A X B^T + C X D^T = E, ACM Trans.
Math. Softw. 18 (1992) 223-231; B. Kagstrom and L. Westin, IEEE Trans. Autom. Control 34 (1989) 745-751, for the last one.
"""

import tensorflow as tf

from tfqz._derivative import equations, failed
from tfqz._derivative.attach import attach_gradient, differentiable, register_rule
from tfqz._form import blocks, turned
from tfqz._form.products import matmul, triangular_solve
from tfqz._form.traces import traced


def sylvester(A, B, F, of_A, of_B, native):
    """X of A X + X B = F.

    Args:
      A, B, F: [..., m, m], [..., n, n], [..., m, n], of one dtype and batch shape, as all matrices here; differentiable in each.
      of_A, of_B: (S, U) and (W, V). Where S is NaN, X is.
      native: a Python bool, as in `equations.py`.
    """
    return _solution("Sylvester", [A, B, F], [*of_A, *of_B], native)[0]


def policy(A, C, D, F, of_pencil, of_D, native):
    """X of A X + C X D = F. `of_pencil`: (S, T, Q, Z), `of_D`: (W, V); else as `sylvester`."""
    return _solution("Policy", [A, C, D, F], [*of_pencil, *of_D], native)[0]


def lyapunov(A, E, F, factors, native, refined=True):
    """X of A X E^H + E X A^H = F. `factors`: (S, T, Q, Z); else as `sylvester`. `refined`: whether what X leaves of the equation is solved
    for as well: X comes from L by T^-1, which leaves more than rounding where S and T both are ill-conditioned, and for small entries of a
    graded A the pencil nearby that the factors are of is far away."""
    arguments = [A, E, F]
    if refined:
        return _solution("Lyapunov", arguments, factors, native)[0]
    return attached("Lyapunov", arguments, factors, solve_lyapunov(*factors, F, native=native)[:1], native)[0]


def coupled(A, B, C, D, E, F, of_left, of_right, native):
    """(R, L) of A R - L B = C, D R - L E = F. `of_left`, `of_right`: (S, T, Q, Z) of (A, D) and (V, W, P, Y) of (B, E); else as
    `sylvester`."""
    return _solution("Coupled", [A, B, C, D, E, F], [*of_left, *of_right], native)


def coupled_adjoint(A, B, D, E, Rb, Lb, of_left, of_right, native):
    """(U, V) of A^H U + D^H V = Rb, -U B^H - V E^H = Lb, as `coupled`."""
    return _solution("CoupledAdjoint", [A, B, D, E, Rb, Lb], [*of_left, *of_right], native)


def value(name, arguments, factors, native):
    """The unknowns of the equation of that name, a list, and how many pairs of eigenvalues make it singular, [...], int32. Without a
    derivative."""
    if name == "Sylvester":
        *unknowns, singular = _solve_sylvester(*factors, arguments[2], native=native)
    elif name == "Policy":
        *unknowns, singular = _solve_policy(*factors, arguments[3], native=native)
    elif name == "Lyapunov":
        A, E, F = arguments
        X, singular = solve_lyapunov(*factors, F, native=native)
        unknowns = [X + solve_lyapunov(*factors, _left_of_lyapunov(A, E, F, X), native=native)[0]]
    elif name == "Coupled":
        *unknowns, singular = _solve_coupled(*factors, arguments[2], arguments[5], native=native)
    else:
        *unknowns, singular = _solve_coupled(*factors, *arguments[4:], native=native, adjoint=True)
    return unknowns, singular


def attached(name, arguments, factors, unknowns, native):
    """The unknowns, a list, with the gradient of the rule `name` by the arguments. Where the first of the factors is NaN so are they."""
    return attach_gradient(name, [*arguments, *factors], unknowns, native)


def _solution(name, arguments, factors, native):
    return attached(name, arguments, factors, value(name, arguments, factors, native)[0], native)


def _guarded(function):
    """Decorator for solvers (S, .., *right-hand sides): traced, and NaN where S is, without that in what is computed."""

    @traced
    def call(*tensors, **options):
        good = failed.succeeded(tensors[0])
        of_matrix = good[..., None, None]
        *unknowns, singular = function(*(tf.where(of_matrix, x, failed.columns_of_identity(x)) for x in tensors), **options)
        return *failed.filled(~good, unknowns), tf.where(good, singular, tf.zeros_like(singular))

    return call


@_guarded
def _solve_sylvester(S, U, W, V, F, *, native):
    G = matmul(matmul(U, F, adjoint_a=True), V)
    (X, _), singular = equations.solve_block((W, None), (-S, None), G, None, native)
    return matmul(matmul(U, X), V, adjoint_b=True), singular


@_guarded
def _solve_policy(S, T, Q, Z, W, V, F, *, native):
    """In the frames S X + T X W = G, X = Z^H X V: of L = T X and R = X it is L W + S R = G, L I - T R = 0."""
    G = matmul(matmul(Q, F, adjoint_a=True), V)
    # The pencil's size is free: that of (W, I).
    size = blocks.of_dtype(tf.maximum(blocks.largest(S) / blocks.largest(W), blocks.largest(T)), S.dtype)
    (_, X), singular = equations.solve_block((W, blocks.identity_like(W)), (-S / size, T / size), G, None, native)
    return matmul(matmul(Z, X / size), V, adjoint_b=True), singular


@_guarded
def solve_lyapunov(S, T, Q, Z, F, *, native):
    """In the frames S X T^H + T X S^H = G. With J, which turns the order round, S' = J S^H J and T' are upper triangular; of L = T X J and
    R = X T^H J it is L S' + S R = G J, L T' - T R = 0."""
    G = matmul(matmul(Q, F, adjoint_a=True), Q)
    (L, _), singular = equations.solve_block((turned.adjoint(S), turned.adjoint(T)), (-S, T), turned.columns(G), None, native)
    X = triangular_solve(blocks.regular(T), turned.columns(L), lower=False)
    return matmul(matmul(Z, X), Z, adjoint_b=True), singular


@traced
def _left_of_lyapunov(A, E, F, X):
    """F - A X E^H - E X A^H."""
    return F - matmul(A, matmul(X, E, adjoint_b=True)) - matmul(E, matmul(X, A, adjoint_b=True))


@_guarded
def _solve_coupled(S, T, Q, Z, V, W, P, Y, C, F, *, native, adjoint=False):
    """In the frames, with both pencils of size 1: S R - L V = C, T R - L W = F; or the adjoint of these."""
    left, right = (tf.maximum(*map(blocks.largest, X)) for X in ((S, T), (V, W)))
    left, right = (blocks.of_dtype(x, S.dtype) for x in (left, right))
    first, second = (V / right, W / right), (S / left, T / left)
    if adjoint:
        P_of_R, P_of_L = matmul(matmul(Z, C, adjoint_a=True), Y) / left, matmul(matmul(Q, F, adjoint_a=True), P) / right
        unknowns, singular = equations.solve_block(first, second, -P_of_L, -P_of_R, native, adjoint=True)
        return *(matmul(matmul(Q, x), Y, adjoint_b=True) for x in unknowns), singular
    C, F = (matmul(matmul(Q, x, adjoint_a=True), Y) for x in (C, F))
    (L, R), singular = equations.solve_block(first, second, -C, -F, native)
    return matmul(matmul(Z, R / left), Y, adjoint_b=True), matmul(matmul(Q, L / right), P, adjoint_b=True), singular


def _adjoint(*matrices):
    return [tf.linalg.adjoint(X) for X in matrices]


@register_rule("Sylvester", arguments=7)
def _of_sylvester(arguments, values, cotangents, native):
    """Cotangents of A, B, F, [..., m, m], [..., n, n], [..., m, n], and None for factors, as in the others."""
    A, B, _, *factors = arguments
    return [*_pull_sylvester(*factors, A, B, *values, *cotangents, native=native), *[None] * 4]


@differentiable
@failed.kept_from_gradients("FFFF PPP M")
def _pull_sylvester(S, U, W, V, A, B, X, Xb, native=False):
    Y = sylvester(*_adjoint(A, B), Xb, turned.adjoint_schur(S, U), turned.adjoint_schur(W, V), native)
    return [-matmul(Y, X, adjoint_b=True), -matmul(X, Y, adjoint_a=True), Y]


@register_rule("Policy", arguments=10)
def _of_policy(arguments, values, cotangents, native):
    A, C, D, _, *factors = arguments
    return [*_pull_policy(*factors, A, C, D, *values, *cotangents, native=native), *[None] * 6]


@differentiable
@failed.kept_from_gradients("FFFFFF PPPP M")
def _pull_policy(S, T, Q, Z, W, V, A, C, D, X, Xb, native=False):
    Y = policy(*_adjoint(A, C, D), Xb, turned.adjoint_pencil(S, T, Q, Z), turned.adjoint_schur(W, V), native)
    of_C, of_D = matmul(Y, matmul(X, D), adjoint_b=True), matmul(matmul(C, X), Y, adjoint_a=True)
    return [-matmul(Y, X, adjoint_b=True), -of_C, -of_D, Y]


@register_rule("Lyapunov", arguments=7)
def _of_lyapunov(arguments, values, cotangents, native):
    A, E, _, *factors = arguments
    return [*_pull_lyapunov(*factors, A, E, *values, *cotangents, native=native), *[None] * 4]


@differentiable
@failed.kept_from_gradients("FFFF PPP M")
def _pull_lyapunov(S, T, Q, Z, A, E, X, Xb, native=False):
    Y = lyapunov(*_adjoint(A, E), Xb, turned.adjoint_pencil(S, T, Q, Z), native)

    def of_coefficient(other):
        right, left = matmul(other, X, adjoint_b=True), matmul(other, X)
        return -matmul(Y, right) - matmul(Y, left, adjoint_a=True)

    return [of_coefficient(E), of_coefficient(A), Y]


@register_rule("Coupled", arguments=14)
def _of_coupled(arguments, values, cotangents, native):
    A, B, _, D, E, _, *factors = arguments
    return [*_pull_coupled(*factors, A, B, D, E, *values, *cotangents, native=native), *[None] * 8]


@differentiable
@failed.kept_from_gradients("FFFFFFFF PPPPPP MM")
def _pull_coupled(S, T, Q, Z, V, W, P, Y, A, B, D, E, R, L, Rb, Lb, native=False):
    of_C, of_F = coupled_adjoint(A, B, D, E, Rb, Lb, (S, T, Q, Z), (V, W, P, Y), native)
    of_A, of_B, of_D, of_E = _of_coefficients(R, L, of_C, of_F)
    return [of_A, of_B, of_C, of_D, of_E, of_F]


@register_rule("CoupledAdjoint", arguments=14)
def _of_coupled_adjoint(arguments, values, cotangents, native):
    A, B, D, E, _, _, *factors = arguments
    return [*_pull_coupled_adjoint(*factors, A, B, D, E, *values, *cotangents, native=native), *[None] * 8]


@differentiable
@failed.kept_from_gradients("FFFFFFFF PPPPPP MM")
def _pull_coupled_adjoint(S, T, Q, Z, V, W, P, Y, A, B, D, E, of_C, of_F, Ub, Vb, native=False):
    R, L = coupled(A, B, Ub, D, E, Vb, (S, T, Q, Z), (V, W, P, Y), native)
    return [*_of_coefficients(R, L, of_C, of_F), R, L]


def _of_coefficients(R, L, U, V):
    """Cotangents of A, B, D, E of the coupled equations."""
    return [-matmul(U, R, adjoint_b=True), matmul(L, U, adjoint_a=True), -matmul(V, R, adjoint_b=True), matmul(L, V, adjoint_a=True)]
