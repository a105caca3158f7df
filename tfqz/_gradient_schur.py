r"""The gradient of the ordinary Schur decomposition, that of the pencil (A, I) with Q = Z.

    A = Z T Z^H      Z unitary, T upper triangular       Z^H dA Z = W T + dT - T W,   W = Z^H dZ

For cotangents Tb, Zb, Tb on the pattern of T,

    G = Z^H Zb - Tb T^H + T^H Tb          P = tril(G - G^H, -1)

    tril(E T^H - T^H E, -1) = P           E strictly lower triangular           Ab = Z (Tb + E) Z^H

`Strictly lower` leaves out the entry inside a 2 x 2 block. The convention adds the phases, of the largest entry of each column of Z,
to G, and the rotation in 2 x 2 blocks to Tb. The notation is that of `_gradient.py`.
"""

import tensorflow as tf

from tfqz import _blocks, _eigenvalues, _equations, _failed, _gradient, _tolerances, _triangular
from tfqz._attach import differentiable
from tfqz._products import matmul


@differentiable
@_failed.kept_from_gradients("FF MM")
def pullback(T, Z, Tb, Zb, native=False):
    """The cotangent of A.

    Args:
      T, Z: [..., n, n], factors in canonical form.
      Tb, Zb: [..., n, n], their cotangents; what lies outside the pattern of T is ignored.
    """
    Tb = _blocks.masked(~_triangular.strictly_lower(T), Tb)
    noise = _noise(T, Tb, Zb)
    G = _gradient.multiply(Z, Zb, left=True) + _commutator(T, Tb)
    if T.dtype.is_complex:
        G = G + _gradient.largest_entries(Z, G)
    else:
        C = _rotations(T, G, noise)
        Tb, G = Tb + C, G + _commutator(T, C)
    apart = _eigenvalues.runs_taken_apart(T)
    P = _gradient.without_noise(_gradient.skew(G), noise, apart[-1])
    E = _equations.solve_ordinary_adjoint(T, P, native, apart)
    return _gradient.multiply(matmul(Z, Tb + E), Z, right=True)


def _commutator(T, Tb):
    """T^H Tb - Tb T^H."""
    return _gradient.multiply(T, Tb, left=True) - _gradient.multiply(Tb, T, right=True)


def _rotations(T, G, noise):
    """Real dtypes: the rotation of W inside each 2 x 2 block [p b; c p], from both entries on its diagonal being equal.

    A rotation by w moves their difference by 2 (b + c) w. In a block with b = -c no rotation changes it, none is determined, and 0 is
    taken. Returns what this adds to Tb.
    """
    b, c = _blocks.above(T), _blocks.below(T)
    g = _gradient.significant(_blocks.below(G) - _blocks.above(G), noise + _blocks.following(noise))
    determined = _blocks.starts(T) & (tf.abs(b + c) > _tolerances.equal_block_entries(T.dtype) * tf.abs(b - c))
    x = -_gradient.divide(tf.where(determined, g, tf.zeros_like(g)), 2 * (b + c))
    return tf.linalg.diag(x - _blocks.preceding(x))


def _noise(T, Tb, Zb):
    """[..., n]: the rounding errors of column j of Z^H Zb, and of row and column j of the commutator."""

    def largest(X, axis):
        return tf.reduce_max(tf.abs(X), axis=axis)

    products = largest(Zb, -2) + sum(largest(Tb, axis) * largest(T, axis) for axis in (-2, -1))
    return tf.stop_gradient(_tolerances.cancellation(T.dtype, tf.shape(T)[-1]) * products)
