"""In JAX's programs, which an XLA apart from TensorFlow's compiles and runs. Skipped where JAX isn't installed."""

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf
from functionals import deviates
from oracles import central_gradient, residuals

import tfqz
from tfqz import _backends

jax = pytest.importorskip("jax")
jax2tf = pytest.importorskip("jax.experimental.jax2tf")

NAMES = {"float32": "float", "float64": "double", "complex64": "complex64", "complex128": "complex128"}
ERRORS = (ValueError, RuntimeError)  # JAX raises one or the other, as the call goes


@pytest.fixture(autouse=True, scope="module")
def registered():
    if (reason := _backends.native.why_not()) is not None:
        pytest.skip(reason)
    jax.config.update("jax_enable_x64", True)
    tfqz.jax.register()
    tfqz.jax.register()


def direct(a, b, fill_failures=0):
    """S, T, Q, Z, alpha, beta by the handler itself."""
    matrix = jax.ShapeDtypeStruct(a.shape, a.dtype)
    alpha = jax.ShapeDtypeStruct(a.shape[:-1], np.result_type(a.dtype, np.complex64))
    outputs = [matrix] * 4 + [alpha, jax.ShapeDtypeStruct(a.shape[:-1], a.dtype)]
    call = jax.ffi.ffi_call(f"tfqz_qz_{NAMES[str(a.dtype)]}", outputs, vmap_method="broadcast_all")
    return call(a, b, fill_failures=np.int64(fill_failures))


CALLS = {"direct": lambda a, b: direct(a, b)[:4], "call_tf": jax2tf.call_tf(tfqz.qz)}


@pytest.mark.slow_if("call_tf-float32", "call_tf-complex64")
@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize("call", CALLS)
def test_decomposes(call, dtype, rng):
    """One pencil and a batch, the program called twice."""
    f = jax.jit(CALLS[call])
    for shape in [(6, 6), (2, 3, 5, 5)]:
        for _ in range(2):
            a, b = deviates(rng, shape, dtype), deviates(rng, shape, dtype)
            s, t, q, z = (np.asarray(x) for x in f(a, b))
            assert s.dtype == dtype
            for index in np.ndindex(shape[:-2]):
                assert residuals(*(x[index] for x in (a, b, s, t, q, z))) < 30  # LAPACK's own threshold


def test_maps(rng):
    a, b = rng.standard_normal((2, 7, 4, 4))
    for got, expected in zip(jax.jit(jax.vmap(direct))(a, b), direct(a, b)):
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("call", CALLS)
def test_errors(call, rng):
    """The text is TensorFlow's, and the program works afterwards."""
    f = jax.jit(CALLS[call])
    a, b = rng.standard_normal((2, 3, 4, 4))
    bad = b.copy()
    bad[1, 2, 3] = np.nan
    with pytest.raises(ERRORS, match=r"`b` must be finite; got NaN or Inf in batch element \[1\]"):
        jax.block_until_ready(f(a, bad))
    assert np.isfinite(f(a, b)[0]).all()


def test_failures_filled(rng):
    a, b = rng.standard_normal((2, 3, 4, 4))
    b[1, 0, 0] = np.inf
    s = jax.jit(lambda a, b: direct(a, b, fill_failures=1)[0])(a, b)
    assert np.isnan(s[1]).all() and np.isfinite(s[0]).all() and np.isfinite(s[2]).all()


@pytest.mark.slow
def test_gradient(rng):
    """TensorFlow's, of the two smallest moduli of eigenvalues, against central differences of SciPy's."""

    def reference(a, b):
        values = [np.sort(np.abs(scipy.linalg.eigvals(x, y))) for x, y in zip(a, b)]
        return np.stack(values)[:, :2].sum(axis=-1)

    def of_smallest(a, b):
        return tf.reduce_sum(tf.sort(tf.abs(tfqz.eigvals(a, b)))[:2])

    a, b = rng.standard_normal((2, 5, 5))
    value, gradients = jax.jit(jax.value_and_grad(jax2tf.call_tf(of_smallest), argnums=(0, 1)))(a, b)
    assert np.isclose(value, reference(a[None], b[None])[0])
    for got, expected in zip(gradients, central_gradient(reference, a, b)):
        assert np.allclose(got, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


@pytest.mark.slow
def test_other_functions(rng):
    """Those that call more handlers: reordering, reduction of rectangular pencils, checks."""
    a, b = rng.standard_normal((2, 4, 4))
    q = r = np.eye(4)
    solution = jax.jit(jax2tf.call_tf(tfqz.solve_continuous_are))(a, b, q, r)
    assert np.allclose(solution, scipy.linalg.solve_continuous_are(a, b, q, r))
    tall = rng.standard_normal((2, 6, 4))
    s = jax.jit(jax2tf.call_tf(lambda a, b: tfqz.qz(a, b).s))(*tall)
    assert np.array_equal(s, tfqz.qz(*tall).s)
