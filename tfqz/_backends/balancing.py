"""Powers of two by which the rows and columns of non-negative matrices get about equal sums, in TensorFlow ops: what
`cc/algorithms/balance.cc` does, where the reasons for the numbers are. And the way back from balanced pencils."""

import numpy as np
import tensorflow as tf

from tfqz._form import blocks, canonical, eigenvalues, orthogonal, powers, standard, tolerances
from tfqz._form.blocks import following, preceding
from tfqz._form.products import matmul
from tfqz._form.traces import traced

_SIMILAR_SWEEPS, _TWO_SIDED_SWEEPS = 100, 20
_GAIN = 0.95
_LN2 = float(np.log(2))


def exponents(M, similarity):
    """Exponents l, [..., m], and r, [..., n], int32, such that diag(2^l) M diag(2^r) is balanced; M: [..., m, n], entries >= 0.

    `similarity`: l = -r, m = n; the sums of row and column j, for each j, without the diagonal, are about equal. Otherwise all rows have
    about equal sums, and all columns. Rows and columns that are zero have exponent 0, and so has all of a matrix that isn't finite.
    """
    m, n = tf.shape(M)[-2], tf.shape(M)[-1]
    batch = tf.shape(M)[:-2]
    largest = 60 if M.dtype == tf.float32 else 500
    M = tf.cast(tf.reshape(M, tf.concat([[tf.reduce_prod(batch)], [m, n]], axis=0)), tf.float64)
    finite = tf.reduce_all(tf.math.is_finite(M), axis=[-2, -1], keepdims=True)
    # As logarithms, since products with powers of two would leave the range.
    logs = tf.where(finite & (M > 0), tf.math.log(tf.where(M > 0, M, tf.ones_like(M))), tf.cast(-np.inf, M.dtype))
    top = tf.floor(tf.reduce_max(logs, axis=[-2, -1], keepdims=True) / _LN2)
    logs = logs - _LN2 * tf.where(tf.math.is_finite(top), top, tf.zeros_like(top))
    left, right = (_similar if similarity else _two_sided)(logs, largest)
    return [tf.reshape(tf.cast(x, tf.int32), tf.concat([batch, [size]], axis=0)) for x, size in ((left, m), (right, n))]


def _similar(logs, largest):
    """Osborne's iteration: one index after the other, until none of them changes anything."""
    n = tf.shape(logs)[-1]
    i = tf.range(n)
    logs = tf.where(tf.equal(i[:, None], i), tf.cast(-np.inf, logs.dtype), logs)
    lines = tf.stack([logs, tf.linalg.matrix_transpose(logs)], axis=1)
    towards = tf.constant([[1.0], [-1.0]], logs.dtype)

    def step(count, changed, e):
        k = count % tf.maximum(tf.shape(e)[-1], 1)
        here = tf.gather(e, k, axis=-1)[:, None]
        sums = _log_sum(tf.gather(lines, k, axis=2) + _LN2 * towards * (e - here)[:, None])
        by = tf.clip_by_value(here + _nearest((sums[:, :1] - sums[:, 1:]) / 2), -largest, largest) - here
        after = tf.reduce_sum(tf.exp(sums + _LN2 * by * tf.constant([-1.0, 1.0], by.dtype)), axis=-1, keepdims=True)
        gains = after < _GAIN * tf.reduce_sum(tf.exp(sums), axis=-1, keepdims=True)
        by = tf.where(gains & tf.reduce_all(tf.math.is_finite(sums), axis=-1, keepdims=True), by, tf.zeros_like(by))
        moved = tf.where(tf.equal(tf.range(tf.shape(e)[-1]), k), e + by, e)
        moved.set_shape(e.shape)
        return count + 1, tf.where(tf.reduce_any(tf.not_equal(by, 0)), count + 1, changed), moved

    def unfinished(count, changed, e):
        n = tf.shape(e)[-1]
        return (count < changed + n) & (count < _SIMILAR_SWEEPS * n)

    zero = tf.constant(0, tf.int32)
    start = (zero, zero, _zeros(logs, -1))
    _, _, e = tf.while_loop(unfinished, step, start, parallel_iterations=1)
    return -e, e


def _two_sided(logs, largest):
    """All rows, then all columns, until both have about equal sums."""
    m, n = tf.shape(logs)[-2], tf.shape(logs)[-1]
    larger = tf.cast(tf.maximum(tf.maximum(m, n), 1), logs.dtype)
    of_row, of_column = (tf.math.log(tf.cast(tf.maximum(size, 1), logs.dtype) / larger) for size in (n, m))

    def sweep(count, left, right, moving):
        rows = of_row - _log_sum(logs + _LN2 * right[:, None, :]) - _LN2 * left
        left_by = tf.where(moving, _nearest(rows), tf.zeros_like(rows))
        columns = of_column - _log_sum(tf.linalg.matrix_transpose(logs) + _LN2 * (left + left_by)[:, None, :]) - _LN2 * right
        right_by = tf.where(moving, _nearest(columns), tf.zeros_like(columns))
        change = tf.concat([left_by, right_by], axis=-1)
        return count + 1, left + left_by, right + right_by, tf.reduce_any(tf.abs(change) > 1, axis=-1, keepdims=True)

    start = (tf.constant(0, tf.int32), _zeros(logs, -1), _zeros(logs, -2), tf.fill([tf.shape(logs)[0], 1], True))
    loop = tf.while_loop(
        lambda count, left, right, moving: (count < _TWO_SIDED_SWEEPS) & tf.reduce_any(moving), sweep, start, parallel_iterations=1
    )
    left, right = loop[1:3]
    # What all rows are multiplied by columns can have as well: half of the range is for each.
    used = [tf.reduce_any(logs > -np.inf, axis=axis) for axis in (-1, -2)]
    shift = tf.floor((_middle(right, used[1]) - _middle(left, used[0])) / 2)
    return [
        tf.where(there, tf.clip_by_value(x + by, -largest, largest), tf.zeros_like(x))
        for x, by, there in ((left, shift, used[0]), (right, -shift, used[1]))
    ]


def _zeros(x, axis):
    """Zeros of the shape that x, [batch, m, n], has without that axis: m and n may be 0."""
    shape = tf.shape(x)
    return tf.zeros([shape[0], shape[-3 - axis]], x.dtype)


def _middle(x, used):
    """[batch, 1]: halfway between the least and the largest of those that are used."""
    least = tf.reduce_min(tf.where(used, x, tf.cast(np.inf, x.dtype)), axis=-1, keepdims=True)
    most = tf.reduce_max(tf.where(used, x, tf.cast(-np.inf, x.dtype)), axis=-1, keepdims=True)
    return tf.where(most >= least, tf.floor((most + least) / 2), tf.zeros_like(least))


def _log_sum(x):
    """[..., k]: the logarithm of the sum of the exponentials of [..., k, n]; -inf of -inf."""
    return tf.reduce_logsumexp(x, axis=-1)


def _nearest(logarithm):
    """The nearest exponent of 2, and 0 for what isn't finite."""
    finite = tf.math.is_finite(logarithm)
    return tf.round(tf.where(finite, logarithm, tf.zeros_like(logarithm)) / _LN2)


@traced
def unbalanced(A, B, S, T, Q, Z, alpha, beta, left, right):
    """S, T, Q, Z, alpha, beta of a pencil from factors of D1 A D2, D1 B D2, with D1 = diag(2^left) and D2 = diag(2^right): in canonical
    form, with the eigenvalues in the same order; NaN where S is. And where they miss too much of A or B to be factors, [...], bool:
    rounding errors of the balanced pencil come back as much larger as D1 and D2 are apart. And where all complex pairs stayed complex, or
    S is NaN, [...], bool.

    D1^-1 Q = Q_new R1 and D2 Z = Z_new R2 by QR, so S_new = R1 S R2^-1 and T_new = R1 T R2^-1. Of the entries on the diagonal these are
    products of three numbers, so that real eigenvalues, or complex ones of the complex form, keep all their digits. The others are those of
    Q_new^H A Z_new: errors of the product are as large there as R1 begins and R2^-1 ends, and an orthogonal form has no room for a complex
    pair whose 2 x 2 block has rows of very different lengths. alpha and beta are those of D1 A D2, D1 B D2, times a positive number for
    each eigenvalue that makes them those of S_new and T_new.

    Args: A, B, [..., n, n], whose batch shapes may be smaller; S, T, Q, Z, [..., n, n], in canonical form; alpha, beta, and the exponents,
    [..., n].
    """
    batch, n = tf.shape(S)[:-2], tf.shape(S)[-1]
    shape = tf.stack([tf.reduce_prod(batch), n, n])
    A, B, S, T, Q, Z = (tf.reshape(tf.broadcast_to(X, tf.shape(S)), shape) for X in (A, B, S, T, Q, Z))
    alpha, beta, left, right = (tf.reshape(x, shape[:2]) for x in (alpha, beta, left, right))
    good = tf.reduce_all(tf.math.is_finite(tf.math.real(tf.linalg.diag_part(S))), axis=-1)[:, None]
    A, B, S, T, Q, Z = (tf.where(good[..., None], X, blocks.identity_like(X)) for X in (A, B, S, T, Q, Z))
    Q, R1 = _orthonormalized(Q, -left)
    Z, R2 = _orthonormalized(Z, right)
    pairs, turn = blocks.starts(S), tf.linalg.diag_part(R1) / tf.linalg.diag_part(R2)
    products = [matmul(Q, matmul(Y, Z), adjoint_a=True) for Y in (A, B)]
    S, T = (_with_products(Y, turn * tf.linalg.diag_part(X), pairs) for X, Y in zip((S, T), products))
    near = [_is_near(*matrices) for matrices in zip((S, T), products, (A, B))]
    (S, T), scales = powers.near_one([S, T])
    if not S.dtype.is_complex:
        S, T, Q, Z = standard.standardize(S, T, Q, Z, pairs)
    S, T, Q, Z = canonical.canonicalize(*powers.without_underflowing(S, T, scales), Q, Z)
    size = tf.abs(turn)
    of_pair = tf.sqrt(size) * tf.sqrt(following(size))
    size = tf.where(pairs, of_pair, tf.where(preceding(pairs), preceding(of_pair), size))
    kept = tf.reduce_all(tf.equal(pairs, blocks.starts(S)), axis=-1, keepdims=True)
    S, T, *of_form = powers.back_from_one(S, T, *eigenvalues.alpha_beta(S, T, differentiable=False), scales)
    of_form = [tf.where(kept, x * blocks.of_dtype(size, x.dtype), y) for x, y in zip((alpha, beta), of_form)]
    misses = good[:, 0] & ~tf.reduce_all(near, axis=0)
    outputs = [S, T, Q, Z, *of_form]
    for i, x in enumerate(outputs):
        x = tf.where(good[..., None] if i < 4 else good, x, tf.cast(float("nan"), x.dtype))
        outputs[i] = tf.reshape(x, tf.concat([batch, tf.shape(x)[1:]], axis=0))
    return outputs, tf.reshape(misses, batch), tf.reshape(kept | ~good, batch)


def _is_near(X, Y, A):
    """[batch]: whether X is Y, which is A in other frames, but for rounding errors that may have grown."""
    # Not the largest one: to XLA that is a number where there is one.
    error = tf.reduce_sum(tf.abs(X - Y), axis=[-2, -1])
    return error <= tolerances.brought_back(A.dtype) * tf.reduce_max(tf.abs(A), axis=[-2, -1])


def _with_products(X, diagonal, pairs):
    """What is on and above the diagonal blocks of X, 2 x 2 ones at `pairs`, with `diagonal` for the others."""
    below = blocks.place_below(blocks.masked(pairs, blocks.below(X)))
    diagonal = tf.where(pairs | preceding(pairs), tf.linalg.diag_part(X), diagonal)
    return blocks.with_diagonal(tf.linalg.band_part(X, 0, -1) + below, diagonal)


def _orthonormalized(X, exponents):
    """Q and R of diag(2^exponents) X, [batch, n, n]. The longest rows come first in it, so that short ones keep their digits (A. J. Cox and
    N. J. Higham, Stability of Householder QR factorization for weighted least squares problems, in: Numerical Analysis 1997, 57-73).

    In double precision, in which products with these powers of single precision stay in the range."""
    dtype = X.dtype
    X = tf.cast(X, tf.complex128 if dtype.is_complex else tf.float64)
    order = tf.argsort(exponents, axis=-1, direction="DESCENDING", stable=True)
    X = X * blocks.of_dtype(powers.of_two(exponents, dtype=X.dtype.real_dtype), X.dtype)[..., None]
    Q, R = orthogonal.unitary_qr(tf.gather(X, order, batch_dims=1))
    return [tf.cast(x, dtype) for x in (tf.gather(Q, tf.argsort(order, axis=-1), batch_dims=1), R)]
