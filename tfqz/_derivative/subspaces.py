"""The gradient of functions of a pencil's deflating subspaces: the formula where two diagonal blocks are all that is triangular."""

import tensorflow as tf

from tfqz._derivative import equations, failed, formula, scaled
from tfqz._derivative.attach import differentiable
from tfqz._form import blocks


@differentiable
@failed.kept_from_gradients("FFFF i MMMM")
@scaled.near_one("st11 1 STFF")
def pullback(S, T, Q, Z, count, Sb, Tb, Qb, Zb, native=False):
    """Cotangents of A and B where S and T are block triangular with two diagonal blocks, the first of `count` rows, and no more.

    The form that (1) of `formula.py` gives with W and Y zero inside the diagonal blocks, where dS and dT are full then: it needs the
    eigenvalues of one block to be other ones than those of the other block, and nothing of those within a block. Functions that know only
    the subspaces, which the first columns of Q and Z span, have this gradient whatever goes on inside the blocks.

    Args:
      S, T, Q, Z: [..., n, n], factors in canonical form.
      count: [...], int32.
      Sb, Tb, Qb, Zb: [..., n, n], cotangents.
      native: a Python bool, as in `equations.py`.
    """
    second = tf.range(tf.shape(S)[-1]) >= count[..., None]
    between = second[..., :, None] & ~second[..., None, :]
    Sb, Tb = blocks.masked(~between, Sb), blocks.masked(~between, Tb)

    def solve(P, R):
        P, R = blocks.masked(between, P), blocks.masked(between, R)
        return [blocks.masked(between, X) for X in equations.solve_adjoint(S, T, P, R, native)]

    return formula.pullback(S, T, Q, Z, Sb, Tb, Qb, Zb, solve)
