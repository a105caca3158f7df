r"""What the canonical form adds to the formula of `formula.py`: the diagonals of W and Y, and the rotations inside 2 x 2 blocks.

Equations (1) leave these open; the convention, that T has a real diagonal, or diag(a, d) in 2 x 2 blocks, and that the largest entry of
each column of Z is real, determines them. Their cotangents enter as matrices C_A, C_B inside the diagonal blocks that are added to Sb and
Tb, and as a part of G_Y.
"""

import tensorflow as tf

from tfqz._derivative.noise import significant
from tfqz._form import blocks, canonical, tolerances
from tfqz._form.blocks import following
from tfqz._form.products import matmul


def fixed(S, T, Z, Sb, Tb, G_W, G_Y, noise):
    """Sb, Tb, G_W and G_Y with what the convention adds to them. All matrices [..., n, n]; `noise`: [..., n], of `noise.noise`."""
    changes = _phases(S, T, G_W, noise) if S.dtype.is_complex else _rotations(S, T, G_W, G_Y, noise)
    Sb, Tb = (x if C is None else x + C for x, C in zip((Sb, Tb), changes))
    for X, C in zip((S, T), changes):
        if C is not None:
            G_W = G_W - matmul(C, X, adjoint_b=True)
            G_Y = G_Y + matmul(X, C, adjoint_a=True)
    if S.dtype.is_complex:
        G_Y = G_Y + largest_entries(Z, G_W + G_Y)
    return Sb, Tb, G_W, G_Y


def where_it_varies(S, T, Tb):
    """The cotangent of T in its diagonal blocks, where these vary.

    The two other entries of a block diag(a, d) are constant, but for a = d: there all entries are taken to vary. T's diagonal is real,
    and for t_jj != 0 any imaginary part of its cotangent gives the same gradient. A function that knows nothing of the convention has its
    exact gradient with the one that it has: nothing is divided by t_jj then but what is rounding.
    """
    if S.dtype.is_complex:
        return Tb
    # No band of Tb, and back: as vectors these are kernels of their own to XLA, and gathers.
    mean = (Tb + tf.linalg.matrix_transpose(Tb)) / 2
    mean = tf.where(blocks.beside_diagonal(unequal(S, T)), tf.zeros_like(mean), mean)
    return tf.where(blocks.beside_diagonal(blocks.starts(S)), mean, Tb)


def _phases(S, T, G_W, noise):
    """Complex dtypes: the diagonal of W - Y, from t_jj being real. Diagonal matrices C_A, C_B to be added to Sb, Tb.

    Im (Q^H dB Z)_jj = t_jj Im (W - Y)_jj + ..., hence C_B = diag(i Im diag(G_W) / t). At an infinite eigenvalue, t_jj = 0, it
    is s_jj that is kept real: C_A, for perturbations that leave t_jj = 0; in other directions the phase has no derivative.
    """
    s, t = tf.math.real(tf.linalg.diag_part(S)), tf.math.real(tf.linalg.diag_part(T))
    g = significant(tf.math.imag(tf.linalg.diag_part(G_W)), noise)
    zero = tf.zeros_like(g)

    changes = divide(tf.where(tf.equal(t, 0) & ~zero_alpha(S), g, zero), s), divide(tf.where(zero_beta(T), zero, g), t)
    return [tf.linalg.diag(tf.complex(zero, x)) for x in changes]


def largest_entries(Z, G):
    """Complex dtypes: the diagonal of W and Y together, from the largest entry z_kj of each column of Z being real.

    Im Y_jj = -Im sum_{l != j} z_kl Y_lj / z_kj. Returns what this adds to G, the cotangent of W = Y.
    """
    row = matmul(canonical.is_largest(Z), Z, transpose_a=True)  # [..., j, l]: z_kl for the k of column j
    quotient = divide(tf.math.imag(tf.linalg.diag_part(G)), tf.math.real(tf.linalg.diag_part(row)))
    weight = tf.complex(tf.zeros_like(quotient), -quotient)
    return weight[..., None, :] * tf.linalg.adjoint(blocks.with_diagonal(row, tf.zeros_like(weight)))


def of_largest_entries(Z, turn):
    """The same, as a cotangent of Z, [..., n, p], of any number of rows: `turn`, [..., p], is the imaginary part of the diagonal of G."""
    largest = canonical.is_largest(Z)
    quotient = divide(turn, tf.math.real(tf.reduce_sum(largest * Z, axis=-2)))
    return largest * tf.complex(tf.zeros_like(quotient), -quotient)[..., None, :]


def _rotations(S, T, G_W, G_Y, noise):
    """Real dtypes: the rotation of W and Y inside each 2 x 2 block, from T's block being diag(a, d). No C_A, and C_B.

    The entries (k+1, k) and (k, k+1) of Q^H dB Z determine the two angles: a matrix [a -d; -d a], solved here by its
    eigenvectors (1, 1) and (1, -1). Where a = d one combination is not determined, and 0 is taken for it. Signs are constant.
    """
    start = blocks.starts(S)
    a, d = tf.linalg.diag_part(T), following(tf.linalg.diag_part(T))
    g_w, g_y = (blocks.below(G) - blocks.above(G) for G in (G_W, G_Y))
    zero = tf.zeros_like(a)
    noise = noise + following(noise)
    even = divide(tf.where(unequal(S, T), significant(g_w + g_y, noise), zero), 2 * (a - d))
    odd = divide(tf.where(start, g_w - g_y, zero), 2 * (a + d))
    return None, blocks.place_above(even - odd) + blocks.place_below(even + odd)


def zero_beta(T):
    """[..., n]: true where t_jj is 0 up to rounding, so that it has no phase."""
    return _zero_on_diagonal(T, tolerances.zero_beta)


def zero_alpha(S):
    """[..., n]: true where s_jj is so too: where t_jj = 0 as well the pair is 0/0."""
    return _zero_on_diagonal(S, tolerances.zero_pair)


def _zero_on_diagonal(X, tolerance):
    largest = tf.reduce_max(tf.abs(X), axis=[-2, -1])[..., None]
    return tf.math.real(tf.linalg.diag_part(X)) <= tolerance(X.dtype, tf.shape(X)[-1]) * largest


def unequal(S, T):
    """[..., n]: true where a 2 x 2 block starts in which T's diag(a, d) has a != d, up to rounding."""
    a, _, _, d = blocks.bands(T)
    return blocks.starts(S) & (a - d > tolerances.equal_block_entries(T.dtype) * (a + d))


def divide(x, y):
    """x / y, and 0 where y = 0, in the derivatives of this too. The division comes last: XLA does not compute it again."""
    safe = tf.not_equal(y, 0)
    return blocks.masked(safe, x) / tf.where(safe, y, tf.ones_like(y))
