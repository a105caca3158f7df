r"""The gradient of the QZ decomposition.

    A = Q S Z^H      B = Q T Z^H      Q, Z unitary; S, T upper triangular       <X, Y> = Re tr(X^H Y)

With W = Q^H dQ and Y = Z^H dZ, both skew-Hermitian,

    Q^H dA Z = W S + dS - S Y         Q^H dB Z = W T + dT - T Y                                  (1)

and the strictly lower parts of (1) are two coupled triangular equations for those of W and Y alone (equations (2) in
`_triangular.py`): no inverse of S or T appears, so singular A, singular B and infinite eigenvalues need nothing special.
The adjoint of all this, for cotangents Sb, Tb, Qb, Zb of the factors, Sb and Tb on the pattern of S and T:

    G_W = Q^H Qb - Sb S^H - Tb T^H        P = tril(G_W - G_W^H, -1)
    G_Y = Z^H Zb + S^H Sb + T^H Tb        R = tril(G_Y - G_Y^H, -1)

     tril(E S^H + F T^H, -1) = P
    -tril(S^H E + T^H F, -1) = R          E, F strictly lower triangular                         (3)

    Ab = Q (Sb + E) Z^H                   Bb = Q (Tb + F) Z^H

What (1) leaves open, the diagonals of W and Y (phases) and the rotation inside 2 x 2 blocks, the canonical form fixes; the
functions `_phases` and `_rotations` add its part, a matrix C_A or C_B inside the diagonal blocks to Sb or Tb.

The derivation in full is in the README; the derivative of an ordinary eigenvalue problem in this style: M. Giles, `An
extended collection of matrix derivative results for forward and reverse mode algorithmic differentiation`, 2008.
"""

import tensorflow as tf

from tfqz import _blocks, _canonical, _eigenvalues, _tolerances, _triangular
from tfqz._blocks import following


@tf.function(reduce_retracing=True, autograph=False)
def pullback(S, T, Q, Z, Sb, Tb, Qb, Zb, alphab, betab):
    """Cotangents of A and B.

    Args:
      S, T, Q, Z: [..., n, n], factors in canonical form.
      Sb, Tb, Qb, Zb: [..., n, n], their cotangents; what lies outside the pattern of S and T is ignored.
      alphab, betab: [..., n], cotangents of alpha and beta.

    Returns:
      Ab, Bb: [..., n, n]. For the convention of TensorFlow, <Ab, dA> + <Bb, dB> = <Sb, dS> + ... also for complex dtypes.
    """
    Sb, Tb = _on_pattern(S, T, Sb, Tb)
    from_alpha, from_beta = _eigenvalues.pullback(S, T, alphab, betab)
    Sb, Tb = Sb + from_alpha, Tb + from_beta
    G_W = _mul(Q, Qb, left=True) - _mul(Sb, S, right=True) - _mul(Tb, T, right=True)
    G_Y = _mul(Z, Zb, left=True) + _mul(S, Sb, left=True) + _mul(T, Tb, left=True)

    fix = _phases if S.dtype.is_complex else _rotations
    C_A, C_B, G_W, G_Y = fix(S, T, Z, G_W, G_Y)

    P, R = _skew(G_W), _skew(G_Y)
    E, F = _triangular.solve_adjoint(S, T, P, R)
    Ab = _mul(Q @ (Sb + C_A + E), Z, right=True)
    Bb = _mul(Q @ (Tb + C_B + F), Z, right=True)
    return Ab, Bb


def _on_pattern(S, T, Sb, Tb):
    """Sb and Tb where S and T vary: S on and above the (block) diagonal, T above it, and the diagonal of T in the reals."""
    lower = _triangular.strictly_lower(S)
    Sb = (1 - lower) * Sb
    Tb = tf.linalg.band_part(Tb, 0, -1)
    if T.dtype.is_complex:
        real = _blocks.to_complex(tf.math.real(tf.linalg.diag_part(Tb)))
        return Sb, tf.linalg.set_diag(Tb, real)
    in_block = _blocks.place_above(tf.cast(_blocks.starts(S), T.dtype))
    return Sb, Tb * (1 - in_block)


def _phases(S, T, Z, G_W, G_Y):
    """Complex dtypes: the diagonals of W and Y, from t_jj and the largest entries of Z's columns being real.

    t_jj real: Im (Q^H dB Z)_jj = t_jj Im (W - Y)_jj, hence C_B = diag(i Im diag(G_W) / t). At an infinite eigenvalue,
    t_jj = 0, it is s_jj that is kept real, along perturbations that keep t_jj = 0; there are no other derivatives.
    z_kj real for the largest entry z_kj of column j: Im Y_jj = -Im sum_{l != j} z_kl Y_lj / z_kj.
    """
    n = tf.shape(S)[-1]
    s, t = tf.math.real(tf.linalg.diag_part(S)), tf.math.real(tf.linalg.diag_part(T))
    g_w, g_y = tf.math.imag(tf.linalg.diag_part(G_W)), tf.math.imag(tf.linalg.diag_part(G_Y))
    infinite = tf.equal(t, 0)
    largest = tf.reduce_max(tf.abs(T), axis=[-2, -1])[..., None]
    noise = t <= _tolerances.zero_beta(T.dtype, n) * largest

    def gauge(pivot, where):
        quotient = _divide(tf.where(where, g_w, tf.zeros_like(g_w)), pivot)
        return tf.linalg.diag(tf.complex(tf.zeros_like(quotient), quotient))

    C_A = gauge(s, infinite)
    C_B = gauge(t, tf.logical_not(noise))
    G_W = G_W - _mul(C_A, S, right=True) - _mul(C_B, T, right=True)
    G_Y = G_Y + _mul(S, C_A, left=True) + _mul(T, C_B, left=True)

    # [..., j, l]: z_kl for the row k in which column j is largest.
    row = tf.matmul(_canonical.is_largest(Z), Z, transpose_a=True)
    z = tf.math.real(tf.linalg.diag_part(row))
    weight = _divide(g_w + g_y, z)
    weight = tf.complex(tf.zeros_like(weight), -weight)
    off_diagonal = tf.linalg.set_diag(row, tf.zeros_like(weight))
    G_Y = G_Y + weight[..., None, :] * tf.linalg.adjoint(off_diagonal)
    return C_A, C_B, G_W, G_Y


def _rotations(S, T, Z, G_W, G_Y):
    """Real dtypes: the rotation of W and Y inside each 2 x 2 block, from T's block being diag(a, d).

    The entries (k+1, k) and (k, k+1) of Q^H dB Z determine the two angles: a matrix [a -d; -d a], solved here by its
    eigenvectors (1, 1) and (1, -1). Where a = d the rotation is not determined and 0 is taken. Signs are constant.
    """
    del Z
    start = _blocks.starts(S)
    a, d = tf.linalg.diag_part(T), following(tf.linalg.diag_part(T))
    g_w, g_y = (_blocks.below(G) - _blocks.above(G) for G in (G_W, G_Y))
    determined = start & (a - d > _tolerances.equal_block_entries(T.dtype) * (a + d))
    zero = tf.zeros_like(a)
    even = _divide(tf.where(determined, g_w + g_y, zero), 2 * (a - d))
    odd = _divide(tf.where(start, g_w - g_y, zero), 2 * (a + d))
    C_B = _blocks.place_below(even + odd) + _blocks.place_above(even - odd)
    G_W = G_W - _mul(C_B, T, right=True)
    G_Y = G_Y + _mul(T, C_B, left=True)
    return tf.zeros_like(C_B), C_B, G_W, G_Y


def _skew(G):
    return G - tf.linalg.adjoint(G)


def _mul(x, y, left=False, right=False):
    """x y, with x^H for `left` and y^H for `right`."""
    return tf.matmul(x, y, adjoint_a=left, adjoint_b=right)


def _divide(x, y):
    """x / y, and 0 where x = 0 or y = 0, in the derivatives of this too."""
    safe = tf.not_equal(x, 0) & tf.not_equal(y, 0)
    return tf.where(safe, x / tf.where(safe, y, tf.ones_like(y)), tf.zeros_like(x))
