"""The coupled triangular equations of the QZ decomposition's derivative, and their adjoint, as differentiable functions.

For upper triangular S, T (real: quasi upper triangular S) and right-hand sides of which only the strictly lower part counts,
with strictly lower triangular unknowns:

    `solve`           tril(X S - S V, -1) = M         tril(X T - T V, -1) = N                  (2)
    `solve_adjoint`   tril(E S^H + F T^H, -1) = P    -tril(S^H E + T^H F, -1) = R              (3)

and for an ordinary Schur form, T = I, N = 0, X = V,

    `solve_ordinary`          tril(X S - S X, -1) = M
    `solve_ordinary_adjoint`  tril(E S^H - S^H E, -1) = P

Each linear map is the other's adjoint, so each solver's gradient is a call of the other and matrix products. `Strictly lower`
leaves out the entry inside a 2 x 2 block. For full off-diagonal blocks these are the equations of LAPACK's xTGSYL ('N' and 'T');
Kagstrom and Westin, IEEE Trans. Autom. Control 34 (1989) 745-751.

`native` in every signature is a Python bool: the C++ op instead of TensorFlow ops. Under XLA both are the latter.
"""

import functools

import tensorflow as tf

from tfqz._backends import native as op_library
from tfqz._derivative import triangular
from tfqz._derivative.attach import attach_gradient, register_rule
from tfqz._form import blocks, eigenvalues, tolerances
from tfqz._form.products import matmul


def solve(S, T, M, N, native):
    """X, V of equations (2). All arguments [..., n, n], of one dtype and shape; differentiable in each."""
    return attach_gradient("Solve", [S, T, M, N], _solve(*map(tf.stop_gradient, (S, T, M, N)), native, adjoint=False), native)


def solve_adjoint(S, T, P, R, native, apart=None):
    """E, F of equations (3). All arguments [..., n, n], of one dtype and shape; differentiable in each. `apart`: see `_where_needed`."""

    def solver(S, T, P, R):
        return _solve(S, T, P, R, native, adjoint=True)

    (S, T), unknowns = _where_needed(solver, [S, T], [P, R], apart)
    return attach_gradient("SolveAdjoint", [S, T, P, R], unknowns, native)


def solve_ordinary(S, M, native):
    """X of tril(X S - S X, -1) = M. Both [..., n, n], of one dtype and shape; differentiable in each."""
    return attach_gradient("SolveOrdinary", [S, M], _solve_one(*map(tf.stop_gradient, (S, M)), native, adjoint=False)[:1], native)[0]


def solve_ordinary_adjoint(S, P, native, apart=None):
    """E of tril(E S^H - S^H E, -1) = P. Both [..., n, n], of one dtype and shape; differentiable in each. `apart`: see `_where_needed`."""

    def solver(S, P):
        return _solve_one(S, P, native, adjoint=True)

    (S,), unknowns = _where_needed(solver, [S], [P], apart)
    return attach_gradient("SolveOrdinaryAdjoint", [S, P], unknowns[:1], native)[0]


def _where_needed(solver, coefficients, right_hand_sides, apart):
    """The coefficients that were solved with, and the unknowns, without gradients.

    `apart` is None, or a list: the coefficients with some eigenvalues moved apart that coincide, and, [..., n, n], which pairs. A move
    costs errors, much larger ones where eigenvalues are ill-conditioned, and is for functions that see into a cluster: whose unknowns
    between the pairs are not 0. All others, projectors and solutions of Riccati equations among them, keep the minimum-norm solution.
    """
    # Before the loop, which tapes differentiate as soon as they see it, whether anybody asks or not.
    fixed, right_hand_sides = (list(map(tf.stop_gradient, x)) for x in (coefficients, right_hand_sides))
    if apart is None:
        return coefficients, solver(*fixed, *right_hand_sides)
    *moved, pairs = apart
    fixed_moved = list(map(tf.stop_gradient, moved))

    def seen(X):
        modulus = tf.abs(X)
        between = tf.reduce_max(blocks.masked(pairs, modulus), axis=[-2, -1], keepdims=True)
        return between > tolerances.move(X.dtype, 1) * tf.reduce_max(modulus, axis=[-2, -1], keepdims=True)

    def chosen(needed, coefficients, moved):
        return [tf.where(needed, y, x) for x, y in zip(coefficients, moved)]

    def solve_again(step, needed, _):
        unknowns = solver(*chosen(needed, fixed, fixed_moved), *right_hand_sides)
        return step + 1, needed | functools.reduce(tf.logical_or, map(seen, unknowns)), unknowns

    # A loop, of which XLA compiles one body, and not a first solution and a second one.
    nowhere = tf.reduce_any(tf.zeros_like(pairs), axis=[-2, -1], keepdims=True)
    unknowns = [tf.zeros_like(fixed[0])] * 2
    _, needed, unknowns = tf.while_loop(
        lambda step, needed, _: tf.equal(step, 0) | (tf.equal(step, 1) & tf.reduce_any(needed)),
        solve_again,
        (tf.constant(0, tf.int32), nowhere, unknowns),
        parallel_iterations=1,
    )
    return chosen(needed, coefficients, moved), unknowns


def _solve(S, T, first, second, native, adjoint, ordinary=False):
    """The unknowns, a list of two [..., n, n], of right-hand sides and coefficients that tapes see nothing of."""
    if native:
        return op_library.solve_triangular(S, T, first, second, triangular.solve, adjoint=adjoint, ordinary=ordinary)
    return triangular.solve(S, T, first, second, adjoint=adjoint, ordinary=ordinary)


def _solve_one(S, right_hand_side, native, adjoint):
    """As a pencil: with T = I and no second right-hand side X = V in (2), and E S^H - S^H E is the sum of both left-hand sides in
    (3). Where eigenvalues are equal 0 is taken, which is the minimum-norm solution without that detour. The first unknown counts."""
    return _solve(S, blocks.identity_like(S), right_hand_side, tf.zeros_like(S), native, adjoint, ordinary=True)


def solve_block(first, second, M, N, native, adjoint=False):
    """One block below the diagonal, between two pencils in triangular form, (S1, T1) of order n and (S2, T2) of order m:

        X S1 - S2 V = M                    X T1 - T2 V = N
        E S1^H + F T1^H = M               -S2^H E - T2^H F = N               (`adjoint`)

    Args:
      first, second: (S1, T1), [..., n, n], and (S2, T2), [..., m, m]. With T1 and T2 None they are I, and X = V: X S1 - S2 X = M.
      M, N: [..., m, n]; N is None for 0.

    Returns:
      Both unknowns, [..., m, n], without gradients, and how many pairs of an eigenvalue of one pencil and one of the other coincide, [...],
      int32: then there is no solution, or more than one.
    """
    ordinary = first[1] is None
    if ordinary:
        first, second = ((S, blocks.identity_like(S)) for S, _ in (first, second))
    N = tf.zeros_like(M) if N is None else N
    flags = {"adjoint": adjoint, "ordinary": ordinary}
    if native:
        *unknowns, coinciding = op_library.solve_block(first, second, M, N, solve_block_in_ops, **flags)
    else:
        *unknowns, coinciding = solve_block_in_ops(*first, *second, M, N, **flags)
    return unknowns, coinciding


def solve_block_in_ops(S1, T1, S2, T2, M, N, *, adjoint, ordinary):
    """The same of all matrices in TensorFlow ops: three tensors."""
    n = tf.shape(S1)[-1]
    S, T = _block_diagonal(S1, S2), _block_diagonal(T1, T2)
    unknowns = triangular.solve(S, T, _below_diagonal(M), _below_diagonal(N), adjoint=adjoint, ordinary=ordinary)
    alpha, beta = eigenvalues.alpha_beta(*(X / tf.cast(blocks.largest(X), X.dtype) for X in (S, T)), differentiable=False)
    distances = eigenvalues.chordal_distance(alpha, tf.cast(beta, alpha.dtype))[..., n:, :n]
    order = tf.shape(S)[-1]
    # What is 0/0 is any number.
    nothing = tf.abs(alpha) ** 2 + tf.abs(beta) ** 2 <= tolerances.zero_pair(S.dtype, order) ** 2
    coincide = (distances <= tolerances.equal_eigenvalues(S.dtype, order)) | nothing[..., n:, None] | nothing[..., None, :n]
    X, V = (X[..., n:, :n] for X in unknowns)
    if adjoint:
        sums = (
            (matmul(X, S1, adjoint_b=True), matmul(V, T1, adjoint_b=True), -M),
            (-matmul(S2, X, adjoint_a=True), -matmul(T2, V, adjoint_a=True), -N),
        )
    else:
        sums = (matmul(X, S1), -matmul(S2, V), -M), (matmul(X, T1), -matmul(T2, V), -N)
    unsolved = functools.reduce(tf.logical_or, map(_is_left, [sums[0] + sums[1]] if ordinary and adjoint else sums))
    count = tf.reduce_sum(tf.cast(coincide, tf.int32), axis=[-2, -1])
    return X, V, tf.maximum(count, tf.cast(unsolved, tf.int32))


def _is_left(terms):
    """[...]: whether the sum of terms, [..., m, n], that should be 0 isn't: of an eigenvalue 0/0 in a pair's block rounding may make two
    that look like numbers, and there is no solution all the same."""
    left, *sizes = (tf.reduce_max(tf.abs(x), axis=[-2, -1]) for x in (tf.add_n(terms), *terms))
    return ~(left <= tolerances.epsilon(left.dtype) ** 0.5 * tf.add_n(sizes))


def _block_diagonal(X, Y):
    """[X 0; 0 Y]."""
    n, m = tf.shape(X)[-1], tf.shape(Y)[-1]
    return tf.concat([_padded_columns(X, 0, m), _padded_columns(Y, n, 0)], axis=-2)


def _below_diagonal(M):
    """[0 0; M 0], for M [..., m, n] with n and m columns."""
    m, n = tf.shape(M)[-2], tf.shape(M)[-1]
    above = tf.zeros(tf.concat([tf.shape(M)[:-2], [n, n + m]], axis=0), M.dtype)
    return tf.concat([above, _padded_columns(M, 0, m)], axis=-2)


def _padded_columns(X, before, after):
    """X with columns of zeros on both sides."""
    shape = tf.shape(X)[:-1]
    left, right = (tf.zeros(tf.concat([shape, [k]], axis=0), X.dtype) for k in (before, after))
    return tf.concat([left, X, right], axis=-1)


@register_rule("Solve", arguments=4)
def _solve_pullback(arguments, values, cotangents, native):
    """Of (2): its adjoint is (3). Cotangents of S, T, M, N, [..., n, n]."""
    S, T, _, _ = arguments
    X, V = values
    E, F = solve_adjoint(S, T, *cotangents, native)
    return [*_coefficient_cotangents(X, V, [E, F]), E, F]


@register_rule("SolveAdjoint", arguments=4)
def _solve_adjoint_pullback(arguments, values, cotangents, native):
    """Of (3): its adjoint is (2). Cotangents of S, T, P, R, [..., n, n]."""
    S, T, _, _ = arguments
    E, F = values
    X, V = solve(S, T, *cotangents, native)
    return [*_coefficient_cotangents(X, V, [E, F]), X, V]


@register_rule("SolveOrdinary", arguments=2)
def _solve_ordinary_pullback(arguments, values, cotangents, native):
    """Cotangents of S and M, [..., n, n]."""
    (S, _), (X,) = arguments, values
    E = solve_ordinary_adjoint(S, *cotangents, native)
    return [*_coefficient_cotangents(X, X, [E]), E]


@register_rule("SolveOrdinaryAdjoint", arguments=2)
def _solve_ordinary_adjoint_pullback(arguments, values, cotangents, native):
    """Cotangents of S and P, [..., n, n]."""
    (S, _), (E,) = arguments, values
    X = solve_ordinary(S, *cotangents, native)
    return [*_coefficient_cotangents(X, X, [E]), X]


def _coefficient_cotangents(X, V, multipliers):
    """From <(E, F), (X dS - dS V, X dT - dT V)> with the minus sign of a derivative of an inverse.

    Not only on the pattern of S and T: where X, V, E, F are zero but for one off-diagonal block, as for a deflating subspace, dS and
    dT may be full beside it. Who has them on the pattern takes them on the pattern.
    """
    return [matmul(E, V, adjoint_b=True) - matmul(X, E, adjoint_a=True) for E in multipliers]
