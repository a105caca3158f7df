"""`tfqz.sensitivity` and `tfqz.gauge_residual`: how well a gradient is defined, at a pencil and for a loss."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from tfqz._derivative import convention, equations, triangular
from tfqz._derivative.attach import differentiable
from tfqz._derivative.formula import rotation_cotangents
from tfqz._derivative.gradient import right_hand_sides
from tfqz._form import blocks, canonical, checks, eigenvalues, quotients, tolerances
from tfqz._form.blocks import masked
from tfqz._form.products import matmul
from tfqz._form.types import Matrix, not_converted


class Sensitivity(NamedTuple):
    """For each two neighbours on the diagonal of S and T, [..., n - 1], real; see `tfqz.sensitivity`."""

    separation: tf.Tensor
    dif: tf.Tensor
    amplification: tf.Tensor


@not_converted
def sensitivity(s: Matrix, t: Matrix, q: Matrix | None = None, z: Matrix | None = None, *, name: str | None = None) -> Sensitivity:
    """How far neighbouring eigenvalues of a generalized Schur form are apart, and what that does to gradients.

    Entry j is about eigenvalues j and j + 1, with S and T divided by their Frobenius norms. Nothing depends on q and z: they may be
    given so that `tfqz.sensitivity(*tfqz.qz(a, b))` can be written. Complex pairs of the real form are taken one by one, as in the
    complex form. Work grows as n^4 and memory as n^3: this is for looking at a pencil, not for training.

    Args:
      s, t: [..., n, n], as `tfqz.qz` and `tfqz.ordqz` return them. Of [..., m, n] the triangular block counts, n being the smaller size.
      q, z: not used.
      name: a name scope for the ops.

    Returns:
      `Sensitivity(separation, dif, amplification)`, each [..., n - 1], real:
      separation: the chordal distance of both eigenvalues, between 0 and 1.
      dif: Dif, the separation of the first j eigenvalues from the others: the smallest singular value of the map
        (X, V) -> (X S11 - S22 V, X T11 - T22 V) between the blocks on both sides of a cut, estimated from above by inverse iteration.
        Deflating subspaces cut there move by at most |(da / |a|, db / |b|)| / dif to first order. 0 where eigenvalues on both sides
        coincide up to rounding.
      amplification: how many times larger than a cotangent that turns columns j and j + 1 of q or z into each other its gradient by
        (a / |a|, b / |b|) is; so many times does it amplify rounding errors. At most 1 / dif. inf where dif is 0.

    Raises:
      TypeError, ValueError: dtypes or static shapes that don't fit.

    References:
      G. W. Stewart, Error and perturbation bounds for subspaces associated with certain eigenvalue problems, SIAM Rev. 15 (1973)
      727-764; B. Kagstrom and P. Poromaa, Numer. Algorithms 12 (1996) 369-407 (Dif, LAPACK's xTGSEN).
    """
    del q, z
    with tf.name_scope(name or "sensitivity"):
        return Sensitivity(*_sensitivity(*map(blocks.square_part, checks.pencil(s, t, names=("s", "t")))))


@differentiable
def _sensitivity(S, T):
    """separation, dif and amplification, [..., n - 1] each, real; S, T: [..., n, n]."""
    if not S.dtype.is_complex:
        G, H = tf.unstack(blocks.triangularize(S, T), num=2)
        S, T = (matmul(G, matmul(blocks.to_complex(X), H), adjoint_a=True) for X in (S, T))
    S, T = (_over_norm(tf.linalg.band_part(X, 0, -1)) for X in (S, T))
    n = tf.shape(S)[-1]
    row, cut = tf.range(n), tf.range(tf.maximum(n - 1, 0))
    distance = eigenvalues.chordal_distance(tf.linalg.diag_part(S), tf.linalg.diag_part(T))
    separation = blocks.below(distance)[..., :-1]

    # A batch dimension for the cuts, before the last two.
    S, T, distance = (X[..., None, :, :] for X in (S, T, distance))
    across = (row[:, None] > cut[:, None, None]) & (row <= cut[:, None, None])
    coincide = tf.reduce_any(across & (distance <= tolerances.equal_eigenvalues(S.dtype, n)), axis=[-2, -1])
    S, T = (tf.broadcast_to(X, tf.concat([tf.shape(X)[:-3], [tf.size(cut), n, n]], axis=0)) for X in (S, T))
    neighbours = across & tf.equal(row[:, None], cut[:, None, None] + 1) & tf.equal(row, cut[:, None, None])
    unit, zero = (tf.broadcast_to(tf.cast(x, S.dtype), tf.shape(S)) for x in (neighbours, tf.zeros_like(neighbours)))
    columns = [equations.solve_adjoint(S, T, *x, native=False) for x in ((unit, zero), (zero, unit))]
    # The largest singular value of what two cotangents give together.
    gram = [[_inner(x, y) for y in columns] for x in columns]
    a, b, d = tf.math.real(gram[0][0]), tf.abs(gram[0][1]), tf.math.real(gram[1][1])
    amplification = tf.sqrt((a + d) / 2 + tf.sqrt(((a - d) / 2) ** 2 + b**2))

    unknowns = [x + y for x, y in zip(*columns)]
    gain = amplification
    for _ in range(_ROUNDS):
        unknowns, _ = _unit(unknowns)
        unknowns = [masked(across, X) for X in equations.solve(S, T, *unknowns, native=False)]
        unknowns, first = _unit(unknowns)
        unknowns = equations.solve_adjoint(S, T, *unknowns, native=False)
        gain = tf.maximum(gain, tf.maximum(first, _unit(unknowns)[1]))
    infinity = tf.fill(tf.shape(gain), tf.constant(float("inf"), gain.dtype))
    return separation, tf.where(coincide, tf.zeros_like(gain), 1 / gain), tf.where(coincide, infinity, amplification)


# Of inverse iteration, two solutions each: what singular values near the smallest cost in accuracy is below a tenth then.
_ROUNDS = 4


def _over_norm(X):
    """X over its Frobenius norm; 0 for 0."""
    X = quotients.over(X, blocks.largest(X))
    norm = tf.sqrt(tf.reduce_sum(tf.abs(X) ** 2, axis=[-2, -1], keepdims=True))
    return quotients.over_no_nan(X, norm)


def _inner(xs, ys):
    """The sum of <x, y> over pairs of matrices, [...], complex where these are."""
    return tf.add_n([tf.reduce_sum(tf.math.conj(x) * y, axis=[-2, -1]) for x, y in zip(xs, ys)])


def _unit(xs):
    """Matrices over their common norm, and that."""
    norm = tf.sqrt(tf.math.real(_inner(xs, xs)))
    safe = tf.where(norm > 0, norm, tf.ones_like(norm))[..., None, None]
    return [x / blocks.of_dtype(safe, x.dtype) for x in xs], norm


@not_converted
def gauge_residual(factors: Sequence[Matrix], cotangents: Sequence[Matrix | None], *, name: str | None = None) -> tf.Tensor:
    """How much of a cotangent acts on what the decomposition does not determine; 0 up to rounding for a loss that has a derivative.

    Where eigenvalues coincide any mixture of their columns is as good a decomposition, where t_jj = 0 (complex dtypes) any phase of
    column j of q, where T's part of a 2 x 2 block is a multiple of I any rotation in it, and where two entries of a column of z are
    equally large (complex dtypes) either may be made positive. A loss that isn't the same for all of these has no derivative there,
    and `tfqz.qz` gives it a finite gradient that means little. This tells the two apart:

        with tf.GradientTape() as tape:
            tape.watch([a, b])
            factors = tfqz.qz(a, b)
            loss = ...
        tfqz.gauge_residual(factors, tape.gradient(loss, factors))

    What can't be seen in a cotangent: signs of real factors at an infinite eigenvalue; and that single eigenvalues of a cluster have
    no derivative where S and T are multiples of the identity in it, since mixing changes nothing there. `tfqz.sensitivity` shows both.

    Args:
      factors: `QZ` or `OrdQZ`, or any (s, t, q, z) or (s, t, alpha, beta, q, z), rectangular ones and those of `rank` included.
      cotangents: as many tensors of the same shapes and dtypes, the gradient of a loss with respect to `factors`; None counts as 0.
      name: a name scope for the ops.

    Returns:
      [...], real, the norm of that part of the cotangent over the norm of the cotangent (of s and t times |s| and |t|). 0 for 0.

    Raises:
      ValueError: not 4 or 6 tensors, or another number of cotangents.
    """
    factors, cotangents = list(factors), list(cotangents)
    if len(factors) not in (4, 6, 7) or len(cotangents) != len(factors):
        got = f"{len(factors)} and {len(cotangents)} of them"
        raise ValueError(f"`factors` and `cotangents` must be (s, t, q, z) or (s, t, alpha, beta, q, z); got {got}")
    with tf.name_scope(name or "gauge_residual"):
        factors = [checks.tensor(x, "factors") for x in factors[:6]]
        cotangents = [tf.zeros_like(x) if y is None else tf.cast(y, x.dtype) for x, y in zip(factors, cotangents)]
        s, t, *_, q, z = factors
        for other, x in {"t": t, "q": q, "z": z}.items():
            checks.dtypes(s.dtype, x.dtype, ("s", other))
        sb, tb, *of_eigenvalues, qb, zb = cotangents
        (s, t, q, z), (sb, tb, qb, zb) = _of_triangular_blocks([s, t, q, z], [sb, tb, qb, zb])
        if of_eigenvalues:
            more = eigenvalues.pullback(s, t, *of_eigenvalues)
            sb, tb = sb + more[0], tb + more[1]
        return _gauge_residual(s, t, q, z, sb, tb, qb, zb)


def _of_triangular_blocks(factors, cotangents):
    """Of rectangular factors those between which S and T are square, and their cotangents with what others have to do with rotations of
    them: the entries of S beside its triangular block."""
    s, t, q, z = factors
    sb, tb, qb, zb = cotangents
    above, p = blocks.square_place(s)
    q1, z1 = q[..., :, above:], z[..., :, :p]
    (right, top), (of_right, of_top) = ((x[..., above:, p:], x[..., :above, :p]) for x in (s, sb))
    qb = qb[..., :, above:] - matmul(q1, matmul(of_right, right, adjoint_b=True))
    zb = zb[..., :, :p] + matmul(z1, matmul(top, of_top, adjoint_a=True))
    square = blocks.square_part
    return [square(s), square(t), q1, z1], [square(sb), square(tb), qb, zb]


@differentiable
def _gauge_residual(S, T, Q, Z, Sb, Tb, Qb, Zb):
    """What `gauge_residual` returns, [...], real, of factors and cotangents, [..., n, n] each."""
    # Of norm 1, so that no square overflows.
    norms = [blocks.of_dtype(blocks.largest(X), X.dtype) for X in (S, T)]
    S, T, Sb, Tb = S / norms[0], T / norms[1], Sb * norms[0], Tb * norms[1]
    lower = triangular.strictly_lower(S)
    Sb, Tb = masked(~lower, Sb), masked(~lower, Tb)
    G_W, G_Y = rotation_cotangents(S, T, Q, Z, Sb, convention.where_it_varies(S, T, Tb), Qb, Zb)
    if S.dtype.is_complex:
        g_w, g_y = (tf.math.imag(tf.linalg.diag_part(G)) for G in (G_W, G_Y))
        tied = tf.math.count_nonzero(canonical.ties(Z), axis=-2) > 1
        turns = [masked(convention.zero_beta(T), g_w), masked(tied, g_w + g_y)]
    else:
        turn = sum(blocks.below(G) - blocks.above(G) for G in (G_W, G_Y))
        turns = [masked(blocks.starts(S) & ~convention.unequal(S, T), turn)]
    # What the minimum-norm solution at equal eigenvalues leaves of equations (3).
    P, R = right_hand_sides(S, T, Q, Z, Sb, Tb, Qb, Zb)
    E, F = equations.solve_adjoint(S, T, P, R, native=False)
    rest = [
        P - matmul(E, S, adjoint_b=True) - matmul(F, T, adjoint_b=True),
        R + matmul(S, E, adjoint_a=True) + matmul(T, F, adjoint_a=True),
    ]
    undetermined = sum(_square(masked(lower, x)) for x in rest) + sum(tf.reduce_sum(x**2, axis=-1) for x in turns)
    whole = _square(Qb) + _square(Zb) + _square(Sb) * _square(S) + _square(Tb) * _square(T)
    return tf.sqrt(tf.math.divide_no_nan(undetermined, whole))


def _square(X):
    """The squared Frobenius norm of [..., n, n]: [...], real."""
    return tf.reduce_sum(tf.abs(X) ** 2, axis=[-2, -1])
