r"""The QZ decomposition of a batch of pencils in TensorFlow operations alone.

The algorithm of Moler and Stewart (1973) as LAPACK's xGGHRD and xHGEQZ organise it:

 1. B = Q T by QR; then S = Q^H A becomes upper Hessenberg, one entry at a time, while T stays triangular.
 2. Sweeps with implicit shifts: a bulge enters at the top of a window in which no subdiagonal entry of S vanishes, and is chased
    out at its end. Complex dtypes take one shift, the eigenvalue of the trailing 2 x 2 pencil nearest its last entry; real ones
    take two at once where they are a conjugate pair. The bulge has as many rows as there may be shifts.
 3. Where t_jj = 0, an infinite eigenvalue is chased to the end of the window instead, and splits off there.
 4. Real dtypes: what remains are 1 x 1 blocks and 2 x 2 blocks, in which T is made diagonal. Those that have real eigenvalues after that
    are split.

All pencils of a batch go step by step together, each at its own place: a step is a small unitary matrix for each pencil,
applied to as many neighbouring rows or columns, and the identity for those that are through. Sweeps go from the end of the
matrix up. References: C. B. Moler and G. W. Stewart, SIAM J. Numer. Anal. 10 (1973) 241-256; G. H. Golub and C. F. Van Loan,
Matrix Computations, section 7.7.

Every size inside a loop is read off the loop's own variables: only so is it a constant to XLA for graphs of unknown shapes.
"""

from typing import NamedTuple

import tensorflow as tf

from tfqz._backends.reflectors import Factors, on_columns, on_rows, product, reflector, size
from tfqz._backends.shifts import first_column
from tfqz._form import blocks, orthogonal, quotients, standard, tolerances
from tfqz._form.blocks import following, masked, preceding
from tfqz._form.products import matmul

# LAPACK allows 30 sweeps for each eigenvalue; every tenth without success it takes an unusual shift.
SWEEPS = 30
_PATIENCE = 10


class _Window(NamedTuple):
    """Where a sweep goes on, [batch] each: rows first..last of S have no zero below the diagonal. `start` to `end` are the
    places of the first and last step, none where start > end; `chase`: an infinite eigenvalue goes to the end, no bulge."""

    first: tf.Tensor
    last: tf.Tensor
    chase: tf.Tensor
    start: tf.Tensor
    end: tf.Tensor


def qz(A, B):
    """S, T, Q, Z, [batch, n, n], and whether the iteration converged, [batch]. A and B, [batch, n, n], must be finite.

    S and T have their (quasi) triangular pattern exactly, T's 2 x 2 blocks are diagonal, signs and phases are arbitrary.
    """
    n = tf.shape(A)[-1]
    norms = [_scale(X) for X in (A, B)]
    A, B = (_with_margin(quotients.over(X, norm)) for X, norm in zip((A, B), norms))
    S, T, Q, Z, converged = _iterate(_to_hessenberg_triangular(A, B, n), n, _active(A, B))
    if not S.dtype.is_complex:
        S, T, Q, Z = standard.standardize(S, T, Q, Z, blocks.starts(S))
    return S * tf.cast(norms[0], S.dtype), T * tf.cast(norms[1], T.dtype), Q, Z, converged


def _active(A, B):
    """[batch, N]: true for the rows and columns beside which A and B aren't triangular already (LAPACK's ILO to IHI): what stands in the
    others no rounding touches."""
    i = tf.range(tf.shape(A)[-1])
    below = (i[:, None] > i) & (tf.not_equal(A, 0) | tf.not_equal(B, 0))
    columns, rows = (tf.reduce_any(below, axis=axis) for axis in (-2, -1))
    first = tf.reduce_min(tf.where(columns, i, tf.size(i)), axis=-1, keepdims=True)
    last = tf.reduce_max(tf.where(rows, i, -1), axis=-1, keepdims=True)
    return (first <= i) & (i <= last)


def _with_margin(X):
    """Zeros beyond the end, so that every step has as many rows as any other."""
    return tf.pad(X, [[0, 0], [0, _bulge(X)], [0, _bulge(X)]])


def _bulge(X):
    """As many rows as a bulge has below its first one."""
    return 1 if X.dtype.is_complex else 2


def _scale(X):
    """[batch, 1, 1], real: the largest real or imaginary part, or 1 for a zero matrix."""
    largest = tf.reduce_max(size(X), axis=[-2, -1], keepdims=True)
    return tf.where(largest > 0, largest, tf.ones_like(largest))


def _to_hessenberg_triangular(A, B, n):
    """S upper Hessenberg, T upper triangular. The entry (i, j) of S goes for j = 0, 1, ... and i = n - 1, ..., j + 2."""
    Q, T = orthogonal.unitary_qr(B)
    S = matmul(Q, A, adjoint_a=True)
    factors = Factors(tf.stack([S, T], axis=2), tf.linalg.adjoint(Q), blocks.identity_like(S))

    def step(i, j, factors):
        above = tf.fill(tf.shape(factors.ST)[:1], i - 1)
        pair = i - 1 + tf.range(2)
        column = tf.gather(factors.ST[:, :, 0, j], pair, axis=1)
        factors, rows = on_rows(factors, above, reflector(column, 0))
        row = tf.gather(rows[:, 1, 1], pair, axis=1)
        factors = on_columns(factors, above, reflector(tf.math.conj(row), 1))
        finished = i <= j + 2
        return tf.where(finished, n - 1, i - 1), tf.where(finished, j + 1, j), factors

    _, _, factors = tf.while_loop(lambda i, j, _: j < n - 2, step, (n - 1, tf.constant(0, tf.int32), factors), parallel_iterations=1)
    # What was eliminated is left as rounding errors.
    S, T = tf.linalg.band_part(factors.ST[:, :, 0], 1, -1), tf.linalg.band_part(factors.ST[:, :, 1], 0, -1)
    return factors._replace(ST=tf.stack([S, T], axis=2))


def _iterate(factors, n, active):
    """S, T, Q, Z, and whether the iteration converged, [batch]: where something is not finite it hasn't.

    Diagonal entries of T in the `active` rows are 0 where they are negligible beside what stands in these rows and columns.
    """
    norm = tf.reduce_sum(masked(active[:, :, None] & active[:, None, :], tf.abs(factors.ST[:, :, 1]) ** 2), axis=[-2, -1])
    zero_beta = masked(active, tf.sqrt(norm)[:, None]) * tolerances.epsilon(norm.dtype)
    batch = tf.shape(norm)[:1]

    def sweep(count, factors, last, stuck, _):
        S, T = _deflate(factors.ST[:, :, 0], factors.ST[:, :, 1], zero_beta)
        factors = factors._replace(ST=tf.stack([S, T], axis=2))
        window = _find_window(S, T)
        stuck = tf.where(tf.equal(window.last, last) & ~window.chase, stuck + 1, tf.zeros_like(stuck))
        entering = first_column(S, T, window, tf.equal(stuck % _PATIENCE, _PATIENCE - 1))
        factors = _sweep(factors, window, entering)
        return count + 1, factors, window.last, stuck, (window.start <= window.end) & _is_finite(factors.ST)

    start = (tf.constant(0, tf.int32), factors, tf.fill(batch, tf.constant(-1, tf.int32)), tf.zeros(batch, tf.int32), tf.fill(batch, True))
    _, factors, _, _, active = tf.while_loop(
        lambda count, factors, last, stuck, active: (count <= SWEEPS * n) & tf.reduce_any(active),
        sweep,
        start,
        parallel_iterations=1,
    )
    S, T = factors.ST[:, :n, 0, :n], factors.ST[:, :n, 1, :n]
    Q, Z = tf.linalg.adjoint(factors.Q_H)[:, :n, :n], tf.linalg.matrix_transpose(factors.Z_T)[:, :n, :n]
    return S, T, Q, Z, ~active & _is_finite(factors.ST)


def _is_finite(x):
    """[batch]"""
    return tf.reduce_all(tf.math.is_finite(tf.math.real(x)) & tf.math.is_finite(tf.math.imag(x)), axis=[1, 2, 3])


def _deflate(S, T, zero_beta):
    """Drops what eliminations left and what is negligible: s_{j+1,j} beside its neighbours on the diagonal, t_jj in T."""
    s, t, low = tf.linalg.diag_part(S), tf.linalg.diag_part(T), blocks.below(S)
    small = tolerances.epsilon(S.dtype) * (tf.abs(s) + tf.abs(following(s)))
    small = tf.maximum(small, tolerances.negligible(S.dtype))
    low = tf.where(tf.abs(low) <= small, tf.zeros_like(low), low)
    t = tf.where(tf.abs(t) <= zero_beta, tf.zeros_like(t), t)
    S = tf.linalg.band_part(S, 0, -1) + blocks.place_below(low)
    return S, blocks.with_diagonal(tf.linalg.band_part(T, 0, -1), t)


def _find_window(S, T):
    """The last window that isn't finished: a single row is, and so are, for real dtypes, two with complex eigenvalues."""
    t = tf.linalg.diag_part(T)
    linked = tf.not_equal(blocks.below(S), 0)  # row j to row j + 1
    pending = linked
    if not S.dtype.is_complex:
        alone = linked & ~preceding(linked) & ~following(linked)
        pending = linked & ~(alone & _is_complex_pair(S, T))
    j = tf.range(tf.shape(t)[-1])
    end = tf.reduce_max(tf.where(pending, j, -1), axis=-1)
    last = end + 1
    first = tf.reduce_max(tf.where(~linked & (j < end[:, None]), j + 1, 0), axis=-1)
    inside = (j >= first[:, None]) & (j <= last[:, None])
    infinite = tf.reduce_max(tf.where(inside & tf.equal(t, 0), j, -1), axis=-1)
    active, chase = end >= 0, (infinite >= 0) & (end >= 0)
    start = tf.where(chase, infinite, first)
    end = tf.where(chase, last, end)
    return _Window(first, last, chase, start, tf.where(active, end, start - 1))


def _is_complex_pair(S, T):
    """[batch, N]: the 2 x 2 pencil at (j, j + 1) has complex eigenvalues. The discriminant times (t_jj t_{j+1,j+1})^2."""

    def over_largest(entries):
        largest = tf.reduce_max(tf.abs(tf.stack(entries)), axis=0)
        return [x / tf.where(largest > 0, largest, tf.ones_like(largest)) for x in entries]

    (p, q, r, s), (a, m, _, d) = map(over_largest, blocks.bands_of_both(S, T))
    half = (p * d - s * a + r * m) / 2
    return half * half + (r * d) * (q * a - p * m) < 0


def _sweep(factors, window, entering):
    """One sweep through each window, from the first column of the shifted pencil or for an infinite eigenvalue."""
    _, last, chase, start, end = window

    def step(i, factors):
        k = start + i
        active = k <= end
        k = tf.where(active, k, tf.maximum(end, 0))
        factors = _chase_infinite_or_bulge(factors, k, active, window, entering)
        return i + 1, factors

    steps = tf.reduce_max(end - start + 1)
    _, factors = tf.while_loop(lambda i, _: i < steps, step, (tf.constant(0, tf.int32), factors), parallel_iterations=1)
    # The infinite eigenvalue has arrived: t_jj and the entry of S beside s_jj are 0 but for rounding.
    here = chase[:, None] & tf.equal(tf.range(tf.shape(factors.Q_H)[-1]), last[:, None])
    keep = tf.cast(~here, factors.ST.dtype)
    S, T = factors.ST[:, :, 0], factors.ST[:, :, 1]
    S = tf.linalg.band_part(S, 0, -1) + blocks.place_below(blocks.below(S) * following(keep))
    T = blocks.with_diagonal(T, tf.linalg.diag_part(T) * keep)
    return factors._replace(ST=tf.stack([S, T], axis=2))


def _chase_infinite_or_bulge(factors, k, active, window, entering):
    """One step at row k of each pencil.

    A bulge: rows k, ... turn so that column k - 1 of S is that of a Hessenberg matrix again (k = first: so that the bulge
    enters), then columns k, ... so that T is triangular. An infinite eigenvalue, t_kk = 0: rows k and k + 1 turn so that the
    next diagonal entry of T is 0, then columns k - 1 and k so that S is Hessenberg again.
    """
    first, last, chase = window.first, window.last, window.chase[:, None]
    rows_of_bulge = _bulge(factors.ST) + 1
    offset = tf.range(rows_of_bulge)
    inside = active[:, None] & (k[:, None] + offset <= last[:, None])
    two = inside & (offset < 2)

    rows = tf.gather(factors.ST, k[:, None] + offset, batch_dims=1)
    column = tf.gather(rows[:, :, 0], tf.maximum(k - 1, 0), axis=2, batch_dims=1)
    column = tf.where(tf.equal(k, first)[:, None], entering, column)
    following_column = tf.gather(rows[:, :, 1], k + 1, axis=2, batch_dims=1)
    column = masked(inside & ~chase, column) + masked(two & chase, following_column)
    factors, rows = on_rows(factors, k, reflector(column, 0))

    left = tf.where(window.chase, tf.maximum(k - 1, 0), k)
    places = left[:, None] + offset
    block = tf.gather(rows, places, axis=3, batch_dims=1)  # of S and T, [batch, row, 2, column]
    within = active[:, None] & (places <= last[:, None])
    right = tf.eye(rows_of_bulge, batch_shape=tf.shape(k), dtype=rows.dtype)
    T = block[:, :, 1]
    for i in range(rows_of_bulge - 1, 1, -1):
        row = masked(within & inside[:, i : i + 1] & ~chase, T[:, i])
        H = reflector(tf.math.conj(row), i)
        right, T = product(right, H), product(T, H)
    of_bulge = masked(within & inside[:, 1:2] & (offset < 2) & ~chase, T[:, 1])
    of_infinite = tf.where((k < last)[:, None], block[:, 1, 0], block[:, 0, 0])
    of_infinite = masked((active & (k > first))[:, None] & (offset < 2) & chase, of_infinite)
    right = product(right, reflector(tf.math.conj(of_bulge + of_infinite), 1))
    return on_columns(factors, left, right)
