r"""The gradient of the ordinary Schur decomposition, that of the pencil (A, I) with Q = Z.

    A = Z T Z^H      Z unitary, T upper triangular       Z^H dA Z = W T + dT - T W,   W = Z^H dZ

For cotangents Tb, Zb, Tb on the pattern of T,

    G = Z^H Zb - Tb T^H + T^H Tb          P = tril(G - G^H, -1)

    tril(E T^H - T^H E, -1) = P           E strictly lower triangular           Ab = Z (Tb + E) Z^H

`Strictly lower` leaves out the entry inside a 2 x 2 block. The convention adds the phases, of the largest entry of each column of Z,
to G, and the rotation in 2 x 2 blocks to Tb. The notation is that of `formula.py`.
"""

import tensorflow as tf

from tfqz._derivative import equations, failed, scaled, triangular
from tfqz._derivative.attach import differentiable
from tfqz._derivative.convention import divide, largest_entries
from tfqz._derivative.noise import significant, without_noise
from tfqz._form import blocks, eigenvalues, tolerances
from tfqz._form.products import matmul


@differentiable
@failed.kept_from_gradients("FF MM")
@scaled.near_one("s1 SF")
def pullback(T, Z, Tb, Zb, native=False):
    """The cotangent of A.

    Args:
      T, Z: [..., n, n], factors in canonical form.
      Tb, Zb: [..., n, n], their cotangents; what lies outside the pattern of T is ignored.
    """
    Tb = blocks.masked(~triangular.strictly_lower(T), Tb)
    noise = _noise(T, Tb, Zb)
    G = matmul(Z, Zb, adjoint_a=True) + _commutator(T, Tb)
    if T.dtype.is_complex:
        G = G + largest_entries(Z, G)
    else:
        C = _rotations(T, G, noise)
        Tb, G = Tb + C, G + _commutator(T, C)
    apart = eigenvalues.runs_taken_apart(T)
    P = without_noise(blocks.skew(G), noise, apart[-1])
    E = equations.solve_ordinary_adjoint(T, P, native, apart)
    return matmul(matmul(Z, Tb + E), Z, adjoint_b=True)


def _commutator(T, Tb):
    """T^H Tb - Tb T^H."""
    return matmul(T, Tb, adjoint_a=True) - matmul(Tb, T, adjoint_b=True)


def _rotations(T, G, noise):
    """Real dtypes: the rotation of W inside each 2 x 2 block [p b; c p], from both entries on its diagonal being equal.

    A rotation by w moves their difference by 2 (b + c) w. In a block with b = -c no rotation changes it, none is determined, and 0 is
    taken. Returns what this adds to Tb.
    """
    b, c = blocks.above(T), blocks.below(T)
    g = significant(blocks.below(G) - blocks.above(G), noise + blocks.following(noise))
    determined = blocks.starts(T) & (tf.abs(b + c) > tolerances.equal_block_entries(T.dtype) * tf.abs(b - c))
    x = -divide(tf.where(determined, g, tf.zeros_like(g)), 2 * (b + c))
    return tf.linalg.diag(x - blocks.preceding(x))


def _noise(T, Tb, Zb):
    """[..., n]: the rounding errors of column j of Z^H Zb, and of row and column j of the commutator."""

    def largest(X, axis):
        return tf.reduce_max(tf.abs(X), axis=axis)

    products = largest(Zb, -2) + sum(largest(Tb, axis) * largest(T, axis) for axis in (-2, -1))
    return tf.stop_gradient(tolerances.cancellation(T.dtype, tf.shape(T)[-1]) * products)
