r"""The gradient of the QZ decomposition.

    A = Q S Z^H      B = Q T Z^H      Q, Z unitary; S, T upper triangular       <X, Y> = Re tr(X^H Y)

With W = Q^H dQ and Y = Z^H dZ, both skew-Hermitian,

    Q^H dA Z = W S + dS - S Y         Q^H dB Z = W T + dT - T Y                                  (1)

and the strictly lower parts of (1) are two coupled triangular equations for those of W and Y alone (equations (2) in
`_equations.py`): no inverse of S or T appears, so singular A, singular B and infinite eigenvalues need nothing special.
The adjoint of all this, for cotangents Sb, Tb, Qb, Zb of the factors, Sb and Tb on the pattern of S and T:

    G_W = Q^H Qb - Sb S^H - Tb T^H        P = tril(G_W - G_W^H, -1)
    G_Y = Z^H Zb + S^H Sb + T^H Tb        R = tril(G_Y - G_Y^H, -1)

     tril(E S^H + F T^H, -1) = P
    -tril(S^H E + T^H F, -1) = R          E, F strictly lower triangular                         (3)

    Ab = Q (Sb + E) Z^H                   Bb = Q (Tb + F) Z^H

What (1) leaves open, the diagonals of W and Y (phases) and the rotation inside 2 x 2 blocks, the canonical form fixes; the
functions below the formula add its part, matrices C_A, C_B inside the diagonal blocks to Sb, Tb.

The derivation in full is in the README; the derivative of an ordinary eigenvalue problem in this style: M. Giles, `An
extended collection of matrix derivative results for forward and reverse mode algorithmic differentiation`, 2008.
"""

import tensorflow as tf

from tfqz import _blocks, _canonical, _eigenvalues, _eigenvectors, _equations, _failed, _tolerances, _triangular
from tfqz._attach import differentiable
from tfqz._blocks import following
from tfqz._products import matmul


@differentiable
@_failed.kept_from_gradients("FFFF MMMM PP vv")
def pullback(
    S, T, Q, Z, Sb, Tb, Qb, Zb, A=None, B=None, alphab=None, betab=None, *, apart=False, ratios=False, moving=True, native=False
):
    """Cotangents of A and B.

    Args:
      S, T, Q, Z: [..., n, n], factors in canonical form.
      Sb, Tb, Qb, Zb: [..., n, n], their cotangents; what lies outside the pattern of S and T is ignored.
      A, B: [..., n, n], of which the result is a function too, and alphab, betab: [..., n], cotangents of alpha and beta; or none of them.
      apart: a Python bool, whether cotangents are for eigenvalues alone, which are taken apart where they coincide. Those of the factors
        are 0 then.
      ratios: a Python bool, as in `_eigenvectors.by_eigenvectors`.
      moving: a Python bool, False where the result is not differentiated.
      native: a Python bool, as in `_equations.py`.

    Returns:
      Ab, Bb: [..., n, n]. For the convention of TensorFlow, <Ab, dA> + <Bb, dB> = <Sb, dS> + ... also for complex dtypes.
    """
    exact = []
    if alphab is not None:
        pencil = (A, B) if moving else None
        exact, (alphab, betab) = _eigenvectors.by_eigenvectors(S, T, Q, Z, alphab, betab, ratios, pencil, native)
    if alphab is not None and apart:
        # Sums of equal eigenvalues have derivatives.
        moved_S, moved_T, move, _ = _eigenvalues.taken_apart(S, T)
        # A function of alpha / beta has betab = -Re(conj(alphab) alpha) / beta.
        betab = betab - _blocks.of_dtype(move * tf.math.real(alphab), betab.dtype)
        none = tf.zeros_like(Q)
        Sb, Tb = _eigenvalues.pullback(moved_S, T, alphab, betab)
        general = _pullback(moved_S, T, Q, Z, Sb, Tb, none, none, (moved_S, moved_T), None, native)
    else:
        upper = ~_triangular.strictly_lower(S)
        Sb, Tb = _blocks.masked(upper, Sb), _blocks.masked(upper, Tb)
        if alphab is not None:
            Sb, Tb = (x + y for x, y in zip((Sb, Tb), _eigenvalues.pullback(S, T, alphab, betab)))
        # And so have functions of subspaces with equal ones on one side.
        moved_S, moved_T, _, pairs = _eigenvalues.taken_apart(S, T, runs_only=True)
        general = _pullback(S, T, Q, Z, Sb, Tb, Qb, Zb, (S, T), [moved_S, moved_T, pairs], native)
    return [x + y for x, y in zip(general, exact)] if exact else general


def _pullback(S, T, Q, Z, Sb, Tb, Qb, Zb, coefficients, apart, native):
    """The formula, for Sb and Tb that are zero outside the pattern of S and T. `coefficients`, `apart`: for the solver."""
    Sb, Tb, P, R, noise = with_convention(S, T, Q, Z, Sb, Tb, Qb, Zb)
    moved = tf.not_equal(coefficients[1], T) if apart is None else apart[-1]
    P, R = (without_noise(X, noise, moved) for X in (P, R))
    E, F = _equations.solve_adjoint(*coefficients, P, R, native, apart)
    return multiply(matmul(Q, Sb + E), Z, right=True), multiply(matmul(Q, Tb + F), Z, right=True)


def with_convention(S, T, Q, Z, Sb, Tb, Qb, Zb):
    """Sb, Tb, P and R (of which the strictly lower part counts) with what the canonical form adds to them; and their `_noise`."""
    Tb = where_it_varies(S, T, Tb)
    G_W, G_Y = rotation_cotangents(S, T, Q, Z, Sb, Tb, Qb, Zb)
    noise = _noise(S, T, Sb, Tb, Qb, Zb)
    changes = _phases(S, T, G_W, noise) if S.dtype.is_complex else _rotations(S, T, G_W, G_Y, noise)
    Sb, Tb = (x if C is None else x + C for x, C in zip((Sb, Tb), changes))
    for X, C in zip((S, T), changes):
        if C is not None:
            G_W = G_W - multiply(C, X, right=True)
            G_Y = G_Y + multiply(X, C, left=True)
    if S.dtype.is_complex:
        G_Y = G_Y + largest_entries(Z, G_W + G_Y)
    return Sb, Tb, skew(G_W), skew(G_Y), noise


@differentiable
@_failed.kept_from_gradients("FFFF i MMMM")
def blocks_pullback(S, T, Q, Z, count, Sb, Tb, Qb, Zb, native=False):
    """Cotangents of A and B where S and T are block triangular with two diagonal blocks, the first of `count` rows, and no more.

    The form that (1) gives with W and Y zero inside the diagonal blocks, where dS and dT are full then: it needs the eigenvalues of
    one block to be other ones than those of the other block, and nothing of those within a block. Functions that know only the
    subspaces, which the first columns of Q and Z span, have this gradient whatever goes on inside the blocks.

    Args:
      S, T, Q, Z: [..., n, n], factors in canonical form.
      count: [...], int32.
      Sb, Tb, Qb, Zb: [..., n, n], cotangents.
    """
    second = tf.range(tf.shape(S)[-1]) >= count[..., None]
    between = second[..., :, None] & ~second[..., None, :]
    Sb, Tb = _blocks.masked(~between, Sb), _blocks.masked(~between, Tb)
    G_W, G_Y = rotation_cotangents(S, T, Q, Z, Sb, Tb, Qb, Zb)
    P, R = _blocks.masked(between, skew(G_W)), _blocks.masked(between, skew(G_Y))
    E, F = (_blocks.masked(between, X) for X in _equations.solve_adjoint(S, T, P, R, native))
    return multiply(matmul(Q, Sb + E), Z, right=True), multiply(matmul(Q, Tb + F), Z, right=True)


def rotation_cotangents(S, T, Q, Z, Sb, Tb, Qb, Zb):
    """G_W and G_Y."""
    G_W = multiply(Q, Qb, left=True) - multiply(Sb, S, right=True) - multiply(Tb, T, right=True)
    G_Y = multiply(Z, Zb, left=True) + multiply(S, Sb, left=True) + multiply(T, Tb, left=True)
    return G_W, G_Y


def where_it_varies(S, T, Tb):
    """The cotangent of T in its diagonal blocks, where these vary.

    T's diagonal is real, and the two other entries of a block diag(a, d) are constant, but for t_jj = 0 and a = d: there all
    entries are taken to vary. A function that knows nothing of the convention then has its exact gradient, and others have none.
    """
    diagonal = tf.linalg.diag_part(Tb)
    if S.dtype.is_complex:
        real = _blocks.to_complex(tf.math.real(diagonal))
        return _blocks.with_diagonal(Tb, tf.where(zero_beta(T), diagonal, real))
    # No band of Tb, and back: as vectors these are kernels of their own to XLA, and gathers.
    mean = (Tb + tf.linalg.matrix_transpose(Tb)) / 2
    mean = tf.where(_blocks.beside_diagonal(unequal(S, T)), tf.zeros_like(mean), mean)
    return tf.where(_blocks.beside_diagonal(_blocks.starts(S)), mean, Tb)


def _phases(S, T, G_W, noise):
    """Complex dtypes: the diagonal of W - Y, from t_jj being real. Diagonal matrices C_A, C_B to be added to Sb, Tb.

    Im (Q^H dB Z)_jj = t_jj Im (W - Y)_jj + ..., hence C_B = diag(i Im diag(G_W) / t). At an infinite eigenvalue, t_jj = 0, it
    is s_jj that is kept real: C_A, for perturbations that leave t_jj = 0; in other directions the phase has no derivative.
    """
    s, t = tf.math.real(tf.linalg.diag_part(S)), tf.math.real(tf.linalg.diag_part(T))
    g = significant(tf.math.imag(tf.linalg.diag_part(G_W)), noise)
    zero = tf.zeros_like(g)

    changes = divide(tf.where(tf.equal(t, 0), g, zero), s), divide(tf.where(zero_beta(T), zero, g), t)
    return [tf.linalg.diag(tf.complex(zero, x)) for x in changes]


def largest_entries(Z, G):
    """Complex dtypes: the diagonal of W and Y together, from the largest entry z_kj of each column of Z being real.

    Im Y_jj = -Im sum_{l != j} z_kl Y_lj / z_kj. Returns what this adds to G, the cotangent of W = Y.
    """
    row = matmul(_canonical.is_largest(Z), Z, transpose_a=True)  # [..., j, l]: z_kl for the k of column j
    quotient = divide(tf.math.imag(tf.linalg.diag_part(G)), tf.math.real(tf.linalg.diag_part(row)))
    weight = tf.complex(tf.zeros_like(quotient), -quotient)
    return weight[..., None, :] * tf.linalg.adjoint(_blocks.with_diagonal(row, tf.zeros_like(weight)))


def _rotations(S, T, G_W, G_Y, noise):
    """Real dtypes: the rotation of W and Y inside each 2 x 2 block, from T's block being diag(a, d). No C_A, and C_B.

    The entries (k+1, k) and (k, k+1) of Q^H dB Z determine the two angles: a matrix [a -d; -d a], solved here by its
    eigenvectors (1, 1) and (1, -1). Where a = d one combination is not determined, and 0 is taken for it. Signs are constant.
    """
    start = _blocks.starts(S)
    a, d = tf.linalg.diag_part(T), following(tf.linalg.diag_part(T))
    g_w, g_y = (_blocks.below(G) - _blocks.above(G) for G in (G_W, G_Y))
    zero = tf.zeros_like(a)
    noise = noise + following(noise)
    even = divide(tf.where(unequal(S, T), significant(g_w + g_y, noise), zero), 2 * (a - d))
    odd = divide(tf.where(start, g_w - g_y, zero), 2 * (a + d))
    return None, _blocks.place_above(even - odd) + _blocks.place_below(even + odd)


def _noise(S, T, Sb, Tb, Qb, Zb):
    """[..., n]: the rounding errors of column j of Q^H Qb and Z^H Zb, and of row and column j of the other products."""

    # Each by itself: XLA compiles the same kernel once.
    Qb, Zb, Sb, Tb, S_, T_ = (tf.abs(X) for X in (Qb, Zb, Sb, Tb, S, T))
    products = sum(tf.reduce_max(X, axis=-2) for X in (Qb, Zb))
    for axis in (-2, -1):
        Sb_j, Tb_j, S_j, T_j = (tf.reduce_max(X, axis=axis) for X in (Sb, Tb, S_, T_))
        products += Sb_j * S_j + Tb_j * T_j
    return tf.stop_gradient(_tolerances.cancellation(S.dtype, tf.shape(S)[-1]) * products)


def significant(g, noise):
    """g, and 0 where it is rounding. A function that does not depend on the convention has g = 0: divided by a small t_jj, and
    again by a small distance of eigenvalues, its rounding errors would grow to any size."""
    return tf.where(tf.abs(g) > noise, g, tf.zeros_like(g))


def without_noise(P, noise, moved):
    """A right-hand side P, without what is rounding where any eigenvalues are `moved` apart: divided by such small distances, over and
    over, a projector's, of which nothing else is left inside a cluster, would grow."""
    noise = tf.reduce_max(noise, axis=-1)[..., None, None]
    limit = tf.where(tf.reduce_any(moved, axis=[-2, -1], keepdims=True), noise, -tf.ones_like(noise))
    return tf.where(tf.abs(P) <= limit, tf.zeros_like(P), P)


def zero_beta(T):
    """[..., n]: true where t_jj is 0 up to rounding, so that it has no phase."""
    largest = tf.reduce_max(tf.abs(T), axis=[-2, -1])[..., None]
    return tf.math.real(tf.linalg.diag_part(T)) <= _tolerances.zero_beta(T.dtype, tf.shape(T)[-1]) * largest


def unequal(S, T):
    """[..., n]: true where a 2 x 2 block starts in which T's diag(a, d) has a != d, up to rounding."""
    a, _, _, d = _blocks.bands(T)
    return _blocks.starts(S) & (a - d > _tolerances.equal_block_entries(T.dtype) * (a + d))


def skew(G):
    return G - tf.linalg.adjoint(G)


def multiply(x, y, left=False, right=False):
    """x y, with x^H for `left` and y^H for `right`."""
    return matmul(x, y, adjoint_a=left, adjoint_b=right)


def divide(x, y):
    """x / y, and 0 where x = 0 or y = 0, in the derivatives of this too. The division comes last: XLA does not compute it again."""
    safe = tf.not_equal(x, 0) & tf.not_equal(y, 0)
    return _blocks.masked(safe, x) / tf.where(safe, y, tf.ones_like(y))
