"""alpha and beta, of which alpha / beta are the generalized eigenvalues, from canonical factors, and their gradient.

A 1 x 1 block has (s_jj, t_jj). A 2 x 2 block [p q; r s] of the real form, T's block being diag(a, d), has beta = sqrt(a d)
twice, and for alpha the eigenvalues x + iy and x - iy of [p rho, q; r, s / rho], rho = sqrt(d / a): y > 0 first, as in LAPACK.
"""

import tensorflow as tf

from tfqz._form import blocks, quotients, tolerances
from tfqz._form.blocks import following, preceding
from tfqz._form.products import matvec

# TensorFlow keeps each Python number that it made a tensor of, to find it again by equality: what isn't equal to itself must be the same.
_NAN, _INFINITY = complex("nan"), complex("inf")


def alpha_beta(S, T, differentiable=True):
    """alpha, [..., n], complex; beta, [..., n], of T's dtype with real values >= 0. `differentiable`: a Python bool."""
    s, t = map(tf.linalg.diag_part, (S, T)) if differentiable else (entries[0] for entries in blocks.bands_of_both(S, T))
    if S.dtype.is_complex:
        return s, t
    start = blocks.starts(S)
    p, q, r, s_, _, beta = blocks.balanced(S, T, differentiable)
    x, y = (p + s_) / 2, blocks.imaginary_part(p, q, r, s_)
    zero = tf.zeros_like(s)
    second = preceding(start)
    real = tf.where(start, x, tf.where(second, preceding(x), s))
    imaginary = tf.where(start, y, tf.where(second, -preceding(y), zero))
    beta = tf.where(start, beta, tf.where(second, preceding(beta), t))
    return tf.complex(real, imaginary), beta


def quotient(alpha, beta):
    """alpha / beta, [..., n], complex: inf + 0i where beta = 0, NaN where alpha is 0 as well or where they are NaN, all with gradient 0.
    beta counts as constant: the gradients of alpha, for `ratios`, are that of the quotient."""
    beta = tf.math.real(tf.stop_gradient(beta))
    # NaN where pencils failed, of which no derivative must be taken.
    known = tf.math.is_finite(beta)
    alpha, beta = blocks.masked(known, alpha), blocks.masked(known, beta)
    without_beta = tf.where(tf.equal(alpha, 0), tf.constant(_NAN, alpha.dtype), tf.constant(_INFINITY, alpha.dtype))
    infinite = tf.equal(beta, 0)
    return tf.where(infinite, without_beta, quotients.over(alpha, tf.where(infinite, tf.ones_like(beta), beta)))


def homogeneous(alpha, beta):
    """Both, [..., 2, n], complex."""
    return tf.stack([alpha, beta if beta.dtype.is_complex else blocks.to_complex(beta)], axis=-2)


def beta_cotangent(alpha, beta, alphab):
    """That which a function of alpha / beta has beside alphab; 0 where the pencil failed."""
    alpha, beta = (blocks.masked(tf.math.is_finite(tf.math.real(x)), x) for x in (alpha, beta))
    return -tf.math.divide_no_nan(tf.cast(tf.math.real(tf.math.conj(alphab) * alpha), beta.dtype), beta)


def chordal_distance(alpha, beta):
    """[..., n, n], real: the distances of alpha / beta, [..., n], complex, on a sphere of diameter 1; 0 from 0/0."""
    length = tf.sqrt(tf.abs(alpha) ** 2 + tf.abs(beta) ** 2)
    determinant = alpha[..., :, None] * beta[..., None, :] - alpha[..., None, :] * beta[..., :, None]
    return tf.math.divide_no_nan(tf.abs(determinant), length[..., :, None] * length[..., None, :])


def taken_apart(S, T, runs_only=False):
    """S and T with equal eigenvalues moved apart, how far: [..., n], of alpha / beta, 0 for infinite ones, and which pairs: [..., n, n].

    At equal eigenvalues the solver takes one gradient of many, and that of a function which does not see inside a cluster is
    another if the function still counts how B changes there, as a sum of eigenvalues does, or knows an eigenvalue that stands
    between members of the cluster. A move by h costs errors h, and epsilon / h, epsilon / h^2 for members in three places, and so on;
    these stay near sqrt(epsilon), epsilon^(1/3), ... It is for what rounding has hardly split: a defective
    cluster is split by sqrt(epsilon) already, and a move would hide how cotangents differ inside it.

    Args:
      S, T: [..., n, n], canonical factors.
      runs_only: whether members of a cluster that stand side by side stay together.
    """
    x, y, norms = _over_norms(S, T)
    start = blocks.starts(S)
    finite = (y > 0) & ((100 * y >= tf.abs(x)) | start | preceding(start))
    distance, pairs = _distances(x, y, start, runs_only)
    step = distance * (tf.abs(x) ** 2 + y**2)
    move = tf.where(finite, tf.math.divide_no_nan(step, y**2), tf.zeros_like(y)) * norms[0] / norms[1]
    inverse_move = tf.where(finite, tf.zeros_like(y), tf.math.divide_no_nan(step, tf.abs(x) ** 2)) * norms[1] / norms[0]
    # Not diag(move * diag_part(T)): what goes from matrices to vectors and back are kernels of their own.
    S, T = S + blocks.on_diagonal(move, T), T + blocks.on_diagonal(inverse_move, S)
    return S, T, move, pairs


def runs_taken_apart(T):
    """T and which pairs, the same with `runs_only` for the factor of an ordinary Schur form: the pencil (T, I), whose I stays."""
    x, y, norms = _over_norms(T, blocks.identity_like(T))
    distance, pairs = _distances(x, y, blocks.starts(T), runs_only=True)
    return T + tf.linalg.diag(tf.cast(distance * norms[0], T.dtype)), pairs


def _over_norms(S, T):
    """alpha and beta over the norms of S and T, and these, [..., 1], without derivatives."""
    norms = [tf.stop_gradient(blocks.largest(X))[..., 0] for X in (S, T)]
    alpha, beta = alpha_beta(tf.stop_gradient(S), tf.stop_gradient(T), differentiable=False)
    return alpha / blocks.to_complex(norms[0]), tf.math.real(beta) / norms[1], norms


def _distances(x, y, start, runs_only):
    """[..., n], real: how far, chordal, to move each eigenvalue x / y from where the first of its cluster stays; and [..., n, n], which
    pairs of one cluster that moves apart."""
    near = _within_reach(x, y)
    i = tf.range(tf.shape(y)[-1])
    earlier = tf.cast(near & (i[:, None] > i[None, :]), y.dtype)
    how_many = tf.reduce_sum(earlier, axis=-1)
    # A run of members begins where one that is none comes before, or the other half of a pair.
    one, two = (tf.linalg.diag_part(blocks.roll(earlier, shift, -1)) for shift in (1, 2))
    follows = (one > 0) | (start & (two > 0))
    begins = tf.cast((how_many > 0) & ~follows, y.dtype)
    runs = matvec(earlier, begins) + begins
    distance = runs * tolerances.move(x.dtype, tf.reduce_max(blocks.masked(near, runs[..., None, :]), axis=-1))
    if not runs_only:
        distance += how_many * tolerances.move(x.dtype, 1)
    distance = tf.where(preceding(start), preceding(distance), distance)  # a pair moves as one
    return distance, near & tf.not_equal(distance[..., :, None], distance[..., None, :])


def _within_reach(x, y):
    """[..., n, n]: true where the chordal distance of two x / y is less than that of a cluster's members, or one of them is 0/0."""
    re, im = tf.math.real(x), tf.math.imag(x)
    square = re**2 + im**2 + y**2

    y_i, y_j = blocks.as_columns(y), blocks.as_rows(y)

    def determinant(x):
        return blocks.as_columns(x) * y_j - blocks.as_rows(x) * y_i

    limit = tolerances.cluster(x.dtype) ** 2 * blocks.as_columns(square) * blocks.as_rows(square)
    return determinant(re) ** 2 + determinant(im) ** 2 <= limit


def pullback(S, T, alphab, betab):
    """Cotangents of S and T, nonzero in the diagonal blocks only.

    They are those of the eigenvalues of a general pair of blocks: the entries of T beside its diag(a, d) count too, for
    these are 0 by a convention that has no derivative where a = d.
    """
    if S.dtype.is_complex:
        real = blocks.to_complex(tf.math.real(betab))
        return tf.linalg.diag(alphab), tf.linalg.diag(real)
    start = blocks.starts(S)
    second = preceding(start)
    zero = tf.zeros_like(betab)
    p, q, r, s, rho, beta = blocks.balanced(S, T)
    y = blocks.imaginary_part(p, q, r, s)
    # x = (p + s) / 2 and y^2 = p s - q r - x^2, for the pair's two alphas together; both have the same beta. With T's block
    # [a m; l d] the sum p + s has the term -(q l + r m) / beta.
    xb = tf.math.real(alphab) + following(tf.math.real(alphab))
    yb = tf.math.imag(alphab) - following(tf.math.imag(alphab))
    betab_pair = betab + following(betab)
    square = tf.where(start & (y > 0), yb / tf.where(y > 0, 2 * y, tf.ones_like(y)), zero)
    xb = xb - square * (p + s)
    pb, sb = xb / 2 + square * s, xb / 2 + square * p
    qb, rb = -square * r, -square * q
    # p = p0 rho, s = s0 / rho, rho = sqrt(d / a), beta = sqrt(a d).
    log_rho, log_beta = (pb * p - sb * s) / 2, betab_pair * beta / 2
    a, d = tf.linalg.diag_part(T), following(tf.linalg.diag_part(T))
    one = tf.ones_like(a)
    ab = (log_beta - log_rho) / tf.where(start, a, one)
    db = (log_beta + log_rho) / tf.where(start, d, one)

    def in_pairs(first_row, second_row, single):
        return tf.where(start, first_row, tf.where(second, preceding(second_row), single))

    mb, lb = -xb * r / (2 * beta), -xb * q / (2 * beta)
    Sb = tf.linalg.diag(in_pairs(pb * rho, sb / rho, tf.math.real(alphab)))
    Sb = Sb + blocks.place_above(tf.where(start, qb, zero)) + blocks.place_below(tf.where(start, rb, zero))
    Tb = tf.linalg.diag(in_pairs(ab, db, betab))
    return Sb, Tb + blocks.place_above(tf.where(start, mb, zero)) + blocks.place_below(tf.where(start, lb, zero))
