"""What `tfqz.ordqz` refuses, and orders that can't be had."""

import cases
import numpy as np
import oracles
import pytest
import tensorflow as tf
from functionals import deviates
from test_ordqz import numpy_ordqz, selected

import tfqz
from tfqz import _backends
from tfqz._backends import graph
from tfqz._form import tolerances

# Two nearly defective pairs on top of each other, which no unsorted QZ leaves so: xTGEXC refuses to exchange them.
REFUSED = np.array([[1, 1, -241432, 85190], [-2e-16, 1, 90658, 152716], [0, 0, 1, 1], [0, 0, -3e-16, 1]])
# Which the native exchange doesn't, but these, whose blocks of T are nearly singular.
REFUSED_BY_BOTH = (
    np.array([[0, 1, 0.03, 0.01], [-1e-4, 0, -0.02, 0.02], [0, 0, 0, 1], [0, 0, -1e-16, 0]]),
    np.array([[1, 0, -3, 1], [0, 1e-12, 2, 2], [0, 0, 1, 0], [0, 0, 0, 1e-12]]),
)


def test_bad_arguments(backend):
    a = np.eye(3)
    for sort, error, words in (
        ("left", ValueError, "`sort` must be one of 'lhp', 'rhp', 'iuc', 'ouc', or a callable of alpha and beta; got 'left'"),
        (None, ValueError, "got None"),
        (lambda alpha, beta: tf.abs(alpha), TypeError, "`sort` must return booleans or integers; got float64"),
        (lambda alpha, beta: tf.ones([4], tf.bool), ValueError, r"one label for each eigenvalue; got \(4,\) for eigenvalues \(3,\)"),
    ):
        with pytest.raises(error, match=words):
            tfqz.ordqz(a, a, sort, backend=backend)
    with pytest.raises(ValueError, match="`tolerance` must be 0 where `sort` is a callable; got 1e-08"):
        tfqz.ordqz(a, a, lambda alpha, beta: tf.abs(alpha) < 1, tolerance=1e-8, backend=backend)
    with pytest.raises(ValueError, match="`tolerance` must be above -1 for 'iuc'; got -1"):
        tfqz.ordqz(a, a, "iuc", tolerance=-1, backend=backend)
    with pytest.raises(TypeError, match="`tolerance` must be a number; got '0'"):
        tfqz.ordqz(a, a, "iuc", tolerance="0", backend=backend)


def test_failing_elements(backend, rng):
    """A pencil with NaN is an error that names it, or NaN alone."""
    a, b = deviates(rng, (3, 4, 4), "float64"), deviates(rng, (3, 4, 4), "float64")
    a[1, 2, 2] = np.nan
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`a` must be finite; got NaN or Inf in batch element \[1\]"):
        tfqz.ordqz(a, b, backend=backend)
    filled = tfqz.ordqz(a, b, backend=backend, on_failure="nan")
    good = tfqz.ordqz(a[::2], b[::2], backend=backend)
    # TensorFlow's products round by how many matrices there are.
    tolerance = 1e-12 if backend == "graph" else 0
    for x, y in zip(filled, good):
        assert np.isnan(x[1]).all() and np.allclose(x.numpy()[::2], y, rtol=tolerance, atol=tolerance)


def test_a_refused_exchange(backend, monkeypatch):
    """An error that says so, or NaN in that element alone."""
    eye = np.stack([np.eye(4)] * 2)
    factors = [tf.constant(x) for x in (np.stack([np.diag([1.0, 2, 3, 4]), REFUSED]), eye, eye, eye)]
    labels = tf.constant([[0, 0, 0, 0], [0, 0, 1, 1]])
    who = "LAPACK's dtgexc returned info = 1"
    module = _backends.choose(backend)
    if backend != "scipy":
        s, t, q, z, *_ = (x[1] for x in module.reorder(factors, labels, "raise"))  # what it can do, and LAPACK can't
        assert oracles.residuals(REFUSED, eye[0], *(x.numpy() for x in (s, t, q, z))) < 30
    if backend == "native":
        factors[:2] = (tf.stack([x[0], y]) for x, y in zip(factors, REFUSED_BY_BOTH))
    if backend == "graph":
        monkeypatch.setattr(tolerances, "exchange", lambda dtype: -1.0)
        monkeypatch.setattr(graph, "reorder_or_tell", graph.reorder_or_tell.__wrapped__)
        who = "backend graph refused an exchange"
    words = rf"order of `sort`, and this one is too ill-conditioned; {who} in batch element \[1\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        module.reorder(factors, labels, "raise")
    filled = module.reorder(factors, labels, "nan")
    assert all(np.isnan(x[1]).all() and np.isfinite(x[0]).all() for x in filled)
    assert np.array_equal(np.diag(filled[0][0]), [1, 2, 3, 4])


@pytest.mark.slow_if("graph")
def test_a_singular_pencil_whose_eigenvalues_change(backend):
    """scipy#9001: eigenvalues 0/0 near rounding, which an exchange makes others. Those selected are in front, or it is an error."""
    m, p = np.zeros((8, 8)), np.diag([0.0] * 5 + [1] * 3)
    m[[0, 0, 0, 1, 1, 2, 5, 6, 7], [1, 4, 6, 3, 5, 4, 3, 1, 0]] = 1, -0.34, -0.97, 1, -0.89, 1, 1, 1, 1

    def is_zero(x):
        return tf.abs(x) < 1e-8

    def sort(alpha, beta):
        return is_zero(alpha) | is_zero(beta)

    def in_front(alpha, beta):
        chosen = sort(alpha, beta).numpy()
        return bool(np.all(chosen == -np.sort(-chosen.astype(int))))

    if backend == "scipy":
        with pytest.raises(tf.errors.InvalidArgumentError, match="an eigenvalue was another one after the exchange"):
            tfqz.ordqz(m, p, sort, backend=backend)
    for count in (1, 2):
        pencil, mass = (np.stack([np.eye(8)] + [x] * count) for x in (m, p))
        eager = tfqz.ordqz(pencil, mass, sort, backend=backend, on_failure="nan")
        graph_ = tf.function(lambda a, b: tfqz.ordqz(a, b, sort, backend=backend, on_failure="nan"))(pencil, mass)
        for s, t, alpha, beta, q, z in (eager, graph_):
            for k in range(1, count + 1):
                outputs = [x[k].numpy() for x in (s, t, alpha, beta, q, z)]
                assert all(np.isnan(x).all() for x in outputs) or in_front(*outputs[2:4])
            assert np.array_equal(s[0], np.eye(8))


@pytest.mark.slow_if("graph")
def test_an_eigenvalue_that_an_exchange_changed(backend, monkeypatch):
    """Labels that no longer hold are an error with the batch element, or NaN in it alone; rounding at a boundary is none."""
    calls = []

    def sort(alpha, beta):
        calls.append(None)
        first = tf.constant([[False, False, True], [False, True, False]])
        return first if len(calls) % 2 == 1 else tf.constant([[True, False, False], [False, False, True]])

    a, b = np.stack([np.diag([1.0, 2, 3])] * 2), np.eye(3)
    # The same eigenvalue has another label after it went to its place: it is what it was, and counts so.
    assert np.array_equal(np.diag(tfqz.ordqz(a, b, sort, backend=backend).s[1]), [2, 1, 3])

    module = _backends.choose(backend)
    right = module.reorder

    def wrong(factors, labels, on_failure):
        outputs = right(factors, labels, on_failure)
        return [*outputs[:4], outputs[4] * tf.constant([[1], [2]], outputs[4].dtype), outputs[5]]

    monkeypatch.setattr(module, "reorder", wrong)
    words = r"order of `sort`, and this one is too ill-conditioned; an eigenvalue was another one after the exchange in batch element \[1\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        tfqz.ordqz(a, b, sort, backend=backend)
    filled = tfqz.ordqz(a, b, sort, backend=backend, on_failure="nan")
    assert all(np.isnan(x[1]).all() and np.isfinite(x[0]).all() for x in filled)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"another one after the exchange in batch element"):
        tf.function(lambda: tfqz.ordqz(a, b, sort, backend=backend))()


@pytest.mark.slow_if("graph")
@pytest.mark.parametrize("dtype", cases.ALL)
def test_infinite_eigenvalues_stay_infinite(dtype, backend, rng):
    """Wherever they go."""
    n = 6
    a, b = deviates(rng, (40, n, n), dtype), deviates(rng, (40, n, n), dtype)
    b[:, 0] = b[:, :, 1] = 0  # 1 infinite eigenvalue, and often 2
    before = np.count_nonzero(np.diagonal(tfqz.qz(a, b, backend=backend).t, 0, -2, -1) == 0, axis=-1)
    for sort in ("lhp", "rhp", "iuc", "ouc"):
        _, _, alpha, beta, _, _, sdim = numpy_ordqz(a, b, sort, backend=backend, return_sdim=True)
        assert np.array_equal(np.count_nonzero(beta == 0, axis=-1), before)
        assert np.array_equal(np.count_nonzero(selected(sort, alpha, beta), axis=-1), sdim)


def test_infinite_eigenvalues_that_pairs_pass_stay_infinite(backend, rng):
    """Complex pairs come first: a block of two rows passes rows whose t_jj is 0."""
    a, b = deviates(rng, (40, 5, 5), "float64"), deviates(rng, (40, 5, 5), "float64")
    b[:, :, 0] = 0
    before = np.count_nonzero(tfqz.eigvals(a, b, True, backend=backend)[:, 1] == 0, axis=-1)
    _, _, alpha, beta, _, _ = numpy_ordqz(a, b, lambda alpha, beta: tf.abs(tf.math.imag(alpha)) > 0, backend=backend)
    assert np.all(before == 1) and np.array_equal(np.count_nonzero(beta == 0, axis=-1), before)
    assert np.any(np.imag(alpha[:, 0]) != 0)
