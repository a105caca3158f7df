r"""A generalized Schur form with its eigenvalues in another order, in TensorFlow operations alone.

Neighbouring diagonal blocks are exchanged, those of an even and those of an odd place by turns (odd-even transposition sort), all
exchanges of a turn and all pencils of a batch at once. For blocks (S11, T11) and (S22, T22) with S12, T12 above them, R, L and a
number g with

    S11 R + g S12 = L S22        T11 R + g T12 = L T22

give bases [R; g I] and [L; g I] of the right and the left deflating subspace of the second block: the first columns of the
unitary matrices of their QR decompositions, which are applied from both sides. (R, L, g) is the null vector of a small matrix, so
nothing is divided by what may vanish. B. Kagstrom, A direct method for reordering eigenvalues in the generalized real Schur form
of a regular matrix pair (A, B), in: Linear Algebra for Large Scale and Real-Time Applications, 1993, 195-218; LAPACK's xTGEX2.

Real dtypes have blocks of 1 or 2 rows, so they are put in slots for 2, with a mask of the rows that there are.
"""

from typing import NamedTuple

import tensorflow as tf

from tfqz._backends.reflectors import reflector
from tfqz._form import blocks, orthogonal, quotients, tolerances
from tfqz._form.blocks import following, masked
from tfqz._form.products import matmul


class _Form(NamedTuple):
    """The factors, [batch, n, n]; labels of the rows, where blocks start, and which eigenvalues are infinite, [batch, n]; what was
    refused, [batch]."""

    S: tf.Tensor
    T: tf.Tensor
    Q: tf.Tensor
    Z: tf.Tensor
    labels: tf.Tensor
    start: tf.Tensor
    infinite: tf.Tensor
    refused: tf.Tensor


def reorder(S, T, Q, Z, labels):
    """S, T, Q, Z with the eigenvalues in descending order of their labels, those of equal labels in their old one; where blocks of
    2 rows start, [batch, n]; and for which elements an exchange was refused, [batch]. T's blocks are not diagonal. Infinite eigenvalues are
    infinite afterwards.

    Args: [batch, n, n], labels [batch, n], the same for both rows of a block.
    """
    norms = [blocks.largest(X) for X in (S, T)]
    pair = blocks.starts(S)
    first = ~blocks.preceding(pair)
    nothing = tf.fill(tf.shape(labels)[:1], False)
    infinite = tf.equal(tf.linalg.diag_part(T), 0)
    form = _Form(quotients.over(S, norms[0]), quotients.over(T, norms[1]), Q, Z, labels, first, infinite, nothing)
    n = tf.shape(S)[-1]

    def unsorted(turn, form):
        return (turn < n) & tf.reduce_any(_inversions(form))

    start = (tf.constant(0, tf.int32), form)
    _, form = tf.while_loop(unsorted, lambda turn, form: (turn + 1, _turn(turn, form)), start, parallel_iterations=1)
    n = tf.shape(form.S)[-1]
    pair = form.start & ~following(form.start) & (tf.range(n) < n - 1)
    t = tf.linalg.diag_part(form.T)
    # As much may stand below the diagonal.
    still = form.infinite & ~pair & ~blocks.preceding(pair) & (tf.abs(t) <= tolerances.exchange(T.dtype))
    S, T = (X * tf.cast(norm, X.dtype) for X, norm in zip((form.S, blocks.with_diagonal(form.T, masked(~still, t))), norms))
    return S, T, form.Q, form.Z, pair, form.refused


def _slots(X):
    """For the rows of one block."""
    return 1 if X.dtype.is_complex else 2


def _sizes(form):
    """[batch, n]: how many rows the block has that starts at a row."""
    n = tf.shape(form.start)[-1]
    return tf.where(following(form.start) | tf.equal(tf.range(n), n - 1), 1, 2)


def _inversions(form):
    """[batch, n]: true at the first row of each block that should come after the next one."""
    n = tf.shape(form.start)[-1]
    row = tf.range(n) + _sizes(form)
    after = tf.gather(form.labels, tf.minimum(row, n - 1), batch_dims=1)
    return form.start & (row < n) & (form.labels < after) & ~form.refused[:, None]


def _turn(turn, form):
    """Exchanges each block of a place with the turn's parity and the next one if they are in the wrong order."""
    n = tf.shape(form.S)[-1]
    place = tf.cumsum(tf.cast(form.start, tf.int32), axis=-1) - 1
    sizes = _sizes(form)
    row = tf.range(n)
    first = sizes
    second = tf.gather(sizes, tf.minimum(row + first, n - 1), batch_dims=1)
    chosen = _inversions(form) & tf.equal(place % 2, turn % 2)

    # Windows of both blocks, the second in front, for every row; [batch, n, slots].
    slot = tf.range(_slots(form.S))
    there = [slot < size[..., None] for size in (second, first)]
    before = [(row + first)[..., None] + slot, row[:, None] + slot + tf.zeros_like(first)[..., None]]
    behind = [row[:, None] + slot + tf.zeros_like(first)[..., None], (row + second)[..., None] + slot]
    there, before, behind = (tf.concat(x, axis=-1) for x in (there, before, behind))
    windows = [_normalized(_window(X, before, there)) for X in (form.S, form.T)]
    left, right = _bases(*windows, there)
    # Once more for what is left below the blocks: columns of very different lengths lose digits.
    windows = [matmul(matmul(left, X, adjoint_a=True), right) for X in windows]
    more = _bases(*windows, there)
    windows = [matmul(matmul(more[0], X, adjoint_a=True), more[1]) for X in windows]
    left, right = matmul(left, more[0]), matmul(right, more[1])
    refused = tf.reduce_any(chosen & _spoilt(windows), axis=-1)
    chosen = chosen & ~refused[:, None]

    there = (there & chosen[..., None])[..., None]
    left, right = (_embedded(U, before, behind, there) for U in (left, right))
    shift = tf.reduce_sum(tf.where(there, tf.one_hot(before, n, dtype=tf.int32) * (behind - before)[..., None], 0), axis=[1, 2])
    old = tf.argsort(row + shift, axis=-1)
    labels, start, infinite = (tf.gather(x, old, batch_dims=1) for x in (form.labels, form.start, form.infinite))
    block = tf.cumsum(tf.cast(start, tf.int32), axis=-1)
    within = block[:, :, None] <= block[:, None, :]
    S, T = (masked(within, matmul(matmul(left, X, adjoint_a=True), right)) for X in (form.S, form.T))
    return _Form(S, T, matmul(form.Q, left), matmul(form.Z, right), labels, start, infinite, form.refused | refused)


def _window(X, index, there):
    """[batch, n, slots, slots]: the entries of X at the slots' rows and columns, and 0 for slots without a row."""
    index = tf.minimum(index, tf.shape(X)[-1] - 1)
    rows = tf.gather(X, index, batch_dims=1)
    entries = tf.gather(rows, index, axis=3, batch_dims=2)
    return masked(there[..., :, None] & there[..., None, :], entries)


def _normalized(X):
    """X over its norm: equations of both windows count alike, and so does what is left of either."""
    X = quotients.over(X, blocks.largest(X))
    norm = tf.sqrt(tf.reduce_sum(tf.abs(X) ** 2, axis=[-2, -1], keepdims=True))
    return quotients.over_no_nan(X, norm)


def _bases(S, T, there):
    """Unitary matrices, [batch, n, slots, slots], whose first columns span the subspaces of the first half of the slots."""
    m = _slots(S)
    identity = tf.eye(m, dtype=S.dtype)
    shape = tf.concat([tf.shape(S)[:2], [m * m, m * m]], axis=0)

    def equations(X):
        X22, X12, X11 = X[..., :m, :m], X[..., m:, :m], X[..., m:, m:]
        of_R = tf.reshape(X11[..., :, None, :, None] * identity[:, None, :], shape)
        of_L = tf.reshape(identity[:, None, :, None] * tf.linalg.matrix_transpose(X22)[..., None, :, None, :], shape)
        of_g = tf.reshape(X12, tf.concat([shape[:3], [1]], axis=0))
        return tf.concat([of_R, -of_L, of_g], axis=-1)

    # An unknown in a slot without a row is 0, by an equation of its own.
    known = there[..., m:, None] & there[..., None, :m]
    known = tf.tile(tf.reshape(known, shape[:3]), [1, 1, 2])
    matrix = tf.concat([equations(S), equations(T)], axis=-2)
    matrix = tf.where(known[..., None], matrix, tf.eye(2 * m * m, 2 * m * m + 1, dtype=S.dtype))
    null = orthogonal.qr(tf.linalg.adjoint(matrix), full_matrices=True)[0][..., -1]
    R, L = (tf.reshape(x, tf.concat([shape[:2], [m, m]], axis=0)) for x in (null[..., : m * m], null[..., m * m : -1]))
    g = tf.where(there[..., :m], null[..., -1:], tf.ones_like(null[..., -1:]))
    return [_completed(tf.concat([tf.linalg.diag(g), X], axis=-2)) for X in (L, R)]


def _completed(X):
    """Unitary matrices whose first columns span those of X, [batch, n, 2 slots, slots]. By reflectors: TensorFlow's QR divides by squares
    of what is left of a column, which are denormals where it is nearly parallel to the one before."""
    rows, columns = X.shape[-2:]
    shape = tf.concat([tf.shape(X)[:2], [rows, rows]], axis=0)
    X = tf.reshape(X, [-1, rows, columns])
    U = reflector(X[:, :, 0], 0)
    for j in range(1, columns):
        H = reflector(matmul(U, X, adjoint_a=True)[:, j:, j], 0)
        U = tf.concat([U[..., :j], matmul(U[..., j:], H)], axis=-1)
    return tf.reshape(U, shape)


def _spoilt(windows):
    """[batch, n]: whether exchanged windows have more than rounding below their blocks."""
    m = _slots(windows[0])
    rest = [tf.reduce_max(tf.abs(X[..., m:, :m]), axis=[-2, -1]) for X in windows]
    return ~(tf.maximum(*rest) <= tolerances.exchange(windows[0].dtype))


def _embedded(U, before, behind, there):
    """The n x n matrix of the windows' unitary matrices: from the slots' old rows to their new ones; the identity elsewhere."""
    shape = tf.shape(U)
    n = shape[1]

    def rows(index):
        selected = masked(there, tf.one_hot(index, n, dtype=U.dtype))
        return tf.reshape(selected, [shape[0], n * shape[2], n])

    moved = tf.reshape(matmul(U, tf.reshape(rows(behind), tf.concat([shape[:3], [n]], axis=0))), [shape[0], n * shape[2], n])
    old = rows(before)
    untouched = 1 - tf.reduce_sum(old, axis=1)
    return matmul(old, moved, transpose_a=True) + tf.linalg.diag(untouched)
