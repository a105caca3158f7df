"""The solver of the coupled triangular equations (2) and (3) in TensorFlow ops: what XLA compiles, and what works without the op
library. `_equations.py` says what they are and calls it; cc/triangular.h is the same in C++.

Element (i, j) stands in a 2 x 2 system whose determinant is delta_ij = s_ii t_jj - s_jj t_ii (up to conjugation) and
needs only elements further from the diagonal in (2), closer to it in (3). The order of work: block subdiagonal after block
subdiagonal, all blocks of one at a time, their right-hand sides from products of strips of blocks; within the blocks,
subdiagonal after subdiagonal. Where delta_ij = 0, the minimum-norm solution is taken, for S and T scaled to norm 1: it gives
the exact gradient of every function that does not see inside a cluster of equal eigenvalues.
"""

import tensorflow as tf

from tfqz import _blocks, _strips, _tolerances


def strictly_lower(S):
    """[..., n, n]: true below the diagonal but for the entry inside each 2 x 2 block of S."""
    i = tf.range(tf.shape(S)[-1])
    lower = tf.broadcast_to(i[:, None] > i[None, :], tf.shape(S))
    if S.dtype.is_complex:
        return lower
    return lower & tf.equal(_blocks.place_below(tf.cast(_blocks.starts(S), S.dtype)), 0)


def solve(S, T, first, second, adjoint, ordinary):
    """[X, V] of equations (2), or [E, F] of (3), without gradients. Reduces to S and T of norm 1.

    Args:
      S, T, first, second: [..., n, n], of one dtype and shape.
      adjoint: a Python bool, (3) instead of (2).
      ordinary: a Python bool, T = I: where eigenvalues are equal the unknown with S is 0.
    """
    lower = strictly_lower(S)
    norms = [tf.cast(_blocks.largest(X), X.dtype) for X in (S, T)]
    S, T = S / norms[0], T / norms[1]
    first, second = _blocks.masked(lower, first), _blocks.masked(lower, second)
    if not adjoint:
        first, second = first / norms[0], second / norms[1]
    unknowns = _solve_quasi_triangular(S, T, first, second, lower, adjoint, ordinary)
    if adjoint:
        unknowns = [unknown / norm for unknown, norm in zip(unknowns, norms)]
    return [_blocks.masked(lower, unknown) for unknown in unknowns]


def _solve_quasi_triangular(S, T, first, second, lower, adjoint, ordinary):
    """Reduces to complex triangular S and T."""
    if S.dtype.is_complex:
        return _solve_triangular(S, T, first, second, lower, adjoint, ordinary)
    G, H = _blocks.triangularize(S, T)
    S, T, first, second = (_blocks.to_complex(x) for x in (S, T, first, second))

    def upper(X):
        return tf.linalg.band_part(G.adjoint().rows(H.columns(X)), 0, -1)

    # (2) has M, N, X in the frame of G and V in that of H on the right; (3) has P in that of G, R in that of H.
    if adjoint:
        first, second = G.adjoint().rows(G.columns(first)), H.adjoint().rows(H.columns(second))
        E, F = _solve_triangular(upper(S), upper(T), first, second, lower, adjoint, ordinary)
        unknowns = [G.rows(H.adjoint().columns(X)) for X in (E, F)]
    else:
        first, second = G.adjoint().rows(H.columns(first)), G.adjoint().rows(H.columns(second))
        X, V = _solve_triangular(upper(S), upper(T), first, second, lower, adjoint, ordinary)
        unknowns = [G.rows(G.adjoint().columns(X)), H.rows(H.adjoint().columns(V))]
    return [tf.math.real(unknown) for unknown in unknowns]


def _solve_triangular(S, T, first, second, lower, adjoint, ordinary):
    """Reduces to one batch dimension."""
    shape = tf.shape(S)
    flat = tf.concat([[tf.reduce_prod(shape[:-2])], shape[-2:]], axis=0)
    unknowns = _substitute(*(tf.reshape(x, flat) for x in (S, T, first, second, lower)), adjoint, ordinary)
    return [tf.reshape(unknown, shape) for unknown in unknowns]


# One block, blocks of 16 rows, blocks of 32 rows: where each begins to be quickest under XLA. Outside the last gains as well.
_TWO_BLOCKS = 33
_LARGER_BLOCKS = 384


@tf.function(reduce_retracing=True, autograph=False)
def _substitute(S, T, first, second, lower, adjoint, ordinary):
    """Solves for triangular S, T and one batch dimension, [batch, n, n]. `adjoint` and `ordinary` are Python bools.

    With U = S^H and W = T^H, (3) reads E U + F W = P, U E + W F = -R, and both pairs of equations become one operator of
    lower triangular unknowns that stand left and right of the coefficients.
    """
    n = tf.shape(S)[-1]
    size = tf.where(n < _TWO_BLOCKS, tf.maximum(n, 1), tf.where(n < _LARGER_BLOCKS, 16, 32))
    count = (n + size - 1) // size
    inverse = [_blocks.masked(lower, entry) for entry in _inverse(S, T, adjoint, ordinary)]
    if adjoint:
        S, T, second = tf.linalg.adjoint(S), tf.linalg.adjoint(T), -second
    # Padding with zeros adds rows and columns that nothing refers to: their solution is 0.
    margin = [[0, 0], [0, count * size - n], [0, count * size - n]]
    S, T, first, second, *inverse = (
        _strips.cut(tf.pad(x, margin), count, size) for x in (S, T, first, second, *inverse)
    )
    inverse = [_strips.skew(entry) for entry in inverse]
    rows = [_strips.rows(S), _strips.rows(T)]
    columns = [_strips.columns(S), _strips.columns(T)]
    diagonal_blocks = [_strips.subdiagonal(S, 0), _strips.subdiagonal(T, 0)]

    def block_subdiagonal(step, lefts, rights):
        d = step if adjoint else count - 1 - step
        right_columns = [_strips.shift(x, d) for x in columns]
        known = _operator(rows, right_columns, lefts, [_strips.shift(x, d) for x in rights], adjoint)
        residuals = [_strips.subdiagonal(x, d) - y for x, y in zip((first, second), known)]
        unknowns = _substitute_within_blocks(
            diagonal_blocks,
            [_strips.shift(x, d) for x in diagonal_blocks],
            residuals,
            [_strips.subdiagonal(entry, d) for entry in inverse],
            tf.equal(d, 0),
            adjoint,
        )
        into_left, into_right = _sides(unknowns, adjoint)
        lefts = [_strips.place_in_rows(x, new, d) for x, new in zip(lefts, into_left)]
        rights = [_strips.place_in_columns(x, new, d) for x, new in zip(rights, into_right)]
        return step + 1, lefts, rights

    lefts, rights = _sides([tf.zeros_like(S)] * 2, adjoint)
    _, lefts, rights = tf.while_loop(
        lambda step, *_: step < count,
        block_subdiagonal,
        (0, [_strips.rows(x) for x in lefts], [_strips.columns(x) for x in rights]),
        parallel_iterations=1,
    )
    unknowns = [_strips.from_rows(x) for x in lefts]
    if not adjoint:
        unknowns.append(_strips.from_columns(rights[0]))
    return [unknown[..., :n, :n] for unknown in unknowns]


def _sides(unknowns, adjoint):
    """Which unknowns stand left of the coefficients, and which right of them."""
    return (unknowns, unknowns) if adjoint else (unknowns[:1], unknowns[1:])


def _operator(rows, columns, lefts, rights, adjoint):
    """The left-hand sides of both equations from strips of the coefficients and the unknowns."""
    S_rows, T_rows = rows
    S_columns, T_columns = columns
    if adjoint:
        (E_rows, F_rows), (E_columns, F_columns) = lefts, rights
        return E_rows @ S_columns + F_rows @ T_columns, S_rows @ E_columns + T_rows @ F_columns
    (X_rows,), (V_columns,) = lefts, rights
    return X_rows @ S_columns - S_rows @ V_columns, X_rows @ T_columns - T_rows @ V_columns


def _substitute_within_blocks(left_blocks, right_blocks, residuals, inverse, on_diagonal, adjoint):
    """Solves for blocks, [batch, count, size, size], given what the other blocks leave of the right-hand sides.

    Subdiagonal c of all blocks is solved, then what it adds to the left-hand sides: unknowns times right blocks row by row, left
    blocks times unknowns column by column. For that blocks are kept skewed, subdiagonals as columns, those on the left transposed:
    their subdiagonal -c. `inverse` comes skewed.
    """
    size = tf.shape(residuals[0])[-1]
    i = tf.range(size)
    residuals = [_strips.skew(x) for x in residuals]
    right_blocks = [_strips.skew(x) for x in right_blocks]
    left_blocks = [_strips.skew(tf.linalg.matrix_transpose(x)) for x in left_blocks]
    # Blocks on the diagonal have unknowns below their own diagonal only.
    shortest = tf.where(on_diagonal, 1, 1 - size)

    def element_subdiagonal(step, unknowns, by_rows, by_columns):
        c = shortest + step if adjoint else size - 1 - step
        known = [tf.roll(_strips.skewed_entries(x, -c), c, axis=2) for x in by_columns]
        if adjoint:
            known = [_strips.skewed_entries(by_rows[0], c), known[0]]
        else:
            known = [_strips.skewed_entries(x, c) - y for x, y in zip(by_rows, known)]
        p, r = (_strips.skewed_entries(x, c) - y for x, y in zip(residuals, known))
        entries = [_strips.skewed_entries(entry, c) for entry in inverse]
        inside = (i >= c) & (i - c < size)
        entries = [_blocks.masked(inside, x) for x in entries]
        matrices = tf.reshape(tf.stack(entries, axis=-1), tf.concat([tf.shape(p), [2, 2]], axis=0))
        new = tf.unstack(tf.linalg.matvec(matrices, tf.stack([p, r], axis=-1)), axis=-1)
        unknowns = [_strips.place_skewed_entries(x, y, inside, c) for x, y in zip(unknowns, new)]

        lefts, rights = _sides(new, adjoint)
        rights = [tf.roll(x, -c, axis=2) for x in rights]
        more_by_rows = _products(lefts, right_blocks, c, adjoint)
        more_by_columns = _products(rights, left_blocks, -c, adjoint)
        by_rows = [x + y for x, y in zip(by_rows, more_by_rows)]
        by_columns = [x + y for x, y in zip(by_columns, more_by_columns)]
        return step + 1, unknowns, by_rows, by_columns

    zero = tf.zeros_like(residuals[0])
    sums = [zero] if adjoint else [zero] * 2
    _, unknowns, *_ = tf.while_loop(
        lambda step, *_: step < size - shortest, element_subdiagonal, (0, [zero] * 2, sums, sums), parallel_iterations=1
    )
    return [_strips.unskew(x) for x in unknowns]


def _products(entries, blocks, c, adjoint):
    """(3): the sum of E with S and F with T, one side of one equation. (2): X, or V, with S and with T, for either equation."""
    if adjoint:
        return [tf.add_n([_strips.skewed_product(x, block, c) for x, block in zip(entries, blocks)])]
    return [_strips.skewed_product(entries[0], block, c) for block in blocks]


def _inverse(S, T, adjoint, ordinary):
    """The four entries of the (pseudo-)inverse of each element's 2 x 2 system, each [batch, n, n].

    `ordinary`: where eigenvalues are equal the unknown with S is 0, as if S were nothing beside T.
    """
    s, t = tf.linalg.diag_part(S), tf.linalg.diag_part(T)
    s_i, t_i, s_j, t_j = s[..., :, None], t[..., :, None], s[..., None, :], t[..., None, :]
    conj = tf.math.conj
    if adjoint:
        k = [[conj(s_j), conj(t_j)], [conj(s_i), conj(t_i)]]
    else:
        k = [[s_j, -s_i], [t_j, -t_i]]
    determinant = k[0][0] * k[1][1] - k[0][1] * k[1][0]
    regular = [k[1][1], -k[0][1], -k[1][0], k[0][0]]
    length = tf.sqrt(tf.abs(s) ** 2 + tf.abs(t) ** 2)  # S and T come in with norm 1
    n = tf.shape(S)[-1]
    zero = length <= _tolerances.zero_pair(S.dtype, n)
    distance = _tolerances.equal_eigenvalues(S.dtype, n)
    equal = tf.abs(determinant) <= distance * length[..., :, None] * length[..., None, :]
    equal = equal | zero[..., :, None] | zero[..., None, :]
    if ordinary:
        k = [[tf.zeros_like(x), y] for x, y in k] if adjoint else [[tf.zeros_like(x) for x in k[0]], k[1]]
        length = tf.abs(t)
    # A matrix of rank 1 has the pseudo-inverse k^H / |k|^2, k^H over its squared Frobenius norm.
    square = tf.cast(length[..., :, None] ** 2 + length[..., None, :] ** 2, S.dtype)
    by_square = tf.math.divide_no_nan(tf.ones_like(square), square)
    by_determinant = 1 / tf.where(equal, tf.ones_like(determinant), determinant)
    singular = [conj(k[0][0]), conj(k[1][0]), conj(k[0][1]), conj(k[1][1])]
    return [tf.where(equal, x * by_square, y * by_determinant) for x, y in zip(singular, regular)]
