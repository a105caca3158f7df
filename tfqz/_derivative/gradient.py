"""The gradient of the QZ decomposition as it is: the formula of `formula.py` with the canonical form's part, for factors, alpha and beta,
with coinciding eigenvalues taken apart and elements that failed kept out."""

import tensorflow as tf

from tfqz._derivative import convention, eigenvectors, equations, failed, formula, scaled, triangular
from tfqz._derivative.attach import differentiable
from tfqz._derivative.noise import noise, without_noise
from tfqz._form import blocks, eigenvalues


def of_usable(S, T, Q, Z, Sb, Tb, Qb, Zb, A=None, B=None, alphab=None, betab=None, *, apart=False, ratios=False, moving=True, native=False):
    """Cotangents of A and B, in a graph, from arguments of which none failed and all have entries near 1. `pullback` is for any.

    Args:
      S, T, Q, Z: [..., n, n], factors in canonical form.
      Sb, Tb, Qb, Zb: [..., n, n], their cotangents; what lies outside the pattern of S and T is ignored.
      A, B: [..., n, n], of which the result is a function too, and alphab, betab: [..., n], cotangents of alpha and beta; or none of them.
      apart: a Python bool, whether cotangents are for eigenvalues alone, which are taken apart where they coincide. Those of the factors
        are 0 then.
      ratios: a Python bool, as in `eigenvectors.by_eigenvectors`.
      moving: a Python bool, False where the result is not differentiated.
      native: a Python bool, as in `equations.py`.

    Returns:
      Ab, Bb: [..., n, n]. For the convention of TensorFlow, <Ab, dA> + <Bb, dB> = <Sb, dS> + ... also for complex dtypes.
    """
    exact = []
    if alphab is not None:
        pencil = (A, B) if moving else None
        exact, (alphab, betab) = eigenvectors.by_eigenvectors(S, T, Q, Z, alphab, betab, ratios, pencil, native)
    if alphab is not None and apart:
        # Sums of equal eigenvalues have derivatives.
        moved_S, moved_T, move, _ = eigenvalues.taken_apart(S, T)
        # A function of alpha / beta has betab = -Re(conj(alphab) alpha) / beta.
        betab = betab - blocks.of_dtype(move * tf.math.real(alphab), betab.dtype)
        none = tf.zeros_like(Q)
        Sb, Tb = eigenvalues.pullback(moved_S, T, alphab, betab)
        general = _of_factors(moved_S, T, Q, Z, Sb, Tb, none, none, (moved_S, moved_T), None, native)
    else:
        upper = ~triangular.strictly_lower(S)
        Sb, Tb = blocks.masked(upper, Sb), blocks.masked(upper, Tb)
        if alphab is not None:
            Sb, Tb = (x + y for x, y in zip((Sb, Tb), eigenvalues.pullback(S, T, alphab, betab)))
        # And so have functions of subspaces with equal ones on one side.
        moved_S, moved_T, _, pairs = eigenvalues.taken_apart(S, T, runs_only=True)
        general = _of_factors(S, T, Q, Z, Sb, Tb, Qb, Zb, (S, T), [moved_S, moved_T, pairs], native)
    return [x + y for x, y in zip(general, exact)] if exact else general


pullback = differentiable(failed.kept_from_gradients("FFFF MMMM PP vv")(scaled.near_one("st11 STFF st UV")(of_usable)))


def _of_factors(S, T, Q, Z, Sb, Tb, Qb, Zb, coefficients, apart, native):
    """Ab and Bb, [..., n, n], for Sb and Tb that are zero outside the pattern of S and T. `coefficients`, `apart`: for the solver, as in
    `equations.py`."""
    Tb = convention.where_it_varies(S, T, Tb)
    rounding = noise(S, T, Sb, Tb, Qb, Zb)
    moved = tf.not_equal(coefficients[1], T) if apart is None else apart[-1]

    def fix(Sb, Tb, G_W, G_Y):
        return convention.fixed(S, T, Z, Sb, Tb, G_W, G_Y, rounding)

    def solve(P, R):
        return equations.solve_adjoint(*coefficients, without_noise(P, rounding, moved), without_noise(R, rounding, moved), native, apart)

    return formula.pullback(S, T, Q, Z, Sb, Tb, Qb, Zb, solve, fix)


def right_hand_sides(S, T, Q, Z, Sb, Tb, Qb, Zb):
    """P and R of (3), [..., n, n], of which the strictly lower parts count, with the convention's part."""
    Tb = convention.where_it_varies(S, T, Tb)
    G_W, G_Y = formula.rotation_cotangents(S, T, Q, Z, Sb, Tb, Qb, Zb)
    *_, G_W, G_Y = convention.fixed(S, T, Z, Sb, Tb, G_W, G_Y, noise(S, T, Sb, Tb, Qb, Zb))
    return blocks.skew(G_W), blocks.skew(G_Y)
