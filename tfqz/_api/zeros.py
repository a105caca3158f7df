"""`tfqz.transmission_zeros` of linear systems."""

import tensorflow as tf

from tfqz import _backends
from tfqz._api import systems
from tfqz._api.zeros_units import in_units
from tfqz._derivative import registration
from tfqz._form import blocks, checks
from tfqz._form.types import Backend, Matrix, OnFailure, not_converted

_SIZES = {"a": "nn", "b": "nm", "c": "pn", "d": "pm", "e": "nn"}


@not_converted
def transmission_zeros(
    a: Matrix,
    b: Matrix,
    c: Matrix,
    d: Matrix,
    e: Matrix | None = None,
    *,
    backend: Backend | None = None,
    on_failure: OnFailure = "raise",
    name: str | None = None,
) -> tf.Tensor:
    """Finite transmission zeros of a system e x' = a x + b u, y = c x + d u, or of a batch: the z for which P - z N loses rank, where
    P = [a b; c d] and N = diag(e, 0).

    They are invariant zeros: zeros of the transfer function, and what can't be controlled or observed. The infinite structure is taken away
    first by orthogonal transformations, so that a relative degree of any size does no harm. Units of states, inputs, outputs and time don't
    count either: powers of two make them alike. What rounding errors of the norm of the system make of infinite zeros comes out as large
    finite ones; those systems have entries of very different sizes that no choice of units makes alike.

    Simple zeros of square systems have their derivatives to every order, y^H (dP - z dN) x / (y^H N x) with the null vectors x and y of
    P - z N. A multiple zero has none; its gradient is finite, and 0 where P - z N has more than one null vector. Of systems that aren't
    square almost every change destroys all zeros: their gradient is an error.

    Sizes of reductions hang on the system, so they run on the host: outside XLA, and not in saved models of other processes.

    Args:
      a: [..., n, n], float32, float64, complex64 or complex128; n states.
      b: [..., n, m], of the same dtype, as all others; batch shapes broadcast. m inputs.
      c: [..., p, n], p outputs.
      d: [..., p, m].
      e: [..., n, n], which may be singular; None for the identity.
      backend: "native" or "scipy", as in `tfqz.qz`.
      on_failure, name: as in `tfqz.qz`.

    Returns:
      [..., n], complex64 or complex128: the zeros, in no particular order, then inf + 0i.

    Raises:
      As `tfqz.qz`; and ValueError for backend "graph".

    References:
      A. Emami-Naeini and P. Van Dooren, Computation of zeros of linear multivariable systems, Automatica 18 (1982) 415-430; states are
      balanced as in SLICOT's TB01ID.
    """
    checks.choice("on_failure", on_failure, checks.ON_FAILURE)
    with tf.name_scope(name or "transmission_zeros"):
        chosen = _backends.choose(backend)
        if chosen is _backends.BACKENDS["graph"]:
            reason = "transmission zeros are found by reductions of no fixed sizes"
            raise ValueError(f"`backend` must be 'native' or 'scipy', since {reason}; got 'graph'")
        given = {"a": a, "b": b, "c": c, "d": d, "e": e}
        (a, b, c, d, e), _ = systems.arguments(given, _SIZES, chosen, "nan")  # what isn't finite the backend tells
        pencil = in_units(*_pencil(a, b, c, d, e), tf.shape(a)[-1], chosen)
        return registration.zeros(*pencil, tf.shape(a)[-1], a.shape[-1], chosen, on_failure)


def _pencil(a, b, c, d, e):
    """P and N, [..., n + p, n + m]."""
    e = blocks.identity_like(a) if e is None else e
    system = systems.matrix_of((a, b), (c, d))
    return system, systems.matrix_of((e, tf.zeros_like(b)), (tf.zeros_like(c), tf.zeros_like(d)))
