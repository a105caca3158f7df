"""Sylvester and Lyapunov equations."""

from typing import NamedTuple

import tensorflow as tf

from tfqz import _backends
from tfqz._api import systems
from tfqz._derivative import sylvester
from tfqz._form import blocks, checks, turned
from tfqz._form.types import Backend, Matrix, OnFailure, not_converted

_NO_SUM = "`a` must have no two eigenvalues, of {pencil}, with lambda_i + conj(lambda_j) = 0; got {got} such pairs{where}"
_NO_PRODUCT = "`a` must have no two eigenvalues, of {pencil}, with lambda_i conj(lambda_j) = 1; got {got} such pairs{where}"


class GeneralizedSylvester(NamedTuple):
    """The solution of a r - l b = c, d r - l e = f; both [..., m, n]."""

    r: tf.Tensor
    l: tf.Tensor


@not_converted
def solve_sylvester(
    a: Matrix, b: Matrix, q: Matrix, *, backend: Backend | None = None, on_failure: OnFailure = "raise", name: str | None = None
) -> tf.Tensor:
    """The solution x of a x + x b = q, or of a batch, as `scipy.linalg.solve_sylvester`.

    Differentiable in all arguments, to every order, in reverse and forward mode, wherever there is one solution: eigenvalues of a, or of b,
    may coincide among themselves.

    Args:
      a: [..., m, m], float32, float64, complex64 or complex128.
      b: [..., n, n], of the same dtype; the batch shapes broadcast.
      q: [..., m, n].
      backend, name: as for `tfqz.qz`.
      on_failure: "raise", or "nan" to fill the solutions of the batch elements that fail, and no others, with NaN.

    Returns:
      x, [..., m, n].

    Raises:
      TypeError, ValueError: the dtypes differ or are not supported; the static shapes don't fit.
      tf.errors.InvalidArgumentError: an argument has NaN or Inf, QR iterations don't converge, or an eigenvalue of a is the negative of one
        of b, up to rounding; names the batch element.

    References:
      R. H. Bartels and G. W. Stewart, Solution of the matrix equation AX + XB = C, Comm. ACM 15 (1972) 820-826.
    """
    checks.choice("on_failure", on_failure, checks.ON_FAILURE)
    backend = _backends.choose(backend)
    with tf.name_scope(name or "solve_sylvester"):
        sizes = {"a": "mm", "b": "nn", "q": "mn"}
        (a, b, q), good = systems.arguments({"a": a, "b": b, "q": q}, sizes, backend, on_failure)
        of_a, of_b = (backend.schur(tf.stop_gradient(x), on_failure) for x in systems.isolated(good, a, b))
        text = "`a`, `b` must have no eigenvalues lambda of `a` and mu of `b` with lambda + mu = 0; got {got} such pairs{where}"
        check = systems.check(backend, on_failure, good, text)
        return sylvester.sylvester(a, b, q, of_a, of_b, backend is _backends.native, check)


@not_converted
def solve_continuous_lyapunov(
    a: Matrix,
    q: Matrix,
    e: Matrix | None = None,
    *,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> tf.Tensor:
    """The solution x of a x + x a^H = q, as `scipy.linalg.solve_continuous_lyapunov`, or of a x e^H + e x a^H = q; or of a batch.

    Differentiable in all arguments, to every order, in reverse and forward mode, wherever there is one solution; nothing depends on
    differences of eigenvalues, which may coincide. That of the controllability Gramian is a x + x a^H = -b b^H.

    Args:
      a: [..., n, n], float32, float64, complex64 or complex128.
      q: [..., n, n], of the same dtype; the batch shapes broadcast. It needn't be Hermitian.
      e: None for the identity, or [..., n, n], regular; rounding errors grow by its condition.
      backend, on_failure, name: as for `tfqz.solve_sylvester`.

    Returns:
      x, [..., n, n].

    Raises:
      As `tfqz.solve_sylvester`; lambda_i + conj(lambda_j) = 0 up to rounding for two eigenvalues of a - lambda e, or one twice, or e
      being singular, is an error.

    References:
      T. Penzl, Numerical solution of generalized Lyapunov equations, Adv. Comput. Math. 8 (1998) 33-48.
    """
    checks.choice("on_failure", on_failure, checks.ON_FAILURE)
    backend = _backends.choose(backend)
    native = backend is _backends.native
    with tf.name_scope(name or "solve_continuous_lyapunov"):
        (a, q, e), good = systems.arguments({"a": a, "q": q, "e": e}, dict.fromkeys("aqe", "nn"), backend, on_failure)
        check = _check(_NO_SUM, e, backend, on_failure, good)
        if e is None:
            factors = backend.schur(*(tf.stop_gradient(x) for x in systems.isolated(good, a)), on_failure)
            return sylvester.sylvester(a, tf.linalg.adjoint(a), q, factors, turned.adjoint_schur(*factors), native, check)
        return _lyapunov(a, e, q, good, backend, on_failure, check)


@not_converted
def solve_discrete_lyapunov(
    a: Matrix,
    q: Matrix,
    e: Matrix | None = None,
    *,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> tf.Tensor:
    """The solution x of a x a^H - x + q = 0, as `scipy.linalg.solve_discrete_lyapunov`, or of a x a^H - e x e^H + q = 0; or of a batch.

    Differentiable as `tfqz.solve_continuous_lyapunov` is. With a stable a and q = b b^H it is the controllability Gramian, the stationary
    covariance of x' = a x + b w: a Kalman filter's start.

    Args:
      a, q, e, backend, on_failure, name: as for `tfqz.solve_continuous_lyapunov`.

    Returns:
      x, [..., n, n].

    Raises:
      As `tfqz.solve_sylvester`; lambda_i conj(lambda_j) = 1 up to rounding for two eigenvalues of a - lambda e, or one twice, or e
      being singular, is an error.

    References:
      With m = a - e and p = a + e it is m x p^H + p x m^H = -2 q, the Cayley transform: A. Y. Barraud, A numerical algorithm to solve
      A^T X A - X = Q, IEEE Trans. Autom. Control 22 (1977) 883-885, has the direct way.
    """
    checks.choice("on_failure", on_failure, checks.ON_FAILURE)
    backend = _backends.choose(backend)
    with tf.name_scope(name or "solve_discrete_lyapunov"):
        (a, q, e), good = systems.arguments({"a": a, "q": q, "e": e}, dict.fromkeys("aqe", "nn"), backend, on_failure)
        check = _check(_NO_PRODUCT, e, backend, on_failure, good)
        e = blocks.identity_like(a) if e is None else e
        return _lyapunov(a - e, a + e, -2 * q, good, backend, on_failure, check)


def _check(text, e, backend, on_failure, good):
    return systems.check(backend, on_failure, good, text.replace("{pencil}", "`a`" if e is None else "`a` - lambda `e`"))


def _lyapunov(a, e, q, good, backend, on_failure, check):
    """x of a x e^H + e x a^H = q."""
    factors = backend.factorize(*(tf.stop_gradient(x) for x in systems.isolated(good, a, e)), on_failure)[:4]
    return sylvester.lyapunov(a, e, q, factors, backend is _backends.native, check)


@not_converted
def solve_generalized_sylvester(
    a: Matrix,
    b: Matrix,
    c: Matrix,
    d: Matrix,
    e: Matrix,
    f: Matrix,
    *,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> GeneralizedSylvester:
    """The solution of the coupled equations a r - l b = c, d r - l e = f, those of LAPACK's xTGSYL for general matrices; or of a batch.

    They decouple the pencil [a -c; 0 b] - lambda [d -f; 0 e]. Differentiable in all arguments, to every order, in reverse and forward mode,
    wherever there is one solution: eigenvalues of (a, d), or of (b, e), may coincide among themselves, and be infinite.

    Args:
      a, d: [..., m, m], float32, float64, complex64 or complex128.
      b, e: [..., n, n], of the same dtype; the batch shapes broadcast.
      c, f: [..., m, n].
      backend, on_failure, name: as for `tfqz.solve_sylvester`.

    Returns:
      `GeneralizedSylvester(r, l)`, both [..., m, n].

    Raises:
      As `tfqz.solve_sylvester`; an eigenvalue that a - lambda d and b - lambda e have both, up to rounding, is an error.

    References:
      B. Kagstrom and L. Westin, Generalized Schur methods with condition estimators for solving the generalized Sylvester equation, IEEE
      Trans. Autom. Control 34 (1989) 745-751.
    """
    checks.choice("on_failure", on_failure, checks.ON_FAILURE)
    backend = _backends.choose(backend)
    with tf.name_scope(name or "solve_generalized_sylvester"):
        sizes = {"a": "mm", "b": "nn", "c": "mn", "d": "mm", "e": "nn", "f": "mn"}
        matrices, good = systems.arguments(dict(zip(sizes, (a, b, c, d, e, f))), sizes, backend, on_failure)
        a, b, _, d, e, _ = map(tf.stop_gradient, matrices)
        of_left, of_right = (backend.factorize(*systems.isolated(good, *x), on_failure)[:4] for x in ((a, d), (b, e)))
        text = "`a`, `b`, `d`, `e` must be pencils (a, d) and (b, e) without common eigenvalues; got {got} equal pairs{where}"
        check = systems.check(backend, on_failure, good, text)
        return GeneralizedSylvester(*sylvester.coupled(*matrices, of_left, of_right, backend is _backends.native, check))
