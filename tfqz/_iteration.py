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

from tfqz import _blocks, _tolerances
from tfqz._blocks import following, masked, preceding
from tfqz._products import matmul

# LAPACK allows 30 sweeps for each eigenvalue; every tenth without success it takes an unusual shift.
SWEEPS = 30
_PATIENCE = 10


class _Factors(NamedTuple):
    """S and T side by side row for row, [batch, N, 2, N]; Q^H and Z^T, [batch, N, N]: rows are what can be replaced."""

    ST: tf.Tensor
    Q_H: tf.Tensor
    Z_T: tf.Tensor


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
    A, B = (_with_margin(_blocks.over(X, norm)) for X, norm in zip((A, B), norms))
    S, T, Q, Z, converged = _iterate(_to_hessenberg_triangular(A, B, n), n, _active(A, B))
    if not S.dtype.is_complex:
        S, T, Q, Z = standardize(S, T, Q, Z, _blocks.starts(S))
    return S * tf.cast(norms[0], S.dtype), T * tf.cast(norms[1], T.dtype), Q, Z, converged


def standardize(S, T, Q, Z, start):
    """S, T, Q, Z of real factors with 2 x 2 blocks `start`, [batch, n], of which T's are full and some may have real eigenvalues."""
    return _blocks.split_real(*_with_diagonal_blocks(S, T, Q, Z, start))


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
    largest = tf.reduce_max(_size(X), axis=[-2, -1], keepdims=True)
    return tf.where(largest > 0, largest, tf.ones_like(largest))


def _size(X):
    """|x| without squares, up to a factor of sqrt(2)."""
    return tf.maximum(tf.abs(tf.math.real(X)), tf.abs(tf.math.imag(X))) if X.dtype.is_complex else tf.abs(X)


def _to_hessenberg_triangular(A, B, n):
    """S upper Hessenberg, T upper triangular. The entry (i, j) of S goes for j = 0, 1, ... and i = n - 1, ..., j + 2."""
    Q, T = tf.linalg.qr(B)
    S = matmul(Q, A, adjoint_a=True)
    factors = _Factors(tf.stack([S, T], axis=2), tf.linalg.adjoint(Q), tf.eye(tf.shape(S)[-1], batch_shape=tf.shape(S)[:1], dtype=S.dtype))

    def step(i, j, factors):
        above = tf.fill(tf.shape(factors.ST)[:1], i - 1)
        pair = i - 1 + tf.range(2)
        column = tf.gather(factors.ST[:, :, 0, j], pair, axis=1)
        factors, rows = _on_rows(factors, above, _reflector(column, 0))
        row = tf.gather(rows[:, 1, 1], pair, axis=1)
        factors = _on_columns(factors, above, _reflector(tf.math.conj(row), 1))
        finished = i <= j + 2
        return tf.where(finished, n - 1, i - 1), tf.where(finished, j + 1, j), factors

    _, _, factors = tf.while_loop(
        lambda i, j, _: j < n - 2, step, (n - 1, tf.constant(0, tf.int32), factors), parallel_iterations=1
    )
    # What was eliminated is left as rounding errors.
    S, T = tf.linalg.band_part(factors.ST[:, :, 0], 1, -1), tf.linalg.band_part(factors.ST[:, :, 1], 0, -1)
    return factors._replace(ST=tf.stack([S, T], axis=2))


def _iterate(factors, n, active):
    """S, T, Q, Z, and whether the iteration converged, [batch]: where something is not finite it hasn't.

    Diagonal entries of T in the `active` rows are 0 where they are negligible beside what stands in these rows and columns.
    """
    norm = tf.reduce_sum(masked(active[:, :, None] & active[:, None, :], tf.abs(factors.ST[:, :, 1]) ** 2), axis=[-2, -1])
    zero_beta = masked(active, tf.sqrt(norm)[:, None]) * _tolerances.epsilon(norm.dtype)
    batch = tf.shape(norm)[:1]

    def sweep(count, factors, last, stuck, _):
        S, T = _deflate(factors.ST[:, :, 0], factors.ST[:, :, 1], zero_beta)
        factors = factors._replace(ST=tf.stack([S, T], axis=2))
        window = _find_window(S, T)
        stuck = tf.where(tf.equal(window.last, last) & ~window.chase, stuck + 1, tf.zeros_like(stuck))
        entering = _first_column(S, T, window, tf.equal(stuck % _PATIENCE, _PATIENCE - 1))
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
    s, t, low = tf.linalg.diag_part(S), tf.linalg.diag_part(T), _blocks.below(S)
    small = _tolerances.epsilon(S.dtype) * (tf.abs(s) + tf.abs(following(s)))
    small = tf.maximum(small, _tolerances.negligible(S.dtype))
    low = tf.where(tf.abs(low) <= small, tf.zeros_like(low), low)
    t = tf.where(tf.abs(t) <= zero_beta, tf.zeros_like(t), t)
    S = tf.linalg.band_part(S, 0, -1) + _blocks.place_below(low)
    return S, _blocks.with_diagonal(tf.linalg.band_part(T, 0, -1), t)


def _find_window(S, T):
    """The last window that isn't finished: a single row is, and so are, for real dtypes, two with complex eigenvalues."""
    t = tf.linalg.diag_part(T)
    linked = tf.not_equal(_blocks.below(S), 0)  # row j to row j + 1
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

    def entries(X):
        x = [tf.linalg.diag_part(X), _blocks.above(X), _blocks.below(X), following(tf.linalg.diag_part(X))]
        largest = tf.reduce_max(tf.abs(tf.stack(x)), axis=0)
        return [entry / tf.where(largest > 0, largest, tf.ones_like(largest)) for entry in x]

    (p, q, r, s), (a, m, _, d) = entries(S), entries(T)
    half = (p * d - s * a + r * m) / 2
    return half * half + (r * d) * (q * a - p * m) < 0


def _first_column(S, T, window, unusual):
    """[batch, bulge + 1]: the first column of (M - x_1) ... (M - x_k), M = S T^{-1} on the window, for the shifts x."""
    s, t, one = tf.linalg.diag_part(S), tf.linalg.diag_part(T), tf.ones_like(tf.linalg.diag_part(T))
    # Where there are zeros the window's work is another.
    finite_t, next_t = (tf.where(tf.equal(x, 0), one, x) for x in (t, following(t)))
    low = _blocks.below(S)
    m11, m21 = s / finite_t, low / finite_t
    m12, m22 = (_blocks.above(S) - m11 * _blocks.above(T)) / next_t, (following(s) - m21 * _blocks.above(T)) / next_t
    m32 = following(low) / next_t
    table = tf.stack([m11, m12, m21, m22, m32, s, finite_t, low], axis=1)
    j = tf.maximum(tf.stack([window.first, window.last - 1], axis=1), 0)
    table = tf.gather(table, j, axis=2, batch_dims=1)
    m11, m12, m21, m22, m32, s, t, low = tf.unstack(table[:, :, 0], axis=1)
    n11, n12, n21, n22, *_ = tf.unstack(table[:, :, 1], axis=1)

    half = (n11 - n22) / 2
    # Squares and products of these may leave the range: all is divided by the length g of (half, sqrt(n12 n21)) first.
    g = tf.maximum(_size(half), _root_of_product(n12, n21))
    g = tf.where(g > 0, g, tf.ones_like(g))
    half, product = _blocks.over(half, g), _blocks.over(n12, g) * _blocks.over(n21, g)
    discriminant = half * half + product
    if S.dtype.is_complex:
        root = tf.sqrt(discriminant)
        # Real pencils have conjugate pairs: rounding must not decide which of two equally near eigenvalues comes first.
        tie = _tolerances.tie(S.dtype) * tf.abs(root)
        real, imaginary = tf.math.real(root), tf.math.imag(root)
        root = tf.where(tf.where(tf.abs(real) <= tie, imaginary < 0, real < 0), -root, root)
        root = tf.where(tf.math.real(tf.math.conj(half) * root) < -tie * tf.abs(half), -root, root)
    else:
        root = tf.sqrt(tf.maximum(discriminant, 0))
        root = tf.where(half >= 0, root, -root)
    shift = n22 - tf.cast(g, S.dtype) * tf.math.divide_no_nan(product, half + root)
    shift = tf.where(unusual, n22 + 0.75 * tf.cast(tf.abs(n21), n21.dtype), shift)
    single = [s - shift * t, low]
    if S.dtype.is_complex:
        return tf.stack(single, axis=1)
    # A conjugate pair x +- iy; written so that x near m11 loses no digits. Both factors of a product over what makes the largest one 1.
    x = (n11 + n22) / 2
    first, second = m11 - x, m22 - x
    scale = tf.maximum(tf.maximum(tf.abs(first), g), _root_of_product(m21, tf.maximum(tf.maximum(tf.abs(m12), tf.abs(first + second)), tf.abs(m32))))
    first, second, m12, m21, m32, g = (y / scale for y in (first, second, m12, m21, m32, g))
    pair = [first**2 - discriminant * g**2 + m12 * m21, m21 * (first + second), m21 * m32]
    double = (discriminant < 0) & ~unusual
    return tf.stack([tf.where(double, y, z) for y, z in zip(pair, [*single, tf.zeros_like(s)])], axis=1)


def _root_of_product(x, y):
    """sqrt(|x| |y|), up to a factor of 2."""
    return tf.sqrt(_size(x)) * tf.sqrt(_size(y))


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
    S = tf.linalg.band_part(S, 0, -1) + _blocks.place_below(_blocks.below(S) * following(keep))
    T = _blocks.with_diagonal(T, tf.linalg.diag_part(T) * keep)
    return factors._replace(ST=tf.stack([S, T], axis=2))


def _chase_infinite_or_bulge(factors, k, active, window, entering):
    """One step at row k of each pencil.

    A bulge: rows k, ... turn so that column k - 1 of S is that of a Hessenberg matrix again (k = first: so that the bulge
    enters), then columns k, ... so that T is triangular. An infinite eigenvalue, t_kk = 0: rows k and k + 1 turn so that the
    next diagonal entry of T is 0, then columns k - 1 and k so that S is Hessenberg again.
    """
    first, last, chase = window.first, window.last, window.chase[:, None]
    size = _bulge(factors.ST) + 1
    offset = tf.range(size)
    inside = active[:, None] & (k[:, None] + offset <= last[:, None])
    two = inside & (offset < 2)

    rows = tf.gather(factors.ST, k[:, None] + offset, batch_dims=1)
    column = tf.gather(rows[:, :, 0], tf.maximum(k - 1, 0), axis=2, batch_dims=1)
    column = tf.where(tf.equal(k, first)[:, None], entering, column)
    following_column = tf.gather(rows[:, :, 1], k + 1, axis=2, batch_dims=1)
    column = masked(inside & ~chase, column) + masked(two & chase, following_column)
    factors, rows = _on_rows(factors, k, _reflector(column, 0))

    left = tf.where(window.chase, tf.maximum(k - 1, 0), k)
    places = left[:, None] + offset
    block = tf.gather(rows, places, axis=3, batch_dims=1)  # of S and T, [batch, row, 2, column]
    within = active[:, None] & (places <= last[:, None])
    right = tf.eye(size, batch_shape=tf.shape(k), dtype=rows.dtype)
    T = block[:, :, 1]
    for i in range(size - 1, 1, -1):
        row = masked(within & inside[:, i : i + 1] & ~chase, T[:, i])
        H = _reflector(tf.math.conj(row), i)
        right, T = _product(right, H), _product(T, H)
    of_bulge = masked(within & inside[:, 1:2] & (offset < 2) & ~chase, T[:, 1])
    of_infinite = tf.where((k < last)[:, None], block[:, 1, 0], block[:, 0, 0])
    of_infinite = masked((active & (k > first))[:, None] & (offset < 2) & chase, of_infinite)
    right = _product(right, _reflector(tf.math.conj(of_bulge + of_infinite), 1))
    return _on_columns(factors, left, right)


def _reflector(x, pivot):
    """[batch, k, k]: a unitary Hermitian H = I - 2 v v^H / v^H v with H x = c e_pivot; the identity for x = 0. x: [batch, k]."""
    scale = tf.reduce_max(_size(x), axis=-1, keepdims=True)
    x = _blocks.over(x, tf.where(scale > 0, scale, tf.ones_like(scale)))
    norm = tf.sqrt(tf.reduce_sum(tf.abs(x) ** 2, axis=-1))
    chosen = x[:, pivot]
    modulus = tf.abs(chosen)
    positive = modulus > 0
    phase = _blocks.over(chosen, tf.where(positive, modulus, tf.ones_like(modulus)))
    phase = tf.where(positive, phase, tf.ones_like(phase))
    unit = tf.one_hot(pivot, x.shape[-1], dtype=x.dtype)
    v = x + (phase * tf.cast(norm, x.dtype))[:, None] * unit
    weight = tf.math.divide_no_nan(tf.constant(2, norm.dtype), tf.reduce_sum(tf.abs(v) ** 2, axis=-1))
    v_H = tf.math.conj(v)[:, None, :] * tf.cast(weight, x.dtype)[:, None, None]
    H = tf.eye(x.shape[-1], dtype=x.dtype) - v[:, :, None] * v_H
    # h_pp = -|x_p| / |x|, and of two rows the other one is opposite: exactly 0 where x_p is, for then entries beside zeros change places, and
    # nothing of them may stay.
    cosine = tf.math.divide_no_nan(modulus, norm)[:, None]
    diagonal = tf.cast(tf.where(norm[:, None] > 0, cosine * (1 - 2 * tf.math.real(unit)), tf.ones_like(cosine)), x.dtype)
    exact = tf.linalg.diag(unit if x.shape[-1] > 2 else tf.ones_like(unit))
    return tf.where(tf.cast(exact, tf.bool), diagonal[:, None, :], H)


def _on_rows(factors, first, L):
    """L times the rows first, first + 1, ... of S, T and Q^H; also the new rows of S and T, [batch, k, 2, N]."""
    ST, rows = _replace(factors.ST, first, L, axis=1)
    return factors._replace(ST=ST, Q_H=_replace(factors.Q_H, first, L, axis=1)[0]), rows


def _on_columns(factors, first, R):
    """The columns first, first + 1, ... of S, T and Z times R."""
    R_T = tf.linalg.matrix_transpose(R)
    return factors._replace(ST=_replace(factors.ST, first, R_T, axis=3)[0], Z_T=_replace(factors.Z_T, first, R_T, axis=1)[0])


def _replace(x, first, U, axis):
    """x with U, [batch, k, k], times the rows first, first + 1, ... of each batch element in their place, and these; rows along the axis.

    Neither by tf.matmul, which may round to fewer bits first, nor by a scatter, which XLA makes a loop over the batch of for what is
    wider than 64 bits.
    """
    k, n = U.shape[-1], tf.shape(x)[axis]
    old = tf.unstack(tf.gather(x, first[:, None] + tf.range(k), axis=axis, batch_dims=1), num=k, axis=axis)
    new = [tf.add_n([_by_batch(U[:, i, j], row) * row for j, row in enumerate(old)]) for i in range(k)]
    rows = tf.stack(new, axis=axis)
    place = tf.range(n) - first[:, None]
    if x.dtype.is_complex:  # of which a choice with broadcasting takes several times as long as this, outside XLA
        source = tf.where((place >= 0) & (place < k), n + place, tf.range(n))
        return tf.gather(tf.concat([x, rows], axis=axis), source, axis=axis, batch_dims=1), rows
    place = tf.reshape(place, tf.concat([tf.shape(place)[:1], [-1 if i == axis else 1 for i in range(1, x.shape.rank)]], axis=0))
    for i, row in enumerate(new):
        x = tf.where(tf.equal(place, i), tf.expand_dims(row, axis), x)
    return x, rows


def _by_batch(x, y):
    """x, [batch], so that it multiplies y, [batch, ...]."""
    return tf.reshape(x, [-1] + [1] * (y.shape.rank - 1))


def _product(X, Y):
    """X Y for matrices of a few rows, [batch, k, k]; not by tf.matmul, which may round them first."""
    return tf.reduce_sum(X[:, :, :, None] * Y[:, None], axis=2)


def _with_diagonal_blocks(S, T, Q, Z, start):
    """Turns each 2 x 2 block of T, [p q; r s], into diag(a, d), a >= |d|: its singular value decomposition. Blocks `start`, [..., n].

    For rotations by w from the left and f from the right w - f = atan2(r - q, p + s) and w + f = atan2(r + q, p - s).
    """
    p, q, r, s = tf.linalg.diag_part(T), _blocks.above(T), _blocks.below(T), following(tf.linalg.diag_part(T))
    difference, total = tf.atan2(r - q, p + s), tf.atan2(r + q, p - s)
    zero = tf.zeros_like(p)
    left = _blocks.rotations(tf.where(start, (total + difference) / 2, zero))
    right = _blocks.rotations(tf.where(start, (total - difference) / 2, zero))

    def turned(X):
        return left.adjoint().rows(right.columns(X))

    T = tf.linalg.band_part(turned(T), 0, -1)
    T = tf.where(tf.cast(_blocks.place_above(tf.cast(start, T.dtype)), tf.bool), tf.zeros_like(T), T)
    below = tf.where(start, _blocks.below(turned(S)), zero)
    S = tf.linalg.band_part(turned(S), 0, -1) + _blocks.place_below(below)
    return S, T, left.columns(Q), right.columns(Z)
