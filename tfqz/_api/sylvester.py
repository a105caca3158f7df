"""Sylvester and Lyapunov equations."""

from typing import NamedTuple

import tensorflow as tf

from tfqz import _backends
from tfqz._api import systems
from tfqz._derivative import failed, sylvester
from tfqz._form import blocks, checks, turned
from tfqz._form.traces import in_one_call
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
        matrices, good = systems.arguments({"a": a, "b": b, "q": q}, sizes, backend, on_failure)
        text = "`a`, `b` must have no eigenvalues lambda of `a` and mu of `b` with lambda + mu = 0; got {got} such pairs{where}"
        return _solution("Sylvester", matrices, good, text, backend, on_failure)[0]


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
    with tf.name_scope(name or "solve_continuous_lyapunov"):
        (a, q, e), good = systems.arguments({"a": a, "q": q, "e": e}, dict.fromkeys("aqe", "nn"), backend, on_failure)
        text = _of_pencil(_NO_SUM, e)
        if e is None:
            return _solution("Sylvester", [a, tf.linalg.adjoint(a), q], good, text, backend, on_failure, adjoint=True)[0]
        return _solution("Lyapunov", [a, e, q], good, text, backend, on_failure)[0]


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
        text = _of_pencil(_NO_PRODUCT, e)
        e = blocks.identity_like(a) if e is None else e
        return _solution("Lyapunov", [a - e, a + e, -2 * q], good, text, backend, on_failure)[0]


def _of_pencil(text, e):
    return text.replace("{pencil}", "`a`" if e is None else "`a` - lambda `e`")


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
        text = "`a`, `b`, `d`, `e` must be pencils (a, d) and (b, e) without common eigenvalues; got {got} equal pairs{where}"
        return GeneralizedSylvester(*_solution("Coupled", matrices, good, text, backend, on_failure))


def _solution(name, matrices, good, text, backend, on_failure, adjoint=False):
    """The unknowns of an equation by its name in `sylvester.value`, a list. `text`: of the error if it is singular. `adjoint`: whether the
    second matrix is the adjoint of the first one."""
    unknowns, factors = _value(*matrices, good, name=name, text=text, backend=backend, on_failure=on_failure, adjoint=adjoint)
    return sylvester.attached(name, matrices, factors, unknowns, backend is _backends.native)


@in_one_call
def _value(*matrices_and_good, name, text, backend, on_failure, adjoint):
    """The unknowns and the factors of the coefficients, two lists; NaN for elements that fail."""
    *matrices, good = matrices_and_good
    if name == "Sylvester":
        a, b = systems.isolated(good, *matrices[:2])
        of_a = backend.schur(a, on_failure)
        factors = [*of_a, *(turned.adjoint_schur(*of_a) if adjoint else backend.schur(b, on_failure))]
    elif name == "Lyapunov":
        factors = backend.factorize(*systems.isolated(good, *matrices[:2]), on_failure)[:4]
    else:
        a, b, _, d, e, _ = matrices
        factors = [x for pencil in ((a, d), (b, e)) for x in backend.factorize(*systems.isolated(good, *pencil), on_failure)[:4]]
    unknowns, singular = sylvester.value(name, matrices, factors, backend is _backends.native)
    failing = systems.check(backend, on_failure, good, text)(singular)
    return failed.filled(failing, unknowns), failed.marked(failing, factors)
