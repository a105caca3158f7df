"""What `python -m tfqz` prints: what runs here, and whether it computes what it should."""

import itertools
import os
import platform
import warnings

import numpy as np
import tensorflow as tf

import tfqz
from tfqz import _backends
from tfqz._form import checks

N = 6
_MISSING = """The op library does not load: {reason}.
Without it tfqz works with backend {default!r}, which is slower, not in programs of XLA, and not in saved models. If that is meant, say so:
with TFQZ_BACKEND={default} in the environment this check passes."""


def main():
    """Prints versions, backends and a table of checks. Returns the exit status: 1 if anything is off, or if another backend takes the
    place of the native one and nobody said so."""
    print(f"tfqz {tfqz.__version__}, Python {platform.python_version()}, TensorFlow {tf.__version__}")
    loaded = []
    for name, backend in _backends.BACKENDS.items():
        reason = backend.why_not()
        if reason is None:
            loaded.append(name)
        details = ", ".join(f"{what} {version}" for what, version in backend.versions().items())
        print(f"  {name:8s} {'loads' if reason is None else 'does not load'}; {details}")
        if reason is not None:
            print(f"           {reason}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the last paragraph says
            chosen = _backends.choose()
        default = next(name for name, backend in _backends.BACKENDS.items() if backend is chosen)
        print(f"  default  {default}")
        missing = default != "native" and not os.environ.get(_backends.VARIABLE)
        off = _MISSING.format(reason=_backends.native.why_not(), default=default) if missing else None
    except (RuntimeError, ValueError) as error:
        print(f"  default  none: {error}")
        loaded, off = [], "No backend is left to check."

    print(f"\nA random {N} x {N} pencil: |A - Q S Z^H| and |B - Q T Z^H|, |Q^H Q - I| and |Z^H Z - I|, in units of n eps; and")
    print("the gradient of a random linear functional of all four factors against central differences of it.\n")
    header = f"{'backend':9s}{'dtype':12s}{'output':9s}{'residual':>10s}{'unitarity':>11s}{'gradient':>11s}"
    print(header + "\n" + "-" * (len(header) + 5))
    passed = True
    for name, dtype, output in itertools.product(loaded, checks.DTYPES, ("real", "complex")):
        if dtype.startswith("complex") and output == "real":
            continue
        residual, unitarity, gradient, bound = _check(name, dtype, output)
        # LAPACK's own tests ask for ratios below 30.
        good = residual < 30 and unitarity < 30 and gradient < bound
        passed = passed and good
        row = f"{name:9s}{dtype:12s}{output:9s}{residual:10.2f}{unitarity:11.2f}{gradient:11.1e}"
        print(f"{row}  {'ok' if good else 'OFF'}")
    if not passed:
        off = "Something is off."
    print(f"\n{off or 'All is well.'}")
    return 1 if off else 0


def _check(backend, dtype, output):
    """Residual and departure from unitarity over n eps, relative error of a directional derivative, and its bound."""
    rng = np.random.default_rng(19)

    def draw(complex_too):
        x = rng.standard_normal((N, N))
        return x + 1j * rng.standard_normal((N, N)) if complex_too else x

    # An eighth of the precision's digits for the step keeps QZ's order of the eigenvalues; it is the pencil's that counts.
    is_complex = dtype.startswith("complex")
    a, b, da, db = (tf.constant(draw(is_complex), dtype) for _ in range(4))
    factors = tfqz.qz(a, b, output=output, backend=backend)
    weights = [tf.constant(draw(factors.s.dtype.is_complex), factors.s.dtype) for _ in range(4)]

    def functional(a, b):
        factors = tfqz.qz(a, b, output=output, backend=backend)
        return tf.add_n([tf.reduce_sum(tf.math.real(tf.math.conj(w) * x)) for w, x in zip(weights, factors)])

    with tf.GradientTape() as tape:
        tape.watch([a, b])
        value = functional(a, b)
    gradients = tape.gradient(value, [a, b])
    derivative = sum(np.real(np.vdot(g, d)) for g, d in zip(gradients, (da, db)))
    eps = np.finfo(a.dtype.as_numpy_dtype).eps
    step = tf.cast(eps ** (1 / 3) / 4, a.dtype)
    difference = (functional(a + step * da, b + step * db) - functional(a - step * da, b - step * db)) / (2 * abs(step))
    scale = np.linalg.norm([*np.ravel(gradients[0]), *np.ravel(gradients[1])])

    s, t, q, z = (x.numpy() for x in factors)
    products = [(a.numpy(), q @ s @ z.conj().T), (b.numpy(), q @ t @ z.conj().T)]
    residual = max(np.linalg.norm(x - y) / np.linalg.norm(x) for x, y in products) / (N * eps)
    unitarity = max(np.linalg.norm(np.eye(N) - x.conj().T @ x) for x in (q, z)) / (N * eps)
    return residual, unitarity, abs(derivative - float(difference)) / scale, 2e-2 if eps > 1e-10 else 1e-6
