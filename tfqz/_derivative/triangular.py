"""The solver of the coupled triangular equations (2) and (3) in TensorFlow ops: what XLA compiles, and what works without the op
library. `_derivative/equations.py` says what they are and calls it; cc/algorithms/triangular.h is the same in C++.

Element (i, j) stands in a 2 x 2 system whose determinant is delta_ij = s_ii t_jj - s_jj t_ii (up to conjugation) and
needs only elements further from the diagonal in (2), closer to it in (3). The order of work: column of blocks after column of
blocks, in it block after block, their right-hand sides from products of matrices; in a block subdiagonal after subdiagonal.
Real pencils have blocks that cut no pair in two, and only what happens within blocks is complex. Where delta_ij = 0, the
minimum-norm solution is taken, for S and T scaled to norm 1: it gives the exact gradient of every function that does not see
inside a cluster of equal eigenvalues.

XLA takes a few microseconds for each op of a loop's body, and compiles longest what it computes again in every op that uses it:
hence few ops, and few long chains of cheap ones.
"""

from typing import NamedTuple

import tensorflow as tf

from tfqz._derivative import windows
from tfqz._form import blocks, tolerances
from tfqz._form.products import matmul
from tfqz._form.traces import traced


def strictly_lower(S):
    """[..., n, n]: true below the diagonal but for the entry inside each 2 x 2 block of S."""
    i = tf.range(tf.shape(S)[-1])
    below = i[:, None] - i[None, :]
    if S.dtype.is_complex:
        return tf.broadcast_to(below > 0, tf.shape(S))
    return (below > 1) | (tf.equal(below, 1) & tf.equal(S, 0))


def solve(S, T, first, second, adjoint, ordinary):
    """[X, V] of equations (2), or [E, F] of (3), without gradients. Reduces to S and T of norm 1 and to one batch dimension.

    Args:
      S, T, first, second: [..., n, n], of one dtype and shape.
      adjoint: a Python bool, (3) instead of (2).
      ordinary: a Python bool, T = I: where eigenvalues are equal the unknown with S is 0.
    """
    lower = strictly_lower(S)
    norms = [tf.cast(blocks.largest(X), X.dtype) for X in (S, T)]
    S, T = S / norms[0], T / norms[1]
    first, second = blocks.masked(lower, first), blocks.masked(lower, second)
    if not adjoint:
        first, second = first / norms[0], second / norms[1]
    shape = tf.shape(S)
    flat = tf.stack([tf.reduce_prod(shape[:-2]), shape[-2], shape[-1]])
    unknowns = _substitute(*(tf.reshape(x, flat) for x in (S, T, first, second)), adjoint=adjoint, ordinary=ordinary)
    unknowns = [tf.reshape(unknown, shape) for unknown in unknowns]
    if adjoint:
        unknowns = [unknown / norm for unknown, norm in zip(unknowns, norms)]
    return [blocks.masked(lower, unknown) for unknown in unknowns]


# Rows of a block: with more of them each step costs more arithmetic, with fewer there are more blocks.
_ROWS = 16


@traced
def _substitute(S, T, first, second, *, adjoint, ordinary):
    """Solves for one batch dimension, [batch, n, n]. `adjoint` and `ordinary` are Python bools.

    Both equations become one operator, for coefficients (S, T) or (S^H, T^H) in one tensor [2, ...] and unknowns (X, V) or (E, F) in
    another. Inside a loop all sizes are read off tensors: one that came from outside is no constant to XLA there, where the graph was
    made for unknown shapes.
    """
    batch, n, _ = tf.unstack(tf.shape(S), num=3)
    window = windows.of(blocks.starts(S), tf.clip_by_value(n, 1, _ROWS))
    count, size, total = window.count, window.size, window.count * window.size
    coefficients, right_hand_sides = window.cut(tf.stack([S, T])), window.cut(tf.stack([first, second]))
    diagonal = window.diagonal_blocks(coefficients)
    frames = None
    if not S.dtype.is_complex:
        # From the whole diagonals: XLA unrolls what it computes along the few rows of a block.
        columns = [window.cut_vectors(x) for x in blocks.triangularizing_columns(S, T)]
        frames = _Frames(*_both(blocks.from_columns(*columns)))
        diagonal = frames.triangular(diagonal)

    def lower(I):
        i = tf.range(tf.shape(columns)[-1])
        below = i[:, None] - i[None, :]
        return below > 0 if frames is None else (below > 0) & (tf.not_equal(below, 1) | tf.equal(_at(I, frames.H, 1), 0))

    systems = _systems(blocks.bands(diagonal)[0], lower, n, adjoint, ordinary)
    diagonal = blocks.with_diagonal(diagonal, tf.zeros_like(diagonal[..., 0]))
    if adjoint:
        coefficients, diagonal = tf.linalg.adjoint(coefficients), tf.linalg.adjoint(diagonal)
    none, margin = [0, 0], [size, size]
    lefts = tf.pad(diagonal, [none, none, none, none, margin])
    rights = tf.pad(diagonal, [none, none, none, margin, none])
    rows = tf.reshape(coefficients, [2, batch, count, size, total])
    columns = tf.reshape(coefficients, [2, batch, total, count, size])
    right_hand_sides = tf.reshape(right_hand_sides, [2, batch, total, count, size])

    def solve_column(step, unknowns):
        _, batch, total, count, size = tf.unstack(tf.shape(columns), num=5)
        J = count - 1 - step if adjoint else step
        solved = tf.reshape(unknowns, [2, batch, total, total])
        column = _right_products(solved, _at(J, columns, 3), adjoint)
        column = [x - y for x, y in zip(_both(_at(J, right_hand_sides, 3)), column)]
        column = [tf.reshape(x, [batch, count, size, size]) for x in column]

        def solve_block(step, unknowns):
            _, batch, count, size, total = tf.unstack(tf.shape(rows), num=5)
            I = J + step if adjoint else count - 1 - step
            known = _left_products(_at(I, rows, 2), tf.reshape(unknowns, [2, batch, total, size]), adjoint)
            residuals = [_at(I, x, 1) + y for x, y in zip(column, known)]
            if frames is not None:
                residuals = frames.enter(residuals, I, J, adjoint)
            left, right = _at(I, lefts, 2), _at(J, rights, 2)
            block = _substitute_within_block(left, right, residuals, systems(I, J), tf.equal(I, J), adjoint)
            if frames is not None:
                block = frames.leave(block, I, J, adjoint)
            here = tf.equal(tf.range(count), I)[:, None, None]
            return [tf.where(here, block[:, :, None], unknowns)]

        (solved,) = _loop(count - J, solve_block, [tf.zeros([2, batch, count, size, size], columns.dtype)])
        here = tf.equal(tf.range(count), J)[:, None]
        return [tf.where(here, tf.reshape(solved, [2, batch, total, 1, size]), unknowns)]

    (unknowns,) = _loop(count, solve_column, [tf.zeros_like(columns)])
    return [window.join(x) for x in _both(tf.reshape(unknowns, [2, batch, total, total]))]


def _substitute_within_block(left, right, residuals, systems, on_diagonal, adjoint):
    """Solves for one block of the unknowns, [2, batch, size, size], given what the others leave of the right-hand sides.

    Subdiagonal after subdiagonal takes the place of the right-hand sides, of which its products with the coefficients are taken. In a
    block on the diagonal nothing refers to what is not strictly lower.

    Args:
      left: [2, batch, size, 3 size], and right: [2, batch, 3 size, size], the coefficients that stand on either side of the block,
        without their diagonals and with `size` columns, or rows, of zeros before and behind them.
      residuals: two tensors [batch, size, size].
      systems: [2, 2, 2, batch, size, size], as `_systems` makes them.
    """

    def solve_subdiagonal(step, first, second):
        batch, size = tf.shape(right)[1], tf.shape(right)[3]
        i = tf.range(size)
        c = tf.where(on_diagonal, 1, 1 - size) + step if adjoint else size - 1 - step
        place = tf.clip_by_value(i * (size + 1) - c, 0, size * size - 1)

        def entries(x):
            """(i, i - c) for all i."""
            return tf.gather(blocks.flattened(x), place, axis=-1)

        of_sides, of_unknowns = (0, 1) if adjoint else (1, 0)
        inverse, system = _both(entries(systems))
        (by_first, by_second), (of_first, of_second) = _both(inverse, axis=of_sides), _both(system, axis=of_unknowns)
        p, r = entries(first), entries(second)
        new = by_first * p + by_second * r
        # Where eigenvalues are near this leaves a residual, for which it is solved once more: later entries have it over their own small
        # determinants, times as large for each.
        p, r = _both(tf.stack([p, r]) - of_first * new[0] - of_second * new[1])
        new += by_first * p + by_second * r
        new = blocks.masked((i >= c) & (i - c < size), new)
        by_row = new[..., :, None]
        by_column = tf.slice(tf.pad(new, [[0, 0], [0, 0], [size, size]]), [0, 0, size + c], [2, batch, size])[..., None, :]
        lefts = _both(tf.slice(left, [0, 0, 0, size + c], [2, batch, size, size]))
        rights = _both(tf.slice(right, [0, 0, size - c, 0], [2, batch, size, size]))
        if adjoint:
            first = first - (by_row[0] * rights[0] + by_row[1] * rights[1])
            second = second + (lefts[0] * by_column[0] + lefts[1] * by_column[1])
        else:
            first, second = (x - by_row[0] * y + z * by_column[1] for x, y, z in zip((first, second), rights, lefts))
        here = tf.equal(i[:, None] - i, c)
        return [tf.where(here, by_row[0], first), tf.where(here, by_row[1], second)]

    size = tf.shape(right)[3]
    return tf.stack(_loop(tf.where(on_diagonal, size - 1, 2 * size - 1), solve_subdiagonal, residuals))


def _loop(steps, body, state):
    """The list of tensors `state` after as many steps, each body(step, *state)."""

    def next_step(step, *state):
        new = body(step, *state)
        for x, y in zip(new, state):
            x.set_shape(y.shape)  # of which TensorFlow loses track
        return step + 1, *new

    return tf.while_loop(lambda step, *_: step < steps, next_step, (tf.constant(0, tf.int32), *state), parallel_iterations=1)[1:]


def _both(pair, axis=0):
    return tf.unstack(pair, num=2, axis=axis)


def _at(place, x, axis):
    """x without that axis, at a place that is a tensor."""
    return tf.gather(x, place, axis=axis)


def _right_products(unknowns, coefficients, adjoint):
    """What unknowns left of coefficients add to the left-hand sides of both equations."""
    if adjoint:
        return [tf.add_n(_both(matmul(unknowns, coefficients))), 0]
    return _both(matmul(unknowns[0], coefficients))


def _left_products(coefficients, unknowns, adjoint):
    """What unknowns right of coefficients take from the left-hand sides of both equations."""
    if adjoint:
        return [0, tf.add_n(_both(matmul(coefficients, unknowns)))]
    return _both(matmul(coefficients, unknowns[1]))


class _Frames(NamedTuple):
    """Real dtypes: unitary matrices G, H, [batch, count, size, size], in whose frames the diagonal blocks of S and T are triangular. (They
    are 0 where nothing stands in a block.)

    Residuals enter the frames block by block, and unknowns leave them. (2) has M, N, X in the frame of G and V in that of H on the
    right; (3) has P in that of G, R in that of H, and E, F in both.
    """

    G: tf.Tensor
    H: tf.Tensor

    def triangular(self, X):
        i = tf.range(tf.shape(X)[-1])
        return blocks.masked(i[:, None] <= i, matmul(self.G, matmul(blocks.to_complex(X), self.H), adjoint_a=True))

    def enter(self, pair, I, J, adjoint):
        G, H = self
        lefts, rights = ((G, H), (G, H)) if adjoint else ((G, G), (H, H))
        pair = [matmul(blocks.to_complex(x), _at(J, right, 1)) for x, right in zip(pair, rights)]
        return [matmul(_at(I, left, 1), x, adjoint_a=True) for x, left in zip(pair, lefts)]

    def leave(self, pair, I, J, adjoint):
        G, H = self
        lefts, rights = ((G, G), (H, H)) if adjoint else ((G, H), (G, H))
        pair = [matmul(_at(I, left, 1), x) for x, left in zip(_both(pair), lefts)]
        return tf.math.real(tf.stack([matmul(x, _at(J, right, 1), adjoint_b=True) for x, right in zip(pair, rights)]))


def _systems(v, lower, n, adjoint, ordinary):
    """The (pseudo-)inverse of each element's 2 x 2 system, or of its adjoint, and the system itself, as a function of the block:
    [2, 2, 2, batch, size, size].

    The system of (2), for x_ij and v_ij, is [s_j -s_i; t_j -t_i]; that of (3) has its conjugate transpose.

    Args:
      v: [2, batch, count, size], the diagonals of S and T.
      lower: a function of I, which entries of a diagonal block are strictly lower.
      n: the order of S and T, which come in with norm 1.
      ordinary: where eigenvalues are equal the unknown with S is 0, as if S were nothing beside T.
    """
    length = tf.sqrt(tf.reduce_sum(tf.abs(v) ** 2, axis=0))
    zero = length <= tolerances.zero_pair(v.dtype, n)
    distance = tolerances.equal_eigenvalues(v.dtype, n)
    s, t = _both(v)
    swapped = tf.stack([-t, s])
    # What is 0/0 up to rounding counts as 0/0: by rounding nothing is divided, which products of its inverses would take out of the range.
    singular = blocks.masked(~zero, tf.stack([tf.zeros_like(s), t]) if ordinary else v)
    square = tf.reduce_sum(tf.abs(singular) ** 2, axis=0)

    def systems(I, J):
        def pair(x):
            return blocks.as_columns(_at(I, x, -2)), blocks.as_rows(_at(J, x, -2))

        (s_i, s_j), (t_i, t_j), (length_i, length_j), (zero_i, zero_j) = map(pair, (s, t, length, zero))
        determinant = s_i * t_j - s_j * t_i
        equal = (tf.abs(determinant) <= distance * length_i * length_j) | zero_i | zero_j
        by_determinant = 1 / tf.where(equal, tf.ones_like(determinant), determinant)
        # A matrix of rank 1 has the pseudo-inverse k^H / |k|^2, k^H over its squared Frobenius norm.
        square_i, square_j = pair(square)
        by_square = tf.math.divide_no_nan(tf.ones_like(square_i), square_i + square_j)
        by_square = tf.cast(by_square, v.dtype)
        # Nothing is unknown within a diagonal block but what is strictly lower.
        unknown = tf.not_equal(I, J) | lower(I)
        # Entries [unknown, equation] of (2): the first unknown's have the one of a pair, the second one's the other.
        is_first = tf.reshape([True, False], [2, 1, 1, 1, 1])
        swapped_i, swapped_j = pair(swapped)
        singular_i, singular_j = pair(singular)
        regular = tf.where(is_first, swapped_i, swapped_j) * by_determinant
        entries = tf.where(equal, tf.math.conj(tf.where(is_first, singular_j, -singular_i)) * by_square, regular)
        v_i, v_j = pair(v)
        both = tf.stack([blocks.masked(unknown, entries), tf.where(is_first, v_j, -v_i)])
        return tf.math.conj(both) if adjoint else both

    return systems
