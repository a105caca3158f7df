"""Algebraic Riccati equations and linear-quadratic regulators."""

from typing import NamedTuple

import tensorflow as tf

from tfqz import _backends
from tfqz._api import ordqz, riccati_pencils, selection, systems
from tfqz._api.eigvals import eigvals
from tfqz._derivative import failed, riccati
from tfqz._form import blocks, checks
from tfqz._form.traces import in_one_call
from tfqz._form.types import Backend, Matrix, OnFailure, not_converted

SIZES = {"a": "nn", "b": "nm", "q": "nn", "r": "mm", "e": "nn", "s": "nm"}
_UNFIT = (
    "`q` must be Hermitian; got one that differs from its adjoint{where}",
    "`r` must be Hermitian; got one that differs from its adjoint{where}",
    "`r` must be regular; got a singular matrix{where}",
    "`e` must be regular; got a singular matrix{where}",
)
_RULE = "`a`, `b`, `q`, `r` must have a stabilizing solution; "
_BOUNDARY = _RULE + "got {got} eigenvalues of their pencil on the {boundary}{where}"
_NO_GRAPH = _RULE + "got a stable subspace that belongs to none, as where (a, b) can't be stabilized{where}"
_UNSTABLE = _RULE + "got one with {got} eigenvalues of the closed loop that aren't stable{where}"


class LQR(NamedTuple):
    """A linear-quadratic regulator, u = -gain x: the gain, [..., m, n], the solution of its Riccati equation, [..., n, n], and the
    eigenvalues of the closed loop, [..., n], complex."""

    gain: tf.Tensor
    solution: tf.Tensor
    poles: tf.Tensor


@not_converted
def solve_continuous_are(
    a: Matrix,
    b: Matrix,
    q: Matrix,
    r: Matrix,
    e: Matrix | None = None,
    s: Matrix | None = None,
    balanced: bool = True,
    *,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> tf.Tensor:
    """The stabilizing solution of a continuous-time algebraic Riccati equation, or of a batch, as `scipy.linalg.solve_continuous_are`.

        a^H x e + e^H x a - (e^H x b + s) r^-1 (b^H x e + s^H) + q = 0

    Differentiable in all arguments, to every order, in reverse and forward mode, wherever there is such a solution: eigenvalues of the
    closed loop may coincide, and r be indefinite (H-infinity control). The derivative with respect to q and r is that by Hermitian ones.

    Args:
      a: [..., n, n], float32, float64, complex64 or complex128.
      b: [..., n, m], of the same dtype; the batch shapes broadcast.
      q: [..., n, n], Hermitian.
      r: [..., m, m], Hermitian and regular.
      e: None for the identity, or [..., n, n], regular.
      s: None for 0, or [..., n, m].
      balanced: whether states, inputs and costs get units first, powers of 2, in which none is small beside others: the solution is the
        same in any units, and where the arguments differ much in size this saves up to all digits.
      backend, name: as for `tfqz.qz`.
      on_failure: "raise", or "nan" to fill the solutions of the batch elements that have none, and no others, with NaN.

    Returns:
      x, [..., n, n], Hermitian, such that the eigenvalues of a - b r^-1 (b^H x e + s^H) - lambda e are in the left half plane.

    Raises:
      TypeError, ValueError: the dtypes differ or are not supported; the static shapes don't fit.
      tf.errors.InvalidArgumentError: an argument has NaN or Inf, is not Hermitian or is singular where it must not be; or there is no
        stabilizing solution. Names the batch element and the reason.

    References:
      P. Van Dooren, A generalized eigenvalue approach for solving Riccati equations, SIAM J. Sci. Stat. Comput. 2 (1981) 121-135, and
      Newton's method: D. L. Kleinman, IEEE Trans. Autom. Control 13 (1968) 114-115.
    """
    with tf.name_scope(name or "solve_continuous_are"):
        return _solve(a, b, q, r, e, s, balanced, backend, on_failure, discrete=False)[1]


@not_converted
def solve_discrete_are(
    a: Matrix,
    b: Matrix,
    q: Matrix,
    r: Matrix,
    e: Matrix | None = None,
    s: Matrix | None = None,
    balanced: bool = True,
    *,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> tf.Tensor:
    """The stabilizing solution of a discrete-time algebraic Riccati equation, or of a batch, as `scipy.linalg.solve_discrete_are`.

        a^H x a - e^H x e - (a^H x b + s) (r + b^H x b)^-1 (b^H x a + s^H) + q = 0

    Differentiable as `tfqz.solve_continuous_are` is. r, and a, may be singular.

    Args:
      a, b, q, r, e, s, balanced, backend, on_failure, name: as for `tfqz.solve_continuous_are`, but for r, which may be singular.

    Returns:
      x, [..., n, n], Hermitian, such that the eigenvalues of a - b (r + b^H x b)^-1 (b^H x a + s^H) - lambda e are in the unit circle.

    Raises, References:
      As `tfqz.solve_continuous_are`.
    """
    with tf.name_scope(name or "solve_discrete_are"):
        return _solve(a, b, q, r, e, s, balanced, backend, on_failure, discrete=True)[1]


@not_converted
def lqr(
    a: Matrix,
    b: Matrix,
    q: Matrix,
    r: Matrix,
    s: Matrix | None = None,
    discrete: bool = False,
    *,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> LQR:
    """The linear-quadratic regulator of a plant dx/dt = a x + b u, or x' = a x + b u, or of a batch: u = -gain x.

    It minimizes the integral, or the sum, of x^H q x + 2 Re x^H s u + u^H r u. All is differentiable as `tfqz.solve_continuous_are` is;
    poles as `tfqz.eigvals`. The Kalman filter's gain is gain^H for a^H, c^H and the covariances of the noises.

    Args:
      a, b, q, r, s, backend, on_failure, name: as for `tfqz.solve_continuous_are`.
      discrete: whether the plant is in discrete time.

    Returns:
      `LQR(gain, solution, poles)`: [..., m, n]; [..., n, n], of the Riccati equation; [..., n], complex, the eigenvalues of a - b gain.

    Raises:
      As `tfqz.solve_continuous_are`.

    References:
      B. D. O. Anderson and J. B. Moore, Optimal Control: Linear Quadratic Methods, 1990.
    """
    with tf.name_scope(name or "lqr"):
        (a, b, q, r, _, s), x = _solve(a, b, q, r, None, s, True, backend, on_failure, discrete)
        good = failed.succeeded(x)
        a, b, _, r, solution, s = _usable((a, b, q, r, x, tf.zeros_like(b) if s is None else s), good)
        native = _backends.choose(backend) is _backends.native
        gain, closed = riccati.feedback(solution, a, b, r, s, discrete=discrete, native=native)
        gain, closed = failed.filled(~good, [gain, closed])
        return LQR(gain, x, eigvals(closed, blocks.identity_like(closed), backend=backend, on_failure="nan"))


def _solve(a, b, q, r, e, s, balanced, backend, on_failure, discrete):
    """The arguments, a list of tensors of one batch shape, and the solution of either equation, with its gradient."""
    checks.choice("on_failure", on_failure, checks.ON_FAILURE)
    backend = _backends.choose(backend)
    native = backend is _backends.native
    given = {"a": a, "b": b, "q": q, "r": r, "e": e, "s": s}
    arguments, good = systems.arguments(given, SIZES, backend, on_failure)
    x, factors = _value(*arguments, good, balanced=balanced, backend=backend, on_failure=on_failure, discrete=discrete)
    return arguments, riccati.attach(x, *arguments, factors, discrete, native)


@in_one_call
def _value(a, b, q, r, e, s, good, *, balanced, backend, on_failure, discrete):
    """The solution and the factors of its Lyapunov equation, NaN for elements that fail."""
    native = backend is _backends.native
    full = a, b, q, r, blocks.identity_like(a) if e is None else e, tf.zeros_like(b) if s is None else s
    usable = _usable(full, good)
    unfit = riccati_pencils.unfit(usable[2], usable[3], usable[4], discrete=discrete)
    for count, text in zip(tf.unstack(unfit, num=len(_UNFIT)), _UNFIT):
        good = ~systems.check(backend, on_failure, good, text)(count)
    usable = _usable(full, good)
    near_one, units = riccati_pencils.in_units(*usable, discrete=discrete, balance=backend.balance if balanced else None)
    outputs = backend.factorize(*riccati_pencils.compressed(*near_one, units.rows, units.columns, discrete=discrete), "nan")
    near = riccati_pencils.on_boundary(*outputs[4:], discrete=discrete)
    outputs, labels = ordqz.in_order(outputs, "iuc" if discrete else "lhp", 0.0, backend, "nan")
    x, none = riccati_pencils.solution(outputs[3], near_one[4])
    n = tf.shape(a)[-1]
    failing = none | tf.not_equal(selection.count(labels), n)
    boundary = _BOUNDARY.replace("{boundary}", "unit circle" if discrete else "imaginary axis")
    good = ~systems.check(backend, on_failure, good, boundary)(tf.where(failing, near, 0))
    good = ~systems.check(backend, on_failure, good, _NO_GRAPH)(tf.cast(failing, tf.int32))
    (x,) = failed.filled(~good, [x])
    *factors, alpha, beta = _closed_loop(x, near_one, backend, discrete)
    undecided, unstable = riccati_pencils.undecided(alpha, beta), riccati_pencils.unstable(alpha, beta)
    failing = systems.check(backend, on_failure, good, boundary)(tf.where(good & (undecided > 0), tf.maximum(near, undecided), 0))
    failing |= systems.check(backend, on_failure, good, _UNSTABLE)(tf.where(good & ~failing, unstable, 0))
    x = riccati.newton_step(x, *near_one, *factors, discrete=discrete, native=native)
    x = riccati_pencils.out_of_units(x, units.states, units.costs) if balanced else x
    # Of the new x: what the solution gains by a step the gradient wouldn't with the factors before it.
    factors = _closed_loop(x, usable, backend, discrete)[:4]
    return failed.filled(failing, [x])[0], failed.marked(failing, factors)


def _closed_loop(x, arguments, backend, discrete):
    """What QZ makes of the Lyapunov equation's pencil."""
    a, b, _, r, e, s = arguments
    pencil = riccati.closed_loop(x, a, b, r, e, s, discrete=discrete, native=backend is _backends.native)
    return backend.factorize(*pencil, "nan")


def _usable(arguments, good):
    """Those of the equation, with one that has a solution in the place of elements that are not `good`."""
    if failed.known_to_be_all(good):
        return arguments
    matrix = good[..., None, None]
    unit = [failed.columns_of_identity(x) for x in arguments]
    otherwise = -0.5 * unit[0], *unit[1:5], 0 * unit[5]
    return tuple(tf.where(matrix, x, y) for x, y in zip(arguments, otherwise))
