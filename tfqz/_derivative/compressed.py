r"""The gradient of the QZ decomposition of a pencil that is compressed to a square one by two orthonormal frames.

    Q^H A Z = S      Q^H B Z = T      Q: m x p, Z: n x p, orthonormal columns; S, T: p x p, upper triangular

Q and Z are themselves functions of A and B by what they span. With cotangents as in `formula.py`, the square formula for the pencil (S, T)
with frames I, and the cotangents Q^H Qb, Z^H Zb, gives cotangents A1, B1 of what is inside; beside the frames, with

    X = Zb + A^H Q A1      Y = Qb + A Z A1^H      of which the parts in the complements of Z and Q count,

there is what moves the frames:

  - m < n, rank B = m: Q is square, Z spans the row space of B:

        Ab = Q A1 Z^H      Bb = Q (B1 Z^H + T^-H X^H (I - Z Z^H))                                       (7)

    m > n: the same of (A^H, B^H).
  - rank B < m < n: Z spans the row space of B + (I - B B^+) A. With D the diagonal of ones where t_jj = 0, V = (T + D)^-1 and
    H = T + D V S, upper triangular and regular,

        F = H^-H X^H (I - Z Z^H)      E = (D V)^H F                                                     (7')
        Ab = Q (A1 Z^H + E)           Bb = Q (B1 Z^H + F - E A^H Q V^H Z^H),

    of which what would raise the rank of B, (I - B B^+) Bb (I - B^+ B), is no derivative of anything and is taken out. (Rows of D V are
    left null vectors of T, and V S2 solves T x = S2 for S2 = Q^H A (I - Z Z^H).)
  - Q and Z belong to the p largest singular values of B = Q T Z^H + C, C Z = 0, Q^H C = 0:

        E T^H - C F = (I - Q Q^H) Y      F T - C^H E = (I - Z Z^H) X                                   (8)
        Ab = Q A1 Z^H      Bb = Q B1 Z^H + E Z^H + Q F^H

Beside these, S2 = Q^H A Z2 with a basis Z2 of the complement of what Z spans, a function of that alone (`bases.py`), and likewise Q2 for
m > n, make the form of the whole pencil: `inside_whole`.

Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) 413-432, have the derivative of a pseudoinverse, of which (7) is one.
"""

import tensorflow as tf

from tfqz._derivative import bases, convention
from tfqz._derivative.attach import attach_gradient, register_rule
from tfqz._form import blocks, quotients, tolerances
from tfqz._form.products import matmul, triangular_solve


def inside(S, T, Q, Z, Sb, Tb, Qb, Zb, phases=True):
    """Q^H Qb and Z^H Zb, [..., p, p], the cotangents of frames I of the pencil (S, T), and Zb, [..., n, p]; with `phases` both with what
    keeps the largest entry of each column of Z real. These are entries of the whole columns: of the frame I there is nothing left to
    keep."""
    Qi, Zi = matmul(Q, Qb, adjoint_a=True), matmul(Z, Zb, adjoint_a=True)
    return Qi, *(_with_phases(S, T, Z, Sb, Tb, Qi, Zi, Zb) if phases else (Zi, Zb))


def _with_phases(S, T, Z, Sb, Tb, Qi, Zi, Zb):
    """Z^H Zb and Zb."""
    if not S.dtype.is_complex:
        return Zi, Zb
    turn = tf.math.imag(tf.linalg.diag_part(Qi + Zi))
    for X, Xb in ((S, Sb), (T, Tb)):
        product = tf.math.imag(tf.math.conj(X) * tf.linalg.band_part(Xb, 0, -1))
        turn += tf.reduce_sum(product, axis=-2) - tf.reduce_sum(product, axis=-1)
    change = convention.of_largest_entries(Z, turn)
    return Zi + matmul(Z, change, adjoint_a=True), Zb + change


def inside_whole(S, T, Q, Z, Sb, Tb, Qb, Zb, right_rows, left_rows, right, left):
    """The same of the whole form, S, T, [..., m, n], Q, [..., m, m], Z, [..., n, n], with Q2 and Z2 for the columns beside the triangular
    block.

    Args:
      right_rows, left_rows: the chosen rows of the bases Z2 and Q2, [..., n - p] and [..., m - p].
      right, left: as for `by_row_space`.

    Returns:
      Q^H Qb and Z^H Zb, [..., p, p], Q and Qb, [..., m, p], Z and Zb, [..., n, p], of the columns that belong to the triangular block, and
      what A has by the entries of S that are beside it: with Q on its left, [..., p, n], and with Z^H on its right, [..., m, p].
    """
    above, p = blocks.square_place(S)
    adjoint = tf.linalg.adjoint
    of_Q, of_Z = matmul(Q, Qb, adjoint_a=True), matmul(Z, Zb, adjoint_a=True)
    Qi, Zi = of_Q[..., above:, above:], of_Z[..., :p, :p]
    Qb1, Zb1, with_Q, with_Z = Qb[..., above:], Zb[..., :p], tf.zeros_like(Z[..., :p, :]), tf.zeros_like(Q[..., above:])
    if right:
        (S1, S2), (_, S2b) = ((X[..., above:, :p], X[..., above:, p:]) for X in (S, Sb))
        more_Z, with_Q, turned = _by_basis(S1, S2, S2b, Z[..., :p], Z[..., p:], of_Z[..., :p, p:], of_Z[..., p:, p:], right_rows)
        Zb1, Qi = Zb1 + more_Z, Qi + turned
    if left:
        # The columns of the complement count away from the block.
        (S1, S2), (_, S2b) = ((X[..., above:, :p], tf.reverse(X[..., :above, :p], [-2])) for X in (S, Sb))
        Q2 = tf.reverse(Q[..., :above], [-1])
        across, within = tf.reverse(of_Q[..., above:, :above], [-1]), tf.reverse(of_Q[..., :above, :above], [-2, -1])
        more_Q, with_Z, turned = _by_basis(adjoint(S1), adjoint(S2), adjoint(S2b), Q[..., above:], Q2, across, within, left_rows)
        Qb1, with_Z, Zi = Qb1 + more_Q, adjoint(with_Z), Zi + turned
    Zi, Zb1 = _with_phases(*(blocks.square_part(X) for X in (S, T)), Z[..., :p], *(blocks.square_part(X) for X in (Sb, Tb)), Qi, Zi, Zb1)
    return Qi, Zi, Q[..., above:], Z[..., :p], Qb1, Zb1, with_Q, with_Z


def _by_basis(S1, S2, S2b, Z, N, across, within, rows):
    """Of S2 = Q^H A N, with Q^H A = [S1 S2] [Z N]^H, and of the basis N, of whose own cotangent `across` and `within` are Z^H Nb and N^H
    Nb: cotangents of Z and, without Q on its left, of A, and Q^H times that of Q."""
    of_S = matmul(tf.concat([S1, S2], axis=-1), S2b, adjoint_a=True)
    p = tf.shape(Z)[-1]
    return (
        bases.of_complement(N, Z, across + of_S[..., :p, :], within + of_S[..., p:, :], rows),
        matmul(S2b, N, adjoint_b=True),
        matmul(S2, S2b, adjoint_b=True),
    )


def by_row_space(S, T, Q, Z, A, A1, B1, Qb, Zb, *more, right, left):
    """Ab and Bb by (7) and (7').

    Args:
      S, T: [..., p, p], Q: [..., m, p], Z: [..., n, p], A: [..., m, n].
      A1, B1: [..., p, p]; Qb, Zb: as Q and Z.
      more: nothing, or what `inside_whole` returns last.
      right, left: Python bools, whether m < n and m > n; both where it isn't known.
    """
    V, *projectors = null_spaces(T)
    adjoint = tf.linalg.adjoint
    with_Q, with_Z = [], []
    if right:
        E, F, B1 = _moved(S, T, Q, Z, A, A1, B1, Zb, V, *projectors)
        with_Q = [E + more[0] if more else E, F]
    if left:
        E, F, B1 = _moved(*map(adjoint, (S, T)), Z, Q, *map(adjoint, (A, A1, B1)), Qb, adjoint(V), *projectors[::-1], lower=True)
        with_Z = [adjoint(E) + more[1] if more else adjoint(E), adjoint(F)]
        B1 = adjoint(B1)
    # Two products at a time.
    if not right:
        beside = matmul(Q, tf.concat([A1, B1], axis=-1)) + tf.concat(with_Z, axis=-1)
        return _halves(matmul(_on_top(beside), Z, adjoint_b=True), axis=-2)
    beside = _side_by_side(matmul(tf.concat([A1, B1], axis=-2), Z, adjoint_b=True) + tf.concat(with_Q, axis=-2))
    found = _halves(matmul(Q, beside), axis=-1)
    return [X + matmul(Y, Z, adjoint_b=True) for X, Y in zip(found, with_Z)] if left else found


def _halves(X, axis):
    return tf.split(X, 2, axis=axis)


def _on_top(X):
    """[X1; X2] of [X1, X2]."""
    return tf.concat(_halves(X, axis=-1), axis=-2)


def _side_by_side(X):
    """[X1, X2] of [X1; X2]."""
    return tf.concat(_halves(X, axis=-2), axis=-1)


def _moved(S, T, Q, Z, A, A1, B1, Zb, V, L, R, lower=False):
    """E and F, [..., p, n], of (7'), and what is B1 then. L, R: the projectors onto the null spaces of T^H and T. `lower`: a Python bool,
    whether S and T are lower triangular."""
    through_A = matmul(A, Q, adjoint_a=True)
    # Where the whole space is kept nothing moves.
    any_beside = tf.shape(Z)[-2] > tf.shape(Z)[-1]
    X = blocks.masked(any_beside, _beside(Z, Zb + matmul(through_A, A1)))
    V = blocks.masked(any_beside, V)
    infinite = convention.zero_beta(T)
    rows = blocks.masked(infinite[..., :, None], V)
    H = _regular(rows, S, T, infinite)
    F = _solved(tf.linalg.adjoint(H), tf.linalg.adjoint(X), lower=not lower)
    E = matmul(rows, F, adjoint_a=True)
    B1 = B1 - matmul(E, matmul(V, through_A, adjoint_b=True), adjoint_b=True)
    of_B, of_F = tf.split(matmul(blocks.masked(any_beside, L), tf.concat([B1, F], axis=-1)), [tf.shape(B1)[-1], tf.shape(F)[-1]], axis=-1)
    return E, F - of_F, B1 - matmul(of_B, R)


def _regular(rows, S, T, infinite):
    """H = T + rows S, with ones on its diagonal where that is 0: up to rounding where eigenvalues are `infinite`, of a singular pencil."""
    H = T + matmul(rows, S)
    sizes = [tf.reduce_max(tf.abs(X), axis=[-2, -1])[..., None] for X in (rows, S)]
    rounding = tolerances.zero_pair(S.dtype, tf.shape(S)[-1]) * sizes[0] * sizes[1]
    diagonal = tf.linalg.diag_part(H)
    singular = infinite & (tf.abs(diagonal) <= rounding)
    return blocks.regular(blocks.with_diagonal(H, tf.where(singular, tf.zeros_like(diagonal), diagonal)))


def _solved(H, X, lower):
    """H^-1 X for a triangular H, as a function of any H: frames that turn make the pencil between them full."""
    values = triangular_solve(tf.stop_gradient(H), tf.stop_gradient(X), lower=lower)
    return attach_gradient("SolveLower" if lower else "SolveUpper", [H, X], [values], native=False)[0]


@register_rule("SolveUpper", arguments=2)
def _pullback_of_upper(arguments, values, cotangents, native):
    return _pullback_of_solved(arguments, values, cotangents, lower=True)


@register_rule("SolveLower", arguments=2)
def _pullback_of_lower(arguments, values, cotangents, native):
    return _pullback_of_solved(arguments, values, cotangents, lower=False)


def _pullback_of_solved(arguments, values, cotangents, lower):
    """Cotangents of H and X; `lower`: a Python bool, whether H^H is."""
    found = _solved(tf.linalg.adjoint(arguments[0]), *cotangents, lower=lower)
    return [-matmul(found, *values, adjoint_b=True), found]


def _beside(Z, X):
    """(I - Z Z^H) X."""
    return X - matmul(Z, matmul(Z, X, adjoint_a=True))


def null_spaces(T):
    """V = (T + D)^-1 and the orthogonal projectors onto the null spaces of T^H and of T, as functions of T along which its rank stays.

    T: [..., p, p], upper triangular, of rank p less the number of zeros on its diagonal; D is diagonal and is not 0 at these. All are 0
    where no batch element has any.
    """
    return attach_gradient("NullSpaces", [T], _null_spaces(tf.stop_gradient(T)), native=False)


def _null_spaces(T):
    infinite = convention.zero_beta(T)
    scale = blocks.of_dtype(blocks.largest(T), T.dtype)[..., 0]

    def found():
        diagonal = tf.linalg.diag_part(T)
        regular = blocks.with_diagonal(T, tf.where(infinite, scale + tf.zeros_like(diagonal), diagonal))
        V = triangular_solve(regular, blocks.identity_like(T), lower=False)
        # Both at once: XLA compiles one decomposition.
        vectors = blocks.masked(infinite[..., None, :], tf.stack([tf.linalg.adjoint(V), V]))
        return [V, *tf.unstack(_projector(vectors, infinite), num=2)]

    return tf.cond(tf.reduce_any(infinite), found, lambda: [tf.zeros_like(T) for _ in range(3)])


def _projector(X, columns):
    """The orthogonal projector onto what some columns of X span, the others being 0."""
    lengths = tf.reduce_max(tf.abs(X), axis=-2, keepdims=True)
    X = quotients.over(X, tf.where(lengths > 0, lengths, tf.ones_like(lengths)))
    L = tf.linalg.cholesky(matmul(X, X, adjoint_a=True) + tf.linalg.diag(tf.cast(~columns, X.dtype)))
    Y = triangular_solve(L, tf.linalg.adjoint(X), lower=True)
    projector = matmul(Y, Y, adjoint_a=True)
    # They may be parallel up to rounding, of a singular pencil, which has no derivative.
    independent = tf.reduce_all(tf.math.is_finite(tf.math.real(projector)), axis=[-2, -1], keepdims=True)
    return blocks.masked(independent, projector)


@register_rule("NullSpaces", arguments=1)
def _pullback_of_null_spaces(arguments, values, cotangents, native):
    """dV = -V dT V, and for the projectors L and R dL = -L dT T^+ - (.)^H, dR = -T^+ dT R - (.)^H with the pseudoinverse T^+."""
    V, L, R = values
    of_V, of_L, of_R = cotangents
    pseudoinverse = V - matmul(R, V)
    pseudoinverse -= matmul(pseudoinverse, L)
    of_V = matmul(matmul(V, of_V, adjoint_a=True), V, adjoint_b=True)
    of_L, of_R = (X + tf.linalg.adjoint(X) for X in (of_L, of_R))
    of_L = matmul(matmul(L, of_L), pseudoinverse, adjoint_b=True)
    of_R = matmul(pseudoinverse, matmul(of_R, R), adjoint_a=True)
    return [-of_V - of_L - of_R]


def by_singular_vectors(S, T, Q, Z, A, B, U, s, V, A1, B1, Qb, Zb):
    """Ab and Bb by (8). As for `by_row_space`; U, s, V: all singular vectors and values of B, [..., m, q], [..., q], [..., n, q], of which
    nothing varies here."""
    Y = _beside(Q, Qb + matmul(matmul(A, Z), A1, adjoint_b=True))
    X = _beside(Z, Zb + matmul(matmul(A, Q, adjoint_a=True), A1))
    C = B - matmul(matmul(Q, T), Z, adjoint_b=True)
    factors = [tf.linalg.adjoint(tf.stop_gradient(W)) for W in (Q, Z)]
    E, F = _beyond_gap(T, C, Y, X, [*factors, U, s, V], adjoint=False)
    inner = [matmul(matmul(Q, W), Z, adjoint_b=True) for W in (A1, B1)]
    return inner[0], inner[1] + matmul(_beside(Q, E), Z, adjoint_b=True) + matmul(Q, _beside(Z, F), adjoint_b=True)


def _beyond_gap(T, C, Y, X, vectors, adjoint):
    """E and F of E T^H - C F = Y, F T - C^H E = X, or, `adjoint`, with T^H for T. `vectors`: Q^H, Z^H, U, s, V, constant."""
    vectors = [tf.stop_gradient(x) for x in vectors]
    values = _across_gap(*vectors, tf.stop_gradient(Y), tf.stop_gradient(X), adjoint=adjoint)
    return attach_gradient("GapAdjoint" if adjoint else "Gap", [T, C, Y, X, *vectors], values, native=False)


def _across_gap(Q_H, Z_H, U, s, V, Y, X, adjoint):
    """With T = u diag(s_1) v^H and C = U_2 diag(s_2) V_2^H there are two equations for each pair of singular values, s_1 and s_2."""
    k = tf.shape(Q_H)[-2]
    u, v = matmul(Q_H, U[..., :k]), matmul(Z_H, V[..., :k])
    if adjoint:
        u, v = v, u
    U, V = U[..., k:], V[..., k:]
    s_1, s_2 = s[..., None, :k], s[..., k:, None]
    large, small = (blocks.of_dtype(x, Y.dtype) for x in (s_1, s_2))
    Y, X = matmul(Y, u), matmul(X, v)
    y, x = matmul(U, Y, adjoint_a=True), matmul(V, X, adjoint_a=True)
    gap = (s_1 - s_2) * (s_1 + s_2)
    e, f = (quotients.over_no_nan(z, gap) for z in (large * y + small * x, small * y + large * x))
    E, F = (quotients.over_no_nan(W - matmul(N, w), s_1) + matmul(N, z) for N, W, w, z in ((U, Y, y, e), (V, X, x, f)))
    return [matmul(E, v, adjoint_b=True), matmul(F, u, adjoint_b=True)]


@register_rule("Gap", arguments=9)
def _pullback_of_gap(arguments, values, cotangents, native):
    return _pullback_across_gap(arguments, values, cotangents, adjoint=True)


@register_rule("GapAdjoint", arguments=9)
def _pullback_of_gap_adjoint(arguments, values, cotangents, native):
    return _pullback_across_gap(arguments, values, cotangents, adjoint=False)


def _pullback_across_gap(arguments, values, cotangents, adjoint):
    """Cotangents of T, C, Y, X; the rest is constant. `adjoint`: a Python bool, whether the adjoint of the equations is that with T^H."""
    T, C, _, _, *vectors = arguments
    (E, F), (P, R) = values, _beyond_gap(T, C, *cotangents, vectors, adjoint=adjoint)
    of_T = -matmul(P, E, adjoint_a=True) - matmul(F, R, adjoint_a=True)
    of_C = matmul(P, F, adjoint_b=True) + matmul(E, R, adjoint_b=True)
    return [of_T if adjoint else tf.linalg.adjoint(of_T), of_C, P, R, *[None] * len(vectors)]
